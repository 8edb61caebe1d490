"""Ops that treat every position alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from convcost.errors import ShapeError
from convcost.ops import DROPOUTS, Elementwise, Mix, Norm, Op, Rearrange, Shape
from convcost.sources.aten.settings import all_positive
from convcost.sources.traced import Traced, node_of
from convcost.sources.tracer import Tracer

# pointwise, but without torch's tag for it, and those that models use most
_POINTWISE = """
relu relu6 leaky_relu elu selu celu gelu silu mish sigmoid hardsigmoid hardswish hardtanh tanh
softplus prelu threshold add sub mul div rsub pow sqrt rsqrt
exp log neg abs clamp clamp_min clamp_max sin cos where maximum minimum square reciprocal
logit softsign logsigmoid log_sigmoid rrelu glu_jvp
masked_fill lerp addcmul addcdiv true_divide floor_divide erf floor ceil round
""".split()


def _elementwise(kind: str) -> Callable[..., Any]:
    op = Elementwise(kind)

    def rule(tracer: Tracer, func: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = [arg for arg in args if isinstance(arg, Tensor)]
        widest = _widest(tracer, tensors)
        if type(widest) is Traced:
            return tracer.emit(op, tensors, tracer.shape(widest), like=widest)
        return tracer.run_on_twins(func, args, kwargs, op)

    return rule


def _widest(tracer: Tracer, tensors: list[Tensor]) -> Tensor | None:
    """The one whose shape and dtype the result has: the others broadcast into it."""
    widest = max(tensors, key=Tensor.numel, default=None)
    if widest is None or not widest.dtype.is_floating_point:
        return None
    if len(tensors) == 1:
        return widest
    dtype, shape = widest.dtype, tracer.shape(widest)
    fit = all(t.dtype is dtype and _fits(tracer.shape(t), shape) for t in tensors)
    return widest if fit else None


def _fits(other: Shape, shape: Shape) -> bool:
    if other == shape:
        return True
    offset = len(shape) - len(other)
    return offset >= 0 and all(n in (1, shape[offset + i]) for i, n in enumerate(other))


def _in_place(kind: str) -> Callable[..., Any]:
    op = Elementwise(kind)

    def rule(tracer: Tracer, _: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        others = [arg for arg in (*args, *kwargs.values()) if isinstance(arg, Tensor)]
        _need_fit(tracer, x, others)
        return tracer.write(op, x, (x, *others))

    return rule


def _copy_into(tracer: Tracer, _: Any, x: Tensor, source: Tensor, *__: Any) -> Tensor:
    _need_fit(tracer, x, [source])
    return tracer.write(Elementwise("copy"), x, [source])


def _need_fit(tracer: Tracer, x: Tensor, others: list[Tensor]) -> None:
    for other in others:
        if not _fits(tracer.shape(other), tracer.shape(x)):
            raise ShapeError(f"can't write {list(other.shape)} into {list(x.shape)}")


def _fill(tracer: Tracer, _: Any, x: Tensor, *__: Any, **___: Any) -> Tensor:
    return tracer.write(Elementwise("fill"), x, [])


def _copy(tracer: Tracer, func: Any, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """A copy where torch makes one, else the tensor itself."""
    twin = tracer.twin(x)
    result = func(twin, *tracer.without_data(args), **tracer.without_data(kwargs))
    if result is twin and type(x) is Traced:
        return x
    return tracer.emit(Elementwise("copy"), (x,), tuple(x.shape), twin=result)


def _batch_norm(
    tracer: Tracer,
    _: Any,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,  # noqa: FBT001
    *__: Any,
) -> Tensor:
    shape = tracer.shape(x)
    channels = shape[1]
    for tensor in (weight, bias, running_mean, running_var):
        if tensor is not None and tensor.numel() != channels:
            raise ShapeError(f"needs {tensor.numel()} channels, the input has {channels}")
    op: Op = Norm(channels, weight is not None)
    if training or running_mean is None:
        op = Mix((0, *range(2, len(shape))), "batch_norm")
    return tracer.emit(op, (x, weight, bias), shape, like=x)


def _layer_norm(
    tracer: Tracer,
    _: Any,
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Any = None,
    *__: Any,
) -> Tensor:
    rank = x.dim()
    dims = tuple(range(rank - len(normalized_shape), rank))
    if list(x.shape[rank - len(normalized_shape) :]) != list(normalized_shape):
        raise ShapeError(f"normalises {list(normalized_shape)}, the input has {list(x.shape)}")
    bias = bias if isinstance(bias, Tensor) else None
    return tracer.emit(Mix(dims, "layer_norm"), (x, weight, bias), tuple(x.shape), dtype=x.dtype)


def _norm_over_positions(kind: str) -> Callable[..., Any]:
    def rule(tracer: Tracer, _: Any, x: Tensor, *args: Any, **__: Any) -> Tensor:
        scale = [arg for arg in args if isinstance(arg, Tensor)][:2]
        if scale and scale[0].numel() != x.shape[1]:
            raise ShapeError(f"needs {scale[0].numel()} channels, the input has {x.shape[1]}")
        op = Mix(tuple(range(2, x.dim())), kind)
        return tracer.emit(op, (x, *scale), tuple(x.shape), like=x)

    return rule


def _renorm(tracer: Tracer, _: Any, x: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    del p, maxnorm
    others = tuple(i for i in range(x.dim()) if i != dim % x.dim())
    return tracer.emit(Mix(others, "renorm"), (x,), tuple(x.shape), like=x)


def _instance_norm(
    tracer: Tracer,
    func: Any,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,  # noqa: FBT001
    *args: Any,
) -> Tensor:
    if not use_input_stats:
        return _batch_norm(tracer, func, x, weight, bias, running_mean, running_var, False)  # noqa: FBT003
    over_positions = _norm_over_positions("instance_norm")
    return over_positions(tracer, func, x, weight, bias, *args)  # type: ignore[no-any-return]


def _dropout(kind: str) -> Callable[..., Any]:
    """In eval mode, as all models run here, torch gives the input itself."""
    rule = _elementwise(kind)

    def dropout(tracer: Tracer, func: Any, x: Tensor, p: float, training: bool) -> Any:  # noqa: FBT001
        if training or type(x) is not Traced:
            return rule(tracer, func, x, p, training)
        return tracer.emit(Elementwise(kind), (x,), tracer.shape(x), like=x, view_of=x)

    return dropout


def _dropout_in_place(kind: str) -> Callable[..., Any]:
    """The same, which writes nothing either."""
    rule, write = _dropout(kind), _in_place(f"{kind}_in_training")

    def dropout(tracer: Tracer, func: Any, x: Tensor, p: float, training: bool) -> Any:  # noqa: FBT001
        if training or type(x) is not Traced:
            return write(tracer, func, x, p, training)
        x.node = rule(tracer, func, x, p, training).node
        return x

    return dropout


def _mix(kind: str) -> Callable[..., Any]:
    def rule(tracer: Tracer, func: Any, x: Tensor, dim: Any = -1, *args: Any, **kwargs: Any) -> Any:
        op = Mix(all_positive(dim, x.dim()), kind)
        if args or kwargs or not x.dtype.is_floating_point:
            return tracer.run_on_twins(func, (x, dim, *args), kwargs, op)
        return tracer.emit(op, (x,), tuple(x.shape), like=x)

    return rule


def _embedding(tracer: Tracer, func: Any, weight: Tensor, indices: Tensor, *args: Any) -> Any:
    # a table that depends on the input has positions of its own
    op: Op = Elementwise("embedding")
    if node_of(weight) is not None:
        op = Rearrange((), "embedding")
    return tracer.run_on_twins(func, (weight, indices, *args), {}, op)


def _glu(tracer: Tracer, func: Any, x: Tensor, dim: int = -1) -> Any:
    # the second half of the dimension gates the first
    op = Rearrange(all_positive(dim, x.dim()), "glu")
    return tracer.run_on_twins(func, (x, dim), {}, op)


_SHAPED = ("complex", "_weight_norm_interface", "polar", "real", "imag")
"""Ops without torch's tag whose shape torch's own kernel tells."""


def by_kernel(kind: str) -> Callable[..., Any]:
    """The rule of an op whose shape torch's own kernel tells."""

    def rule(tracer: Tracer, func: Any, *args: Any, **kwargs: Any) -> Any:
        return tracer.run_on_twins(func, args, kwargs, Elementwise(kind.strip("_")))

    return rule


