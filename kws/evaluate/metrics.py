"""Counts and ratios of a classifier's answers, in plain numpy.

Everything derives from the confusion matrix ``matrix[truth, predicted]``, int64 [n_classes, n_classes].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.int64]


@dataclass(frozen=True)
class ClassScore:
    """One class's figures.

    Attributes:
        count: clips of the class.
        predicted: clips that were taken for it.
        correct: clips of the class that were taken for it.
        recall: correct / count, None where the class has no clip.
        precision: correct / predicted, None where nothing was taken for it.
    """

    count: int
    predicted: int
    correct: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True)
class Confusion:
    """``count`` clips of class ``truth`` were taken for ``predicted``."""

    truth: str
    predicted: str
    count: int


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, n_classes: int) -> Matrix:
    """Counts pairs of class indices.

    Args:
        truth: integers [n] in 0..n_classes-1.
        predicted: integers [n] in the same range.
        n_classes: side of the matrix.

    Raises:
        ValueError: different lengths, or an index out of range.
    """
    rows, columns = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    if rows.shape != columns.shape or rows.ndim != 1:
        raise ValueError(f"truth {rows.shape} and predicted {columns.shape} must be two vectors of one length")
    for indices in (rows, columns):
        if len(indices) and not 0 <= indices.min() <= indices.max() < n_classes:
            raise ValueError(f"class index outside 0..{n_classes - 1}")
    counts = np.bincount(rows * n_classes + columns, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def accuracy(matrix: Matrix) -> float:
    """Correct clips / clips, 0..1. Raises ValueError where there is no clip."""
    total = int(matrix.sum())
    if total == 0:
        raise ValueError("no clip to take the accuracy of")
    return int(np.trace(matrix)) / total


def balanced_accuracy(matrix: Matrix, least: int = 1) -> float:
    """The mean recall, 0..1, of the classes that have ``least`` clips or more. Raises ValueError where none has."""
    counts = matrix.sum(axis=1)
    present = counts >= least
    if not present.any():
        raise ValueError("no clip to take the accuracy of")
    return float(np.mean(np.diagonal(matrix)[present] / counts[present]))


def class_scores(matrix: Matrix) -> list[ClassScore]:
    """Every class's figures, in class order."""
    scores = []
    for index, correct in enumerate(np.diagonal(matrix)):
        count, predicted = int(matrix[index].sum()), int(matrix[:, index].sum())
        scores.append(
            ClassScore(
                count=count,
                predicted=predicted,
                correct=int(correct),
                recall=int(correct) / count if count else None,
                precision=int(correct) / predicted if predicted else None,
            )
        )
    return scores


def worst_confusions(matrix: Matrix, names: Sequence[str], most: int = 10) -> list[Confusion]:
    """The most frequent wrong answers, most frequent first; equal ones in class order."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(flat), len(names)) for flat in order]
    return [
        Confusion(names[row], names[column], int(wrong[row, column])) for row, column in pairs if wrong[row, column]
    ]


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """Probabilities over the last axis, float64 in the shape of ``logits``."""
    values = np.asarray(logits, np.float64)
    powers: NDArray[np.float64] = np.exp(values - values.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities
