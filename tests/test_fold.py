"""Folding against the network it folds: exact where a sign is read, within rounding where a value counts."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

from kws.errors import KwsError
from kws.features import PRESETS
from kws.model.fold import MAX_STREAM_BITS, StreamLayer, below, class_step, conv1_step, fold, stream_bits
from kws.model.folded import CLASS_GROUP_SUM, CONV1_HALF, CONV1_HALF_SUM, class_groups, full_count
from kws_training import binarizers, folded
from kws_training.networks import MAX_SLOPE, BiFSMN
from kws_training.topology import Topology

torch.set_num_threads(1)  # the layers are small: more threads only wait for one another
NAMES = ["yes", "no", "_unknown_", "_silence_"]
SMALL = Topology(n_classes=4, channels=64, hidden=64, n_blocks=4)


def network(seed: int, topology: Topology) -> BiFSMN:
    """A network whose every parameter and running statistic differs from its initial value."""
    torch.manual_seed(seed)
    net = BiFSMN(topology)
    net.set_stage("binary")
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
        for layer in net.binary_layers() if topology.planes == 2 else ():
            layer.quantize_input.above.uniform_(0.5, 1.5)
            layer.quantize_input.below.uniform_(0.2, 0.6)
        net.constrain()
        net.train()
        for _ in range(4):
            net(torch.randn(16, 32, 32) * 20 - 40)
    return net.eval()


def state_of(net: BiFSMN) -> dict[str, np.ndarray]:
    return {key: value.numpy().copy() for key, value in net.engine_state().items()}


def folded_model(state: BiFSMN | dict[str, np.ndarray]):
    state = state_of(state) if isinstance(state, BiFSMN) else state
    return fold(state, name="t", preset=PRESETS["bifsmn"], class_names=NAMES, n_words=2, deltas=(1, 2, 4))


# --- the whole network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planes", [1, 2])
@pytest.mark.parametrize(("channels", "hidden", "blocks"), [(64, 128, 4), (128, 256, 8), (192, 64, 4)])
def test_the_folded_model_answers_as_the_network_does(channels, hidden, blocks, planes):
    topology = Topology(n_classes=4, channels=channels, hidden=hidden, n_blocks=blocks, planes=planes)
    net = network(channels, topology)
    model = folded_model(net)
    features = torch.randn(100, 32, 32) * 20 - 40
    with torch.no_grad():
        expected = net(features)
        for delta in net.topology.deltas:
            logits, exact = folded.network(model, features, delta)[0], expected[delta][0]
            # A bit whose value lies within a step of its threshold may fall the other way, and so may others after it:
            # untrained, these networks let a few grow from block to block. Hence the layers one by one below.
            assert (logits - exact).square().mean() < 0.5 * (exact - exact.mean(0)).square().mean()
            assert (logits.argmax(1) == exact.argmax(1)).float().mean() > 0.7
            assert exact.std() > 0.05


@pytest.mark.parametrize("planes", [1, 2])
def test_every_layer_adds_to_the_stream_what_the_network_adds(planes):
    net = network(5, replace(SMALL, planes=planes))
    model = folded_model(net)
    unit, features = 2.0**-model.stream_bits, torch.randn(50, 32, 32) * 20 - 40
    sums, values = {}, {}

    def watch(layer: str) -> None:
        module, prelu = net.get_submodule(layer), net.get_submodule(f"{layer}_prelu")
        full = full_count(1, planes)
        module.register_forward_hook(lambda module, _, out: sums.__setitem__(layer, out * full / module.effective()[1]))
        prelu.register_forward_hook(lambda module, _, out: values.__setitem__(layer, out))

    def check(layer: str, inputs: int, scale, bias, slope) -> None:
        inputs = full_count(inputs, planes)
        added = folded.residual(sums[layer].round().long(), inputs, scale, bias, slope) * unit
        # Half a step each: bias, scale, two products, slope; and one where every input differs.
        assert (added - values[layer]).abs().max() < 3.5 * unit, layer
        assert values[layer].std() > 50 * unit

    watch("linear")
    for index in range(SMALL.n_blocks):
        watch(f"blocks.{index}.memory")
        watch(f"blocks.{index}.project")
    for depth in model.depths:
        with torch.no_grad():
            net(features, (depth.delta,))
        check("linear", 256, model.linear_scale, model.linear_bias, model.linear_slope)
        for one in depth.passes:
            block = model.blocks[one.block]
            check(f"blocks.{one.block}.memory", 5, one.memory_scale, one.memory_bias, block.memory_slope)
            check(f"blocks.{one.block}.project", 64, one.project_scale, one.project_bias, block.project_slope)


@pytest.mark.parametrize("planes", [1, 2])
def test_bits_before_the_stream_are_those_of_the_network(planes):
    net = network(1, replace(SMALL, planes=planes))
    with torch.no_grad():
        net.conv1_norm.weight[::3] *= -1
        net.conv1_norm.weight[1] = 0.0
        net.conv2_norm.weight[::2] *= -1
        net.conv2_norm.weight[1] = 0.0
    seen = {}
    for name in ("conv2", "linear"):
        layer = getattr(net, name)
        layer.register_forward_hook(lambda layer, _, out, name=name: seen.__setitem__(name, out))
    model = folded_model(net)
    features = torch.randn(50, 32, 32) * 20 - 40
    with torch.no_grad():
        net(features, (1,))
        _, trace = folded.network(model, features, 1)
    turned = torch.where(net.conv2_norm.weight < 0, -1.0, 1.0)[:, None, None]
    conv2 = (seen["conv2"] / net.conv2.effective()[1][:, None, None] * turned).permute(0, 3, 2, 1)
    linear = seen["linear"] / net.linear.effective()[1]
    expected = (torch.cat([conv2.flatten(1), linear.flatten(1)], 1) * full_count(1, planes)).round()
    same = (trace[:, : expected.shape[1]] == expected).float().mean()
    assert same > 0.9999  # torch's float sums round, and a sum at its threshold may fall the other way
    assert conv2.std() > 5 and linear.std() > 3


@pytest.mark.parametrize("planes", [1, 2])
def test_the_expansion_is_exact_for_gains_of_either_sign(planes):
    net = network(3, replace(SMALL, planes=planes))
    with torch.no_grad():
        norm = net.blocks[3].expand_norm.norms["1"]
        norm.weight[::3] *= -1
        norm.weight[1] = 0.0
        model = folded_model(net)
        one = model.depths[0].passes[3]
        assert one.expand_flip.any() and not one.expand_flip.all()
        weight, scale = net.blocks[3].expand.effective()
        full, edges = full_count(1, planes), net.blocks[3].project.quantize_input.edges().double()
        levels = full - 2.0 * torch.randint(0, full + 1, (500, 64))
        sums = (levels @ weight.T).double()
        hidden = norm.double()(sums * scale.double() / full)
        hidden = torch.where(hidden >= 0, hidden, hidden * net.blocks[3].expand_prelu.slope.double())
        expected = (hidden >= edges[:, None]).numpy()
    count = (full * 64 - sums.long().numpy()) // 2
    assert np.array_equal((count < one.expand_below[:, None]) ^ one.expand_flip, expected)
    assert all(0.02 < edge.mean() < 0.98 for edge in expected)


# --- thresholds -------------------------------------------------------------------------------------------------------


@given(
    gain=st.floats(-10, 10).filter(lambda g: g == 0 or abs(g) > 1e-6),
    bias=st.floats(-1e4, 1e4),
    inputs=st.sampled_from([5, 128, 400]),
)
def test_below_stands_for_the_affine_map(gain, bias, inputs):
    limit, flip = below(np.array([gain]), np.array([bias]), inputs)
    assert limit.dtype == np.int16 and 0 <= limit[0] <= inputs + 1
    for count in range(inputs + 1):
        exact = Fraction(gain) * (inputs - 2 * count) + Fraction(bias)
        if abs(exact) > 1e-9 * (1 + abs(bias)):  # nearer, the quotient's own rounding decides
            assert ((count < limit[0]) ^ flip[0]) == (exact >= 0)


@pytest.mark.parametrize(("gain", "bias"), [(1.0, -4.0), (-1.0, 4.0), (0.5, 0.0), (-0.5, 0.0), (0.0, 0.0), (0.0, -1.0)])
def test_a_value_of_exactly_zero_counts_as_plus_one(gain, bias):
    limit, flip = below(np.array([gain]), np.array([bias]), 128)
    count = np.arange(129)
    assert np.array_equal((count < limit[0]) ^ flip[0], gain * (128 - 2 * count) + bias >= 0)


@pytest.mark.parametrize("seed", range(4))
def test_the_first_convolution_is_exact(seed):
    rng = np.random.default_rng(seed)
    state = state_of(network(seed, SMALL))
    state["conv1_norm.weight"] = rng.choice([-1.0, 0.0, 1e-9, 0.7, 2.0], 16).astype(np.float32)
    state["conv1_norm.bias"] = rng.choice([0.0, 0.3, -5.0, 20.0, -200.0], 16).astype(np.float32)
    state["conv1.weight"][:4] = np.abs(state["conv1.weight"][:4])  # sums that go beyond 16 bits
    model = folded_model(state)
    weight = state["conv1.weight"].astype(np.float64)[:, 0].transpose(0, 2, 1).reshape(16, 25)
    whole = np.rint(weight / conv1_step(weight)[:, None])
    gain = state["conv1_norm.weight"] / np.sqrt(state["conv1_norm.running_var"].astype(np.float64) + 1e-5)
    bias = state["conv1_norm.bias"] - state["conv1_norm.running_mean"] * gain
    inputs = np.concatenate([rng.integers(-128, 128, (2000, 25)), np.full((1, 25), -128), np.full((1, 25), 127)])
    exact = gain * conv1_step(weight) / 40 * (inputs @ whole.T) + bias
    answer = inputs @ model.conv1_weight.astype(np.int64) >= model.conv1_threshold
    clear = np.abs(exact) > 1e-9
    fine = np.abs(whole).sum(1) * 128 < 32767  # a threshold beyond 16 bits has coarser weights
    assert np.array_equal(answer[:, fine][clear[:, fine]], (exact >= 0)[:, fine][clear[:, fine]])
    assert (answer == (exact >= 0)).mean() > 0.99


def test_a_threshold_beyond_16_bits_is_met_by_coarser_weights():
    state = state_of(network(0, SMALL))
    state["conv1.weight"][0] = 1.0
    for key, value in (("weight", 1.0), ("bias", 0.0), ("running_var", 1.0 - 1e-5), ("running_mean", -70.0)):
        state[f"conv1_norm.{key}"][0] = value
    model = folded_model(state)  # 1 where the mean of the input is above -70 / 25 = -2.8, or -112 steps
    whole = model.conv1_weight[:, 0].astype(np.int64)
    assert model.conv1_threshold[0, 0] > -32768 and set(whole) == {whole[0]}
    for level, bit in ((-128, False), (-120, False), (-110, True), (127, True)):
        assert (level * whole.sum() >= model.conv1_threshold[0, 0]) == bit


# --- values -----------------------------------------------------------------------------------------------------------


@given(
    inputs=st.sampled_from([5, 64, 192, 256, 320, 512]),
    bits=st.integers(4, 9),
    scale=st.floats(-2, 2),
    bias=st.floats(-20, 20),
)
def test_values_are_within_rounding_of_the_affine_map(inputs, bits, scale, bias):
    scale /= np.sqrt(inputs)
    layer = StreamLayer("layer", np.array([scale]), np.array([bias]), inputs)
    if not layer.fits(bits):
        return
    whole, start = layer.packed(bits)
    count = np.arange(inputs + 1)
    lifted = np.minimum(count << (15 - int(np.ceil(np.log2(inputs)))), 32767)
    value = start.astype(int) - reference.mulr(lifted, whole)
    # Half a step each: the bias, the product, and the scale's rounding at the largest count. At 2^n differing inputs
    # the count saturates by one, which is worth scale / 2^15 of a step more.
    error = np.abs(value - (bias + scale * (inputs - 2 * count)) * 2.0**bits)
    assert error.max() <= 2.5
    assert error[:-1].max() <= 1.5 + 1e-6


def test_the_stream_has_as_many_fraction_bits_as_fit():
    def layer(bias: float, scale: float = 0.01, inputs: int = 256) -> StreamLayer:
        return StreamLayer("some_norm", np.array([0.0, scale]), np.array([bias, 0.0]), inputs)

    assert stream_bits([layer(1.0)]) == MAX_STREAM_BITS == 9
    assert stream_bits([layer(63.9)]) == 9
    assert stream_bits([layer(64.0)]) == 8
    assert stream_bits([layer(1.0), layer(-1000.0)]) == 5
    assert stream_bits([layer(0.0, scale=0.2)]) == 8  # 2 * 0.2 * 256 * 2^9 is beyond 2^15
    assert stream_bits([layer(0.0, scale=0.2, inputs=5)]) == 9
    with pytest.raises(KwsError, match=r"some_norm gives values beyond 2047.*train again"):
        stream_bits([layer(1.0), layer(2048.0)])


def test_inputs_of_the_stream_are_compared_as_the_network_does():
    state = state_of(network(0, SMALL))
    state["blocks.1.memory.edges"][0, :5] = [0.0, 0.001, -0.001, 1e6, -1e6]
    model = folded_model(state)
    unit = 2.0**-model.stream_bits
    for block, at in ((model.blocks[i], f"blocks.{i}") for i in range(4)):
        for name in ("memory", "expand"):
            limit = getattr(block, f"{name}_input").astype(int)
            real = np.clip(state[f"{at}.{name}.edges"].astype(np.float64), -32768 * unit, 32767 * unit)
            assert (limit * unit >= real).all() and ((limit - 1) * unit < real).all()


@given(st.integers(-32768, 32767), st.integers(-32768, 32767))
def test_the_rounding_product(a, b):
    exact = min((Fraction(a) * b / 2**15 + Fraction(1, 2)).__floor__(), 32767)
    assert folded.mulr(torch.tensor(a), torch.tensor(b)).item() == exact
    assert reference.mulr(np.array(a), np.array(b)) == exact


@given(st.floats(-140, 60, width=32), st.sampled_from([(-40.0, 2.0), (-37.7, float(np.float32(1.48)))]))
def test_the_input_is_the_nearest_step(decibels, preset):
    offset, scale = preset
    value = float((np.float32(decibels) - np.float32(offset)) * np.float32(scale))
    step = folded.quantize(torch.tensor([decibels]), offset, scale).item()
    assert step == reference.quantize(np.float32([decibels]), np.float32(offset), np.float32(scale))[0]
    assert -128 <= step <= 127
    if -128 <= value <= 127:
        assert abs(step - value) <= 0.5 + 1e-5


def test_the_input_that_is_no_number_is_the_least():
    for value in (float("nan"), -float("inf")):
        assert folded.quantize(torch.tensor([value]), -40.0, 2.0).item() == -128
        assert reference.quantize(np.float32([value]), np.float32(-40), np.float32(2))[0] == -128
    assert folded.quantize(torch.tensor([float("inf")]), -40.0, 2.0).item() == 127


# --- steps that training and folding share ----------------------------------------------------------------------------


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Rows of every character: even, spiky, of one sign, zero."""
    weight = rng.standard_normal(shape) * np.exp(rng.standard_normal(shape) * rng.uniform(0, 3))
    weight[0] = np.abs(weight[0])
    weight[1] = 1.0
    weight[2] = 0.0
    return weight.astype(np.float32)


