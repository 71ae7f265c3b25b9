"""Signals that every feature test runs on, and the features' definition in float64, written out."""

import numpy as np

from kws.features import Preset

LENGTH = 17920


def _speech() -> np.ndarray:
    """Voiced and unvoiced stretches: a gliding pulse train through a resonance, then filtered noise, then a pause."""
    rng = np.random.default_rng(1)
    time = np.arange(LENGTH) / 16000
    pitch = 110 + 40 * np.sin(2 * np.pi * 1.5 * time)
    phase = np.cumsum(pitch) / 16000
    voiced = sum(np.sin(2 * np.pi * k * phase) / k * np.exp(-(((k * pitch - 700) / 600) ** 2)) for k in range(1, 30))
    unvoiced = np.diff(rng.standard_normal(LENGTH + 1)) * 0.05
    envelope = np.where(time < 0.5, np.sin(np.pi * time / 0.5) ** 2, 0.0)
    burst = np.where((time > 0.55) & (time < 0.8), 1.0, 0.0)
    hiss = 0.0005 * rng.standard_normal(LENGTH)
    return np.rint(12000 * (voiced * envelope + unvoiced * burst + hiss)).astype(np.int16)


def _impulse() -> np.ndarray:
    pcm = np.zeros(LENGTH, np.int16)
    pcm[9000] = 32767
    return pcm


SIGNALS = {
    "speech": _speech(),
    "noise": np.random.default_rng(0).integers(-8000, 8000, LENGTH).astype(np.int16),
    "silence": np.zeros(LENGTH, np.int16),
    "square": np.where(np.arange(LENGTH) // 20 % 2 == 0, 32767, -32768).astype(np.int16),
    "impulse": _impulse(),
}


def reference_db(pcm: np.ndarray, preset: Preset) -> np.ndarray:
    """Log-mel features in float64, [n_mels, frames], from the definition and numpy's FFT alone."""
    n = preset.n_fft
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), preset.n_mels + 2) / 2595) - 1)
    hertz = np.arange(n // 2 + 1) * preset.sample_rate / n
    filters = np.array([np.interp(hertz, edges[i : i + 3], [0, 1, 0], left=0, right=0) for i in range(preset.n_mels)])
    columns = []
    for start in range(0, len(pcm) - n + 1, preset.hop):
        spectrum = np.fft.rfft(pcm[start : start + n] / 32768 * window)
        columns.append(filters @ (np.abs(spectrum) ** 2 / np.sum(window**2)))
    return 10 * np.log10(np.maximum(np.array(columns).T, 1e-10))


def noise_floor(expected: np.ndarray, depth: float = 80.0) -> np.ndarray:
    """Where single precision can be held to the definition: within ``depth`` dB of the frame's strongest band, or at
    the -100 dB of digital silence. float32 samples carry rounding some 150 dB below full scale into every bin."""
    strongest = expected.max(axis=0, keepdims=True)
    return (expected > strongest - depth) | (strongest <= -100.0)
