"""The engine's decision over recorded scores, for whole curves at once.

A curve needs the events at a hundred thresholds, and the network's answers do not depend on the threshold. So the
engine runs once (``kws.evaluate.track``), and what follows is firmware/src/decide.c and the gate of stream.c over
arrays: the same operations in the same order, so the same bits. A test proves it against the engine. The adaptive depth
is in ``kws.evaluate.adaptive``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.evaluate.track import Track
from kws.model import FoldedModel

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """What enters the smoothing ring, window by window.

    Attributes:
        probabilities: float32 [n, n_classes].
        classified: windows by delta, 0 for those that the gate spared, as ``Stream.classified`` counts them.
    """

    probabilities: FloatArray
    classified: dict[int, int]


def answers(track: Track, delta: int, gate: float = -100.0) -> Answers:
    """The answers of a stream at one depth, with the gate at this level, dBFS."""
    silent = track.levels < np.float32(gate)
    classified = dict.fromkeys((0, *track.probabilities), 0)
    classified[delta], classified[0] = int((~silent).sum()), int(silent.sum())
    probabilities = np.where(silent[:, None], np.float32(0.0), track.probabilities[delta])
    return Answers(probabilities, classified)


def smooth(probabilities: FloatArray, size: int) -> FloatArray:
    """The mean of the last ``size`` windows, of fewer at the start, float32 [n, n_classes], added oldest first."""
    count = len(probabilities)
    total = np.zeros_like(probabilities)
    for age in range(min(size, count) - 1, -1, -1):
        total[age:] = total[age:] + probabilities[: count - age]
    filled = np.minimum(np.arange(1, count + 1), size).astype(np.float32)
    means: FloatArray = total / filled[:, None]
    return means


class Decision:
    """The events of one track of answers at any threshold."""

    def __init__(self, track: Track, given: Answers, model: FoldedModel) -> None:
        """Smooths ``given``; refractory time, release and smoothing are the model's."""
        self.scores = smooth(given.probabilities, model.smoothing)
        self._release = np.float32(model.release)
        self._pause = -(-model.refractory // track.step)  # windows
        self._rise = model.smoothing // 2 + 2  # windows, kwsi_rise
        self._start = model.smoothing - 2  # scores count as fallen up to the last window before the first full mean
        best = self.scores.argmax(axis=1)
        full = np.arange(len(best)) >= model.smoothing - 1
        able = full & (self.scores[np.arange(len(best)), best] > 0.0)
        self._winning = [np.flatnonzero(able & (best == word)) for word in range(model.n_words)]
        self._columns = [np.ascontiguousarray(self.scores[:, word]) for word in range(model.n_words)]

    def events(self, word: int, threshold: float) -> NDArray[np.int64]:
        """The windows at which ``word`` (index) makes an event, ascending."""
        limit = np.float32(threshold)
        scores, winning = self._columns[word], self._winning[word]
        able = winning[scores[winning] >= limit]
        if not len(able):
            return able
        fallen = np.flatnonzero(scores < self._release * limit)
        last = np.concatenate([[self._start], fallen])[np.searchsorted(fallen, able)]
        able = able[able - np.maximum(last, self._start) <= self._rise]
        fired: list[int] = []
        earliest = 0
        while (at := int(np.searchsorted(able, earliest))) < len(able):
            fired.append(int(able[at]))
            rearmed = int(np.searchsorted(fallen, fired[-1], "right"))
            if rearmed == len(fallen):
                break
            earliest = max(int(fallen[rearmed]), fired[-1] + self._pause)
        return np.array(fired, np.int64)
