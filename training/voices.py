"""Noise to train against that no background recording holds: other people talking, and tones that sing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE
from kws.evaluate.degrade import babble, rms

SECONDS = 240
"""Of either kind."""

LEVEL = 3000.0  # RMS; mixing sets its own
STRETCH = (0.5, 4.0)  # seconds of one babble, of one tone
PITCH = (80.0, 900.0)  # Hz
GLIDE = 0.15  # largest change of a tone's pitch
TONES = 3  # at once
HARMONICS = 6


def make_voices(clips: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int16]:
    """Babble of drawn clips, then tones, int16 [2 * SECONDS * 16000].

    Args:
        clips: int16 [n, samples] at 16 kHz, n > 0, speech.
        rng: of every draw.
    """
    total = SECONDS * SAMPLE_RATE
    talk = []
    while sum(map(len, talk)) < total:
        drawn = clips[rng.integers(len(clips), size=8)]
        talk.append(babble(int(rng.uniform(*STRETCH) * SAMPLE_RATE), drawn, rng))
    song = np.sum([_tones(total, rng) for _ in range(TONES)], axis=0)
    both = [sound / max(rms(sound), 1e-9) for sound in (np.concatenate(talk)[:total], song)]
    return np.clip(np.rint(LEVEL * np.concatenate(both)), -32768, 32767).astype(np.int16)


def _tones(total: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """One tone after another, each with harmonics of drawn strength and a gliding pitch."""
    sound = np.zeros(total)
    at = 0
    while at < total:
        count = min(int(rng.uniform(*STRETCH) * SAMPLE_RATE), total - at)
        pitch = np.exp(rng.uniform(*np.log(PITCH)))
        bend = 1.0 + rng.uniform(-GLIDE, GLIDE) * np.linspace(0.0, 1.0, count)
        phase = 2 * np.pi * np.cumsum(pitch * bend) / SAMPLE_RATE
        for harmonic in range(1, min(HARMONICS, int(SAMPLE_RATE / 2 / (pitch * (1 + GLIDE)))) + 1):
            sound[at : at + count] += rng.uniform() / harmonic * np.sin(harmonic * phase)
        sound[at : at + count] *= np.sin(np.pi * (np.arange(count) + 0.5) / count)
        at += count
    return sound
