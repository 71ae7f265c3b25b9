"""Running speech in which none of the words is said, as windows of ``_unknown_``.

A network that was trained on single words takes parts of sentences for words. What it lacks are windows of sentences:
here they are cut from recordings of any length, at any place where somebody speaks, at a drawn speed, which moves pitch
and formants with it and makes more speakers of few.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from kws.data.audio import SAMPLE_RATE
from kws.errors import KwsError

SPEED = 0.2
"""Largest relative change of speed: more than a word's, since nobody has to understand it."""

QUIET_DB = 12.0
"""A window this far below the loud ones around it is a pause, and not ``_unknown_``."""

SILENCE = 10.0
"""RMS below which there is no speech, however quiet the recording: -70 dB of full scale."""

STEP = SAMPLE_RATE // 100
"""Samples between places where a window may start."""

AROUND = 1000
"""Such places, ten seconds, over which speech is taken to be about as loud."""


class Speech:
    """Windows of recordings.

    Args:
        pcm: int16 [n] each; those shorter than a window are padded with zeros.
        window: samples of a window.

    Attributes:
        pcm: int16 [n], the recordings one after another.
        starts: int64 [m], where windows may start.

    Raises:
        KwsError: there is no sound in any of them.
    """

    def __init__(self, pcm: list[NDArray[np.int16]], window: int) -> None:
        self._window = window
        self._length = math.ceil(window * (1.0 + SPEED)) + 1
        starts, at = [], 0
        padded = []
        for recording in pcm:
            recording = np.pad(recording, (0, max(0, self._length - len(recording))))
            starts.append(at + _spoken(recording, self._length, int(window * (1.0 - SPEED))))
            padded.append(recording)
            at += len(recording)
        self.starts = torch.from_numpy(np.concatenate(starts))
        if not len(self.starts):
            raise KwsError("The negatives hold no sound; give recordings of people who speak.")
        self.pcm = torch.from_numpy(np.concatenate(padded))

    def draw(self, count: int, generator: Generator) -> Tensor:
        """``count`` windows, float32 [count, window] on the int16 scale."""
        chosen = self.starts[torch.randint(len(self.starts), (count, 1), generator=generator)]
        speed = 1.0 + SPEED * (2.0 * torch.rand((count, 1), generator=generator) - 1.0)
        position = torch.arange(self._window) * speed
        index = position.to(torch.int64)
        left, right = (self.pcm[chosen + index + k].float() for k in (0, 1))
        return left + (right - left) * (position - index)


def _spoken(pcm: NDArray[np.int16], length: int, surely: int) -> NDArray[np.int64]:
    """Where stretches of ``length`` samples start whose first ``surely``, heard at any speed, are not a pause."""
    whole = pcm[: len(pcm) // STEP * STEP].reshape(-1, STEP)
    energy = np.concatenate([[0.0], np.cumsum(np.einsum("ij,ij->i", whole, whole, dtype=np.float64))])
    steps = surely // STEP
    count = (len(pcm) - length) // STEP + 1
    level = (energy[steps:] - energy[:-steps])[:count] / (steps * STEP)
    spoken = []
    for start in range(0, count, AROUND):
        # The last stretch is no shorter than the others: a short one may be all pause.
        near = level[max(0, min(start, count - AROUND)) : start + AROUND]
        floor = max(SILENCE**2, np.quantile(near, 0.9) * 10.0 ** (-QUIET_DB / 10.0))
        spoken.append(start + np.flatnonzero(level[start : start + AROUND] >= floor))
    return STEP * np.concatenate(spoken)
