"""Confusion matrices as pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kws.errors import KwsError
from kws.evaluate import metrics
from kws.evaluate.run import Evaluation


def draw_confusions(evaluation: Evaluation, folder: str | Path) -> list[Path]:
    """Writes ``confusion_depth<delta>.png`` for every depth into ``folder``, made where missing; returns the paths.

    Raises:
        KwsError: matplotlib is missing, or the folder cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise KwsError(f"--plots needs matplotlib ({error}): pip install 'kws[train]'.") from error
    names = evaluation.class_names
    side = max(5.0, 0.45 * len(names) + 2.0)
    paths = []
    for delta, result in evaluation.depths.items():
        # Figure without pyplot: no display, no global state.
        figure = Figure(figsize=(side, side), layout="constrained")
        FigureCanvasAgg(figure)
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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=120)
        except OSError as error:
            raise KwsError(f"{path}: cannot be written ({error.strerror}); choose another --plots folder.") from error
        paths.append(path)
    return paths
