"""A project's windows, composed for training and for validation."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from kws.data.tasks import Task
from kws.errors import KwsError
from kws.features import Preset
from kws_training.composed.data import ComposedData, Composition, draw
from kws_training.composed.pieces import Pieces

VALIDATION_WINDOWS = 600


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
        windows, labels = draw(held_out, VALIDATION_WINDOWS, np.random.default_rng([seed, 0]))
        self.validation_features = torch.cat([self.log_mel(part) for part in windows.split(128)])
        self.validation_labels = torch.from_numpy(labels)
        self.hash = _hash(training, validation)

    def counts(self) -> dict[str, int]:
        """Recordings of each word, synthesised ones included."""
        own = self.training
        return {w: len(t) + len(v) for w, t, v in zip(self.task.words, own.takes, own.voices, strict=True)}


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
