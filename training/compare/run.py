"""A whole grid: what is done stays, what is not is trained and measured, and all of it is put together."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from kws.data.tasks import Corpus, scan
from kws.errors import KwsError
from kws.features import PRESETS
from kws.files import write_atomically
from kws.model import RUN_MODEL
from kws_training.compare import plots, table
from kws_training.compare.cell import has_model, settings, train_cell, weights_file
from kws_training.compare.grid import Cell, Grid
from kws_training.compare.measure import Options, measure_cell
from kws_training.dataset import Progress, TrainingData
from kws_training.kept import KeptEpochs
from kws_training.loop import Watcher

RESULT, RESULTS, TABLE = "result.json", "results.json", "table.md"


class Reporter(Watcher):
    """What a grid tells beside what its runs tell."""

    def cell(self, cell: Cell, number: int, total: int, is_done: bool) -> None:
        """Cell ``number`` of ``total`` begins, or was done before."""

    def measuring(self, done: int, total: int) -> None:
        """Clips of the cell classified, in all their conditions."""


def read_result(folder: Path, digest: str) -> dict[str, Any] | None:
    """The result that ``folder`` holds, or None where there is none of these settings.

    Raises:
        KwsError: the file is damaged.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if content["hash"] == digest and content["asked"] else None
    except (ValueError, KeyError, TypeError) as error:
        raise KwsError(f"{path}: not a result of kws compare; delete it to measure again.") from error


def compare(
    grid: Grid,
    data: Path | None,
    out: Path,
    reporter: Reporter,
    progress: Progress,
    options: Options,
    kept: Path | None = None,
) -> list[dict[str, Any]]:
    """Does what is left of ``grid`` in ``out`` and writes the table and the plots.

    ``out`` gets a folder for every cell, with all that its run leaves and ``result.json``; ``results.json``, the
    results of all cells that are done; ``table.md``; and the plots. A cell that fails is reported and left out, and the
    others go on.

    Args:
        data: recordings; may be None where everything is done.
        progress: wraps an iterable, its length and a title with a progress bar.
        kept: folder where cells keep augmented clips for each other; None augments anew for each.

    Returns:
        The results, in the grid's order.

    Raises:
        KwsError: cells failed, or recordings are needed and not given; what is done is kept and put together.
    """
    corpus: Corpus | None = None
    clips: TrainingData | None = None
    failed: dict[str, str] = {}
    plan = grid.plan()

    def has_run(cell: Cell) -> bool:
        return is_trained(out / grid.folder(cell), cell, grid)

    known_before = {cell: read_result(out / grid.folder(cell), grid.digest(cell)) for cell in plan}
    undone = [cell for cell in plan if not options.satisfied_by(known_before[cell])]
    # A result may have been kept without its run, and nothing can start from that, nor count what it took.
    needed = {cell.float_twin for cell in undone if known_before[cell] is None or not has_run(cell)}
    starts = {cell for cell in needed if not has_run(cell)}
    for number, cell in enumerate(plan, 1):
        folder, twin = out / grid.folder(cell), out / grid.folder(cell.float_twin)
        known = known_before[cell]
        is_done = cell not in undone and cell not in starts
        reporter.cell(cell, number, len(plan), is_done)
        if is_done:
            continue
        if data is None:
            failed[cell.title] = "not done; give --data, the recordings to train on."
            continue
        if cell.float_twin.title in failed:
            failed[cell.title] = f"needs {cell.float_twin.title}, which failed."
            continue
        try:
            corpus = corpus or scan(data)
            if not has_run(cell):
                known = None
                if clips is None:
                    own = settings(cell, grid)
                    clips = TrainingData(corpus, grid.task, PRESETS[grid.preset], cell.seed, own.temper, progress)
                    for sentence in clips.skipped:
                        reporter.warn(f"Skipped {sentence}")
                # The same clips, drawn with the cell's own seed.
                drawn = copy.copy(clips)
                drawn.seed = cell.seed
                drawn.kept = KeptEpochs(kept) if kept else None
                train_cell(cell, grid, drawn, folder, twin, reporter)
            if cell not in undone:
                continue  # its result stays, whatever was asked for when that was measured
            result = measure_cell(cell, grid, corpus, folder, twin, options, reporter.measuring, known)
        except KwsError as error:
            failed[cell.title] = str(error)
            reporter.warn(f"{cell.title}: {error}")
            continue
        write_atomically(folder / RESULT, _json(result))
        collect(grid, out)
    results = collect(grid, out)
    if failed:
        name, reason = next(iter(failed.items()))
        raise KwsError(f"{len(failed)} of {len(plan)} cells have no result; the first, {name}: {reason}")
    return results


def is_trained(folder: Path, cell: Cell, grid: Grid) -> bool:
    """Whether every stage's last epoch is in the folder's record, and what training leaves at its end is there."""
    left = ["record.json", weights_file(cell), *([RUN_MODEL] if has_model(cell) else [])]
    if not all((folder / name).is_file() for name in left):
        return False
    own = settings(cell, grid)
    first = {"teacher", "float"} if cell != cell.float_twin else set()
    wanted = sum(stage.epochs for stage in own.stages if stage.name not in first)
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return len(record["epochs"]) == wanted


def collect(grid: Grid, out: Path) -> list[dict[str, Any]]:
    """Puts together what is done: ``results.json``, ``table.md`` and the plots in ``out``."""
    found = [read_result(out / grid.folder(cell), grid.digest(cell)) for cell in grid.plan()]
    results = [result for result in found if result is not None]
    out.mkdir(parents=True, exist_ok=True)
    content = {"grid": describe(grid), "results": results}
    write_atomically(out / RESULTS, _json(content))
    write_atomically(out / TABLE, table.page(content).encode())
    plots.draw(results, out)
    return results


def describe(grid: Grid) -> dict[str, Any]:
    """What a reader of the table must know of the grid."""
    return {
        "task": {"name": grid.task.name, "classes": list(grid.task.class_names)},
        "preset": grid.preset,
        "batch": grid.batch,
        "schedule": {
            kind: [
                {key: value for key, value in vars(stage).items() if key not in ("name", "augmentation")}
                for stage in stages
            ]
            for kind, stages in grid.schedule.items()
        },
        "cells": len(grid.plan()),
    }


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
