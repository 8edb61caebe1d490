"""What a worker does: counts, and runs blocks of calls, for one side of a comparison."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convcost.errors import ConvcostError, MissingError
from convcost.measure.settings import ITEMSIZES, Settings
from convcost.measure.workers import connect
from convcost.sources.source import ends_in, is_spec
from convcost.variants import STANDARD, parse_variant
from convcost.workflows.compare import CompareRequest, compare
from convcost.workflows.count import count_model, count_spec
from convcost.workflows.profile import ProfileRequest, profile
from convcost.workflows.provenance import (
    Tree,
    check_imports,
    check_source,
    installed_only,
    own_source,
    put_first,
)

if TYPE_CHECKING:
    from convcost.sources.model import LoadedModel

_Shapes = Sequence[Sequence[int]]


def main(settings: str) -> None:
    """Answers requests until its owner has no more, or is gone."""
    given = json.loads(settings)
    threading.Thread(target=_end_with_owner, args=(given["alive"],), daemon=True).start()
    other = given["other"] and Path(given["other"]).resolve()
    tree = Tree(
        Path(given["root"]).resolve(), Path(given["folder"]).resolve(), other, given["packages"]
    )
    put_first(tree)
    pipe = connect(given["pipe"])
    worker = _Worker(tree)
    while True:
        try:
            request = json.loads(pipe.recv_bytes())
        except EOFError:
            return
        pipe.send_bytes(json.dumps(_answer(worker, request)).encode())


def _end_with_owner(alive: int) -> None:
    os.set_inheritable(alive, False)  # noqa: FBT003  Python's own way
    os.read(alive, 1)  # nothing is ever written: it returns when the owner's end is closed
    os._exit(2)


def _answer(worker: _Worker, request: dict[str, Any]) -> dict[str, Any]:
    do: Callable[..., object] = getattr(worker, request.pop("do"))
    try:
        return {"result": do(**request)}
    except ConvcostError as error:
        missing = isinstance(error, MissingError)
        return {"error": {"message": error.message, "hint": error.hint, "missing": missing}}
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a model raises is told
        text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        source = request.get("source") or request.get("key", "")
        return {"error": {"message": f"{source}: {text}", "hint": "", "missing": False}}


class _Worker:
    """The requests, one method each; what they give is JSON."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._calls: dict[str, Callable[[], object]] = {}

    def count(self, source: str, inputs: _Shapes) -> dict[str, Any]:
        """The report of a source's exact costs."""
        source = own_source(source, self._tree)
        if is_spec(source):
            return count_spec(source).to_dict()
        shapes = _tuples(inputs)
        return count_model(source, shapes, self._load(source, shapes, real=False)).to_dict()

    def prepare(self, key: str, source: str, inputs: _Shapes) -> int:
        """Builds a source under a key, ready for its blocks; gives the threads that run them."""
        self._need_torch()
        from convcost.measure.turns import seeded, turn_threads  # noqa: PLC0415

        source = own_source(source, self._tree)
        self._calls.clear()
        seeded()
        self._calls[key] = (
            self._spec_call(source) if is_spec(source) else self._call(source, inputs)
        )
        return turn_threads()

    def block(self, key: str, times: int) -> float:
        """The seconds of the fastest of so many calls or more."""
        from convcost.measure.machine import settled  # noqa: PLC0415
        from convcost.measure.place import torch_errors  # noqa: PLC0415
        from convcost.measure.turns import steady_block, turn_threads  # noqa: PLC0415

        with settled(turn_threads()), torch_errors(Settings()):
            return steady_block(self._calls[key], times)

    def measure(self, source: str, inputs: _Shapes, seconds: float | None) -> dict[str, Any]:
        """The report of a source's latency."""
        self._need_torch()
        settings = Settings(seconds=seconds)
        if is_spec(source):
            return compare(CompareRequest(source, (STANDARD,), settings=settings)).to_dict()
        shapes = _tuples(inputs)
        return profile(ProfileRequest(source, inputs=shapes, settings=settings)).to_dict()

    def compare(
        self,
        source: str,
        inputs: _Shapes,
        variant: str,
        seconds: float | None,
        *,
        measure: bool,
    ) -> dict[str, Any]:
        """The report of a variant of a source beside the standard one."""
        model = not is_spec(source)
        if model or measure:
            self._need_torch()
        request = CompareRequest(
            source,
            (parse_variant(variant),),
            measure=measure,
            settings=Settings(seconds=seconds),
            inputs=_tuples(inputs) if model else (),
        )
        found = compare(request).to_dict()
        if model:
            self._need_own(source)
        return found

    def _load(self, source: str, inputs: tuple[tuple[int, ...], ...], *, real: bool) -> LoadedModel:
        self._need_torch()
        from convcost.sources.model import load_model  # noqa: PLC0415

        loaded = load_model(source, {}, inputs, real=real)
        self._need_own(source)
        return loaded

    def _need_torch(self) -> None:
        """Imports torch: a file in the user's folders may be called as a part of it is."""
        with installed_only(self._tree):
            import convcost.measure.turns  # noqa: F401, PLC0415  it has torch

    def _need_own(self, source: str) -> None:
        """Raises where a model came from another tree than the worker's own."""
        if self._tree.other is not None:
            module, colon, _ = source.rpartition(":")
            if colon and not ends_in(module, ".py"):
                check_source(module, source, self._tree)
            check_imports(source, self._tree)

    def _call(self, source: str, inputs: _Shapes) -> Callable[[], object]:
        from convcost.measure.in_place import on_device  # noqa: PLC0415
        from convcost.measure.machine import find_device  # noqa: PLC0415

        loaded = self._load(source, _tuples(inputs), real=True)
        # a GPU's calls return before they are done
        module = loaded.module.to("cpu")
        args, kwargs = on_device(loaded.args, loaded.kwargs, find_device("cpu"))
        return lambda: module(*args, **kwargs)

    def _spec_call(self, source: str) -> Callable[[], object]:
        from convcost.measure.turns import call_of  # noqa: PLC0415
        from convcost.sources.spec import load_spec  # noqa: PLC0415

        return call_of(load_spec(source, 1, ITEMSIZES["float32"], parse_variant).graph)


def _tuples(inputs: _Shapes) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, inputs))
