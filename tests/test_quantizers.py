"""Every binarizer against its formulas: gradients in closed form, exact forward values, and the engine's arithmetic."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kws.errors import KwsError
from kws.features import PRESETS
from kws.model.fold import fold, signs
from kws_training import folded
from kws_training.layers import BinaryLayer
from kws_training.networks import BiFSMN
from kws_training.quantizers import BINARIZERS, DEFAULT, find
from kws_training.quantizers.bipointnet import EntropyMaximizingMax
from kws_training.quantizers.dorefa import REACH
from kws_training.quantizers.interface import SignInput
from kws_training.topology import Topology

torch.set_num_threads(1)  # the layers are small: more threads only wait for one another
ENGINE = [name for name, method in BINARIZERS.items() if method.maps_to_engine]
OTHERS = [name for name in BINARIZERS if name not in ENGINE]
ONE_BIT_INPUT = [name for name in ENGINE if isinstance(BINARIZERS[name].inputs(1, -1, True), SignInput)]
FRACTIONS = (0.0, 0.3, 0.7, 1.0)
POINTS = torch.tensor(
    [-3.0, -1.5, -1.0, -0.8, -0.4, -0.1, 0.0, 0.05, 0.3, 0.6, 0.9, 1.0, 1.2, 2.5], dtype=torch.float64
)


def bits_of(name: str) -> int:
    return 8 if name == "int8" else int(name.split("-")[1]) if "-" in name else 1


def gradient(function, x: torch.Tensor) -> torch.Tensor:
    """d function / d x where each output depends on its own input alone."""
    x = x.clone().requires_grad_()
    upstream = torch.linspace(0.5, 2.0, x.numel(), dtype=x.dtype).view_as(x)
    (result,) = torch.autograd.grad((function(x) * upstream).sum(), x)
    return result / upstream


# --- the formulas, each on plain numbers ------------------------------------------------------------------------------


def htanh(x: float) -> float:
    return 1.0 if abs(x) <= 1 else 0.0


def parabola(x: float) -> float:
    return max(0.0, 2.0 - 2.0 * abs(x))


def ede(x: float, fraction: float) -> float:
    t = 10 ** (-1 + 2 * fraction)
    return max(1.0 / t, 1.0) * t * (1 - math.tanh(t * x) ** 2)


def dte(x: float, fraction: float, values: torch.Tensor) -> float:
    """At least a tenth of ``values`` keep a tenth of the greatest slope."""
    near = float(np.quantile(values.abs().numpy(), 0.1))
    t = min(10 ** (-1 + 2 * fraction), math.atanh(math.sqrt(0.9)) / near) if near else 10 ** (-1 + 2 * fraction)
    return max(1.0 / t, 1.0) * t * (1 - math.tanh(t * x) ** 2)


def fourier(x: float, fraction: float) -> float:
    terms = 9 + int(9 * fraction) + 1
    return 0.4 / math.pi * sum(math.cos((2 * i + 1) * 0.1 * x) for i in range(terms)) if abs(x) <= 1 else 0.0


INPUT_SLOPES = {
    **dict.fromkeys(["bnn", "xnor", "xnor++", "lsr", "dorefa-1"], lambda x, f, all_x: htanh(x)),
    **dict.fromkeys(["bireal", "reactnet", "recu"], lambda x, f, all_x: parabola(x)),
    "irnet": lambda x, f, all_x: ede(x, f),
    "dirnet": dte,
    "fda": lambda x, f, all_x: fourier(x, f),
    "lpb": lambda x, f, all_x: htanh(x),
}


def test_every_one_bit_binarizer_has_a_formula_here():
    assert set(INPUT_SLOPES) == set(ENGINE) == set(ONE_BIT_INPUT)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("name", ENGINE)
def test_gradient_of_an_input_is_the_formulas(name, fraction):
    quantizer = find(name).inputs(len(POINTS), -1, True)
    quantizer.progress(fraction)
    expected = torch.tensor([INPUT_SLOPES[name](x, fraction, POINTS) for x in POINTS.tolist()], dtype=torch.float64)
    assert torch.allclose(gradient(quantizer.surrogate, POINTS), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ENGINE)
def test_the_surrogate_is_as_wide_as_the_values_are(name):
    quantizer = find(name).inputs(len(POINTS), -1, True)
    spread = POINTS.square().mean().sqrt()
    quantizer.progress(0.5)
    inner = gradient(quantizer.surrogate, POINTS / spread)
    assert torch.allclose(gradient(quantizer, POINTS), inner / spread)
    assert torch.allclose(gradient(quantizer, 1000.0 * POINTS), inner / spread / 1000.0)


@pytest.mark.parametrize("slope", [0.3, 1.0, 2.5])
def test_slopes_of_lpb_widen_and_narrow_the_gradient(slope):
    quantizer = find("lpb").inputs(len(POINTS), -1, True)
    with torch.no_grad():
        quantizer.slope.fill_(slope)
    expected = torch.tensor([slope if abs(slope * x) <= 1 else 0.0 for x in POINTS.tolist()]).double()
    assert torch.allclose(gradient(quantizer.surrogate, POINTS), expected)
    assert quantizer.surrogate(POINTS).tolist() == [1.0 if x >= 0 else -1.0 for x in POINTS.tolist()]


# --- weights ----------------------------------------------------------------------------------------------------------

WEIGHT = torch.randn(4, 3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 0.7


def product_gradient(name: str, weight: torch.Tensor, upstream: torch.Tensor, fraction: float = 0.0) -> torch.Tensor:
    """Gradient of ``sum(upstream * scale * values)`` with respect to the latent weights."""
    quantizer = started(name, weight)
    quantizer.progress(fraction)
    weight = weight.clone().requires_grad_()
    values, scale = quantizer(weight)
    (result,) = torch.autograd.grad((upstream * values * scale.view(-1, 1, 1, 1)).sum(), weight)
    return result


def started(name: str, weight: torch.Tensor):
    quantizer = find(name).weights(len(weight)).double()
    quantizer.start(weight)
    return quantizer


def through_standardization(weight: np.ndarray, upstream: np.ndarray, slope) -> np.ndarray:
    """The gradient of ``sum(upstream * f(z))`` for z = (w - mean) / deviation of every row, with f' = ``slope``."""
    result = []
    for w, u in zip(weight, upstream, strict=True):
        deviation = w.std(ddof=1)
        z = (w - w.mean()) / deviation
        g = u * slope(z)
        result.append((g - g.mean() - z * (g * z).sum() / (len(w) - 1)) / deviation)
    return np.array(result)


