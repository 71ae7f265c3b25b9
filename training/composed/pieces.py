"""Recordings in memory as pieces: samples, where the speech in them is, and how loud."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE
from kws.data.stream import speech_extent

_MARGIN = SAMPLE_RATE // 20
QUIET = -60.0
"""What is below it, in dBFS, is a pause."""


@dataclass(frozen=True)
class Piece:
    """A recording.

    Attributes:
        pcm: int16 [n], with at most 50 ms around its speech.
        first, last: its first sample of speech, and the one after the last.
        level: RMS of its speech, dBFS.
    """

    pcm: NDArray[np.int16]
    first: int
    last: int
    level: float

    @property
    def length(self) -> int:
        """Samples of speech."""
        return self.last - self.first


@dataclass
class Pieces:
    """Recordings by what they teach.

    Attributes:
        takes: by word, people's takes of own words: few, and drawn often; ``TAKES_HALF`` of ``scenes`` says how often.
        voices: by word, everybody else who says it.
        near: what sounds almost like a word.
        speech: other words and sentences.
        false: what an earlier model took for a word.
        running: long recordings of speech without the words, int16 [n].
        noise: background recordings one after another, int16 [n].
        skipped: for every recording that was left out, a sentence that says why.
        hard: other speech that a network is nearest to taking for a word; none until one has heard it.
        hard_words: the words that a network is furthest from taking for themselves, and the index of each; likewise.
    """

    takes: list[list[Piece]]
    voices: list[list[Piece]]
    near: list[Piece]
    speech: list[Piece]
    false: list[Piece]
    running: list[NDArray[np.int16]]
    noise: NDArray[np.int16]
    skipped: dict[Path, str] = field(default_factory=dict)
    hard: list[Piece] = field(default_factory=list)
    hard_words: list[tuple[int, Piece]] = field(default_factory=list)


def piece_of(pcm: NDArray[np.int16]) -> Piece:
    """The piece that a recording, int16 [n], holds."""
    first, last, level = speech_extent(pcm)
    start, end = max(0, first - _MARGIN), min(len(pcm), last + _MARGIN)
    return Piece(pcm[start:end].copy(), first - start, last - start, level)
