"""Learning curves as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def draw_curves(history: list[dict[str, Any]], path: Path) -> None:
    """Draws loss and balanced validation accuracy at every depth against the epoch, stage after stage, as a PNG.

    A dot is what the average of a stage's weights reaches. ``history`` holds the rows that ``kws_training.loop.Run``
    records.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (loss, score) = pyplot.subplots(2, 1, figsize=(8, 7), sharex=True, constrained_layout=True)
    epochs = range(1, len(history) + 1)
    loss.plot(epochs, [row["loss"] for row in history], color="black")
    loss.set_ylabel("training loss")
    for delta in ("1", "2", "4"):
        points = [
            (e, 100 * row["validation"][delta]["balanced_accuracy"])
            for e, row in zip(epochs, history, strict=True)
            if delta in row["validation"]
        ]
        if points:
            (line,) = score.plot(*zip(*points, strict=True), label=f"depth {delta}")
            for epoch, row in zip(epochs, history, strict=True):
                if delta in row.get("averaged", {}):
                    score.plot(epoch, 100 * row["averaged"][delta]["balanced_accuracy"], "o", color=line.get_color())
    score.set_ylabel("balanced accuracy, validation, %")
    score.set_xlabel("epoch")
    score.grid(alpha=0.3)
    score.legend()
    for done, row in enumerate(history):
        if done and row["epoch"] == 1:
            for axis in (loss, score):
                axis.axvline(done + 0.5, color="grey", linestyle=":")
            score.annotate(row["stage"], (done + 0.7, score.get_ylim()[0]), color="grey", rotation=90, va="bottom")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
