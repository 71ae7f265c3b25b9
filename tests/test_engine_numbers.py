"""The numbers of the C engine: features, network, elementary functions, against independent references."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compiled import fresh_engine  # noqa: F401  (an autouse fixture)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_model import random_model
from reference import liven, network, stimulus
from signals import SIGNALS, reference_db

from kws.engine import Engine
from kws.engine.engine import ISAS
from kws.errors import KwsError
from kws.features import PRESETS, Preset, tables
from kws.model import load
from kws.model.folded import FoldedModel, full_count

BIFSMN = PRESETS["bifsmn"]
SMALL = Preset("small", n_fft=256, hop=64, n_mels=8, frames=8)
WIDE = Preset("wide", n_fft=512, hop=160, n_mels=40, frames=100, offset=-55.0, scale=0.03)


def assert_same_bits(actual: NDArray, expected: NDArray) -> None:
    assert actual.dtype == expected.dtype == np.float32
    assert actual.view(np.uint32).tolist() == expected.view(np.uint32).tolist(), f"{actual} is not {expected}"


def engines(model: FoldedModel) -> Iterator[Engine]:
    """One for every implementation that this machine runs."""
    for isa in ISAS:
        try:
            yield Engine(model, isa)
        except KwsError:
            assert isa != "portable"


# --- features -------------------------------------------------------------------------------------------------------

NOISE_FLOOR = 90.0
"""dB below the frame's strongest band beyond which a band is not compared.

