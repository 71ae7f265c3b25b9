"""Whether a microphone can be heard at all: neither silent nor clipping."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE

SILENT_SECONDS = 5.0
"""A microphone that gives nothing for this long is muted or missing: a working one always has some noise."""

SILENT_PEAK = 2
"""Largest sample that counts as nothing: what rounding and dither of an input without a signal leave."""

CLIPPED_PEAK = 32700
"""Smallest sample that counts as clipped: a resampler leaves a clipped peak a little off full scale."""

CLIPPED_SAMPLES = 32
"""So many of them within ``CLIPPED_SECONDS`` (2 ms of sound) are worth a warning; one is not."""

CLIPPED_SECONDS = 2.0


class Health:
    """Watches the chunks of one microphone.

    Attributes:
        silent: nothing came for the last ``SILENT_SECONDS``.
        clipping: the last ``CLIPPED_SECONDS`` hold ``CLIPPED_SAMPLES`` clipped samples or more.
    """

    def __init__(self) -> None:
        self.silent = self.clipping = False
        self._nothing = 0
        self._chunks: deque[tuple[int, int]] = deque()  # samples, and how many of them were clipped
        self._samples = self._clipped = 0

    def push(self, pcm: NDArray[np.int16]) -> None:
        """Takes the next chunk, int16 [n] at 16 kHz."""
        if not len(pcm):
            return
        size = np.maximum(pcm, -32767)  # whose absolute value int16 holds
        size = np.abs(size, out=size)
        loud = np.flatnonzero(size > SILENT_PEAK)
        self._nothing = len(pcm) - 1 - int(loud[-1]) if len(loud) else self._nothing + len(pcm)
        self.silent = self._nothing >= SILENT_SECONDS * SAMPLE_RATE
        self._chunks.append((len(pcm), int(np.count_nonzero(size >= CLIPPED_PEAK))))
        self._samples += self._chunks[-1][0]
        self._clipped += self._chunks[-1][1]
        while self._samples - self._chunks[0][0] >= CLIPPED_SECONDS * SAMPLE_RATE:
            samples, clipped = self._chunks.popleft()
            self._samples -= samples
            self._clipped -= clipped
        self.clipping = self._clipped >= CLIPPED_SAMPLES


SILENT = "'{name}' gives silence: is the microphone muted, or the wrong one chosen? `kws devices` lists the others."
CLIPPING = "'{name}' is too loud and clips: turn its gain down, or stand further away."
