"""What can be changed while a stream runs: depth, thresholds, sensitivity, gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kws.errors import KwsError

if TYPE_CHECKING:
    from kws.engine import Engine, Stream

ADAPTIVE: Literal["adaptive"] = "adaptive"
Depth = int | Literal["adaptive"]

EVERY = "*"
PerWord = float | Mapping[str, float]
"""A number for every word, or numbers by word; by ``EVERY``, that of all words not named."""

SENSITIVITY_STEP = 0.05
GATES = (-100.0, -70.0, -60.0, -50.0, -40.0)
"""Levels, dBFS, that a key goes through; the first is none."""

LEAST_THRESHOLD = 0.01
"""A word is armed by a score below half of its threshold, and scores are seldom that near to nothing."""

KEYS = "+ - sensitivity   d depth   g gate   0 as at the start   q end"


@dataclass(frozen=True)
class Settings:
    """What differs from the model; None leaves it as the model says.

    Attributes:
        depth: delta of every window, or "adaptive".
        threshold: score, ``LEAST_THRESHOLD``..1, that makes an event of a word.
        sensitivity: 0..1, 0.5 leaves a word's thresholds as they are.
        gate: dBFS, below 0, under which sound is silence; -100 or less: none.
    """

    depth: Depth | None = None
    threshold: PerWord | None = None
    sensitivity: PerWord | None = None
    gate: float | None = None

    def stream(self, engine: Engine) -> Stream:
        """A fresh stream of ``engine`` with these settings.

        Raises:
            KwsError: one is out of range, or the model has no such depth or word.
        """
        thresholds = by_word(self.threshold)
        for threshold in thresholds.values():
            if not LEAST_THRESHOLD <= threshold <= 1.0:
                raise KwsError(
                    f"A threshold of {threshold} is out of range; give a score from {LEAST_THRESHOLD} to 1: below "
                    "that, none would fall far enough to be heard as a word when it rises."
                )
        stream = engine.stream(None if self.depth == ADAPTIVE else self.depth)
        if self.depth == ADAPTIVE:
            stream.set_adaptive()
        if EVERY in thresholds:
            thresholds = dict.fromkeys(engine.class_names[: engine.n_words], thresholds.pop(EVERY)) | thresholds
        for word, threshold in thresholds.items():
            stream.set_threshold(word, threshold)
        sensitivities = by_word(self.sensitivity)
        if EVERY in sensitivities:
            stream.set_sensitivity(sensitivities.pop(EVERY))
        for word, sensitivity in sensitivities.items():
            stream.set_sensitivity(sensitivity, word)
        if self.gate is not None:
            stream.set_gate(checked_gate(self.gate))
        return stream


def checked_gate(gate: float) -> float:
    """A gate as a user gives it, dBFS. Raises KwsError where it lets nothing through."""
    if gate >= 0.0:
        raise KwsError(f"A gate of {gate:g} dBFS lets no sound through; give one below 0, such as -60.")
    return gate


def by_word(value: PerWord | None) -> dict[str, float]:
    """``value`` by word, that of every word under ``EVERY``; nothing where there is none."""
    if value is None:
        return {}
    return dict(value) if isinstance(value, Mapping) else {EVERY: value}


class Controls:
    """Keys that change a running stream.

    Attributes:
        depth: in use, a delta or "adaptive".
        sensitivity: in use; a word with one of its own keeps its distance from it.
        gate: in use, dBFS.
        ended: whether the key that ends it all was pressed.
    """

    def __init__(self, engine: Engine, stream: Stream, settings: Settings) -> None:
        model = engine.model
        self._stream = stream
        thinner = len(engine.deltas) > 1
        self._depths: list[Depth] = [*engine.deltas, ADAPTIVE] if thinner else list(engine.deltas)
        own: Depth = ADAPTIVE if model.listen_delta else engine.deltas[0]
        self._words = by_word(settings.sensitivity)
        self._start: tuple[Depth, float, float] = (
            own if settings.depth is None else settings.depth,
            self._words.pop(EVERY, 0.5),
            model.gate if settings.gate is None else settings.gate,
        )
        # The model's own pair of adaptive depths may be another than the thinnest and the deepest.
        self._pair = (model.listen_delta or None, engine.deltas[0]) if settings.depth is None else (None, None)
        self.depth, self.sensitivity, self.gate = self._start
        self.ended = False

    def press(self, key: str) -> None:
        """Does what ``key`` says; a key that says nothing is ignored."""
        if key in ("+", "=", "up"):
            self._set_sensitivity(_share(self.sensitivity + SENSITIVITY_STEP))
        elif key in ("-", "_", "down"):
            self._set_sensitivity(_share(self.sensitivity - SENSITIVITY_STEP))
        elif key == "d":
            self._set_depth(self._depths[(self._depths.index(self.depth) + 1) % len(self._depths)])
        elif key == "g":
            higher = [gate for gate in GATES if gate > self.gate]
            self._set_gate(higher[0] if higher else GATES[0])
        elif key == "0":
            depth, sensitivity, gate = self._start
            self._set_depth(depth)
            self._set_sensitivity(sensitivity)
            self._set_gate(gate)
        elif key in ("q", "Q"):
            self.ended = True

    def _set_sensitivity(self, value: float) -> None:
        self.sensitivity = value
        self._stream.set_sensitivity(value)
        for word, own in self._words.items():
            self._stream.set_sensitivity(min(max(own + (value - self._start[1]), 0.0), 1.0), word)

    def _set_depth(self, depth: Depth) -> None:
        self.depth = depth
        if depth == ADAPTIVE:
            self._stream.set_adaptive(*self._pair)
        else:
            self._stream.set_depth(depth)

    def _set_gate(self, gate: float) -> None:
        self.gate = gate
        self._stream.set_gate(gate)


def _share(value: float) -> float:
    return min(max(round(value, 2), 0.0), 1.0)
