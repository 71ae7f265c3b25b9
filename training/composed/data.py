"""Composed windows as batches: what ``kws_training.loop.Run`` asks of its data, composed anew in every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kws.data.tasks import Task
from kws.features import Preset
from kws_training.composed.hard import Ear, hard_pieces, hard_words
from kws_training.composed.pieces import Pieces
from kws_training.composed.scenes import Manner, Scenes, Shares
from kws_training.features import LogMel
from kws_training.networks import BiFSMN

_TILTED, _TILT_DB, _KNOTS = 0.6, 5.0, 5


@dataclass(frozen=True)
class Composition:
    """What epochs are composed of.

    Attributes:
        batches: steps of an epoch.
        heard: pieces of other speech that the network hears before every epoch, to find hard ones; 0 for none.
        runs: windows of other speech, as they are composed, that it hears beside them.
        heard_words: pieces of the words that it hears.
        shares: of the kinds of windows.
        manner: how they sound.
    """

    batches: int = 32
    heard: int = 2048
    runs: int = 0
    heard_words: int = 0
    shares: Shares = field(default_factory=Shares)
    manner: Manner = field(default_factory=Manner)

    def scenes(self, pieces: Pieces, preset: Preset) -> Scenes:
        """A composer of such windows."""
        return Scenes(pieces, preset.window_samples, self.shares, self.manner)


class ComposedData:
    """Training windows.

    Args:
        task: classes.
        preset: features.
        training: recordings, of every word at least one.
        seed: of every draw.
        composition: of an epoch.
    """

    identity_count = 0
    """No second task: the words of other speech are not told apart."""

    def __init__(self, task: Task, preset: Preset, training: Pieces, seed: int, composition: Composition) -> None:
        self.task, self.preset, self.seed, self.composition = task, preset, seed, composition
        self.log_mel = LogMel(preset)
        self.training = training
        self.scenes = composition.scenes(training, preset)

    def steps(self, batch: int, *_: Any) -> int:
        """Batches an epoch, of any size."""
        return self.composition.batches

    def word_draws(self) -> list[int]:
        """Draws of each word, as shares of one another: every word comes as often as any other."""
        return [1] * len(self.task.words)

    def windows(self, count: int, seed: int) -> Iterator[Tensor]:
        """Features of ``count`` training windows as they are, in batches of 64: to measure statistics on."""
        windows, _ = draw(self.scenes, count, np.random.default_rng([self.seed, 1, seed]))
        return (self.log_mel(part) for part in windows.split(64))

    def seek_hard(self, network: BiFSMN, deltas: tuple[int, ...], epoch: int) -> None:
        """Has the next epoch draw more often what ``network`` is most mistaken about."""
        rng = np.random.default_rng([self.seed, 3, epoch])
        ear = Ear(network, self.log_mel, deltas)
        how = self.composition
        hard = hard_pieces(ear, self.scenes, how.heard, how.runs, rng)
        words = hard_words(ear, self.training, how.heard_words, rng)
        self.scenes = how.scenes(replace(self.training, hard=hard, hard_words=words), self.preset)

    def epoch(self, stage: int, epoch: int, batch: int, *_: Any) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One epoch: features float32 [batch, n_mels, frames] in dB, and labels int64 [batch], twice."""
        for step in range(self.composition.batches):
            rng = np.random.default_rng([self.seed, 2, epoch, step])
            windows, labels = draw(self.scenes, batch, rng)
            answers = torch.from_numpy(labels)
            yield self._tilted(self.log_mel(windows), rng), answers, answers

    def _tilted(self, features: Tensor, rng: np.random.Generator) -> Tensor:
        """Most windows as through another microphone: a smooth curve over the mels, of some decibels."""
        batch, mels, _ = features.shape
        knots = rng.uniform(-_TILT_DB, _TILT_DB, (batch, 1, _KNOTS)) * (rng.random((batch, 1, 1)) < _TILTED)
        curve = torch.nn.functional.interpolate(
            torch.from_numpy(knots).float(), size=mels, mode="linear", align_corners=True
        )
        return features + curve.transpose(1, 2)


def draw(scenes: Scenes, count: int, rng: np.random.Generator) -> tuple[Tensor, NDArray[np.int64]]:
    """``count`` windows, float32 [count, samples] on the int16 scale, and their classes, int64 [count]."""
    drawn = [scenes.draw(rng) for _ in range(count)]
    return torch.from_numpy(np.stack([pcm for pcm, _ in drawn])).float(), np.array([label for _, label in drawn])