@given(st.integers(0, 2**32 - 1))
def test_sums_of_the_first_convolution_fit(seed):
    weight = weights(np.random.default_rng(seed), 16, 25)
    whole = np.abs(np.rint(weight.astype(np.float64) / conv1_step(weight)[:, None]))
    assert whole.max() <= 127
    assert max(whole[:, :CONV1_HALF].sum(1).max(), whole[:, CONV1_HALF:].sum(1).max()) <= CONV1_HALF_SUM
    filters = torch.from_numpy(weight.reshape(16, 1, 5, 5)).transpose(2, 3)  # torch's are [mel][time]
    assert np.allclose(binarizers.conv1_scale(filters), conv1_step(weight), rtol=1e-5)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 8, 24]), st.sampled_from([64, 128, 192]))
def test_sums_of_the_classifier_fit(seed, steps, channels):
    weight = weights(np.random.default_rng(seed), 4, steps, channels)
    whole = np.abs(np.rint(weight.astype(np.float64) / class_step(weight)[:, None, None]))
    assert whole.max() <= 127 and class_groups(whole).sum(3).max() <= CLASS_GROUP_SUM
    assert np.allclose(binarizers.int8_scale(torch.from_numpy(weight).flatten(1)), class_step(weight), rtol=1e-4)


# --- what has no form -------------------------------------------------------------------------------------------------


def test_a_slope_without_a_threshold_form_is_refused():
    net = network(2, SMALL)
    with torch.no_grad():
        net.blocks[0].expand_prelu.slope[5] = -0.1
    with pytest.raises(KwsError, match="expand_prelu"):
        folded_model(net)


@pytest.mark.parametrize("name", ["linear_prelu", "blocks.2.memory_prelu", "blocks.3.project_prelu"])
def test_a_slope_beyond_one_is_refused_and_training_keeps_it_within(name):
    net = network(2, SMALL)
    slope = net.get_parameter(f"{name}.slope")
    with torch.no_grad():
        slope[5], slope[6] = -1.2, 1.3
    with pytest.raises(KwsError, match=rf"{name}\.slope holds a slope of 1\.3.*train again"):
        folded_model(net)
    net.constrain()
    assert slope[5] == -slope[6] == -MAX_SLOPE
    folded_model(net)
