"""Clips of a corpus in composed windows, to make a listener of a model that was trained on clips.

What ``kws new`` does for own words, for the words of a task: a word that ended at most half a second before its window
does, or that is not whole, amid other speech or pauses, in a room, over noise; every word as often as any other; and
hard examples that the network finds itself, among other speech and among the words (``kws_training.composed.hard``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kws_training.composed.data import ComposedData, Composition
from kws_training.composed.pieces import Piece, Pieces, piece_of
from kws_training.composed.scenes import Manner, Shares
from kws_training.dataset import TrainingData
from kws_training.running import LATE

COMPOSITION = Composition(
    batches=64,
    heard=4096,
    runs=2048,
    heard_words=2048,
    shares=Shares(words=0.34, near=0.0, parts=0.10, speech=0.28, silence=0.06, hard=0.20, hard_words=0.08),
    manner=Manner(latest=LATE, joined=0.5),
)


class ListeningData(ComposedData):
    """Composed windows for training, and the clips themselves, as every other recipe has them, for validation.

    Args:
        data: of a task with ``_unknown_`` and ``_silence_``.
        negatives: recordings in which none of the words is said, int16 [n] each.
    """

    def __init__(self, data: TrainingData, negatives: Sequence[NDArray[np.int16]] = ()) -> None:
        pcm, n_words = data.pcm.numpy(), len(data.task.words)

        def pieces(indices: Iterable[int]) -> list[Piece]:
            return [piece_of(pcm[index]) for index in indices]

        training = Pieces(
            takes=[[] for _ in range(n_words)],
            voices=[pieces(members) for members in data.members[:n_words]],
            near=[],
            speech=pieces(data.members[n_words]),
            false=[],
            running=list(negatives),
            noise=np.concatenate([data.noise.numpy(), pcm[data.members[n_words + 1]].reshape(-1)]),
        )
        super().__init__(data.task, data.preset, training, data.seed, COMPOSITION)
        self.validation_features, self.validation_labels = data.validation_features, data.validation_labels
        self.hash, self.skipped = data.hash, data.skipped
        self._counts = data.counts()

    def counts(self) -> dict[str, int]:
        """Training clips by class name."""
        return self._counts
