"""One forward pass of a loaded model, with the user's errors told as the user's."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from torch.nn.parameter import is_lazy

from convcost.errors import ConvcostError
from convcost.graph import Graph
from convcost.sources.model import LoadedModel
from convcost.sources.python_file import still_importable
from convcost.sources.trace import ForwardError, trace
from convcost.sources.tracer import NeedsDataError
from convcost.sources.user_code import user_error

__all__ = ["ForwardError", "NeedsDataError", "forward_error", "run_forward"]


_ASKED = "is the input right? give it with --input"
_KEYWORDS = (
    "keywords, several inputs, and one that is a list or a dict, as [[…]] or [{…}], are said by "
    "example_inputs in the file"
)


def run_forward(loaded: LoadedModel, source: str) -> tuple[Graph, tuple[str, ...]]:
    """The model's graph, and notices.

    Raises:
        ConvcostError: the pass fails; names the layer, and the user's file and line.
        NeedsDataError: the pass needs data, and the model has none.
    """
    try:
        with (
            contextlib.redirect_stdout(sys.stderr),
            still_importable(loaded.folders, source)
            if loaded.folders
            else contextlib.nullcontext(),
        ):
            found = trace(loaded.module, loaded.args, loaded.kwargs, loaded.name)
    except ForwardError as error:
        if any(map(is_lazy, loaded.module.parameters())):
            raise ConvcostError(
                f"{source}: has lazy layers, whose shapes are not known yet",
                "run the model once on an input before it is profiled",
            ) from error
        raise forward_error(error, source, loaded.notices) from error
    except SystemExit as error:
        raise ConvcostError(f"{source}: calls sys.exit in forward") from error
    if not found.graph.nodes:
        raise ConvcostError(f"{source}: forward reads neither an input nor a parameter")
    return found


def forward_error(error: ForwardError, source: str, of_inputs: Sequence[str] = ()) -> ConvcostError:
    """What ``forward`` raised, with the layer, the user's file and line, and what is assumed."""
    told = user_error(error.cause, source, "in forward")
    layer = f"in {error.path}: " if error.path else ""
    # without a line of the user's it begins with the source already
    message = told.message.removeprefix(f"{source}: ")
    asked = of_inputs or (_ASKED,)
    if isinstance(error.cause, TypeError | IndexError):
        asked = (*asked, _KEYWORDS)
    hint = "; ".join(filter(None, (told.hint, *asked)))
    return ConvcostError(f"{source}: {layer}{message}", hint)
