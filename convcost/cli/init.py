"""``convcost init``."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    *,
    source: Annotated[list[str], typer.Argument(help="Layer specs or models to make checks of.")],
    config: Annotated[
        str, typer.Option(metavar="FILE", help="Where to write it.")
    ] = "convcost.yaml",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Writes a first configuration of convcost check: today's costs as limits.

    $ convcost init examples/resnet.py configs/vgg16.yaml

    $ convcost init examples/unet.py --config costs.yaml
    """
    from pathlib import Path

    from convcost.cli.files import need_place, write_whole
    from convcost.cli.streams import progress, remark
    from convcost.errors import ConvcostError
    from convcost.workflows.first_config import first_config

    path = Path(config)
    need_place(path)
    if path.exists() and not force:
        raise ConvcostError(f"{path}: is already there", "--force replaces it")
    with progress() as notify:
        text, notices = first_config(source, path, notify)
    write_whole(path, text.encode())
    for notice in notices:
        remark(f"note: {notice}")
    remark(f"wrote {path}; convcost check holds the limits")