UPSTREAM = torch.linspace(-1.0, 1.0, WEIGHT.numel(), dtype=torch.float64).view_as(WEIGHT)
MEANS = WEIGHT.abs().flatten(1).mean(1).view(-1, 1, 1, 1)


@pytest.mark.parametrize(
    ("name", "slope"),
    [
        ("bireal", MEANS * (WEIGHT.abs() <= 1)),
        ("reactnet", MEANS * (WEIGHT.abs() <= 1)),
        ("lpb", MEANS * (WEIGHT.abs() <= 1)),
        ("bnn", (WEIGHT.abs() <= 1).double()),
        ("xnor", 1 / 75 + MEANS * (WEIGHT.abs() <= 1)),
        ("xnor++", MEANS * (WEIGHT.abs() <= 1)),
        ("lsr", WEIGHT.square().mean().sqrt() * (WEIGHT.abs() <= 1)),
        ("dorefa-1", WEIGHT.abs().mean().expand_as(WEIGHT)),
    ],
)
def test_gradient_of_a_weight_is_the_formulas(name, slope):
    assert torch.allclose(product_gradient(name, WEIGHT, UPSTREAM), UPSTREAM * slope)


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_gradient_of_fdas_weights_is_the_series(fraction):
    series = WEIGHT.clone().apply_(lambda w: fourier(w, fraction))
    assert torch.allclose(product_gradient("fda", WEIGHT, UPSTREAM, fraction), UPSTREAM * MEANS * series)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("name", ["irnet", "dirnet", "recu"])
