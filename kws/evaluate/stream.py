"""A model as a listener: misses against false accepts an hour, latency, repeats and work, at each depth and adaptive.

The figures follow the protocol of public wake-word benchmarks (see ``kws.evaluate.matching``). Everything comes from
the C engine's own answers; ``kws.evaluate.decision``, and ``kws.evaluate.adaptive`` for the adaptive depth, then decide
as the engine would at every point of a curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kws.errors import KwsError
from kws.evaluate.adaptive import AdaptiveDecision
from kws.evaluate.decision import Decision, answers
from kws.evaluate.matching import MARGIN_SECONDS, Times, are_late, bounds, match_times
from kws.evaluate.sounds import Sound
from kws.model import FoldedModel
from kws.model.info import macs

STEP, FINE_STEPS = 0.25, 5
SHIFTS = np.arange(-8.0, 16.0 + STEP, STEP)
"""What a curve adds to the logit of every threshold. A target is reached in parts of a step."""

ADAPTIVE = "adaptive"

NEVER = 2.0
"""A threshold above every score."""

CONVOLUTIONS = ("conv1", "conv2")
"""Parts of a network that all depths of a window share."""


@dataclass(frozen=True)
class Mode:
    """How a stream is run: at depth ``confirm`` alone, or with ``listen`` to wake it (0: none)."""

    confirm: int
    listen: int = 0

    @property
    def name(self) -> str:
        return ADAPTIVE if self.listen else f"depth {self.confirm}"


@dataclass(frozen=True)
class Count:
    """What became of one word's labels and detections in all sounds.

    Attributes:
        said: labels.
        latencies: of the hits, seconds from the word's end to the detection, float64 [hits].
        repeats: detections of a word that was hit before.
        false_accepts: (number of the sound, second) of each false accept.
        late: how many of these are late detections of a word that was said.
    """

    said: int
    latencies: Times
    repeats: int
    false_accepts: list[tuple[int, float]]
    late: int

    @property
    def hits(self) -> int:
        return len(self.latencies)


@dataclass(frozen=True)
class Point:
    """One point of a curve.

    Attributes:
        shift: added to the logit of every threshold.
        misses: share of the words said that were missed, 0..1; None where none was said.
        false_accepts: an hour, late detections included.
        late: late detections an hour.
        repeats: a word said; None where none was said.
    """

    shift: float
    misses: float | None
    false_accepts: float
    late: float
    repeats: float | None

    def rate(self, count_late: bool) -> float:
        """False accepts an hour, with or without late detections."""
        return self.false_accepts if count_late else self.false_accepts - self.late


@dataclass(frozen=True)
class Operation:
    """Everything at one point.

    Attributes:
        point: of the curve, or for a target up to a step below one of the curve's.
        target: false accepts an hour that it was chosen for; None for the model's own thresholds.
        thresholds: by word.
        counts: by word.
    """

    point: Point
    target: float | None
    thresholds: dict[str, float]
    counts: dict[str, Count]


@dataclass(frozen=True)
class ModeResult:
    """One mode's figures.

    Attributes:
        mode: depth, or adaptive.
        curve: by ascending shift.
        operations: the model's own thresholds first, then one for each target that the curve reaches.
        windows: share of all windows classified at each delta with the model's own thresholds; 0: those that none did.
        work: multiply-accumulates of these as a share of those of the deepest network at every window.
    """

    mode: Mode
    curve: list[Point]
    operations: list[Operation]
    windows: dict[int, float]
    work: float


class Judge:
    """Counts hits, repeats and false accepts of a model in one mode at any threshold."""

    def __init__(
        self,
        model: FoldedModel,
        sounds: Sequence[Sound],
        mode: Mode,
        wake: float | None = None,
        counted: Sequence[str] | None = None,
    ) -> None:
        """``wake``: the model's if None. ``counted``: words that ``at`` lets fire and counts, all if None."""
        self.words = model.class_names[: model.n_words]
        self._counted = [number for number, word in enumerate(self.words) if counted is None or word in counted]
        self._never = [number for number in range(model.n_words) if number not in self._counted]
        self.hours = sum(sound.track.hours for sound in sounds)
        self._model, self._mode, self._wake = model, mode, model.wake if wake is None else wake
        self._tracks = [sound.track for sound in sounds]
        self._given = [] if mode.listen else [answers(track, mode.confirm, model.gate) for track in self._tracks]
        self._decisions = [
            Decision(track, given, model) for track, given in zip(self._tracks, self._given, strict=not mode.listen)
        ]
        self._bounds = [
            [bounds([label for label in sound.labels if label.word == word]) for sound in sounds] for word in self.words
        ]

    def windows(self, thresholds: NDArray[np.float32]) -> tuple[dict[int, int], int]:
        """Windows by the delta that classified them, 0: none; and how many the listening depth left out.

        Args:
            thresholds: float32 [n_words].
        """
        if self._mode.listen:
            heard = self._adaptive(self._limits(thresholds))
            every, rests = [one.classified for one in heard], sum(one.rests for one in heard)
        else:
            every, rests = [one.classified for one in self._given], 0
        return {delta: sum(one[delta] for one in every) for delta in every[0]}, rests

    def _limits(self, thresholds: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same, but for words that are not counted one that no score reaches, as a device would set it."""
        limits = thresholds.copy()
        limits[self._never] = NEVER
        return limits

    def _adaptive(self, thresholds: NDArray[np.float32]) -> list[AdaptiveDecision]:
        mode = self._mode
        return [
            AdaptiveDecision(track, self._model, mode.confirm, mode.listen, self._wake, thresholds)
            for track in self._tracks
        ]

    def count(self, word: int, threshold: float) -> Count:
        """What ``word`` (index) comes to at ``threshold``, at one depth."""
        return self._count(word, [decision.events(word, threshold) for decision in self._decisions])

    def _count(self, word: int, events: Sequence[NDArray[np.int64]]) -> Count:
        """What ``word`` (index) comes to with these events, an array of windows for each sound."""
        said = repeats = late = 0
        latencies: list[Times] = []
        false_accepts: list[tuple[int, float]] = []
        for number, (starts, ends) in enumerate(self._bounds[word]):
            times = self._tracks[number].times(events[number])
            hit, inside = match_times(times, starts, ends)
            found = hit[hit >= 0]
            latencies.append(times[found] - (ends[hit >= 0] - MARGIN_SECONDS))
            said += len(starts)
            repeats += int(inside.sum()) - len(found)
            late += int(are_late(times[~inside], ends).sum())
            false_accepts += [(number, float(time)) for time in times[~inside]]
        return Count(said, np.concatenate(latencies), repeats, false_accepts, late)

    def at(self, thresholds: NDArray[np.float32], shift: float = 0.0) -> Operation:
        """The counted words, with all thresholds, float32 [n_words], moved by ``shift`` in their logits."""
        limits = self._limits(moved(thresholds, shift))
        if self._mode.listen:
            heard = self._adaptive(limits)
            counts = [self._count(word, [one.events[word] for one in heard]) for word in self._counted]
        else:
            counts = [self.count(word, limits[word]) for word in self._counted]
        said, hits = sum(one.said for one in counts), sum(one.hits for one in counts)
        point = Point(
            shift,
            1.0 - hits / said if said else None,
            sum(len(one.false_accepts) for one in counts) / self.hours,
            sum(one.late for one in counts) / self.hours,
            sum(one.repeats for one in counts) / said if said else None,
        )
        words = [self.words[word] for word in self._counted]
        by_word = dict(zip(words, map(float, limits[self._counted]), strict=True))
        return Operation(point, None, by_word, dict(zip(words, counts, strict=True)))


def moved(thresholds: NDArray[np.float32], shift: float) -> NDArray[np.float32]:
    """Thresholds with ``shift`` added to the logit of each, as the sensitivity does: 0 and from 1 up stay."""
    within = (thresholds > 0.0) & (thresholds < 1.0)
    if shift == 0.0 or not within.any():
        return thresholds
    value = np.where(within, thresholds, 0.5).astype(np.float64)
    limits: NDArray[np.float32] = (value / (value + (1.0 - value) * np.exp(-shift))).astype(np.float32)
    return np.where(within, limits, thresholds)


def modes_of(model: FoldedModel, deltas: Sequence[int]) -> list[Mode]:
    """Each depth of ``deltas`` alone, and the thinnest waking the deepest where there are several."""
    modes = [Mode(delta) for delta in deltas]
    if len(deltas) > 1:
        modes.append(Mode(min(deltas), model.listen_delta if model.listen_delta in deltas else max(deltas)))
    return modes


def evaluate_stream(
    model: FoldedModel,
    sounds: Sequence[Sound],
    modes: Sequence[Mode],
    targets: Sequence[float] = (0.5,),
    count_late: bool = True,
    counted: Sequence[str] | None = None,
) -> list[ModeResult]:
    """Every mode's curve and operations over the same sounds.

    Args:
        model: whose answers are in the sounds.
        sounds: heard at every depth of the modes.
        modes: to judge.
        targets: false accepts an hour at which the figures are wanted in full.
        count_late: whether late detections count against the targets.
        counted: words of the model that figures are of, as where nobody cares for its others; all if None.

    Raises:
        KwsError: no sound lasts as long as one hop.
    """
    if not any(len(sound.track.levels) for sound in sounds):
        raise KwsError("The recordings are too short to hear anything in; give longer ones.")
    results = []
    for mode in modes:
        judge = Judge(model, sounds, mode, counted=counted)
        own = model.word_threshold[model.deltas.index(mode.confirm)]
        swept = [judge.at(own, float(shift)) for shift in SHIFTS]
        operations = [one for one in swept if one.point.shift == 0.0]
        for target in targets:
            reached = [one for one in swept if one.point.rate(count_late) <= target]
            if reached:
                near = _best(reached).point.shift
                between = [judge.at(own, near - STEP * part / FINE_STEPS) for part in range(1, FINE_STEPS)]
                reached += [one for one in between if one.point.rate(count_late) <= target]
                operations.append(replace(_best(reached), target=target))
        curve = [one.point for one in swept]
        results.append(ModeResult(mode, curve, operations, *_work(model, *judge.windows(own))))
    return results


def _best(operations: Sequence[Operation]) -> Operation:
    return min(operations, key=lambda one: (one.point.misses or 0.0, one.point.shift))


def _work(model: FoldedModel, classified: dict[int, int], rests: int) -> tuple[dict[int, float], float]:
    """Share of windows by depth, and the share of the deepest network's multiply-accumulates that they cost.

    Where two depths classify a window, the convolutions run once, and only for what a hop, or two of them after a rest,
    does not keep of them.
    """
    total = max(1, classified[0] + max(count for delta, count in classified.items() if delta))
    windows = {delta: count / total for delta, count in classified.items()}
    parts = {
        depth.delta: {part: count for kind in macs(model, depth).values() for part, count in kind.items()}
        for depth in model.depths
    }
    deepest = model.deltas[0]
    front, after_rest = (
        sum(share * parts[deepest][part] for part, share in computed_anew(model, hops).items()) for hops in (1, 2)
    )
    rest = {
        delta: sum(count for part, count in own.items() if part not in CONVOLUTIONS) for delta, own in parts.items()
    }
    rested = rests / total
    spent = (
        (1.0 - windows[0] - rested) * front
        + rested * after_rest
        + sum(share * rest[delta] for delta, share in windows.items() if delta)
    )
    return windows, spent / (front + rest[deepest])


def computed_anew(model: FoldedModel, hops: int = 1) -> dict[str, float]:
    """What share of each convolution so many hops leave to compute, as firmware/src/front.c has it."""
    steps, moved_by = model.time_steps, hops * model.hop_frames // 4
    if hops * model.hop_frames % 4 or moved_by > steps - 4:
        return dict.fromkeys(CONVOLUTIONS, 1.0)
    return {"conv1": (2 * moved_by + 2) / (2 * steps), "conv2": (moved_by + 3) / steps}
