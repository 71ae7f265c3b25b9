"""Windows as a listener meets them: a word at any place, cut off or whole, between other words.

A clip of a corpus holds one word in its middle. A listener's windows end anywhere: before a word is over, half a second
after it, in the middle of a sentence. A network that knows clips alone answers late, and answers with a word wherever
somebody speaks. So a share of the windows is composed: the speech of a clip is put where a stream would have it, with
the speech of other words before and behind. A word that is cut off by more than half is no word, whatever it was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE
from kws.data.stream import at_speed, drawn_samples, lay, speech_extent
from kws_training.augment import Augmentation

PARTIAL = 0.3
"""Share of the composed windows in which the word is cut off."""

VISIBLE = (0.1, 0.5)
"""Part of a cut-off word's speech that is in the window."""

LATE = 0.5
"""Longest time from the end of a whole word to the end of the window, seconds: within it a listener must answer."""

BESIDE = 0.6
"""Chance of a word before, and of one behind."""

GAP = (0.02, 0.35)  # seconds between the speech of neighbours
NEIGHBOUR_DB = (-6.0, 6.0)  # level of a neighbour above the word's

Wave = NDArray[np.float32]


class RunningSpeech:
    """Composes windows around clips.

    Args:
        pcm: int16 [n, samples], clips at 16 kHz.
        others: indices of clips that may stand beside a word: other words'; empty for none.
        window: samples of a window, more than a clip has.
    """

    def __init__(self, pcm: NDArray[np.int16], others: NDArray[np.int64], window: int) -> None:
        self._pcm, self._others, self._window = pcm, others, window
        extents = [speech_extent(clip) for clip in pcm]
        self._first = np.array([first for first, _, _ in extents])
        self._last = np.array([last for _, last, _ in extents])
        self._level = np.array([level for _, _, level in extents])

    def compose(self, index: int, may_cut: bool, settings: Augmentation, rng: np.random.Generator) -> tuple[Wave, bool]:
        """One window around clip ``index``.

        Args:
            index: of the clip whose word it is.
            may_cut: whether the word may be cut off.
            settings: ``speed`` applies to each clip by itself.
            rng: of every draw.

        Returns:
            float32 [window] on the int16 scale, and whether the word is whole.
        """
        canvas = np.zeros(self._window, np.float32)
        clip, first, last = self._at_speed(index, settings, rng)
        length = last - first
        whole = not (may_cut and rng.random() < PARTIAL)
        if whole:
            end = self._window - int(rng.uniform(0.0, min(LATE * SAMPLE_RATE, max(0, self._window - length))))
        else:
            visible = int(rng.uniform(*VISIBLE) * length)
            end = visible if rng.random() < 0.5 else self._window + length - visible
        lay(canvas, clip, end - last)
        before, behind = end - length, end
        if len(self._others):
            if rng.random() < BESIDE:
                self._lay_beside(canvas, index, before, settings, rng, ahead=True)
            if rng.random() < BESIDE:
                self._lay_beside(canvas, index, behind, settings, rng, ahead=False)
        return canvas, whole

    def _at_speed(self, index: int, settings: Augmentation, rng: np.random.Generator) -> tuple[Wave, int, int]:
        """The clip at a drawn speed, and where its speech begins and ends."""
        speed = 1.0 + rng.uniform(-settings.speed, settings.speed)
        clip = at_speed(self._pcm[index], speed).astype(np.float32)
        return clip, int(self._first[index] / speed), int(self._last[index] / speed)

    def _lay_beside(
        self, canvas: Wave, index: int, edge: int, settings: Augmentation, rng: np.random.Generator, ahead: bool
    ) -> None:
        """Other words from ``edge`` on to the window's own, away from the word: ``ahead`` of it or behind."""
        while True:
            gap = drawn_samples(GAP, rng)
            if (ahead and edge - gap <= 0) or (not ahead and edge + gap >= self._window):
                return
            other = int(self._others[rng.integers(len(self._others))])
            clip, first, last = self._at_speed(other, settings, rng)
            gain = 10.0 ** ((self._level[index] - self._level[other] + rng.uniform(*NEIGHBOUR_DB)) / 20.0)
            at = edge - gap - last if ahead else edge + gap - first
            lay(canvas, np.float32(gain) * clip, at)
            edge = at + first if ahead else at + last
