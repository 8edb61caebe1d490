"""Filtering and mixing apart: a depthwise convolution, then a pointwise one."""

from __future__ import annotations

from convcost.ops import Conv, Elementwise, Norm, Sizes
from convcost.variants.atrous import atrous
from convcost.variants.block import Block


def separable(conv: Conv, *, depth_multiplier: int = 1, normalise: bool = False) -> Block:
    """A depthwise convolution with the settings of ``conv``, then a pointwise one.

    ``depth_multiplier`` is the depthwise part's out/in channels; ``normalise`` puts batch norm
    and ReLU between the parts (Howard et al., 'MobileNets', 2017, figure 3). The pointwise part
    has the groups of ``conv`` and, where there is one, its bias (Chollet, 'Xception', CVPR 2017,
    section 2).
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
    between: Block = (
        (("norm", Norm(depthwise.out_channels)), ("activation", Elementwise("relu")))
        if normalise
        else ()
    )
    return (("depthwise", depthwise), *between, ("pointwise", pointwise))


def atrous_separable(
    conv: Conv, *, rate: int | Sizes = 2, depth_multiplier: int = 1, normalise: bool = False
) -> Block:
    """``separable`` with an atrous depthwise part.

    (Chen et al., 'DeepLab-v3+', ECCV 2018, section 3.1.)
    """
    ((_, wider),) = atrous(conv, rate=rate)
    return separable(wider, depth_multiplier=depth_multiplier, normalise=normalise)
