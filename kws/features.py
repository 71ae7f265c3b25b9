"""The log-mel features, defined once.

This module writes the tables (window, FFT twiddles, mel filterbank) that every other part uses: the C engine gets them
through the exported header or through ctypes, training gets the same arrays as torch buffers. Nothing else in the
project computes a filterbank.

A feature is ``10 log10(max(p, 1e-10))`` dB, where ``p`` is the mel-weighted power spectrum of a Hann window of int16
samples scaled to +-1, divided by the window's energy. Frame ``k`` of a window covers samples
``[k * hop, k * hop + n_fft)``: no padding that a live microphone would never produce.

The default preset follows BiFSMN (IJCAI 2022, section 4.1): 2048-point FFT, hop 512, 32 HTK mel bands, 32 frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AMIN = 1e-10
"""Smallest mel power: digital silence is -100 dB."""

INPUT_STEPS = 40
"""Steps of the quantized input in 1.0 of the normalised feature: eight bits reach from -3.2 to 3.175."""


@dataclass(frozen=True)
class Preset:
    """A feature setting: data, not code.

    Attributes:
        name: key in ``PRESETS``.
        sample_rate: Hz.
        n_fft: samples a frame, window and FFT length; a power of two.
        hop: samples between frames.
        n_mels: mel bands from 0 Hz to half the sample rate, a multiple of 4.
        frames: frames that the network sees at once, a multiple of 4.
        offset: dB; the network sees ``(feature - offset) * scale``, rounded to steps of ``1 / INPUT_STEPS``.
        scale: per dB.
    """

    name: str
    sample_rate: int = 16000
    n_fft: int = 2048
    hop: int = 512
    n_mels: int = 32
    frames: int = 32
    offset: float = -40.0
    scale: float = 0.05

    @property
    def window_samples(self) -> int:
        """Samples that one window of ``frames`` frames spans."""
        return self.n_fft + (self.frames - 1) * self.hop

    @property
    def steps_per_db(self) -> float:
        """Steps of the quantized input in a dB, the ``scale`` of ``kws_frontend_t``; a float32's value."""
        return float(np.float32(self.scale * INPUT_STEPS))


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("bifsmn"),
        # For phrases that do not fit 1.12 s: windows of 1.63 and 2.14 s, all else the same.
        Preset("bifsmn_48", frames=48),
        Preset("bifsmn_64", frames=64),
    )
}


@dataclass(frozen=True)
class Tables:
    """The arrays of ``kws_frontend_t`` for one preset.

    Attributes:
        window: float32 [n_fft], Hann / sqrt(energy) / 32768, so that int16 samples go in as they are.
        twiddle: float32 [twiddles], what the steps of the FFT multiply by, in the order in which they read it.
        mel_first: uint16 [n_mels], first FFT bin of each filter.
        mel_count: uint16 [n_mels], bins of each filter, a multiple of 8.
        mel_weight: float32 [sum of mel_count], the filters' weights one after another.
    """

    window: NDArray[np.float32]
    twiddle: NDArray[np.float32]
    mel_first: NDArray[np.uint16]
    mel_count: NDArray[np.uint16]
    mel_weight: NDArray[np.float32]


def mel_filterbank(preset: Preset) -> NDArray[np.float64]:
    """Triangular HTK mel filters of unit height, float64 [n_mels, n_fft // 2 + 1], from 0 Hz to Nyquist."""
    nyquist = preset.sample_rate / 2
    top = 2595.0 * np.log10(1.0 + nyquist / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, preset.n_mels + 2) / 2595.0) - 1.0)
    bins = np.linspace(0.0, nyquist, preset.n_fft // 2 + 1)
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def hann_window(preset: Preset) -> NDArray[np.float64]:
    """Periodic Hann window of unit energy, float64 [n_fft]."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(preset.n_fft) / preset.n_fft)
    return window / np.sqrt(np.sum(window**2))


def twiddles(n_fft: int) -> NDArray[np.float64]:
    """The factors ``exp(-2 pi i a / n)`` of the FFT in firmware/src/spectrum_portable.c, float64, in the order of use.

    For each pass of radix 8 over transforms of ``n`` points and each ``i`` in 1..n / 8 - 1, ``a = i k`` for k = 0..7;
    then, for each four bins ``k`` in 1..n_fft / 16, ``n = n_fft`` and ``a = k r`` for r = 1..7, a vector of four for
    each r. The real parts of a vector come before its imaginary parts.
    """
    vectors, points = [], n_fft // 8
    while points > 8:
        vectors += [np.arange(8) * i / points for i in range(1, points // 8)]
        points //= 8
    for start in range(1, n_fft // 16, 4):
        vectors += [np.arange(start, start + 4) * r / n_fft for r in range(1, 8)]
    turns = [-2.0 * np.pi * vector for vector in vectors]
    return np.concatenate([part for turn in turns for part in (np.cos(turn), np.sin(turn))])


def tables(preset: Preset) -> Tables:
    """Every table of ``preset``, rounded once from float64 to what the engine reads."""
    bins = preset.n_fft // 2 + 1
    first, count, weight = [], [], []
    for row in mel_filterbank(preset):
        nonzero = np.flatnonzero(row)
        count.append(-(-(nonzero[-1] - nonzero[0] + 1) // 8) * 8)
        first.append(min(nonzero[0], bins - count[-1]))
        weight.append(row[first[-1] : first[-1] + count[-1]])
    return Tables(
        window=(hann_window(preset) / 32768.0).astype(np.float32),
        twiddle=twiddles(preset.n_fft).astype(np.float32),
        mel_first=np.array(first, np.uint16),
        mel_count=np.array(count, np.uint16),
        mel_weight=np.concatenate(weight).astype(np.float32),
    )


def place_clip(pcm: NDArray[np.int16], preset: Preset) -> NDArray[np.int16]:
    """A clip of any length, int16 [n], as one window, int16 [window_samples].

    The clip starts half a frame into the window, where a frame-centred spectrogram would start it; the rest is zeros.
    A longer clip is cut at its end.
    """
    window = np.zeros(preset.window_samples, np.int16)
    start = preset.n_fft // 2
    kept = pcm[: preset.window_samples - start]
    window[start : start + len(kept)] = kept
    return window