_COPIES = ("to", "_to_copy", "contiguous", "clone", "type_as", "lift_fresh", "float", "half")
_MIXING = (
    "softmax",
    "_softmax",
    "log_softmax",
    "_log_softmax",
    "cumsum",
    "cumprod",
    "logcumsumexp",
)
_FFT = ("_fft_r2c", "_fft_c2c", "_fft_c2r")


def _fft(tracer: Tracer, func: Any, x: Tensor, dim: list[int], *args: Any) -> Any:
    op = Mix(all_positive(dim, x.dim()), "fft")
    return tracer.run_on_twins(func, (x, dim, *args), {}, op)


RULES: dict[str, Callable[..., Any]] = {
    **{kind: _elementwise(kind) for kind in _POINTWISE},
    **{f"{kind}_": _in_place(kind) for kind in _POINTWISE},
    **{kind: _dropout(kind) for kind in DROPOUTS},
    **{f"{kind}_": _dropout_in_place(kind) for kind in DROPOUTS},
    **{kind: by_kernel(kind) for kind in _SHAPED},
    "copy_": _copy_into,
    "zero_": _fill,
    "fill_": _fill,
    **dict.fromkeys(_COPIES, _copy),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _layer_norm,
    "group_norm": _norm_over_positions("group_norm"),
    "instance_norm": _instance_norm,
    "renorm": _renorm,
    **{kind: _mix(kind.strip("_")) for kind in _MIXING},
    **dict.fromkeys(_FFT, _fft),
    "embedding": _embedding,
    "glu": _glu,
}
