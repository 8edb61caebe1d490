"""YAML text of plain data, as the one loader reads it."""

from convcost.sources.pyyaml import yaml
from convcost.sources.yaml_scalars import Loader


class _Dumper(yaml.SafeDumper):
    """Quotes text that looks like another scalar, in YAML 1.1 or to our loader."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Line ends of every kind are told by their escapes: a reader makes one kind of them."""
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)

for _first, _scalars in Loader.yaml_implicit_resolvers.items():
    for _tag, _pattern in _scalars:
        _Dumper.add_implicit_resolver(_tag, _pattern, [_first])


def flow_text(value: object) -> str:
    """``value`` on one line."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        width=float("inf"),
        allow_unicode=True,
    )
    return text.removesuffix("...\n").strip()
