"""The laws of rewriting models, on random small networks that run."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import networks
import oracle
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from networks import Network
from networks import networks as drawn
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import convcost
from convcost import ConvcostError
from convcost.analyses import analyse
from convcost.graph import Graph
from convcost.measure.equality import sampled_difference
from convcost.ops import Conv
from convcost.sources.forward import run_forward
from convcost.sources.model import from_module
from convcost.variants.weights import factorise


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def law(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def run(module: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        out: Tensor = module(x)
    return out


def graph_of(module: nn.Module, x: Tensor) -> Graph:
    return run_forward(from_module(module, x), "network")[0]


def total(module: nn.Module, x: Tensor, key: str) -> Any:
    return analyse(graph_of(module, x)).totals[key].value


def some_output_stride(network: Network, data: st.DataObject) -> int:
    """One of the strides on the way that aren't the last."""
    lower = sorted({stride for stride in network.strides if stride < network.strides[-1]})
    assume(lower)
    return data.draw(st.sampled_from(lower))


def assert_dense_keeps_everything(network: Network, wanted: int) -> None:
    module, x, strides = network
    before = {key: value.clone() for key, value in module.state_dict().items()}
    old = run(module, x)
    dense = convcost.rewrite(module, f"dense:output_stride={wanted}", input=x)
    new = run(dense, x)
    removed = strides[-1] // wanted
    assert new.shape[:2] == old.shape[:2]
    assert tuple(new.shape[2:]) == tuple(removed * size for size in old.shape[2:])
    assert new.isfinite().all()
    rate = (1, 1, *(removed for _ in old.shape[2:]))
    assert sampled_difference(new, old, rate) < 1e-12
    assert total(dense, x, "receptive_field") == total(module, x, "receptive_field")
    assert total(dense, x, "effective_stride") == tuple(wanted for _ in old.shape[2:])
    assert total(dense, x, "parameters") == total(module, x, "parameters")
    assert list(dense.state_dict()) == list(before)
    assert_untouched(module, before, x, old)


def assert_untouched(module: nn.Module, before: dict[str, Tensor], x: Tensor, old: Tensor) -> None:
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert torch.equal(run(module, x), old)


@given(drawn(2, st.integers(11, 40)), st.data())
@law(150)
def test_a_dense_network_sampled_at_the_old_stride_is_the_old_one(
    network: Network, data: st.DataObject
) -> None:
    assume(networks.runs(network))
    assert_dense_keeps_everything(network, some_output_stride(network, data))


@given(drawn(1, st.integers(20, 90)), st.data())
@law(100)
def test_so_it_is_in_one_dimension(network: Network, data: st.DataObject) -> None:
    assume(networks.runs(network))
    assert_dense_keeps_everything(network, some_output_stride(network, data))


@given(drawn(3, st.integers(9, 14), most=2), st.data())
@law(20)
def test_so_it_is_in_three_dimensions(network: Network, data: st.DataObject) -> None:
    assume(networks.runs(network))
    assert_dense_keeps_everything(network, some_output_stride(network, data))


@given(drawn(2, st.integers(24, 40), most=3), st.integers(11, 40), st.data())
@law(30)
def test_a_dense_network_takes_inputs_of_other_sizes(
    network: Network, size: int, data: st.DataObject
) -> None:
    other = network._replace(x=torch.randn(1, 6, size, size + 1, dtype=torch.float64))
    assume(networks.runs(network) and networks.runs(other))
    wanted = some_output_stride(network, data)
    dense = convcost.rewrite(network.module, f"dense:output_stride={wanted}", input=network.x)
    removed = network.strides[-1] // wanted
    difference = sampled_difference(
        run(dense, other.x), run(network.module, other.x), (1, 1, removed, removed)
    )
    assert difference < 1e-12


VARIANTS = st.sampled_from(
    (
        "standard",
        "atrous:rate=2",
        "atrous:rate=3",
        "separable",
        "separable:depth_multiplier=2",
        "separable:normalise=true",
        "atrous_separable:rate=2",
    )
)


@given(drawn(2, st.integers(11, 30)), VARIANTS)
@law(60)
def test_other_variants_keep_the_shape_and_leave_the_original_as_it_is(
    network: Network, variant: str
) -> None:
    assume(networks.runs(network))
    module, x, _ = network
    before = {key: value.clone() for key, value in module.state_dict().items()}
    old = run(module, x)
    made = convcost.rewrite(module, variant)
    assert run(made, x).shape == old.shape
    assert_untouched(module, before, x, old)
    assert not {id(p) for p in made.parameters()} & {id(p) for p in module.parameters()}


