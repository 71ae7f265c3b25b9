"""Windows as a listener meets them: a word amid pauses or other speech, half a word, other words, noise.

A window of a stream does not hold a clip with the word in its middle. Here every window is composed: its word lies
anywhere in it, other speech may end before and begin after it, all of it sounds in a room, over noise. What shows at
least ``WHOLE`` of a word is the word; what shows at most ``PART`` of it is ``_unknown_``; nothing between is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, level_dbfs
from kws.data.stream import at_speed, drawn_samples, lay
from kws.evaluate.degrade import reverberate
from kws_training.composed.pieces import QUIET, Piece, Pieces

WHOLE, PART = 0.92, 0.6
LEAST_PART = 0.2

TAKES_HALF = 1.5
"""As many takes by people as would make half of a word's draws: three make two thirds."""

LEVEL = (-38.0, -14.0)
"""Of the speech, dBFS."""
SNR = (0.0, 30.0)
ROOM = (0.1, 0.6)
"""Reverberation time, seconds."""

_SPEED = (0.9, 1.1)
_NOISY, _FLOORED, _REVERBERANT, _BEFORE, _AFTER, _BABBLE, _RUNNING = 0.85, 0.9, 0.35, 0.5, 0.35, 0.08, 0.5
_BABBLE_SNR = (6.0, 20.0)
_GAP, _JOINT = (0.03, 0.4), (-0.12, 0.02)
"""Seconds between the pieces of a run, and between those of one that is spoken without pauses."""
_LEAST_STEP = SAMPLE_RATE // 20
_FLOOR = (-80.0, -62.0)
_SILENCE = (-75.0, -25.0)

Sound = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """How often each kind of window is drawn, relative to the others.

    ``words`` is shared by the words; ``false``, ``hard`` and ``hard_words`` count only where there is any.
    """

    words: float = 0.40
    near: float = 0.12
    parts: float = 0.12
    speech: float = 0.26
    silence: float = 0.10
    false: float = 0.10
    hard: float = 0.20
    hard_words: float = 0.08


@dataclass(frozen=True)
class Manner:
    """How windows sound.

    Attributes:
        latest: most seconds from a word's end to the window's; None for any.
        joined: part of the runs of pieces in which these run into each other, as in a sentence.
    """

    latest: float | None = None
    joined: float = 0.0


