"""Every layer that is called binary is: weights +-s per output channel, inputs exactly +-1, also where padded."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from kws.errors import KwsError
from kws_training.binarizers import conv1_scale
from kws_training.layers import BinaryConv, BinaryLayer, BinaryMemory, Slope
from kws_training.networks import BiFSMN
from kws_training.topology import Topology

TOPOLOGY = Topology(channels=64, hidden=128, n_blocks=4)


def trained_like_network() -> BiFSMN:
    torch.manual_seed(3)
    network = BiFSMN(TOPOLOGY)
    network.set_stage("binary")
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for _ in range(3):
        loss = sum(logits.square().mean() for logits, _ in network(torch.randn(8, 32, 32) * 20 - 40).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def network() -> BiFSMN:
    return trained_like_network()


def binary_layers(network: BiFSMN) -> dict[str, BinaryLayer]:
    return {name: module for name, module in network.named_modules() if isinstance(module, BinaryLayer)}


def test_the_walk_meets_every_layer_that_the_paper_makes_binary(network):
    expected = {"conv2", "linear"}
    expected |= {f"blocks.{i}.{part}" for i in range(TOPOLOGY.n_blocks) for part in ("memory", "expand", "project")}
    assert set(binary_layers(network)) == expected
    weights = sum(layer.weight.numel() for layer in binary_layers(BiFSMN(Topology())).values())
    assert weights == 574_976


def test_effective_weights_take_two_values_per_output_channel(network):
    for name, layer in binary_layers(network).items():
        weight, scale = layer.effective()
        effective = weight.flatten(1) * scale[:, None]
        for row, s in zip(effective, scale, strict=True):
            assert set(row.unique().tolist()) <= {s.item(), -s.item()}, name
        assert (weight.flatten(1) != weight.flatten(1)[:, :1]).any(), f"{name}: every weight has the same sign"


def test_what_a_layer_multiplies_with_is_exactly_plus_or_minus_one(network, monkeypatch):
    seen: list[torch.Tensor] = []
    original = {name: getattr(F, name) for name in ("conv2d", "linear")}

    def watch(name):
        def call(x, *args, **kwargs):
            seen.append(x)
            return original[name](x, *args, **kwargs)

        return call

    for layer in binary_layers(network).values():
        seen.clear()
        shape = (2, layer.weight.shape[1], 16, 16) if isinstance(layer, BinaryConv) else (2, 8, layer.weight.shape[-1])
        if isinstance(layer, BinaryMemory):
            shape = (2, 8, layer.weight.shape[0])
            padded = F.pad(layer.binarize_input(torch.randn(shape)), (0, 0, 2, 2), value=layer.padding)
            seen.append(padded)
        else:
            for name in original:
                monkeypatch.setattr(F, name, watch(name))
            layer(torch.randn(shape))
            monkeypatch.undo()
        assert len(seen) == 1
        assert set(seen[0].unique().tolist()) == {1.0, -1.0}


def test_two_planes_are_four_levels_that_each_plane_decides_alone():
    torch.manual_seed(4)
    network = BiFSMN(replace(TOPOLOGY, planes=2))
    network.set_stage("binary")
    network.train()(torch.randn(8, 32, 32) * 20 - 40)
    for name, layer in binary_layers(network).items():
        quantize, width = layer.quantize_input, layer.quantize_input.channels
        x = torch.randn(1, width, 500, 1) if quantize.axis == 1 else torch.randn(500, width)
        middle, above, below = (quantize.along(edge, x) for edge in quantize.edges())
        first, second = x >= middle, torch.where(x >= middle, x >= above, x >= below)
        levels = layer.binarize_input(x) * 3.0
        assert torch.equal(levels.round(), 4.0 * first + 2.0 * second - 3.0), name
        assert torch.allclose(levels, levels.round(), atol=1e-6)
        assert levels.round().unique().tolist() == [-3.0, -1.0, 1.0, 3.0], name
        assert layer.padding * 3.0 == -3.0
        # Steps start where four levels suit each side's width, and are learned.
        assert (quantize.above > 0).all() and (quantize.below > 0).all()
        assert quantize.above.requires_grad and quantize.below.requires_grad


@pytest.mark.parametrize("binarizer", ["dorefa-2", "uniform-4", "int8"])
def test_inputs_that_are_no_signs_have_no_second_plane(binarizer):
    with pytest.raises(KwsError, match="no second plane; choose a binarizer whose inputs are signs"):
        BiFSMN(replace(TOPOLOGY, binarizer=binarizer, planes=2))


def test_the_outputs_are_the_scale_times_integers(network):
    for layer in binary_layers(network).values():
        if isinstance(layer, BinaryConv):
            out = layer(torch.randn(2, layer.weight.shape[1], 16, 16)).permute(0, 2, 3, 1)
        elif isinstance(layer, BinaryMemory):
            out = layer(torch.randn(2, 8, layer.weight.shape[0]))
        else:
            out = layer(torch.randn(2, 8, layer.weight.shape[1]))
        _, scale = layer.effective()
        counts = out / scale
        terms = layer.weight[0].numel()
        assert torch.allclose(counts, counts.round(), atol=1e-3)
        assert counts.abs().max() <= terms + 1e-3
        assert ((counts.round() - terms) % 2 == 0).all()


def test_zero_counts_as_plus_one(network):
    layer = binary_layers(network)["blocks.0.expand"]
    assert (layer.binarize_input(torch.zeros(1, 1, layer.weight.shape[1])) == 1.0).all()


def test_the_first_convolution_sees_8_bits_of_input_and_weight(network, monkeypatch):
    seen = []
    original = F.conv2d

    def watch(x, weight, **kwargs):
        seen.append((x, weight))
        return original(x, weight, **kwargs)

    monkeypatch.setattr(F, "conv2d", watch)
    features = torch.randn(4, 32, 32) * 60 - 40
    network.first_convolution(features)
    ((x, weight),) = seen
    steps = x.squeeze(1) * 40
    assert torch.allclose(steps, steps.round(), atol=1e-4)
    assert (steps.min().round(), steps.max().round()) == (-128, 127)
    inside = steps.abs() < 127
    assert ((steps / 40 - (features + 40) * 0.05).abs()[inside] <= 0.5 / 40 + 1e-5).all()
    whole = weight / conv1_scale(network.conv1.weight)[:, None, None, None]
    assert torch.allclose(whole, whole.round(), atol=1e-3)
    taps = whole[:, 0].transpose(1, 2).flatten(1).round().abs()  # 5 time + mel
    assert max(taps[:, :13].sum(1).max(), taps[:, 13:].sum(1).max()) <= 255 and taps.max() <= 127
    assert taps.sum(1).min() > 100  # and uses them


def test_gradients_pass_the_rounding_of_the_first_convolution_as_if_it_were_none(network):
    features = (torch.randint(-120, 120, (4, 32, 32)) / 40 / 0.05 - 40).float()  # whole steps: rounding leaves them
    upstream = torch.randn(4, 16, 16, 16)
    (rounded,) = torch.autograd.grad((network.first_convolution(features) * upstream).sum(), network.conv1.weight)
    network.set_stage("float")
    (plain,) = torch.autograd.grad((network.first_convolution(features) * upstream).sum(), network.conv1.weight)
    network.set_stage("binary")
    assert torch.allclose(rounded, plain, rtol=1e-3, atol=1e-3)


def test_the_teacher_is_not_binary():
    network = BiFSMN(TOPOLOGY)
    layer = network.blocks[0].expand
    weight, scale = layer.effective()
    assert scale is None and weight.unique().numel() > 2
    x = torch.randn(1, 8, 64)
    assert layer.binarize_input(x) is x


def test_norms_are_switched_per_depth_exactly_where_depths_share_a_block():
    network = BiFSMN(Topology())
    for index, block in enumerate(network.blocks):
        wanted = {str(d) for d in (1, 2, 4) if (index + 1) % d == 0}
        for norm in (block.memory_norm, block.expand_norm, block.project_norm):
            assert set(norm.norms) == wanted
    assert Topology().blocks_at(2) == [1, 3, 5, 7]
    assert Topology().blocks_at(4) == [3, 7]


def test_slopes_are_torchs_prelu_forwards_and_backwards():
    slope = Slope(16).double()
    with torch.no_grad():
        slope.slope.copy_(torch.linspace(-0.5, 1.5, 16))
    x = torch.randn(6, 8, 16, dtype=torch.float64, requires_grad=True)
    expected = F.prelu(x.reshape(-1, 16), slope.slope).reshape(x.shape)
    assert torch.equal(slope(x), expected)
    upstream = torch.randn_like(expected)
    theirs = torch.autograd.grad((expected * upstream).sum(), (x, slope.slope))
    ours = torch.autograd.grad((slope(x) * upstream).sum(), (x, slope.slope))
    assert all(torch.allclose(a, b) for a, b in zip(ours, theirs, strict=True))
