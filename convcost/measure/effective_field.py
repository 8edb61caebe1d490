"""How much each part of the input matters to one output: the effective receptive field.

Luo et al., 'Understanding the Effective Receptive Field in Deep Convolutional Neural Networks',
NeurIPS 2016, section 2: the gradient of the central output, over random inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from convcost.report import EffectiveField, Runs

SAMPLES = 8
"""Random inputs whose gradients are averaged."""
MOST_CELLS = 48
"""Of the map, along each axis."""


class NoFieldError(Exception):
    """Why there is no effective receptive field, in words."""


def effective_field(  # noqa: PLR0913  what a pass needs
    module: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    path: str,
    shape: Sequence[int],
    field: Runs | None,
    seed: int,
    notify: Callable[[float], None],
) -> EffectiveField:
    """The gradient's size on the first input, of what the module at ``path`` gives at its centre.

    ``shape`` is that of the feature map, ``(batch, channels, *spatial)``; ``field`` the theoretical
    field of its central position; ``notify`` is told the share that is done.

    Raises:
        NoFieldError: it can't be known; says why.
    """
    image = _first_image(args)
    axes = min(2, image.dim() - 2)
    total = torch.zeros(image.shape[-axes:], dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with _kept(module, path, tuple(shape)) as kept, torch.enable_grad():
        for number in range(SAMPLES):
            notify(number / SAMPLES)
            sample = torch.randn(image.shape, generator=generator).to(image).requires_grad_()
            # a model may begin in place, which a leaf that requires gradients refuses
            module(sample.clone(), *args[1:], **kwargs)
            gradient = _gradient(kept, sample)
            # MPS has no float64
            total += gradient.abs().cpu().double().flatten(0, -axes - 1).sum(0)
            kept.clear()
    if not total.isfinite().all():
        raise NoFieldError("the gradient isn't finite")
    if not total.sum():
        raise NoFieldError("the gradient is 0 everywhere")
    cells, shares = _binned(total if axes == 2 else total[None])
    return EffectiveField(cells, shares, SAMPLES, field)


def _first_image(args: Sequence[Any]) -> Tensor:
    if not args:
        raise NoFieldError("no input is given by position")
    image = args[0]
    if not isinstance(image, Tensor) or not image.is_floating_point() or image.dim() < 3:
        raise NoFieldError("the first input is no image")
    return image


def _gradient(kept: Sequence[Tensor], sample: Tensor) -> Tensor:
    """That of the feature map's central position, on ``sample``."""
    if not kept:
        raise NoFieldError("the last feature map isn't what a module of the model gives")
    found = kept[-1]
    gradient = None
    if found.requires_grad:
        centre: Any = (..., *(size // 2 for size in found.shape[2:]))
        (gradient,) = torch.autograd.grad(found[centre].sum(), sample, allow_unused=True)
    if gradient is None:
        raise NoFieldError("no gradient of the last feature map reaches the first input")
    return gradient


@contextmanager
def _kept(module: nn.Module, path: str, shape: tuple[int, ...]) -> Iterator[list[Tensor]]:
    """What the module at ``path`` gives, where it has that shape."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: object) -> None:
        if isinstance(output, Tensor) and tuple(output.shape) == shape:
            kept.append(output)

    handle = module.get_submodule(path).register_forward_hook(keep)
    try:
        yield kept
    finally:
        handle.remove()


def _binned(total: Tensor) -> tuple[tuple[int, int], tuple[tuple[float, ...], ...]]:
    """The cells' sizes, and each cell's share of the whole."""
    height, width = (-(-size // MOST_CELLS) for size in total.shape)
    rows = [part.sum(0) for part in torch.split(total, height)]
    columns = [[float(part.sum()) for part in torch.split(row, width)] for row in rows]
    whole = sum(map(sum, columns))
    return (height, width), tuple(tuple(share / whole for share in row) for row in columns)