class Scenes:
    """Composes windows of one split.

    Args:
        pieces: what to compose of; must hold each word, in a voice or a take.
        samples: of a window.
        shares: of the kinds.
        manner: how they sound.
    """

    def __init__(self, pieces: Pieces, samples: int, shares: Shares, manner: Manner = Manner()) -> None:
        self.pieces, self.samples, self._manner = pieces, samples, manner
        self._latest = samples if manner.latest is None else round(manner.latest * SAMPLE_RATE)
        self.n_words = len(pieces.voices)
        kinds = {"near": shares.near, "part": shares.parts, "speech": shares.speech, "silence": shares.silence}
        kinds |= {"false": shares.false} if pieces.false else {}
        kinds |= {"hard": shares.hard} if pieces.hard else {}
        kinds |= {"hard word": shares.hard_words} if pieces.hard_words else {}
        # Without near words, as where none can be synthesised, their share goes to other speech.
        if not pieces.near:
            kinds["speech"] += kinds.pop("near")
        self._kinds = [f"word {index}" for index in range(self.n_words)] + list(kinds)
        weights = np.array([shares.words / self.n_words] * self.n_words + list(kinds.values()))
        self._weights = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.int16], int]:
        """A window, int16 [samples], and its class: a word's index, or the next for unknown and silence."""
        kind = self._kinds[int(rng.choice(len(self._kinds), p=self._weights))]
        level = rng.uniform(*LEVEL)
        scene, label = self._speech(kind, level, rng)
        if kind != "silence" and rng.random() < _REVERBERANT:
            scene = reverberate(scene, rng.uniform(*ROOM), rng)
        if kind != "silence" and rng.random() < _BABBLE:
            babble = np.zeros(self.samples)
            self._run(babble, level - rng.uniform(*_BABBLE_SNR), rng)
            scene += babble
        scene += self._background(level, kind == "silence", rng)
        return _rounded(scene), label

    def run(self, level: float, rng: np.random.Generator) -> NDArray[np.int16]:
        """A window of other speech at ``level`` dBFS, int16 [samples], and nothing else."""
        scene = np.zeros(self.samples)
        self._run(scene, level, rng)
        return _rounded(scene)

    def _speech(self, kind: str, level: float, rng: np.random.Generator) -> tuple[Sound, int]:
        scene, unknown = np.zeros(self.samples), self.n_words
        if kind == "silence":
            return scene, unknown + 1
        if kind == "speech":
            self._run(scene, level, rng)
            return scene, unknown
        if kind == "part":
            self._lay_part(scene, self._word(int(rng.integers(self.n_words)), rng), level, rng)
            return scene, unknown
        if kind in ("near", "false", "hard"):
            pool = getattr(self.pieces, kind)
            piece, label = pool[int(rng.integers(len(pool)))], unknown
        elif kind == "hard word":
            label, piece = self.pieces.hard_words[int(rng.integers(len(self.pieces.hard_words)))]
        else:
            label = int(kind.split()[1])
            piece = self._word(label, rng)
        self._lay_whole(scene, piece, level, rng, self._latest if label < unknown else self.samples)
        return scene, label

    def _word(self, word: int, rng: np.random.Generator) -> Piece:
        takes, voices = self.pieces.takes[word], self.pieces.voices[word]
        share = len(takes) / (len(takes) + TAKES_HALF) if voices else 1.0
        pool = takes if takes and rng.random() < share else voices
        return pool[int(rng.integers(len(pool)))]

    def _lay_whole(self, scene: Sound, piece: Piece, level: float, rng: np.random.Generator, latest: int) -> None:
        """At least ``WHOLE`` of the piece's speech, other speech before or after it, and at most ``latest`` samples of
        the window after its end.
        """
        wave, first, length = _at_speed(piece, level, rng)
        slack = int((1.0 - WHOLE) * length)
        low, high = max(-slack, self.samples - length - latest), self.samples - length + slack
        start = int(rng.integers(low, high + 1)) if high >= low else (self.samples - length) // 2
        lay(scene, wave, start - first)
        if rng.random() < _BEFORE:
            self._run(scene[: max(0, start - drawn_samples(_GAP, rng))], level, rng, from_end=True)
        if rng.random() < _AFTER:
            self._run(scene[max(0, start + length + drawn_samples(_GAP, rng)) :], level, rng)

    def _lay_part(self, scene: Sound, piece: Piece, level: float, rng: np.random.Generator) -> None:
        """The piece's beginning at the window's end, or its end at the window's beginning."""
        wave, first, length = _at_speed(piece, level, rng)
        seen = int(rng.uniform(LEAST_PART, PART) * length)
        if rng.random() < 0.6:
            start = self.samples - seen
            if rng.random() < _BEFORE:
                self._run(scene[: max(0, start - drawn_samples(_GAP, rng))], level, rng, from_end=True)
        else:
            start = seen - length
            if rng.random() < _AFTER:
                self._run(scene[max(0, seen + drawn_samples(_GAP, rng)) :], level, rng)
        lay(scene, wave, start - first)

    def _run(self, scene: Sound, level: float, rng: np.random.Generator, from_end: bool = False) -> None:
        """Fills ``scene`` with other speech: a stretch of a recording, or pieces one after another."""
        running, speech = self.pieces.running, self.pieces.speech
        if running and (not speech or rng.random() < _RUNNING):
            recording = running[int(rng.integers(len(running)))]
            start = int(rng.integers(max(1, len(recording) - len(scene))))
            wave = recording[start : start + len(scene)].astype(np.float64)
            loudness = level_dbfs(wave)
            scene[: len(wave)] += wave * (_gain(level, loudness) if loudness > QUIET else 1.0)
            return
        if not speech:
            return
        gap = _JOINT if self._manner.joined and rng.random() < self._manner.joined else _GAP
        position = 0 if from_end else -drawn_samples((0.0, 0.5), rng)
        while position < len(scene):
            piece = speech[int(rng.integers(len(speech)))]
            # A sentence is longer than a window: begin anywhere in it.
            skip = int(rng.integers(max(1, piece.length - len(scene)))) if piece.length > len(scene) else 0
            wave = piece.pcm[piece.first + skip : piece.last].astype(np.float64) * _gain(level, piece.level)
            wave = wave[: len(scene)]
            at = len(scene) - position - len(wave) if from_end else position
            lay(scene, wave, at)
            position += max(_LEAST_STEP, len(wave) + drawn_samples(gap, rng))

    def _background(self, level: float, alone: bool, rng: np.random.Generator) -> Sound:
        floor = np.zeros(self.samples)
        if rng.random() < _FLOORED:
            floor = 32768.0 * 10.0 ** (rng.uniform(*_FLOOR) / 20.0) * rng.standard_normal(self.samples)
        noise = self.pieces.noise
        if len(noise) <= self.samples or not (alone or rng.random() < _NOISY):
            return floor
        start = int(rng.integers(len(noise) - self.samples))
        wave = noise[start : start + self.samples].astype(np.float64)
        wanted = rng.uniform(*_SILENCE) if alone else level - rng.uniform(*SNR)
        return floor + wave * _gain(wanted, level_dbfs(wave))


def _rounded(scene: Sound) -> NDArray[np.int16]:
    return np.clip(np.rint(scene), -32768, 32767).astype(np.int16)


def _at_speed(piece: Piece, level: float, rng: np.random.Generator) -> tuple[Sound, int, int]:
    """The piece at a drawn speed and at ``level``, where its speech begins, and that speech's length."""
    speed = rng.uniform(*_SPEED)
    wave = at_speed(piece.pcm, speed) * _gain(level, piece.level)
    return wave, int(piece.first / speed), int(piece.length / speed)


def _gain(wanted: float, level: float) -> float:
    """Factor from ``level`` to ``wanted``, both dBFS; what is as good as silent is not made a roar."""
    return float(10.0 ** (min(wanted - level, 40.0) / 20.0))
