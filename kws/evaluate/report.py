"""An evaluation as a JSON object and as tables for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from kws.evaluate import metrics
from kws.evaluate.run import Answer, DepthResult, Evaluation

THIN = 30
"""A class with fewer evaluation clips is marked: one clip moves its recall by more than three points."""

MOST_CONFUSIONS = 10
MOST_WRONG = 10


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON-able data.

    ``accuracy``, ``balanced_accuracy``, ``n`` and ``per_class`` at the top are those of the deepest depth; ``depths``
    holds the same per depth, with the confusion matrix (rows: truth), the worst confusions and the clips most wrong.
    Ratios lie in 0..1; a ratio of nothing is null.
    """
    depths = {str(delta): _depth_json(evaluation, result) for delta, result in evaluation.depths.items()}
    top = depths[str(min(evaluation.depths))]
    return {
        "accuracy": top["accuracy"],
        "balanced_accuracy": top["balanced_accuracy"],
        "n": top["n"],
        "per_class": top["per_class"],
        "depths": depths,
        "split": evaluation.split,
        "engine": evaluation.engine,
        "model": evaluation.model,
        "data": str(evaluation.data),
        "class_names": evaluation.class_names,
        "skipped": evaluation.skipped,
        "shortened": evaluation.shortened,
        "notes": evaluation.notes,
    }


def _depth_json(evaluation: Evaluation, result: DepthResult) -> dict[str, Any]:
    names, matrix = evaluation.class_names, result.matrix
    return {
        "accuracy": metrics.accuracy(matrix),
        "balanced_accuracy": metrics.balanced_accuracy(matrix),
        "n": int(matrix.sum()),
        "per_class": {
            name: {
                "precision": score.precision,
                "recall": score.recall,
                "count": score.count,
                "predicted": score.predicted,
                "correct": score.correct,
            }
            for name, score in zip(names, metrics.class_scores(matrix), strict=True)
        },
        "confusion": matrix.tolist(),
        "worst_confusions": [
            {"truth": one.truth, "predicted": one.predicted, "count": one.count}
            for one in metrics.worst_confusions(matrix, names, MOST_CONFUSIONS)
        ],
        "most_wrong": [
            {
                "file": str(answer.clip.path),
                "start": answer.clip.start,
                "truth": names[answer.truth],
                "predicted": names[answer.predicted],
                "probability": answer.probability,
            }
            for answer in result.wrong[:MOST_WRONG]
        ],
    }


def show(evaluation: Evaluation, console: Console) -> None:
    """Prints the evaluation: figures per depth, then classes, confusions and clips of every depth."""
    console.print(
        f"{evaluation.model} on {evaluation.data}, {evaluation.split} split, {evaluation.engine} engine",
        style="bold",
        markup=False,
        soft_wrap=True,
    )
    for delta, result in evaluation.depths.items():
        console.print(
            f"depth {delta}: accuracy {_percent(metrics.accuracy(result.matrix))}, "
            f"balanced accuracy {_percent(metrics.balanced_accuracy(result.matrix))}, n = {int(result.matrix.sum())}",
            soft_wrap=True,
        )
    console.print(_class_table(evaluation))
    for delta, result in evaluation.depths.items():
        _show_mistakes(evaluation, delta, result, console)
    thin = _thin_classes(evaluation)
    for note in evaluation.notes:
        console.print(note, style="yellow", markup=False, soft_wrap=True)
    if thin:
        text = f"* fewer than {THIN} clips: {', '.join(thin)}; their figures say little."
        console.print(text, style="yellow", markup=False, soft_wrap=True)
    if evaluation.shortened:
        clips = "1 clip is" if evaluation.shortened == 1 else f"{evaluation.shortened} clips are"
        text = f"{clips} longer than the model's window; only the beginning was used."
        console.print(text, style="yellow", soft_wrap=True)
    if evaluation.skipped:
        clips = "1 clip was" if len(evaluation.skipped) == 1 else f"{len(evaluation.skipped)} clips were"
        console.print(f"{clips} skipped:", style="red", soft_wrap=True)
        for sentence in evaluation.skipped[:MOST_WRONG]:
            console.print(f"  {sentence}", markup=False, soft_wrap=True)
        if len(evaluation.skipped) > MOST_WRONG:
            console.print(f"  and {len(evaluation.skipped) - MOST_WRONG} more", soft_wrap=True)


def _thin_classes(evaluation: Evaluation) -> list[str]:
    counts = next(iter(evaluation.depths.values())).matrix.sum(axis=1)
    return [name for name, count in zip(evaluation.class_names, counts, strict=True) if 0 < count < THIN]


def _class_table(evaluation: Evaluation) -> Table:
    """One row a class, its recall and precision at every depth."""
    # Without lines, three depths fit into 80 columns.
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("class", no_wrap=True)
    table.add_column("clips", justify="right", no_wrap=True)
    scores = []
    for delta, result in evaluation.depths.items():
        table.add_column(f"recall\ndepth {delta}", justify="right", no_wrap=True)
        table.add_column(f"precision\ndepth {delta}", justify="right", no_wrap=True)
        scores.append(metrics.class_scores(result.matrix))
    thin = _thin_classes(evaluation)
    for index, name in enumerate(evaluation.class_names):
        ratios = [_percent(value) for depth in scores for value in (depth[index].recall, depth[index].precision)]
        table.add_row(name + ("*" if name in thin else ""), str(scores[0][index].count), *ratios)
    return table


def _show_mistakes(evaluation: Evaluation, delta: int, result: DepthResult, console: Console) -> None:
    names = evaluation.class_names
    worst = metrics.worst_confusions(result.matrix, names, MOST_CONFUSIONS)
    if not worst:
        console.print(f"depth {delta}: no mistake", soft_wrap=True)
        return
    pairs = ", ".join(f"{one.truth} as {one.predicted} {one.count}" for one in worst)
    console.print(f"depth {delta}, worst confusions: {pairs}", markup=False, soft_wrap=True)
    console.print(f"depth {delta}, clips most wrong:", soft_wrap=True)
    for answer in result.wrong[:MOST_WRONG]:
        console.print(f"  {_mistake(answer, names)}", markup=False, soft_wrap=True)


def _mistake(answer: Answer, names: list[str]) -> str:
    place = "" if answer.clip.start is None else f" from sample {answer.clip.start}"
    return f"{answer.clip.path}{place}: {names[answer.predicted]} {answer.probability:.3f}, is {names[answer.truth]}"


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{100 * ratio:.2f} %"
