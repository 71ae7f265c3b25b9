"""Confusion matrices and curves as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kws.errors import KwsError
from kws.evaluate import metrics
from kws.evaluate.run import Evaluation
from kws.evaluate.stream import ADAPTIVE, ModeResult
from kws.figures import new_figure, save_figure

_OPTION = "--plots"


def draw_confusions(evaluation: Evaluation, folder: str | Path) -> list[Path]:
    """Writes ``confusion_depth<delta>.png`` for every depth into ``folder``, made where missing; returns the paths.

    Raises:
        KwsError: matplotlib is missing, or the folder cannot be written.
    """
    names = evaluation.class_names
    side = max(5.0, 0.45 * len(names) + 2.0)
    paths = []
    for delta, result in evaluation.depths.items():
        figure = new_figure(side, side, _OPTION)
        axes = figure.add_subplot()
        counts = result.matrix.sum(axis=1, keepdims=True)
        share = result.matrix / np.maximum(counts, 1)
        axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
        for row, column in zip(*np.nonzero(result.matrix), strict=True):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(result.matrix[row, column]), ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("predicted")
        axes.set_ylabel("truth")
        axes.set_title(
            f"{evaluation.model}, depth {delta}, {evaluation.split}: "
            f"balanced accuracy {100 * metrics.balanced_accuracy(result.matrix):.2f} %, n = {result.matrix.sum()}",
            fontsize=10,
        )
        path = Path(folder) / f"confusion_depth{delta}.png"
        save_figure(figure, path, _OPTION)
        paths.append(path)
    return paths


def draw_det(model: str, results: Sequence[ModeResult], folder: str | Path, count_late: bool = True) -> Path:
    """Writes ``det.png`` into ``folder``: share missed against false accepts an hour, a curve a mode; returns its path.

    Raises:
        KwsError: matplotlib is missing, the folder cannot be written, or no word was said.
    """
    if any(point.misses is None for result in results for point in result.curve):
        raise KwsError("Without a word of the model in the recordings there is no curve to draw; leave --plots out.")
    figure = new_figure(7.0, 5.0, _OPTION)
    axes = figure.add_subplot()
    for result in results:
        points = [(point.rate(count_late), 100.0 * (point.misses or 0.0)) for point in result.curve]
        line = [point for point in points if point[0] > 0.0]
        style = "--" if result.mode.name == ADAPTIVE else "-"
        (drawn,) = axes.plot(*zip(*line, strict=True), style, label=result.mode.name) if line else axes.plot([], [])
        own = result.operations[0].point
        if own.rate(count_late) > 0.0:
            axes.plot(own.rate(count_late), 100.0 * (own.misses or 0.0), "o", color=drawn.get_color())
    axes.set_xscale("log")
    axes.set_xlabel("false accepts an hour" + ("" if count_late else ", late detections left out"))
    axes.set_ylabel("words missed, %")
    axes.set_ylim(0.0, 100.0)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    axes.set_title(f"{model}; a dot: the thresholds as set", fontsize=10)
    path = Path(folder) / "det.png"
    save_figure(figure, path, _OPTION)
    return path
