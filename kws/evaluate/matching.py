"""Which detection is of which spoken word: the one rule, for every figure and for the demo.

A hit is a detection of the right word whose time lies between the word's start and half a second after its end; each
word spoken is hit at most once. Further detections of it in that time are repeats. Every other one is a false accept.
(The protocol of public wake-word benchmarks.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE
from kws.data.labels import Label

if TYPE_CHECKING:
    from kws.engine import Event

MARGIN_SECONDS = 0.5
"""How long after its end a word may be detected."""

LATE_SECONDS = 1.0
"""A false accept of a word that ended less than this ago is a late detection of it: false by the rule all the same."""

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Matching:
    """What became of labels and detections.

    Attributes:
        hits: for each label, in order, the detection that hit it, or None where it was missed.
        repeats: detections of a word that an earlier detection had hit.
        false_accepts: all others.
    """

    hits: list[Event | None]
    repeats: list[Event]
    false_accepts: list[Event]


def match(events: Sequence[Event], labels: Sequence[Label]) -> Matching:
    """Matches detections, in order of time, with labels. Labels of words that are never detected count as missed."""
    hits: list[Event | None] = [None] * len(labels)
    repeats: list[int] = []
    false_accepts: list[int] = []
    for word in sorted({event.word for event in events}):
        own = [index for index, event in enumerate(events) if event.word == word]
        places = sorted((label.start, index) for index, label in enumerate(labels) if label.word == word)
        said = [labels[index] for _, index in places]
        hit, inside = match_times(np.array([events[index].time for index in own]), *bounds(said))
        for (_, index), found in zip(places, hit, strict=True):
            hits[index] = events[own[found]] if found >= 0 else None
        taken = set(hit.tolist())
        repeats += [index for at, index in enumerate(own) if inside[at] and at not in taken]
        false_accepts += [index for at, index in enumerate(own) if not inside[at]]
    return Matching(hits, [events[at] for at in sorted(repeats)], [events[at] for at in sorted(false_accepts)])


def bounds(labels: Sequence[Label]) -> tuple[Times, Times]:
    """When the words' detections may come: first and last second of each, float64 [n]."""
    starts = np.array([label.start for label in labels], np.float64) / SAMPLE_RATE
    ends = np.array([label.end for label in labels], np.float64) / SAMPLE_RATE + MARGIN_SECONDS
    return starts, ends


def are_late(times: Times, ends: Times) -> NDArray[np.bool_]:
    """Which false accepts of a word are late detections, bool [n].

    Args:
        times: of the false accepts, seconds, [n].
        ends: from ``bounds`` of the word's labels, [m].
    """
    last = np.concatenate([[-np.inf], np.sort(ends)])
    since: Times = times - last[np.searchsorted(last, times, "right") - 1]
    return since <= LATE_SECONDS - MARGIN_SECONDS


def match_times(times: Times, starts: Times, ends: Times) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The rule for the detections and labels of one word.

    Args:
        times: of the detections, seconds, ascending, [n].
        starts, ends: from ``bounds`` of the labels, ascending by start, [m].

    Returns:
        For each label the index of the detection that hit it, or -1, int64 [m]; and for each detection whether it lies
        in the time of any label, hit by it or not, bool [n].
    """
    hit = np.full(len(starts), -1, np.int64)
    inside = np.zeros(len(times), np.bool_)
    first = np.searchsorted(np.maximum.accumulate(ends), times, "left") if len(ends) else np.zeros(len(times), int)
    beyond = np.searchsorted(starts, times, "right")
    for index, time in enumerate(times):
        around = [at for at in range(first[index], beyond[index]) if time <= ends[at]]
        inside[index] = bool(around)
        free = [at for at in around if hit[at] < 0]
        if free:
            hit[free[0]] = index
    return hit, inside
