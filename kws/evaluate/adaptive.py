"""The adaptive depth over recorded scores: which depth answers, and what events come of it.

A deeper answer is asked for where a word may still make an event, and a window is left out where none was asked for. So
the answers depend on the thresholds, and the words on each other: unlike ``kws.evaluate.decision`` this goes window by
window, all words at once. It is firmware/src/stream.c and decide.c, with the same operations in the same order.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from kws.evaluate.decision import FloatArray
from kws.evaluate.track import Track
from kws.model import FoldedModel

THIN_SHARE = np.float32(0.25)
"""Of the listening depth's answer in that of a window which the deeper depth classified too."""


class AdaptiveDecision:
    """What an adaptive stream does with one track.

    Attributes:
        events: for each word the windows at which it makes an event, ascending.
        event_scores: for each word the score of each of them.
        depths: int64 [n], delta that answered; 0 where none did.
        classified: windows by delta, 0 for those that none classified, as ``Stream.classified`` counts them.
        rests: how many of these the listening depth left out.
        scores: float32 [n_classes], smoothed, after the last window.
    """

    def __init__(
        self, track: Track, model: FoldedModel, confirm: int, listen: int, wake: float, limits: FloatArray
    ) -> None:
        """Goes through the track.

        Args:
            track: holds both depths.
            model: whose gate, refractory time, release and smoothing count.
            confirm: delta that decides.
            listen: thinner delta that wakes it.
            wake: probability at ``listen`` that does, already moved by any sensitivity.
            limits: float32 [n_words], thresholds.
        """
        self._limits, self._release = limits, np.float32(model.release) * limits
        self._pause = -(-model.refractory // track.step)  # windows
        self._rise = model.smoothing // 2 + 2  # windows, kwsi_rise
        self._armed = np.full(track.n_words, self._rise + 1)
        self._last = np.full(track.n_words, -self._pause)
        self._recent: deque[FloatArray] = deque(maxlen=model.smoothing)
        self.scores: FloatArray = np.zeros(model.n_classes, np.float32)
        self.event_scores: list[list[float]] = [[] for _ in limits]
        found: list[list[int]] = [[] for _ in limits]
        thin = track.probabilities[listen]
        both = THIN_SHARE * thin + (np.float32(1.0) - THIN_SHARE) * track.probabilities[confirm]
        awake: NDArray[np.bool_] = np.greater_equal(thin[:, : track.n_words], np.float32(wake))
        any_awake, silent = awake.max(axis=1), track.levels < np.float32(model.gate)
        self.depths = np.zeros(len(silent), np.int64)
        self.rests, is_quiet = 0, False
        for at in range(len(silent)):
            if is_quiet:
                is_quiet = False
                self.rests += 1
                continue
            answer = np.zeros_like(self.scores)
            if not silent[at]:
                is_quiet = not (any_awake[at] and (awake[at] & self._ready(at)).any())
                answer, self.depths[at] = (thin[at], listen) if is_quiet else (both[at], confirm)
            word = self._decide(at, answer)
            if word is not None:
                found[word].append(at)
                self.event_scores[word].append(float(self.scores[word]))
        self.events: list[NDArray[np.int64]] = [np.array(one, np.int64) for one in found]
        self.classified = dict.fromkeys((0, *track.probabilities), 0)
        self.classified[0] = int((self.depths == 0).sum())
        self.classified[listen] = len(silent) - self.classified[0]
        self.classified[confirm] = int((self.depths == confirm).sum())

    def _ready(self, at: int) -> NDArray[np.bool_]:
        """Which words may make an event at this window."""
        ready: NDArray[np.bool_] = (self._armed > 0) & (at - self._last >= self._pause)
        return ready

    def _decide(self, at: int, answer: FloatArray) -> int | None:
        """The word that makes an event."""
        self._recent.append(answer)
        total = np.zeros_like(self.scores)
        for one in self._recent:
            total = total + one
        self.scores = total / np.float32(len(self._recent))
        if len(self._recent) < (self._recent.maxlen or 0):
            return None
        low = self.scores[: len(self._limits)] < self._release
        self._armed = np.where(low, self._rise + 1, np.maximum(self._armed - 1, 0))
        best = int(self.scores.argmax())
        if best >= len(self._limits) or not self.scores[best] >= self._limits[best] or not self.scores[best] > 0.0:
            return None
        if not self._ready(at)[best]:
            return None
        self._armed[best], self._last[best] = 0, at
        return best
