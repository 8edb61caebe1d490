"""In-place ops: who sees what was written."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import ref

from torch import Tensor

from convcost.ops import Elementwise, Op, Rearrange, Select, Slice, Write
from convcost.sources.recorder import Recorder
from convcost.sources.traced import Traced, share_storage


class Writer(Recorder):
    """Follows what is written into a tensor to its base, to other views and to constants."""

    def write(self, op: Op, target: Tensor, tensors: Sequence[Tensor | None]) -> Tensor:
        """Records an in-place op: ``target`` now holds its result."""
        shape = self.shape(target)
        if type(target) is Traced:
            target.node = self.record(op, tensors, shape, target.twin.dtype.itemsize, target)
            if target.base is not None or target.views or target.holder is not None:
                self._write_through(target)
            return target
        # a buffer, a parameter or a constant: it keeps its value, what was written is read from
        # here on
        return self.replace(target, self.emit(op, tensors, shape, like=target, view_of=target))

    def replace(self, target: Tensor, new: Traced) -> Tensor:
        """``target`` holds what ``new`` does from here on."""
        if type(target) is Traced:
            target.node = new.node
            self._write_through(target)
            return target
        self.shadows[id(target)] = new
        self._write_through_constants(target, new)
        return target

    def _write_through_constants(self, target: Tensor, new: Traced) -> None:
        """What was written into a constant is in the constants that it shows, or that show it."""
        for other in self.constants:
            if other is not target and share_storage(other, target):
                op = _written(new, other)
                shape = tuple(other.shape)
                self.shadows[id(other)] = self.emit(op, (other, new), shape, like=other)

    def _write_through(self, view: Traced) -> None:
        """What was written into a view is in its base as well, and in what else shows that."""
        self._show_again(view, None)
        self._take_from_holder(view)
        base, itemsize = view.base, view.twin.dtype.itemsize
        while base is not None:
            if view.shape == base.shape and view.stride() == base.stride():
                # the same tensor under another name, or all of it
                base.node = view.node
            else:
                op = _written(view, base)
                base.node = self.record(op, (base, view), self.shape(base), itemsize, base)
            self._show_again(base, view)
            view, base = base, base.base

    def _take_from_holder(self, view: Traced) -> None:
        """A buffer or a parameter that ``view`` shows is its base from here on."""
        while view.base is not None:
            view = view.base
        if view.holder is not None:
            base = self.shadows.get(id(view.holder), self.as_node(view.holder))
            assert isinstance(base, Traced)  # noqa: S101  what emit gives without data
            self.shadows[id(view.holder)] = base
            view.holder = None
            if base is not view:
                self.show(base, view, view.shows)

    def _show_again(self, base: Traced, written: Traced | None) -> None:
        """The views of ``base`` that show more than the one that was ``written`` to."""
        alive = [view for held in base.views or () if (view := held()) is not None]
        base.views = [ref(view) for view in alive]
        for view in alive:
            if view is written or (written is not None and _apart(view, written)):
                continue
            place = self.nodes[view.node].module
            view.node = base.node
            if view.twin is not base.twin:
                itemsize = view.twin.dtype.itemsize
                shape = tuple(view.twin.shape)
                view.node = self.record(view.shows, (base,), shape, itemsize, base, (place, 0))
            self._show_again(view, None)


def _apart(one: Traced, other: Traced) -> bool:
    """Whether two views of one base show no scalar that the other shows."""
    first, second = one.shows, other.shows
    if not isinstance(first, Slice | Select) or not isinstance(second, Slice | Select):
        return False
    return first.dim == second.dim and _shown(one, first).isdisjoint(_shown(other, second))


def _shown(view: Traced, op: Slice | Select) -> set[int]:
    """The positions of the base along the op's dimension."""
    if isinstance(op, Select):
        return {op.position}
    return set(range(op.start, op.start + view.twin.shape[op.dim] * op.step, op.step))


def _written(view: Tensor, base: Tensor) -> Op:
    """What a write into ``view`` does to ``base``: positions stay where the sizes do."""
    shows = view.shows if type(view) is Traced and view.base is base else None
    if view.shape == base.shape and view.stride() == base.stride():
        return Elementwise("write")
    if isinstance(shows, Slice):
        return Write(shows.dim, shows.start, shows.step)
    if isinstance(shows, Select):
        return Write(shows.dim, shows.position, selected=True)
    sizes = enumerate(zip(view.shape, base.shape, strict=False))
    moved = range(base.dim()) if view.dim() != base.dim() else [i for i, (a, b) in sizes if a != b]
    return Rearrange(tuple(moved), "write")
