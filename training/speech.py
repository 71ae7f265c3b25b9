"""Running speech in which none of the words is said, as windows of ``_unknown_``.

A network that was trained on single words takes parts of sentences for words. What it lacks are windows of sentences:
here they are cut from recordings of any length, at any place where somebody speaks, at a drawn speed, which moves pitch
and formants with it and makes more speakers of few.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from kws.data.audio import SAMPLE_RATE, read_audio
from kws.data.tasks import recordings
from kws.errors import KwsError

SPEED = 0.2
"""Largest relative change of speed: more than a word's, since nobody has to understand it."""

QUIET_DB = 12.0
"""A window this far below its recording's loud windows is a pause, and not ``_unknown_``."""

STEP = SAMPLE_RATE // 100
"""Samples between places where a window may start."""


def read_negatives(folder: Path) -> list[NDArray[np.int16]]:
    """The recordings directly in ``folder``, int16 [n] at 16 kHz.

    Raises:
        KwsError: no such folder, no recording in it, or one that cannot be read.
    """
    if not folder.is_dir():
        raise KwsError(f"{folder}: no such folder; give one of recordings in which none of the words is said.")
    pcm = [read_audio(path) for path in recordings(folder)]
    if not pcm:
        raise KwsError(f"{folder}: holds no recording; give a folder of recordings without any of the words.")
    return pcm


class Speech:
    """Windows of recordings.

    Args:
        pcm: int16 [n] each; those shorter than a window are padded with zeros.
        window: samples of a window.

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
        self._starts = torch.from_numpy(np.concatenate(starts))
        if not len(self._starts):
            raise KwsError("The negatives hold no sound; give recordings of people who speak.")
        self.pcm = torch.from_numpy(np.concatenate(padded))

    def draw(self, count: int, generator: Generator) -> Tensor:
        """``count`` windows, float32 [count, window] on the int16 scale."""
        chosen = self._starts[torch.randint(len(self._starts), (count, 1), generator=generator)]
        speed = 1.0 + SPEED * (2.0 * torch.rand((count, 1), generator=generator) - 1.0)
        position = torch.arange(self._window) * speed
        index = position.to(torch.int64)
        left, right = (self.pcm[chosen + index + k].float() for k in (0, 1))
        return left + (right - left) * (position - index)


def _spoken(pcm: NDArray[np.int16], length: int, surely: int) -> NDArray[np.int64]:
    """Where stretches of ``length`` samples start whose first ``surely``, heard at any speed, are not a pause."""
    energy = np.concatenate([[0.0], np.cumsum(pcm.astype(np.float64) ** 2)])
    starts = np.arange(0, len(pcm) - length + 1, STEP)
    level = energy[starts + surely] - energy[starts]
    return starts[(level > 0.0) & (level >= np.quantile(level, 0.9) * 10.0 ** (-QUIET_DB / 10.0))]