def test_gradient_of_standardized_weights_is_the_surrogates_through_the_standardization(name, fraction):
    rows, upstream = WEIGHT.flatten(1).numpy(), UPSTREAM.flatten(1).numpy()
    every_z = (rows - rows.mean(1, keepdims=True)) / rows.std(1, ddof=1, keepdims=True)
    powers = 2.0 ** np.rint(np.log2(np.abs(every_z).mean(1)))[:, None]

    def slope(z: np.ndarray) -> np.ndarray:
        if name == "irnet":
            return np.vectorize(lambda value: ede(value, fraction))(z)
        if name == "dirnet":
            return np.vectorize(lambda value: dte(value, fraction, torch.from_numpy(every_z)))(z)
        tau = 0.85 + 0.14 * (math.exp(fraction) - 1) / (math.e - 1)
        edge = -np.abs(every_z).mean() * math.log(2 - 2 * tau)
        return math.sqrt(8.0) * (np.abs(z) <= edge)

    expected = through_standardization(rows, upstream if name == "recu" else powers * upstream, slope)
    assert np.allclose(product_gradient(name, WEIGHT, UPSTREAM, fraction).flatten(1).numpy(), expected, atol=1e-9)


def test_recus_clamp_opens_as_training_goes_on():
    tails = torch.randn(2, 400, dtype=torch.float64) ** 3
    passed = []
    for fraction in FRACTIONS:
        quantizer = find("recu").weights(2)
        quantizer.progress(fraction)
        weight = tails.clone().requires_grad_()
        quantizer(weight)[0].sum().backward()
        passed.append((quantizer.tau, weight.grad.unique().numel()))
    assert passed == sorted(passed) and passed[0][0] == pytest.approx(0.85) and passed[-1][0] == pytest.approx(0.99)


@pytest.mark.parametrize("bits", range(2, 9))
def test_gradient_of_dorefa_weights_is_the_bent_ones(bits):
    bent = torch.tanh(WEIGHT)
    # A step of the rounding stands for the identity: the gradient is that of tanh(w) / max |tanh(w)|.
    expected = UPSTREAM * (1 - bent.square()) / bent.abs().max()
    assert torch.allclose(product_gradient(f"dorefa-{bits}", WEIGHT, UPSTREAM), expected)


@pytest.mark.parametrize("name", [*(f"uniform-{bits}" for bits in range(2, 9)), "int8"])
def test_gradient_of_even_steps_is_the_identity_in_range(name):
    result = product_gradient(name, WEIGHT, UPSTREAM)
    # Rounding the zero point moves the range by up to half a step, past an output's own extremes.
    low, high = WEIGHT.amin((1, 2, 3), True), WEIGHT.amax((1, 2, 3), True)
    margin = (high - low) / (2 ** bits_of(name) - 1) / 2
    inner = ((WEIGHT - low) > margin) & ((high - WEIGHT) > margin)
    assert torch.allclose(result[inner], UPSTREAM[inner])
    assert ((result == 0) | torch.isclose(result, UPSTREAM)).all()


@pytest.mark.parametrize("name", OTHERS)
def test_gradient_of_an_input_of_more_bits_is_the_identity_in_range(name):
    quantizer = find(name).inputs(1, -1, True).double()
    quantizer(POINTS)  # sees the range
    quantizer.eval()
    wide = torch.linspace(-10.0, 10.0, 101, dtype=torch.float64)
    result = gradient(quantizer, wide)
    if name.startswith("dorefa"):
        reach = POINTS.square().mean().sqrt().item() * REACH[bits_of(name)]
        expected = (wide.abs() <= reach).double() / reach
    else:
        low, high = (-3.0, 3.0) if name == "int8" else (-3.0, 2.5)
        step = (high - low) / (254 if name == "int8" else 2 ** bits_of(name) - 1)
        zero = 0 if name == "int8" else round(-low / step)
        least, most = (-127, 127) if name == "int8" else (-zero, 2 ** bits_of(name) - 1 - zero)
        expected = ((wide >= least * step - 1e-9) & (wide <= most * step + 1e-9)).double()
    assert torch.allclose(result, expected)


