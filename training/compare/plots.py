"""Accuracy against what it costs, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kws_training.compare.table import grouped, mean

PLOTS = {
    "accuracy-bytes.png": ("bytes", "bytes of the model"),
    "accuracy-instructions.png": ("instructions", "AArch64 instructions of a window, features given (emulated)"),
}
MARKERS = "osD^vP*X"


def front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (cost, accuracy): those that nothing cheaper or as cheap equals, by rising cost."""
    kept: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or accuracy > kept[-1][1]:
            kept.append((cost, accuracy))
    return kept


def draw(results: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Writes those of ``PLOTS`` that have two points to compare into ``folder``; returns their paths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, paths = grouped(results), []
    for name, (what, label) in PLOTS.items():
        points = []
        for row in rows:
            result = row["seeds"][0][0]
            cost = result["bytes"]["total"] if what == "bytes" else mean(row, what)
            accuracy = mean(row, "balanced_accuracy")
            if cost and accuracy is not None:
                points.append((row, float(cost), 100 * accuracy))
        path = folder / name
        if len(points) < 2:
            path.unlink(missing_ok=True)
            continue
        # Figure without pyplot: no display, no global state.
        figure = Figure(figsize=(8, 5.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        families = list(dict.fromkeys(row["seeds"][0][0]["cell"]["network"] for row, _, _ in points))
        for row, cost, accuracy in points:
            family = families.index(row["seeds"][0][0]["cell"]["network"])
            axes.scatter(cost, accuracy, marker=MARKERS[family % len(MARKERS)], color=f"C{family % 10}", s=45, zorder=3)
            deeper = "" if len(row["seeds"][0][0]["depths"]) == 1 else f", depth {row['delta']}"
            axes.annotate(row["name"] + deeper, (cost, accuracy), (6, 4), textcoords="offset points", fontsize=8)
        edge = front([(cost, accuracy) for _, cost, accuracy in points])
        axes.step(*zip(*edge, strict=True), where="post", color="grey", linestyle=":", linewidth=1)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("balanced accuracy, validation, %")
        axes.grid(alpha=0.3)
        axes.margins(x=0.2)
        figure.savefig(path, dpi=120)
        paths.append(path)
    return paths
