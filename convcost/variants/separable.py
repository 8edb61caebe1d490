"""Filtering and mixing apart: a depthwise convolution, then a pointwise one."""

from __future__ import annotations

from convcost.ops import Conv, Sizes
from convcost.variants.atrous import atrous


def separable(conv: Conv, *, depth_multiplier: int = 1) -> tuple[tuple[str, Conv], ...]:
    """A depthwise convolution with the settings of ``conv``, then a pointwise one.

    ``depth_multiplier`` is the depthwise part's out/in channels. The pointwise part has the
    groups of ``conv`` and, where there is one, its bias (Chollet, 'Xception', CVPR 2017, 2).
    """
    axes = len(conv.kernel_size)
    depthwise = conv._replace(
        out_channels=conv.in_channels * depth_multiplier,
        groups=conv.in_channels,
        bias=False,
    )
    pointwise = Conv(
        in_channels=depthwise.out_channels,
        out_channels=conv.out_channels,
        kernel_size=(1,) * axes,
        stride=(1,) * axes,
        padding=((0, 0),) * axes,
        dilation=(1,) * axes,
        groups=conv.groups,
        bias=conv.bias,
    )
    return (("depthwise", depthwise), ("pointwise", pointwise))


def atrous_separable(
    conv: Conv, *, rate: int | Sizes = 2, depth_multiplier: int = 1
) -> tuple[tuple[str, Conv], ...]:
    """``separable`` with an atrous depthwise part (Chen et al., 'DeepLab-v3+', ECCV 2018, 3.1)."""
    ((_, wider),) = atrous(conv, rate=rate)
    return separable(wider, depth_multiplier=depth_multiplier)