# --- what is learned --------------------------------------------------------------------------------------------------


def parabolas(x: torch.Tensor) -> torch.Tensor:
    """Bi-Real's approximation of the sign, whose derivative is the surrogate."""
    bent = torch.where(x < 0, 2 * x + x.square(), 2 * x - x.square())
    return torch.where(x.abs() < 1, bent, x.sign())


@pytest.mark.parametrize(("name", "smooth"), [("reactnet", parabolas), ("lpb", lambda x: x.clamp(-1.0, 1.0))])
@pytest.mark.parametrize("axis", [1, -1])
def test_thresholds_learn_as_the_surrogate_would(name, smooth, axis):
    torch.manual_seed(2)
    channels = 6
    quantizer = find(name).inputs(channels, axis, False).double()
    x = torch.randn((8, channels, 7, 5) if axis == 1 else (8, 9, 2 * channels), dtype=torch.float64)
    upstream = torch.randn_like(x)
    with torch.no_grad():
        quantizer.threshold.copy_(0.3 * torch.randn(channels))
    (quantizer(x) * upstream).sum().backward()

    def place(values: torch.Tensor) -> torch.Tensor:
        return values.view(-1, 1, 1) if axis == 1 else values.repeat(2)

    threshold = quantizer.threshold.detach()
    spread = (x - place(threshold)).square().mean().sqrt()
    for channel in range(channels):
        ends = []
        for nudge in (-1e-6, 1e-6):
            moved = threshold.clone()
            moved[channel] += nudge
            ends.append((smooth((x - place(moved)) / spread) * upstream).sum())
        assert quantizer.threshold.grad[channel].item() == pytest.approx(((ends[1] - ends[0]) / 2e-6).item(), rel=1e-4)


@pytest.mark.parametrize("slope", [0.4, 1.0, 1.9])
def test_slopes_of_lpb_learn_as_the_surrogate_would(slope):
    torch.manual_seed(3)
    quantizer, x = find("lpb").inputs(4, -1, True).double(), torch.randn(50, 4, dtype=torch.float64)
    weight_quantizer = find("lpb").weights(4).double()
    upstream = torch.randn_like(x)
    with torch.no_grad():
        quantizer.slope.fill_(slope)
        weight_quantizer.slope.fill_(slope)
    (quantizer(x) * upstream).sum().backward()
    values, scale = weight_quantizer(x.T)
    (values * scale[:, None] * upstream.T).sum().backward()
    means = x.abs().mean(0)
    for result, inner, outer in (
        (quantizer.slope.grad, x / x.square().mean().sqrt(), 1.0),
        (weight_quantizer.slope.grad, x, means),
    ):
        ends = [((inner * (slope + nudge)).clamp(-1.0, 1.0) * outer * upstream).sum() for nudge in (-1e-6, 1e-6)]
        assert result.item() == pytest.approx(((ends[1] - ends[0]) / 2e-6).item(), rel=1e-4)


@pytest.mark.parametrize("name", ["xnor++", "recu", "lsr"])
def test_scales_learn_from_the_sums_that_they_multiply(name):
    quantizer = started(name, WEIGHT)
    values, scale = quantizer(WEIGHT)
    (values * scale.view(-1, 1, 1, 1) * UPSTREAM).sum().backward()
    sums = (values.detach() * UPSTREAM).flatten(1).sum(1)
    assert torch.allclose(quantizer.scale.grad, sums.sum() if name == "lsr" else sums)


def test_learned_scales_start_from_the_weights():
    assert torch.allclose(started("xnor++", WEIGHT).scale, WEIGHT.abs().flatten(1).mean(1))
    assert torch.allclose(started("lsr", WEIGHT).scale, WEIGHT.square().mean().sqrt())


