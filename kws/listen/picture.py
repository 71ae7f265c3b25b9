"""The scrolling mel picture: two bands a character, a column a frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

LEVELS = 24
"""Colours; more would cost time and could not be told apart."""

RANGE_DB = 60.0
"""From the darkest to the brightest."""

_FALL_DB = 0.1  # a frame: how fast the brightest level forgets a loud sound
_LEAST_TOP_DB = -50.0  # of a quiet room the noise is not to be shown at full brightness
_ANCHORS = ((0, 0, 4), (51, 15, 92), (120, 28, 109), (187, 55, 84), (237, 105, 37), (251, 180, 26), (252, 255, 164))
_SHADES = " .:-=+*#%@"


def colour(level: int) -> tuple[int, int, int]:
    """Red, green, blue, 0..255 each, of ``level``, 0..LEVELS - 1: from black through violet and orange to yellow."""
    place = level / (LEVELS - 1) * (len(_ANCHORS) - 1)
    index = min(int(place), len(_ANCHORS) - 2)
    share = place - index
    red, green, blue = (
        round(low + share * (high - low)) for low, high in zip(_ANCHORS[index], _ANCHORS[index + 1], strict=True)
    )
    return red, green, blue


@cache
def _style(top: int, bottom: int) -> Style:
    return Style(color=Color.from_rgb(*colour(top)), bgcolor=Color.from_rgb(*colour(bottom)))


class Picture:
    """The newest log-mel frames, newest at the right, low bands at the bottom.

    Attributes:
        rows: lines that it takes; may be changed.
        rows_wanted: lines in which every band has its own place.
    """

    def __init__(self, n_mels: int, most: int = 400) -> None:
        """``most``: frames to remember; a wider terminal shows no more."""
        self._n_mels = n_mels
        self._columns: deque[NDArray[np.float32]] = deque(maxlen=most)
        self._top = _LEAST_TOP_DB
        self.rows = self.rows_wanted = n_mels // 2

    def push(self, frame: NDArray[np.float32]) -> None:
        """Takes a frame, float32 [n_mels] in dB."""
        self._columns.append(frame)
        self._top = max(float(frame.max()), self._top - _FALL_DB, _LEAST_TOP_DB)

    def levels(self, width: int, rows: int) -> NDArray[np.int64]:
        """What is shown in ``rows`` of ``width`` characters: int [2 rows, width] in 0..LEVELS - 1, highest band first.

        Fewer rows than half the bands show the loudest of those that share one.
        """
        shown = np.full((width, self._n_mels), self._top - RANGE_DB, np.float32)
        count = min(len(self._columns), width)
        if count:
            shown[width - count :] = [self._columns[index] for index in range(-count, 0)]
        edges = np.arange(2 * rows) * self._n_mels // (2 * rows)
        bands = np.maximum.reduceat(shown, edges, axis=1)
        share = (bands - (self._top - RANGE_DB)) / RANGE_DB
        scaled = np.clip(np.rint(share * (LEVELS - 1)), 0, LEVELS - 1).astype(np.int64)
        return scaled.T[::-1]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        levels = self.levels(options.max_width, self.rows)
        for row in range(self.rows):
            line = _colours if console.color_system else _characters
            yield from line(levels[2 * row].tolist(), levels[2 * row + 1].tolist())
            yield Segment.line()


def _colours(tops: list[int], bottoms: list[int]) -> Iterator[Segment]:
    """One line: neighbours that look the same are one segment."""
    start = 0
    for at in range(1, len(tops) + 1):
        if at == len(tops) or (tops[at], bottoms[at]) != (tops[start], bottoms[start]):
            yield Segment("▀" * (at - start), _style(tops[start], bottoms[start]))
            start = at


def _characters(tops: list[int], bottoms: list[int]) -> Iterator[Segment]:
    """One line for a terminal without colours: the mean of the two bands as a denser or thinner character."""
    text = (_SHADES[(top + bottom) * len(_SHADES) // (2 * LEVELS)] for top, bottom in zip(tops, bottoms, strict=True))
    yield Segment("".join(text))
