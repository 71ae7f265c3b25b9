"""The listener's resampler, firmware/boards/rpi/resample.c, against soxr and against tones of known frequency."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from listener_program import BLOCK, Resampler, resample_library

OUT = 16000
RATES = [8000, 11025, 12000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 176400, 192000]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return resample_library(tmp_path_factory.mktemp("resample"))


def amplitude(sound: np.ndarray, frequency: float) -> float:
    """Of a tone in ``sound`` at 16 kHz, its ends left out, in full scales."""
    middle = sound[1000:-1000] / 32768
    window = np.blackman(len(middle))
    turn = np.exp(-2j * np.pi * frequency / OUT * np.arange(len(middle)))
    return float(2 * abs(np.sum(middle * window * turn)) / window.sum())


def tone(rate: int, frequency: float, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency / rate * np.arange(int(rate * seconds)) + 0.3)


@pytest.mark.parametrize("rate", RATES)
def test_tones_of_the_pass_band_keep_their_level(library: ctypes.CDLL, rate: int) -> None:
    top = 0.9 * min(rate, OUT) / 2
    for frequency in np.linspace(50, top, 12):
        level = amplitude(Resampler(library, rate)(tone(rate, frequency)), frequency)
        assert abs(20 * np.log10(level / 0.5)) < 0.02, frequency


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate > OUT])
def test_tones_that_would_fold_back_are_gone(library: ctypes.CDLL, rate: int) -> None:
    for frequency in [*np.linspace(8010, 9000, 7), *np.linspace(9500, rate / 2 - 100, 7)]:
        if frequency >= rate / 2:
            continue
        folded = abs(frequency - OUT * round(frequency / OUT))
        level = amplitude(Resampler(library, rate)(tone(rate, frequency)), folded)
        assert 20 * np.log10(max(level, 1e-9) / 0.5) < -78, frequency


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate < OUT])
def test_raising_the_rate_makes_no_images(library: ctypes.CDLL, rate: int) -> None:
    for frequency in np.linspace(100, 0.9 * rate / 2, 8):
        image = rate - frequency
        if image < OUT / 2:
            level = amplitude(Resampler(library, rate)(tone(rate, frequency)), image)
            assert 20 * np.log10(max(level, 1e-9) / 0.5) < -78, frequency


@pytest.mark.parametrize("rate", RATES)
def test_noise_agrees_with_soxr(library: ctypes.CDLL, rate: int) -> None:
    # Sound that ends below both filters' edges: what is left of the difference is ripple, delay and rounding.
    rng = np.random.default_rng(rate)
    low = min(rate, OUT)
    noise = soxr.resample(0.1 * rng.standard_normal(low), low * 0.85, rate, quality="VHQ")[: 2 * rate]
    expected = soxr.resample(noise, rate, OUT, quality="VHQ")
    found = Resampler(library, rate)(np.concatenate([noise, np.zeros(rate // 10)]))[: len(expected)] / 32768
    inside = slice(1000, len(expected) - 1000)
    error = np.sqrt(np.mean((found[inside] - expected[inside]) ** 2))
    assert 20 * np.log10(error / np.sqrt(np.mean(expected[inside] ** 2))) < -70


@settings(max_examples=20)
@given(rate=st.sampled_from([8000, 16000, 44100, 48000]), chunk=st.integers(1, BLOCK), seed=st.integers(0, 99))
def test_chunks_do_not_matter(library: ctypes.CDLL, rate: int, chunk: int, seed: int) -> None:
    sound = np.random.default_rng(seed).uniform(-1.2, 1.2, 3000)
    whole = Resampler(library, rate)(sound)
    assert np.array_equal(Resampler(library, rate)(sound, chunk), whole)


def test_the_same_rate_passes_every_sample(library: ctypes.CDLL) -> None:
    pcm = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(Resampler(library, OUT)(pcm / 32768), pcm)


def test_loud_sound_saturates(library: ctypes.CDLL) -> None:
    found = Resampler(library, 48000)(np.repeat([4.0, -4.0], 4800))
    assert found.max() == 32767 and found.min() == -32768


@pytest.mark.slow
def test_an_hour_at_44100_does_not_drift(library: ctypes.CDLL) -> None:
    resampler, second = Resampler(library, 44100), np.zeros(44100, np.float32)
    made = sum(len(resampler(second)) for _ in range(3600))
    second[441] = 1.0  # 10 ms into the next second
    tail = resampler(np.concatenate([second, np.zeros(44100)]))
    assert made + np.argmax(np.abs(tail)) == 3600 * OUT + 160


@pytest.mark.parametrize("rate", [0, 1, 999, 7999, 16001, 47999, 1000001, 2**32 - 1])
def test_rates_beyond_its_tables_are_refused(library: ctypes.CDLL, rate: int) -> None:
    assert not Resampler(library, rate).fits


def test_every_rate_of_sound_devices_fits(library: ctypes.CDLL) -> None:
    assert all(Resampler(library, rate).fits for rate in [*RATES, OUT])