def test_layer_scale_recovery_recovers_the_spread_of_the_sums():
    torch.manual_seed(4)
    weight, x = torch.randn(64, 400) * 0.1, torch.randn(2000, 400)
    quantizer = started("lsr", weight.double())
    values, scale = quantizer(weight.double())
    binary = (torch.sign(x).double() @ values.T * scale).std()
    assert binary.item() == pytest.approx((x @ weight.T).std().item(), rel=0.05)


def test_entropy_maximizing_maxima_are_positive_half_of_the_time():
    torch.manual_seed(5)
    for n in (2, 8, 32):
        x = torch.randn(2000, n, 4)
        assert (EntropyMaximizingMax()(x) >= 0).float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_an_entropy_maximizing_maximum_teaches_what_it_took():
    x = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    asked = torch.randn(3, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (EntropyMaximizingMax()(x) * asked).sum().backward()
    expected = np.zeros((3, 7, 5))
    for batch, channel in np.ndindex(3, 5):
        expected[batch, int(np.argmax(x.detach().numpy()[batch, :, channel])), channel] = asked[batch, channel]
    assert np.array_equal(x.grad.numpy(), expected)


# --- forward ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENGINE)
def test_binary_inputs_are_exactly_plus_or_minus_one(name):
    torch.manual_seed(6)
    quantizer = find(name).inputs(8, -1, False)
    x = torch.randn(16, 8) * 37.0
    assert set(quantizer(x).unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(quantizer(x), torch.where(x >= 0, 1.0, -1.0))
    assert (quantizer(torch.zeros(2, 8)) == 1.0).all() and (quantizer(-torch.zeros(2, 8)) == 1.0).all()
    assert quantizer.padding == -1.0


@pytest.mark.parametrize("shape", [(8, 3, 5, 5), (8, 64), (8, 5)])
@pytest.mark.parametrize("name", ENGINE)
def test_binary_weights_are_one_scale_per_output(name, shape):
    torch.manual_seed(7)
    weight = torch.randn(shape) * 0.1
    quantizer = find(name).weights(shape[0])
    quantizer.start(weight)
    values, scale = quantizer(weight)
    assert values.shape == weight.shape and scale.shape == (8,)
    assert set(values.unique().tolist()) == {-1.0, 1.0}
    assert (scale > 0).all() and torch.isfinite(scale).all()
    product = (values.flatten(1) * scale[:, None]).detach()
    for row, s in zip(product, scale.tolist(), strict=True):
        assert set(row.unique().tolist()) <= {-s, s}


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("width", [0.05, 1.0, 30.0])
def test_dirnet_leaves_a_tenth_of_the_values_a_gradient_at_any_time(width, fraction):
    torch.manual_seed(11)
    quantizer, x = find("dirnet").inputs(1, -1, True), width * torch.randn(5000, dtype=torch.float64)
    quantizer.progress(fraction)
    slopes = gradient(quantizer.surrogate, x)
    greatest = gradient(quantizer.surrogate, torch.cat([x, x.new_zeros(1)]))[-1]
    assert (slopes >= 0.0999 * greatest).double().mean() > 0.095  # the quantile is one of a sample


@pytest.mark.parametrize("name", ["irnet", "dirnet"])
def test_balanced_weights_carry_a_whole_bit(name):
    values, scale = find(name).weights(4)(WEIGHT + 3.0)
    assert values.flatten(1).mean(1).abs().max() < 0.2
    assert torch.equal(torch.log2(scale), torch.log2(scale).round())


@pytest.mark.parametrize("name", OTHERS)
def test_inputs_of_more_bits_have_that_many_levels(name):
    quantizer = find(name).inputs(1, -1, True)
    quantizer(torch.linspace(-1.0, 2.0, 5001))
    quantizer.eval()
    levels = quantizer(torch.linspace(-20.0, 20.0, 50001)).unique()
    assert levels.numel() == (255 if name == "int8" else 2 ** bits_of(name))
    gaps = levels.diff()
    assert torch.allclose(gaps, gaps.mean().expand_as(gaps), rtol=1e-3)
    assert (levels == quantizer.padding).any()


@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_more_bits_have_no_more_levels(name):
    torch.manual_seed(8)
    quantizer = find(name).weights(3)
    values, scale = quantizer(torch.randn(3, 5000))
    for row in values:
        assert 3 <= row.unique().numel() <= (255 if name == "int8" else 2 ** bits_of(name))
    if not name.startswith("dorefa"):
        assert torch.equal(values, values.round()) and (values == 0).any()
    product = values * scale[:, None]
    if name in ("int8", "uniform-8"):
        reference = torch.randn(3, 5000)
        values, scale = quantizer(reference)
        assert ((values * scale[:, None] - reference).abs() <= scale[:, None] * 0.5001).all()
    assert torch.isfinite(product).all()


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=20), st.sampled_from(list(BINARIZERS)))
def test_inputs_keep_their_order_and_are_settled_by_one_pass(values, name):
    x = torch.tensor(values).sort().values
    quantizer = find(name).inputs(1, -1, True)
    quantizer(torch.tensor([-50.0, 80.0]))  # a range that stays
    quantizer.eval()
    once = quantizer(x)
    assert (once.diff() >= 0).all()
    if not name.startswith("dorefa") or name == "dorefa-1":  # whose levels are in other units than its input
        assert torch.allclose(quantizer(once), once, atol=1e-4)


