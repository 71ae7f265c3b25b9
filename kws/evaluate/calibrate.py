"""Thresholds for a target of false accepts an hour, one for each word at each depth.

A threshold just above every false score of some hours of sound would be a trap: by the order of random draws, one
more such score is to be expected in as many hours again, for each word. So the tail is modelled rather than emptied
(peaks over threshold; Pickands, "Statistical inference using extreme order statistics", 1975, with the exponential
limit): above the level u that at least ``PEAKS`` false accepts of a word reach, their number in H hours is taken to
fall as ``rate(g) = n(u) / H * exp(-(g - u) / beta)`` along the logit g of the threshold, beta being their mean excess
over u, drawn towards ``BETA`` by one imagined false accept. Below u, and above it where they are more, the counts
themselves are the rates. A word that never made a false accept is taken to make ``UNSEEN`` of one.

Detections of a word that come too late to be hits are not counted here, though they are false accepts in the figures:
they happen as often as the word is said, not by the hour, and a stream mixed for measuring says it hundreds of times.

Then every word's threshold is chosen together: they maximise the sum over the words of ``ln((hits + 1) / (said + 1))``
subject to the sum of their rates being at most the target. The logarithm is what keeps a word with many false accepts
from being given up for the others; where few words are missed it counts misses. The sum splits into words given a price
of a false accept, and the price is found by bisection. A word without a recording gets the threshold of an equal share.

How many windows are averaged is chosen with them: of ``SMOOTHINGS``, or of those that are given, the number at which
all depths together lose least. More quieten a network that is wrong for a moment, and outlast a short word.

The wake threshold of the adaptive depth is the highest, and so the cheapest, of ``WAKES`` that loses at most
``WAKE_LOSS`` of the words beyond those that the deepest depth alone loses, with its new thresholds moved together so
that it makes no more false accepts; where all lose more, the one that loses least. Few false accepts are a matter of
chance, so the loss is averaged over the new thresholds and two lower sets of them, which make more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kws.errors import KwsError
from kws.evaluate.sounds import Sound
from kws.evaluate.stream import Judge, Mode, Operation, Point, modes_of
from kws.model import FoldedModel

PEAKS = 10
BETA = 1.0
UNSEEN = 0.7
STEP = 0.1
LOGITS = np.arange(-4.0, 16.0 + STEP / 2, STEP)
"""Logits of the thresholds to choose from; beyond 16.6 a float32 cannot tell a score from 1."""

SMOOTHINGS = (1, 2, 3, 4, 6)

WAKES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
"""Higher ones save little more, and seem to lose nothing where the only voices in the sounds are those of training."""
WAKE_LOSS = 0.0025
WAKE_SHIFTS = (-1.0, -0.5, 0.0)
"""Added to the logits of the new thresholds where the adaptive depth is compared with the deepest."""
DEEPEST_SHIFTS = np.arange(-3.0, 6.0, STEP / 2)
"""Added to them for the curve of the deepest."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What ``calibrate`` chose.

    Attributes:
        model: with the new thresholds, smoothing and wake threshold.
        target: false accepts an hour that were aimed for.
        hours: of sound that it was chosen on.
        expected: by depth, the false accepts an hour that the tails predict.
        measured: by mode, what happened on the same sounds at the new thresholds.
    """

    model: FoldedModel
    target: float
    hours: float
    expected: dict[int, float]
    measured: dict[str, Operation]


def calibrate(
    model: FoldedModel,
    sounds: Sequence[Sound],
    target: float,
    least: float = 0.0,
    smoothings: Sequence[int] = SMOOTHINGS,
) -> Calibration:
    """Chooses thresholds on sounds that every depth of ``model`` has heard.

    Args:
        model: whose release, refractory time and gate stay.
        sounds: with the words in them labelled; whatever else fires is a false accept.
        target: false accepts an hour of all words together, > 0.
        least: threshold, below 1, that none of the chosen is below.
        smoothings: numbers of windows to average, 1..16, of which one is chosen.

    Raises:
        KwsError: a target that is not positive, a smoothing out of range, no word in the sounds, or no sound at all.
    """
    if not 0.0 < target < np.inf:
        raise KwsError(f"--target-false-accepts {target} is no rate to aim for; give a positive number an hour.")
    words = set(model.class_names[: model.n_words])
    if not any(label.word in words for sound in sounds for label in sound.labels):
        raise KwsError("None of the model's words is said in the recordings, so nothing says what a threshold costs.")
    candidates = {size: replace(model, smoothing=size) for size in smoothings}
    for candidate in candidates.values():
        candidate.validate()
    tries = {size: _choices(candidate, sounds, target, least) for size, candidate in candidates.items()}
    smoothing = min(tries, key=lambda size: sum(choice.cost for choice in tries[size]))
    thresholds = np.stack([_sigmoid(LOGITS[choice.picks]) for choice in tries[smoothing]])
    expected = {delta: choice.rate for delta, choice in zip(model.deltas, tries[smoothing], strict=True)}
    chosen = replace(model, smoothing=smoothing, word_threshold=thresholds)
    if len(model.deltas) > 1:
        chosen = replace(chosen, wake=_wake(chosen, sounds))
    measured = {
        mode.name: Judge(chosen, sounds, mode).at(thresholds[model.deltas.index(mode.confirm)])
        for mode in modes_of(chosen, chosen.deltas)
    }
    hours = sum(sound.track.hours for sound in sounds)
    notes = {"target_per_hour": target, "hours": round(hours, 3), "sounds": [sound.name for sound in sounds]}
    chosen = replace(chosen, provenance={**model.provenance, "calibration": notes})
    chosen.validate()
    return Calibration(chosen, target, hours, expected, measured)


def tail_rates(counts: NDArray[np.int64], hours: float) -> Array:
    """False accepts an hour at each of ``LOGITS``, from how many there were.

    Args:
        counts: int64 [n], false accepts at each threshold; falling but for chance.
        hours: that they were counted in, > 0.
    """
    rates = counts / hours
    full = np.flatnonzero(counts >= PEAKS)
    start = int(full[-1]) if len(full) else 0
    first = max(float(counts[start]), UNSEEN)
    # The area under the counts beyond u is the sum of what they exceed u by.
    excess = STEP * float(counts[start + 1 :].sum()) + 0.5 * STEP * float(counts[start])
    beta = (excess + BETA) / (float(counts[start]) + 1.0)
    tail = first / hours * np.exp(-(LOGITS[start:] - LOGITS[start]) / beta)
    rates[start:] = np.maximum(rates[start:], tail)
    return rates


@dataclass(frozen=True)
class _Choice:
    picks: NDArray[np.int64]
    rate: float
    cost: float


def _choices(model: FoldedModel, sounds: Sequence[Sound], target: float, least: float) -> list[_Choice]:
    """The thresholds of every depth."""
    first = int(np.searchsorted(_sigmoid(LOGITS), np.float32(least)))
    return [_choose(*_curves(Judge(model, sounds, Mode(delta))), target, first) for delta in model.deltas]


def _curves(judge: Judge) -> tuple[Array, Array]:
    """Cost and rate of each word at each threshold, both float64 [n_words, n]; the cost is NaN for a word not said."""
    costs, rates = [], []
    for word in range(len(judge.words)):
        counts = [judge.count(word, limit) for limit in _sigmoid(LOGITS)]
        said, hits = counts[0].said, np.array([one.hits for one in counts])
        costs.append(-np.log((hits + 1.0) / (said + 1.0)) if said else np.full(len(hits), np.nan))
        rates.append(tail_rates(np.array([len(one.false_accepts) - one.late for one in counts]), judge.hours))
    return np.stack(costs), np.stack(rates)


def _choose(costs: Array, rates: Array, target: float, first: int = 0) -> _Choice:
    """The threshold of every word, as indices into ``LOGITS``, none below ``first``."""
    mute: NDArray[np.bool_] = np.isnan(costs[:, 0])
    last = rates.shape[1] - 1
    equal: NDArray[np.int64] = np.where(rates <= target / len(rates), np.arange(last + 1), last).min(axis=1)
    index = np.arange(len(rates))
    costs = np.where(np.arange(last + 1) < first, np.inf, costs)

    def picks(price: float) -> NDArray[np.int64]:
        best = np.argmin(np.where(mute[:, None], 0.0, costs) + price * rates, axis=1)
        return np.where(mute, np.maximum(equal, first), best)

    low, high = -20.0, 20.0  # ln of the price of a false accept an hour
    for _ in range(50):
        middle = 0.5 * (low + high)
        if rates[index, picks(float(np.exp(middle)))].sum() > target:
            low = middle
        else:
            high = middle
    best = picks(float(np.exp(high)))
    return _Choice(best, float(rates[index, best].sum()), float(np.nansum(costs[index, best])))


def _wake(model: FoldedModel, sounds: Sequence[Sound]) -> float:
    """The wake threshold."""
    mode, own = modes_of(model, model.deltas)[-1], model.word_threshold[0]
    deep = Judge(model, sounds, Mode(mode.confirm))
    curve = [deep.at(own, float(shift)).point for shift in DEEPEST_SHIFTS]
    losses = {}
    for wake in sorted(WAKES, reverse=True):
        judge = Judge(model, sounds, mode, wake)
        losses[wake] = float(np.mean([_loss(judge.at(own, shift).point, curve) for shift in WAKE_SHIFTS]))
        if losses[wake] <= WAKE_LOSS:
            return wake
    return min(losses, key=lambda wake: losses[wake])


def _loss(point: Point, curve: Sequence[Point]) -> float:
    """Share of the words missed at ``point`` beyond those that are missed on ``curve`` for as many false accepts."""
    alike = [one.misses or 0.0 for one in curve if one.rate(False) <= point.rate(False)]
    return (point.misses or 0.0) - min(alike, default=1.0)


def _sigmoid(logits: Array) -> NDArray[np.float32]:
    return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