@given(drawn(1, st.just(400), networks.SPREADABLE, 2), st.integers(1, 3))
@law(40)
def test_an_atrous_network_sees_what_a_nan_reaches(network: Network, rate: int) -> None:
    assume(networks.runs(network))
    made = convcost.rewrite(network.module, f"atrous:rate={rate}")
    middle = oracle.seen_by_module(made, network.x[:1])
    widest, repeat = oracle.widest(middle.seen), oracle.step(middle.seen)
    assert total(made, network.x, "receptive_field") == (oracle.span(widest[0]),)
    assert total(made, network.x, "effective_stride") == (repeat.stride,)
    grown = total(made, network.x, "receptive_field")[0]
    assert grown >= total(network.module, network.x, "receptive_field")[0]


@given(drawn(2, st.integers(11, 24)), st.integers(1, 3))
@law(40)
def test_a_separable_network_multiplies_as_the_closed_form_says(
    network: Network, multiplier: int
) -> None:
    assume(networks.runs(network))
    module, x, _ = network
    made = convcost.rewrite(module, f"separable:depth_multiplier={multiplier}")
    expected = 0
    for node in graph_of(module, x).nodes:
        if isinstance(conv := node.op, Conv):
            positions = node.shape[0] * prod(node.shape[2:])
            kernel, ins, outs = prod(conv.kernel_size), conv.in_channels, conv.out_channels
            is_kept = kernel == 1 or conv.groups == ins
            full = positions * kernel * ins * outs // conv.groups
            parts = positions * multiplier * ins * (kernel + outs // conv.groups)
            expected += full if is_kept else parts
    assume(not only_stems(module))
    assert total(made, x, "multiplications") == expected
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        made(x)
    assert counter.get_total_flops() == 2 * expected


def only_stems(module: nn.Module) -> bool:
    """Whether some convolution is a stem, which is left alone where there are others."""
    convs = (m for m in module.modules() if isinstance(m, nn.Conv2d))
    return any(conv.in_channels <= 4 for conv in convs)


@given(st.integers(1, 3), st.integers(1, 12), st.integers(1, 2), st.integers(1, 12), st.booleans())
@law(60)
def test_the_error_of_factorised_weights_is_that_of_their_product(
    ins: int,
    outs: int,
    groups: int,
    rank: int,
    transposed: bool,  # noqa: FBT001  hypothesis gives it by position
) -> None:
    shape = (ins * groups, outs) if transposed else (outs * groups, ins)
    weight = torch.randn(*shape, 3, 3, dtype=torch.float64)
    found = factorise(weight, groups, rank, transposed=transposed)
    filters = found.depthwise.reshape(groups, ins, rank, 9)
    mix = found.pointwise.reshape(groups, outs, ins, rank)
    product = torch.einsum("goir,girk->giok", mix, filters)
    wanted = weight.reshape(groups, ins, outs, 9)
    if not transposed:
        wanted = weight.reshape(groups, outs, ins, 9).transpose(1, 2)
    error = float((product - wanted).norm() / wanted.norm())
    assert error == pytest.approx(found.relative_error, abs=1e-12)
    # Eckart and Young: no product of this rank comes nearer
    values = torch.linalg.svdvals(wanted)
    best = values[..., rank:].square().sum() / values.square().sum()
    assert error**2 == pytest.approx(float(best), abs=1e-12)


def test_an_output_stride_between_the_strides_is_refused() -> None:
    module = nn.Sequential(nn.Conv1d(1, 1, 3, stride=2), nn.Conv1d(1, 1, 3, stride=3))
    with pytest.raises(ConvcostError, match="can't be reached") as caught:
        convcost.rewrite(module, "dense:output_stride=4", input=(1, 1, 40))
    assert caught.value.hint == "reachable: 1, 2"


@pytest.mark.parametrize("rate", [2, 3, 4])
@pytest.mark.parametrize("variant", ["atrous", "atrous_separable"])
def test_no_output_of_an_atrous_decoder_loses_all_its_taps(variant: str, rate: int) -> None:
    up = nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1, bias=False)
    made = convcost.rewrite(nn.Sequential(up, nn.Conv2d(8, 8, 1)), f"{variant}:rate={rate}")
    with torch.no_grad():
        out = made[0](torch.ones(1, 8, 16, 16))  # type: ignore[index]
    assert (out[..., 8:-8, 8:-8] != 0).all()