@given(st.floats(0.01, 100), st.sampled_from(ENGINE))
def test_signs_do_not_depend_on_the_unit(factor, name):
    weight = WEIGHT[:, 0].flatten(1)
    quantizer = find(name).weights(4)
    assert torch.equal(quantizer(weight)[0], quantizer(factor * weight)[0])
    x = POINTS + 0.01
    inputs = find(name).inputs(1, -1, True)
    assert torch.equal(inputs(x), inputs(factor * x))


@given(st.floats(0.05, 20), st.floats(-5, 5), st.sampled_from(["irnet", "dirnet", "recu"]))
def test_standardized_weights_do_not_depend_on_unit_and_origin(factor, shift, name):
    weight = WEIGHT[:, 0].flatten(1)
    quantizer = find(name).weights(4).double()
    before, after = quantizer(weight), quantizer(factor * weight + shift)
    assert torch.equal(before[0], after[0]) and torch.allclose(before[1], after[1])


# --- in the network ---------------------------------------------------------------------------------------------------

SMALL = {"n_classes": 4, "channels": 64, "hidden": 64, "n_blocks": 4}


def network(name: str, seed: int = 1) -> BiFSMN:
    """A network whose every small parameter, the binarizer's too, differs from its initial value."""
    torch.manual_seed(seed)
    net = BiFSMN(Topology(**SMALL, binarizer=name))
    net.set_stage("binary")
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
        net.constrain()
        net.train()
        for _ in range(4):
            net(torch.randn(16, 32, 32) * 20 - 40)
    return net.eval()


def folded_model(net: BiFSMN):
    state = {key: value.numpy() for key, value in net.engine_state().items()}
    names = ["yes", "no", "_unknown_", "_silence_"]
    return fold(state, name="t", preset=PRESETS["bifsmn"], class_names=names, n_words=2, deltas=(1, 2, 4))


@pytest.mark.parametrize("name", ENGINE)
def test_the_folded_front_has_the_networks_bits(name):
    net = network(name)
    with torch.no_grad():
        net.conv2_norm.weight[::3] *= -1
    model, seen = folded_model(net), {}
    for part in ("conv2", "linear"):
        layer = getattr(net, part)
        layer.register_forward_hook(lambda layer, _, out, part=part: seen.__setitem__(part, out))
    features = torch.randn(50, 32, 32) * 20 - 40
    with torch.no_grad():
        net(features, (1,))
        _, trace = folded.network(model, features, 1)
        turned = torch.where(net.conv2_norm.weight < 0, -1.0, 1.0)[:, None, None]
        # The fold makes every scale positive.
        conv2 = (seen["conv2"] / net.conv2.effective()[1].abs()[:, None, None] * turned).permute(0, 3, 2, 1)
        linear = seen["linear"] / net.linear.effective()[1].abs()
    expected = torch.cat([conv2.flatten(1), linear.flatten(1)], 1).round()
    same = (trace[:, : expected.shape[1]] == expected).float().mean()
    assert same > 0.9999  # torch's float sums round, and a sum at its threshold may fall the other way
    assert conv2.std() > 5 and linear.std() > 3


