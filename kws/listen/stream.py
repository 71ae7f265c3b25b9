"""The one loop that listens: int16 chunks in, detections out, the same for files, microphones and tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, read_audio

if TYPE_CHECKING:
    from kws.engine import Event, Stream

CHUNK = SAMPLE_RATE // 10
"""Samples of a file that are fed at once; the detections do not depend on it."""

TAIL_SECONDS = 1.0
"""Silence that follows a file, so that a word spoken at its very end leaves the window and is decided."""

DIGITAL_SILENCE_SECONDS = 5.0
"""Exact zeros for this long come from a muted or missing microphone: a working one always has some noise."""


@dataclass(frozen=True)
class Heard:
    """One chunk and what it brought.

    Attributes:
        pcm: int16 [n] at 16 kHz.
        events: detections that this chunk completed, in order.
    """

    pcm: NDArray[np.int16]
    events: list[Event]


def listen(chunks: Iterable[NDArray[np.int16]], stream: Stream) -> Iterator[Heard]:
    """Feeds ``chunks`` (int16 [n] at 16 kHz, any lengths) to ``stream`` and yields every chunk with its detections."""
    for pcm in chunks:
        yield Heard(pcm, stream.feed(pcm))


def file_chunks(path: str | Path) -> Iterator[NDArray[np.int16]]:
    """The recording at ``path`` as a microphone would deliver it: int16 chunks at 16 kHz, then a second of silence.

    The file is read before the first chunk. Raises KwsError as ``read_audio`` does.
    """
    tail = np.zeros(int(TAIL_SECONDS * SAMPLE_RATE), np.int16)
    pcm = np.concatenate([read_audio(path), tail])
    return (pcm[start : start + CHUNK] for start in range(0, len(pcm), CHUNK))


def level_dbfs(pcm: NDArray[np.int16]) -> float:
    """The root-mean-square level of int16 samples in dB below full scale, at least -100.0 (digital silence)."""
    if len(pcm) == 0:
        return -100.0
    power = float(np.mean(np.square(pcm.astype(np.float64) / 32768.0)))
    return 10.0 * math.log10(max(power, 1e-10))


class SilenceWatch:
    """Tells once when a source has given nothing but zeros for ``DIGITAL_SILENCE_SECONDS``."""

    def __init__(self) -> None:
        self._zeros = 0
        self._told = False

    def push(self, pcm: NDArray[np.int16]) -> bool:
        """Takes the next chunk; True exactly once, on the chunk that makes the silence long enough."""
        self._zeros = 0 if pcm.any() else self._zeros + len(pcm)
        if self._told or self._zeros < DIGITAL_SILENCE_SECONDS * SAMPLE_RATE:
            return False
        self._told = True
        return True