Rounding the windowed samples and the FFT to float32 leaves noise in every bin. Measured as the largest error over
SIGNALS: 0.0006 dB for bands within 90 dB of the strongest, 0.003 dB within 100 dB, 0.03 dB at 130 dB (between the
harmonics of the square wave); speech, noise and impulse stay below 0.0003 dB everywhere.
"""


@pytest.mark.parametrize("name", SIGNALS)
def test_features_are_the_definition_within_a_thousandth_of_a_decibel(name: str) -> None:
    expected = reference_db(SIGNALS[name], BIFSMN)
    above = expected >= expected.max(axis=0) - NOISE_FLOOR
    error = np.abs(Engine(random_model(0)).features(SIGNALS[name]) - expected)
    assert above.mean() > 0.7
    assert error[above].max() < 1e-3
    assert error.max() < 0.1  # and nothing odd happens in the noise


def test_digital_silence_is_exactly_the_floor() -> None:
    features = Engine(random_model(0)).features(np.zeros(BIFSMN.window_samples, np.int16))
    assert (features == -100.0).all()


@pytest.mark.parametrize("n_fft", [64, 128, 256, 512, 1024, 2048, 4096])
def test_every_fft_length(n_fft: int) -> None:
    preset = Preset("any", n_fft=n_fft, hop=64, n_mels=8, frames=8)
    pcm = stimulus(n_fft, preset.window_samples)
    expected = reference_db(pcm, preset)
    above = expected >= expected.max(axis=0) - NOISE_FLOOR
    model = random_model(0, channels=64, hidden=64, n_blocks=1, preset=preset)
    assert np.abs(Engine(model).features(pcm) - expected)[above].max() < 1e-3


@pytest.mark.parametrize("n_fft", [64, 128, 256, 512, 1024, 2048, 4096])
def test_every_bin_of_the_spectrum(n_fft: int, fresh_engine: Path) -> None:  # noqa: F811
    """Directly: the mel filters leave out the first and the last bin. Powers come times four."""
    frame = np.random.default_rng(n_fft).standard_normal(n_fft).astype(np.float32)
    twiddle = tables(Preset("any", n_fft=n_fft, n_mels=8)).twiddle
    work, floats = np.concatenate([frame, np.full(n_fft, np.nan, np.float32)]), ctypes.POINTER(ctypes.c_float)
    spectrum = ctypes.CDLL(str(fresh_engine)).kwsi_spectrum_portable
    spectrum.restype, spectrum.argtypes = None, [floats, ctypes.c_int, floats]
    spectrum(work.ctypes.data_as(floats), n_fft, twiddle.ctypes.data_as(floats))
    exact = 4.0 * np.abs(np.fft.rfft(frame.astype(np.float64))) ** 2
    assert np.abs(work[: n_fft // 2 + 1] - exact).max() < 1e-5 * exact.mean()


# --- network --------------------------------------------------------------------------------------------------------

SHAPES = {
    "default": {},
    "small": {"channels": 64, "hidden": 64, "n_blocks": 4, "preset": SMALL},
    "wide": {"channels": 192, "hidden": 320, "n_blocks": 4, "n_classes": 3, "preset": WIDE},
    "largest": {"channels": 256, "hidden": 512, "n_blocks": 2, "n_classes": 37, "deltas": (1, 2)},
    "two planes": {"planes": 2},
    "two planes, small": {"channels": 64, "hidden": 64, "n_blocks": 4, "preset": SMALL, "planes": 2},
    "two planes, wide": {"channels": 192, "hidden": 320, "n_blocks": 4, "preset": WIDE, "planes": 2},
    "one word": {"channels": 64, "hidden": 128, "n_blocks": 1, "n_classes": 1, "deltas": (1,), "preset": SMALL},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES)
def test_every_accumulator_and_every_bit_of_the_logits(shape: str, seed: int) -> None:
    model = random_model(seed, **SHAPES[shape])
    pcm = stimulus(seed, model.preset.window_samples)
    log_mel = Engine(model).features(pcm)
    for delta in model.deltas:
        expected, accumulators = network(model, log_mel, delta)
        for engine in engines(model):
            logits, trace = engine.network_traced(log_mel, delta)
            assert np.array_equal(trace, accumulators)
            assert_same_bits(logits, expected)
            assert_same_bits(engine.network(log_mel, delta), expected)
            assert_same_bits(engine.features(pcm), log_mel)
            assert_same_bits(engine.classify(pcm, delta), expected)


def extreme_model(seed: int, **shape: object) -> FoldedModel:
    """Any number that a field may hold, the largest and smallest often: everything saturates somewhere."""
    model, rng = random_model(seed, **shape), np.random.default_rng(seed)  # type: ignore[arg-type]

    def any_of(array: NDArray[np.int16], low: int, high: int) -> NDArray[np.int16]:
        values = rng.integers(low, high + 1, array.shape)
        ends = rng.choice([low, low + 1, 0, high - 1, high], array.shape)
        return np.where(rng.random(array.shape) < 0.3, ends, values).astype(np.int16)

    parts: list[object] = [model, *model.blocks, *(one for depth in model.depths for one in depth.passes)]
    for part in parts:
        for name, array in vars(part).items():
            if name.endswith(("_scale", "_slope", "conv1_threshold")):
                setattr(part, name, any_of(array, -32767, 32767))
            elif name.endswith(("_bias", "_input")):
                setattr(part, name, any_of(array, -32768, 32767))
            elif name == "conv2_below":
                setattr(part, name, any_of(array, 0, full_count(400, model.planes) + 1))
            elif name == "expand_below":
                setattr(part, name, any_of(array, 0, full_count(model.channels, model.planes) + 1))
    model.conv1_weight[:, :8] = rng.choice([-1, 1], (25, 8)) * 19
    model.conv1_weight[:, 8] = 19
    model.conv1_weight[:, 9:] = 0
    model.conv1_weight[rng.integers(0, 13, 4), 9 + np.arange(4)] = [-128, 127, -127, 1]
    model.validate()
    return model


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES)
def test_numbers_at_the_ends_of_their_ranges(shape: str, seed: int) -> None:
    model = extreme_model(seed, **SHAPES[shape])
    rng, preset = np.random.default_rng(seed), model.preset
    log_mel = rng.choice([-300.0, -100.0, -40.0, 0.0, 100.0], (preset.n_mels, preset.frames)).astype(np.float32)
    log_mel += rng.standard_normal(log_mel.shape).astype(np.float32)
    for delta in model.deltas:
        expected, accumulators = network(model, log_mel, delta)
        for engine in engines(model):
            logits, trace = engine.network_traced(log_mel, delta)
            assert np.array_equal(trace, accumulators)
            assert_same_bits(logits, expected)


def test_the_reference_exercises_both_signs_of_everything() -> None:
    """An equality that holds because a layer is stuck would prove nothing."""
    model = random_model(0)
    engine = Engine(model)
    log_mel = engine.features(stimulus(0, engine.window_samples))
    _, trace = engine.network_traced(log_mel)
    assert (trace > 0).mean() > 0.2 and (trace < 0).mean() > 0.2
    assert len(np.unique(engine.network(log_mel))) == model.n_classes


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(-120, 120, width=32), st.floats(0, 60, width=32))
def test_any_features(seed: int, level: float, spread: float) -> None:
    model = random_model(seed % 7, channels=64, hidden=128, n_blocks=2, deltas=(1, 2), preset=SMALL)
    rng = np.random.default_rng(seed)
    log_mel = (level + spread * rng.standard_normal((SMALL.n_mels, SMALL.frames))).astype(np.float32)
    expected, accumulators = network(model, log_mel, 2)
    for engine in engines(model):
        logits, trace = engine.network_traced(log_mel, 2)
        assert np.array_equal(trace, accumulators)
        assert_same_bits(logits, expected)


def test_values_that_meet_their_threshold_count_as_plus_one() -> None:
    model = random_model(3, channels=64, hidden=64, n_blocks=1, deltas=(1,), preset=SMALL)
    model.conv1_weight[:] = 0
    model.conv1_threshold[:] = 0
    model.blocks[0].memory_input[:] = 0
    model.linear_scale[:] = 0
    model.linear_bias[:] = 0
    log_mel = np.full((SMALL.n_mels, SMALL.frames), -40.0, np.float32)
    logits, trace = Engine(model).network_traced(log_mel)
    expected, accumulators = network(model, log_mel, 1)
    assert np.array_equal(trace, accumulators)
    assert_same_bits(logits, expected)
    # Inside the edges every input of the second convolution is +1: the sum is that of the weights.
    sums = model.conv2_weight.sum(axis=(1, 2), dtype=int)
    assert np.array_equal(trace.reshape(-1)[: 2 * 2 * 32].reshape(2, 2, 32)[1, 1] - sums, _missing_edge(model))


def _missing_edge(model: object) -> NDArray[np.int64]:
    """What the padding of the last position changes: taps on it are -1 in place of +1."""
    weight = model.conv2_weight.reshape(32, 5, 5, 16).astype(int)  # type: ignore[attr-defined]
    outside = np.zeros((5, 5), bool)
    outside[4], outside[:, 4] = True, True  # input 2 * 1 - 2 + 4 = 4 of 4
    return -2 * weight[:, outside].sum(axis=(1, 2))


def test_the_input_is_rounded_as_defined() -> None:
    """The nearest step, halves up, cut at eight bits: each channel says whether the input reaches its threshold."""
    model = random_model(
        3, channels=64, hidden=64, n_blocks=1, deltas=(1,), preset=replace(SMALL, offset=-37.7, scale=0.037)
    )
    model.conv1_weight[:] = 0
    model.conv1_weight[12] = 1  # the centre alone
    levels = [*np.random.default_rng(0).uniform(-130, 60, 30), np.nan, np.inf, -np.inf, 1e38, -1e38]
    steps = np.arange(-125, 126, 10) / (40 * 0.037) - 37.7
    for level in np.float32([*levels, *steps, *(steps + 0.5 / (40 * 0.037))]):
        with np.errstate(all="ignore"):
            value = np.nan_to_num((level - np.float32(-37.7)) * np.float32(0.037 * 40), nan=-128)
        nearest = int(np.clip(np.floor(value + 0.5), -128, 127))
        model.conv1_threshold[:] = nearest + np.arange(-8, 8)
        log_mel = np.full((SMALL.n_mels, SMALL.frames), level)
        expected = network(model, log_mel, 1)[1]
        for engine in engines(model):
            assert np.array_equal(engine.network_traced(log_mel)[1], expected)


def test_golden_vectors() -> None:
    folder = Path(__file__).parent / "golden"
    model, golden = load(folder / "engine.kws"), np.load(folder / "engine.npz")
    window = golden["pcm"][: model.preset.window_samples]
    for engine in engines(model):
        assert_same_bits(engine.features(window), golden["features"])
        for delta in model.deltas:
            assert_same_bits(engine.classify(window, delta), golden[f"logits_{delta}"])
            events = engine.stream(delta).feed(golden["pcm"])
            rows = [[event.time * 16000, model.class_names.index(event.word), event.score] for event in events]
            assert len(rows) > 5
            assert np.array_equal(np.array(rows), golden[f"events_{delta}"])


# --- elementary functions ---------------------------------------------------------------------------------------------


def scalar_function(library: Path, name: str) -> ctypes._CFuncPtr:
    function = getattr(ctypes.CDLL(str(library)), name)
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    return function


def floats_between(low: float, high: float, count: int = 30000) -> NDArray[np.float32]:
    """Positive floats whose bit patterns are spread evenly: every exponent, both ends included."""
    first, last = np.array([low, high], np.float32).view(np.uint32)
    return np.linspace(first, last, count).astype(np.uint32).view(np.float32)


def test_decibels(fresh_engine: Path) -> None:  # noqa: F811
    decibels = scalar_function(fresh_engine, "kwsi_decibels")
    powers = np.concatenate([floats_between(1e-10, np.finfo(np.float32).max), np.float32([0.5, 1, 2, 1e-10, 2**0.5])])
    result = np.array([decibels(power) for power in powers])
    assert np.abs(result - 10 * np.log10(powers.astype(np.float64))).max() < 4e-5  # at 385 dB, little more than an ulp
    usual = powers < 1e4
    assert np.abs(result - 10 * np.log10(powers.astype(np.float64)))[usual].max() < 1e-5
    assert [decibels(power) for power in (0.0, -1.0, 1e-30, 1e-10, float("nan"))] == [-100.0] * 5
    assert decibels(1.0) == 0.0


def test_exponential(fresh_engine: Path) -> None:  # noqa: F811
    exponential = scalar_function(fresh_engine, "kwsi_exp")
    x = -floats_between(1e-30, 80.0)
    exact = np.exp(x.astype(np.float64))
    assert np.abs(np.array([exponential(value) for value in x]) / exact - 1).max() < 2 * np.finfo(np.float32).eps
    assert exponential(0.0) == exponential(-0.0) == 1.0
    assert exponential(-80.0) > 0.0
    assert [exponential(value) for value in (-80.00001, -1e30, -np.inf, np.nan)] == [0.0] * 4


@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=40))
def test_softmax(logits: list[float]) -> None:
    values = np.array(logits, np.float32)
    exact = np.exp(values.astype(np.float64) - values.max())
    probabilities = Engine(random_model(0, channels=64, hidden=64, n_blocks=1, preset=SMALL)).softmax(values)
    assert np.abs(probabilities - exact / exact.sum()).max() < 1e-6
    assert probabilities.max() == probabilities[np.argmax(values)]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_softmax_of_what_is_not_finite_holds_no_nan(bad: float) -> None:
    engine = Engine(random_model(0, channels=64, hidden=64, n_blocks=1, preset=SMALL))
    for place in range(3):
        logits = np.float32([0.5, -1.0, 2.0])
        logits[place] = bad
        assert np.isfinite(engine.softmax(logits)).all()


def test_windows_do_not_disturb_a_stream() -> None:
    model = random_model(5, channels=64, hidden=64, n_blocks=2, deltas=(1, 2), preset=replace(SMALL, name="other"))
    model.word_threshold[:] = 0.3
    liven(model, 5)
    pcm = stimulus(5, 20000)
    alone, between = Engine(model).stream(), Engine(model).stream()
    expected, found = alone.feed(pcm), []
    logits = np.empty(model.n_classes, np.float32)
    for start in range(0, len(pcm), 777):
        found += between.feed(pcm[start : start + 777])
        window = stimulus(start, model.preset.window_samples)
        state = between._state
        state.check(
            state.c.kws_classify(
                state.pointer,
                window.ctypes.data_as(ctypes.POINTER(ctypes.c_int16)),
                logits.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            )
        )
    assert found == expected and len(found) > 3