@pytest.mark.parametrize("name", ENGINE)
def test_the_folded_blocks_have_the_networks_bits_and_values(name):
    net = network(name, seed=2)
    with torch.no_grad():
        for block in net.blocks:
            for norm in block.expand_norm.norms.values():
                norm.weight[::3] *= -1
    model = folded_model(net)
    unit, random = 2.0**-model.stream_bits, torch.where(torch.rand(300, 64) < 0.5, 1.0, -1.0)
    for depth in model.depths:
        for one in depth.passes:
            block, packed, delta = net.blocks[one.block], model.blocks[one.block], depth.delta
            with torch.no_grad():
                out = times(random, block.expand)
                bits = block.project.binarize_input(block.expand_prelu(block.expand_norm(out, delta)))
                value = block.project_prelu(block.project_norm(times(random, block.project), delta))
                weight, scale = block.memory.effective()
                taps = random[:, :5].unsqueeze(2) * weight.T
                memory = block.memory_prelu(block.memory_norm(taps.sum(1) * scale, delta))
            count = (64 - random.long().numpy() @ packed.expand_weight.T.astype(np.int64)) // 2
            assert np.array_equal((count < one.expand_below) ^ one.expand_flip, bits.numpy() >= 0)
            for inputs, sums, numbers, slope, exact in (
                (64, random @ torch.from_numpy(packed.project_weight).float().T, "project", "project_slope", value),
                (5, random[:, :5] @ torch.from_numpy(packed.memory_weight).float(), "memory", "memory_slope", memory),
            ):
                parts = getattr(one, f"{numbers}_scale"), getattr(one, f"{numbers}_bias"), getattr(packed, slope)
                # Half a step each: bias, scale, two products, slope; and one where every input differs.
                assert (folded.residual(sums.long(), inputs, *parts) * unit - exact).abs().max() < 3.5 * unit


def times(x: torch.Tensor, layer) -> torch.Tensor:
    """The layer on inputs that are +-1 already."""
    weight, scale = layer.effective()
    return x @ weight.T * scale


@pytest.mark.parametrize("name", ENGINE)
def test_the_folded_weights_are_the_effective_ones(name):
    net = network(name)
    values, scale = net.linear.effective()
    assert np.array_equal(folded_model(net).linear_weight, signs((values * scale[:, None]).detach().numpy()))


def test_the_default_folds_its_latent_weights_untouched():
    net = network(DEFAULT)
    state, engine = net.state_dict(), net.engine_state()
    assert all(torch.equal(value, engine[key]) for key, value in state.items())
    assert {key for key in engine if key not in state} == {
        f"{name}.edges" for name, layer in net.named_modules() if isinstance(layer, BinaryLayer)
    }
    assert torch.equal(engine["blocks.1.memory.edges"], net.blocks[1].memory_input.double()[None])
    assert not engine["linear.edges"].any()


