"""A long recording whose every word is known: clips laid over quiet noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE
from kws.errors import KwsError

_EDGE = SAMPLE_RATE  # samples free of words at both ends
_LEAST_GAP, _MOST_GAP = SAMPLE_RATE, 2 * SAMPLE_RATE  # between the end of a clip and the next


@dataclass(frozen=True)
class Label:
    """Where a word is.

    Attributes:
        word: what was said.
        start: first sample of its clip, at 16 kHz.
        end: first sample after its clip.
    """

    word: str
    start: int
    end: int

    @property
    def time(self) -> float:
        """Where its clip starts, in seconds."""
        return self.start / SAMPLE_RATE


def make_stream(
    clips: Mapping[str, Sequence[NDArray[np.int16]]],
    noise: NDArray[np.int16],
    seconds: float,
    seed: int,
    noise_db: float = -50.0,
) -> tuple[NDArray[np.int16], list[Label]]:
    """A stream in which every word comes about equally often, one to two seconds apart.

    Args:
        clips: for each word one or more clips, int16 [n] at 16 kHz.
        noise: int16 [n], repeated as often as needed from a drawn place; empty for none.
        seconds: length of the stream.
        seed: of every draw; the same arguments give the same stream.
        noise_db: RMS of the noise in the stream, relative to full scale.

    Returns:
        The samples, int16 [seconds * 16000], and a label for each word in it, in order.

    Raises:
        KwsError: a word without a clip, or a stream too short for one word.
    """
    for word, takes in clips.items():
        if not takes or any(len(take) == 0 for take in takes):
            raise KwsError(f"No sound given for '{word}'; record it or leave the word out.")
    rng = np.random.default_rng(seed)
    total = round(seconds * SAMPLE_RATE)
    stream = _bed(noise, total, noise_db, rng)
    labels: list[Label] = []
    position = _EDGE
    for word in _turns(sorted(clips), rng):
        clip = clips[word][int(rng.integers(len(clips[word])))]
        end = position + len(clip)
        if end > total - _EDGE:
            break
        stream[position:end] += clip
        labels.append(Label(word, position, end))
        position = end + int(rng.integers(_LEAST_GAP, _MOST_GAP))
    if not labels:
        raise KwsError(f"A stream of {seconds} seconds has no room for a word; ask for more seconds.")
    return np.clip(stream, -32768, 32767).astype(np.int16), labels


def _turns(words: list[str], rng: np.random.Generator) -> Iterator[str]:
    """Every word once in a drawn order, then again, without end."""
    while words:
        yield from (words[index] for index in rng.permutation(len(words)))


def _bed(noise: NDArray[np.int16], total: int, noise_db: float, rng: np.random.Generator) -> NDArray[np.int32]:
    if len(noise) == 0 or not noise.any():
        return np.zeros(total, np.int32)
    start = int(rng.integers(len(noise)))
    bed = np.take(noise, np.arange(start, start + total), mode="wrap").astype(np.float64)
    gain = 32768.0 * 10.0 ** (noise_db / 20.0) / np.sqrt(np.mean(noise.astype(np.float64) ** 2))
    return np.rint(bed * gain).astype(np.int32)
