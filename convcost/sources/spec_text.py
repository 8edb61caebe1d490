"""The YAML of a graph of layers: what ``load_spec`` reads as the same graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from convcost.graph import Graph, Node
from convcost.ops import Conv, Linear, Pad, Padding, Pool, Resize, Sizes
from convcost.sources.yaml_text import flow_text


def spec_text(graph: Graph) -> str | None:
    """``graph`` as a layer spec, one line a layer; None where a spec can't say it."""
    layers = [_layer(graph, index) for index in range(1, len(graph.nodes))]
    if any(_is_beyond_specs(node) for node in graph.nodes):
        return None
    head: dict[str, Any] = {
        "version": 1,
        "name": graph.name,
        "input": list(graph.nodes[0].shape[1:]),
    }
    return (
        "\n".join([*_lines(head), "layers:", *(f"  - {flow_text(layer)}" for layer in layers)])
        + "\n"
    )


def _lines(head: dict[str, Any]) -> Iterator[str]:
    for key, value in head.items():
        yield f"{key}: {flow_text(value)}"


def _is_beyond_specs(node: Node) -> bool:
    """Dense layers crop, by negative padding, and dilate average pools: specs can't say either."""
    padding: Padding = getattr(node.op, "padding", ())
    crops = any(side < 0 for pads in padding for side in pads)
    return crops or (isinstance(node.op, Pool) and node.op.is_dilated_average)


def _layer(graph: Graph, index: int) -> dict[str, Any]:
    node = graph.nodes[index]
    found: dict[str, Any] = {"name": node.name}
    if node.inputs != (index - 1,):
        found["inputs"] = [graph.nodes[i].name for i in node.inputs]
    return {**found, node.op.kind: _settings(node.op)}


def _settings(op: Any) -> dict[str, Any]:
    """What isn't a default."""
    if isinstance(op, Conv):
        return {"out_channels": op.out_channels, **_window(op), **_of_conv(op)}
    if isinstance(op, Pool):
        ceil = {"ceil_mode": True} if op.ceil_mode else {}
        return {**_window(op), "stride": _short(op.stride), **ceil}
    if isinstance(op, Linear):
        return {"out_features": op.out_features, **({} if op.bias else {"bias": False})}
    if isinstance(op, Resize):
        corners = {"align_corners": True} if op.align_corners else {}
        return {"size": list(op.size), "mode": op.mode, **corners}
    if isinstance(op, Pad):
        return {"padding": _pads(op.padding), "mode": op.mode}
    return {}


def _window(op: Conv | Pool) -> dict[str, Any]:
    found: dict[str, Any] = {"kernel_size": _short(op.kernel_size)}
    if any(map(any, op.padding)):
        found["padding"] = _pads(op.padding)
    if set(op.dilation) != {1}:
        found["dilation"] = _short(op.dilation)
    return found


def _of_conv(op: Conv) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if set(op.stride) != {1}:
        found["stride"] = _short(op.stride)
    if op.groups != 1:
        found["groups"] = op.groups
    if not op.bias:
        found["bias"] = False
    if any(op.output_padding):
        found["output_padding"] = _short(op.output_padding)
    return found


def _short(sizes: Sizes) -> int | list[int]:
    return sizes[0] if len(set(sizes)) == 1 else list(sizes)


def _pads(padding: Padding) -> int | list[list[int]]:
    sides = {side for pads in padding for side in pads}
    return sides.pop() if len(sides) == 1 else [list(pads) for pads in padding]
