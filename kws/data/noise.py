"""Noise for the background: what a model must learn to ignore, made from nothing."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, to_int16
from kws.errors import KwsError

KINDS = ("white", "pink", "brown", "hum")
_LEVEL = 0.1  # RMS of full scale: as loud as the recordings of Speech Commands' background folder
_TILT = {"white": 0.0, "pink": 0.5, "brown": 1.0}  # amplitude falls as 1 / frequency ** tilt
_LOWEST_HZ = 30.0


def noise(kind: str, seconds: float, seed: int = 0) -> NDArray[np.int16]:
    """``seconds`` of noise, int16 [seconds * 16000], RMS a tenth of full scale; the same for the same arguments.

    Args:
        kind: "white", "pink" (-3 dB an octave), "brown" (-6 dB an octave), or "hum" (mains at 50 Hz, its harmonics
            slowly swelling, over faint pink noise).
        seconds: length.
        seed: of every draw.

    Raises:
        KwsError: another kind, or a length that is not positive.
    """
    if kind not in KINDS:
        raise KwsError(f"There is no noise '{kind}'; choose {', '.join(KINDS)}.")
    count = round(seconds * SAMPLE_RATE)
    if count < 1:
        raise KwsError(f"{seconds} seconds of noise is no noise; ask for a positive length.")
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    wave = _hum(count, rng) if kind == "hum" else _coloured(count, _TILT[kind], rng)
    return to_int16(_LEVEL * wave / np.sqrt(np.mean(wave**2)))


def _coloured(count: int, tilt: float, rng: np.random.Generator) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1.0 / SAMPLE_RATE)
    return np.fft.irfft(spectrum / np.maximum(frequency, _LOWEST_HZ) ** tilt, count)


def _hum(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(count) / SAMPLE_RATE
    wave = np.zeros(count)
    for harmonic in range(1, 13):
        swell = 1.0 + 0.5 * np.sin(2 * np.pi * (rng.uniform(0.05, 0.5) * time + rng.uniform()))
        wave += swell / harmonic * np.sin(2 * np.pi * (50.0 * harmonic * time + rng.uniform()))
    pink = _coloured(count, _TILT["pink"], rng)
    return wave + 0.05 * pink / np.sqrt(np.mean(pink**2))