def test_a_step_with_the_default_is_what_it_was_before_there_was_a_choice(monkeypatch):
    class Polynomial(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.where(x >= 0, 1.0, -1.0)

        @staticmethod
        def backward(ctx, grad):
            return grad * (2.0 - 2.0 * ctx.saved_tensors[0].abs()).clamp_min(0.0)

    class Clipped(Polynomial):
        @staticmethod
        def backward(ctx, grad):
            return grad * (ctx.saved_tensors[0].abs() <= 1.0)

    def step(stage: str) -> dict[str, torch.Tensor]:
        torch.manual_seed(9)
        net = BiFSMN(Topology(**SMALL))
        net.set_stage(stage)
        net.progress(0.5)
        features, labels = torch.randn(8, 32, 32) * 20 - 40, torch.randint(0, 4, (8,))
        loss = sum(torch.nn.functional.cross_entropy(logits, labels) for logits, _ in net(features).values())
        loss.backward()
        net.constrain()
        return {"loss": loss.detach()} | {key: p.grad for key, p in net.named_parameters() if p.grad is not None}

    stages = ("float", "activations", "binary")
    now = [step(stage) for stage in stages]
    first = type(BiFSMN(Topology(**SMALL)).conv2).__mro__[1]

    def effective(self):
        if self.stage != "binary":
            return self.weight, None
        return Clipped.apply(self.weight), self.weight.detach().abs().flatten(1).mean(1)

    def binarize_input(self, x):
        if self.stage == "float":
            return x
        spread = torch.linalg.vector_norm(x.detach()) / x.numel() ** 0.5
        return Polynomial.apply(x / spread.clamp_min(1e-6))

    monkeypatch.setattr(first, "effective", effective)
    monkeypatch.setattr(first, "binarize_input", binarize_input)
    for stage, mine in zip(stages, now, strict=True):
        before = step(stage)
        assert set(before) == set(mine)
        assert all(torch.equal(mine[key], before[key]) for key in before), stage


@pytest.mark.parametrize("name", BINARIZERS)
def test_every_binarizer_trains(name):
    torch.manual_seed(10)
    net = BiFSMN(Topology(**SMALL, binarizer=name))
    features, labels = torch.randn(16, 32, 32) * 20 - 40, torch.randint(0, 4, (16,))
    for stage in ("activations", "binary"):
        net.set_stage(stage)
        net.train()
        optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
        losses = []
        for step in range(12):
            net.progress(step / 12)
            loss = torch.nn.functional.cross_entropy(net(features, (4,))[4][0], labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            net.constrain()
            losses.append(loss.item())
        # A layer whose surrogate passes nothing on would leave the one before it without gradient.
        assert all(net.get_parameter(f"{part}.weight").grad.abs().sum() > 0 for part in ("conv1", "conv2", "linear"))
        assert losses[-1] < losses[0]
    learned = [p for key, p in net.named_parameters() if ".quantize_" in key]
    assert all(p.ndim == 1 for p in learned)  # which the optimizer does not decay
    assert net.eval()(features)[1][0].isfinite().all()


def test_bnn_clips_its_latent_weights():
    net = BiFSMN(Topology(**SMALL, binarizer="bnn"))
    with torch.no_grad():
        net.linear.weight.mul_(100.0)
    net.constrain()
    assert net.linear.weight.abs().max() == 1.0


def test_schedules_reach_every_layer():
    net = BiFSMN(Topology(**SMALL, binarizer="irnet"))
    net.progress(1.0)
    parts = [part for layer in net.binary_layers() for part in (layer.quantize_input, layer.quantize_weight)]
    assert [part.sharpness for part in parts] == pytest.approx([10.0] * len(parts)) and len(parts) == 28


def test_a_teacher_of_another_binarizer_gives_its_weights_alone():
    teacher, student = network("reactnet"), network("lpb", seed=3)
    mine = {key: value.clone() for key, value in student.state_dict().items() if ".quantize_" in key}
    student.load_weights(teacher.state_dict())
    after = student.state_dict()
    assert torch.equal(after["linear.weight"], teacher.linear.weight)
    assert all(torch.equal(after[key], value) for key, value in mine.items()) and mine


def test_the_page_on_training_has_a_row_for_every_binarizer():
    page = (Path(__file__).parents[1] / "docs" / "training.md").read_text().split("## Binarizers")[1]
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert {name for name in BINARIZERS if bits_of(name) == 1} | {"int8"} <= named
    assert {"dorefa-2", "dorefa-8", "uniform-2", "uniform-8"} <= named <= set(BINARIZERS)


def test_an_unknown_name_is_one_sentence_naming_the_choices():
    with pytest.raises(KwsError, match=r"^'foo' is no binarizer; choose bireal, .*int8\.$"):
        find("foo")
    with pytest.raises(KwsError, match="no binarizer"):
        BiFSMN(Topology(**SMALL, binarizer="foo"))
