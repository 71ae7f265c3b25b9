"""Composed windows as batches: what ``kws_training.loop.Run`` asks of its data, composed anew in every epoch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kws.data.tasks import Task
from kws.errors import KwsError
from kws.features import Preset
from kws_training.features import LogMel
from kws_training.networks import BiFSMN
from kws_training.own_words.hard import hard_pieces
from kws_training.own_words.pieces import Pieces
from kws_training.own_words.scenes import Scenes, Shares

VALIDATION_WINDOWS = 600

_TILTED, _TILT_DB, _KNOTS = 0.6, 5.0, 5


@dataclass(frozen=True)
class Composition:
    """What epochs are composed of.

    Attributes:
        batches: steps of an epoch.
        heard: pieces of other speech that the network hears before it, to find hard ones.
        shares: of the kinds of windows.
        latest: as ``Scenes`` has it.
    """

    batches: int = 32
    heard: int = 2048
    shares: Shares = field(default_factory=Shares)
    latest: float | None = None

    def scenes(self, pieces: Pieces, preset: Preset) -> Scenes:
        """A composer of such windows."""
        return Scenes(pieces, preset.window_samples, self.shares, self.latest)


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

    def windows(self, count: int, seed: int) -> Iterator[Tensor]:
        """Features of ``count`` training windows as they are, in batches of 64: to measure statistics on."""
        windows, _ = _draw(self.scenes, count, np.random.default_rng([self.seed, 1, seed]))
        return (self.log_mel(part) for part in windows.split(64))

    def seek_hard(self, network: BiFSMN, deltas: tuple[int, ...], epoch: int) -> None:
        """Has the next epoch draw more often what ``network`` is nearest to taking for a word."""
        rng = np.random.default_rng([self.seed, 3, epoch])
        hard = hard_pieces(network, self.log_mel, self.training, deltas, self.composition.heard, rng)
        self.scenes = self.composition.scenes(replace(self.training, hard=hard), self.preset)

    def epoch(self, stage: int, epoch: int, batch: int, *_: Any) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One epoch: features float32 [batch, n_mels, frames] in dB, and labels int64 [batch], twice."""
        for step in range(self.composition.batches):
            rng = np.random.default_rng([self.seed, 2, epoch, step])
            windows, labels = _draw(self.scenes, batch, rng)
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


class SceneData(ComposedData):
    """The training and validation windows of a project.

    Args:
        task: classes.
        preset: features.
        training, validation: recordings of both splits.
        seed: of every draw.
        composition: of an epoch.

    Raises:
        KwsError: a word that no recording says.
    """

    def __init__(
        self,
        task: Task,
        preset: Preset,
        training: Pieces,
        validation: Pieces,
        seed: int,
        composition: Composition,
    ) -> None:
        for word, takes, voices in zip(task.words, training.takes, training.voices, strict=True):
            if not takes and not voices:
                raise KwsError(f"Nothing says '{word}': no take, and no synthesised voice; record it with kws record.")
        super().__init__(task, preset, training, seed, composition)
        self.skipped = list((training.skipped | validation.skipped).values())
        # What validation lacks it borrows, as of few takes: the figures of an epoch only show that training goes on.
        held_out = composition.scenes(_filled(validation, training), preset)
        windows, labels = _draw(held_out, VALIDATION_WINDOWS, np.random.default_rng([seed, 0]))
        self.validation_features = torch.cat([self.log_mel(part) for part in windows.split(128)])
        self.validation_labels = torch.from_numpy(labels)
        self.hash = _hash(training, validation)

    def counts(self) -> dict[str, int]:
        """Recordings of each word, synthesised ones included."""
        own = self.training
        return {w: len(t) + len(v) for w, t, v in zip(self.task.words, own.takes, own.voices, strict=True)}


def _draw(scenes: Scenes, count: int, rng: np.random.Generator) -> tuple[Tensor, NDArray[np.int64]]:
    drawn = [scenes.draw(rng) for _ in range(count)]
    return torch.from_numpy(np.stack([pcm for pcm, _ in drawn])).float(), np.array([label for _, label in drawn])


def _filled(pieces: Pieces, other: Pieces) -> Pieces:
    """``pieces`` with what they lack taken from ``other``."""
    voices = [
        own or ([] if takes else also or also_takes)
        for own, takes, also, also_takes in zip(pieces.voices, pieces.takes, other.voices, other.takes, strict=True)
    ]
    noise = pieces.noise if len(pieces.noise) else other.noise
    return Pieces(
        pieces.takes,
        voices,
        pieces.near or other.near,
        pieces.speech or other.speech,
        pieces.false,
        pieces.running or other.running,
        noise,
    )


def _hash(*splits: Pieces) -> str:
    digest = hashlib.sha256()
    for pieces in splits:
        groups = [*pieces.takes, *pieces.voices, pieces.near, pieces.speech, pieces.false]
        for group in groups:
            digest.update(len(group).to_bytes(8, "little"))
            for piece in group:
                digest.update(piece.pcm.data)
        for wave in (*pieces.running, pieces.noise):
            digest.update(np.ascontiguousarray(wave).data)
    return digest.hexdigest()
