"""Times functions against each other: in turn, round after round, so that a machine's moods meet all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

SLICE = 0.004
"""Seconds that one function runs before the next has its turn; long against the clock's steps."""

MIN_ROUNDS = 5


@dataclass(frozen=True)
class Timing:
    """What one call takes.

    Attributes:
        median: seconds of this thread's CPU time, over the rounds.
        spread: the quartiles' distance as a fraction of the median.
        rounds: how often it had its turn.
    """

    median: float
    spread: float
    rounds: int

    def as_dict(self) -> dict[str, float]:
        """JSON-able: the median in microseconds, and the spread."""
        return {"us": round(1e6 * self.median, 3), "spread": round(self.spread, 3)}


def in_turn(functions: dict[str, Callable[[], object]], seconds: float) -> dict[str, Timing]:
    """Times every function.

    Args:
        functions: by name; each runs on the calling thread alone.
        seconds: to spend, about; at least ``MIN_ROUNDS`` rounds are made.

    Returns:
        by name, in the order given.
    """
    repeats = {name: _repeats(function) for name, function in functions.items()}
    found: dict[str, list[float]] = {name: [] for name in functions}
    end = time.monotonic() + seconds
    rounds = 0
    while rounds < MIN_ROUNDS or time.monotonic() < end:
        for name, function in functions.items():
            found[name].append(_one_slice(function, repeats[name]) / repeats[name])
        rounds += 1
    return {name: _summary(values) for name, values in found.items()}


def _one_slice(function: Callable[[], object], repeats: int) -> float:
    began = time.thread_time()
    for _ in range(repeats):
        function()
    return time.thread_time() - began


def _repeats(function: Callable[[], object]) -> int:
    """How many calls fill a slice; this also warms the function up."""
    repeats = 1
    while (took := _one_slice(function, repeats)) < SLICE / 2:
        repeats *= 2
    return max(1, round(repeats * SLICE / took))


def _summary(values: list[float]) -> Timing:
    lower, median, upper = statistics.quantiles(values, n=4)
    return Timing(median, (upper - lower) / median if median else 0.0, len(values))
