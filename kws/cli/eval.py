"""`kws eval`: how good a model is on labelled recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kws.errors import KwsError


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("eval")(evaluate)


def evaluate(
    data: Annotated[Path, typer.Option(help="Speech Commands, or a folder with one folder of recordings a word.")],
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A .kws file, a run folder or a shipped name.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="validation, testing or all; validation by default, or all where that has no clip."),
    ] = None,
    engine: Annotated[str, typer.Option(help="c: what devices run; torch: the same model in PyTorch.")] = "c",
    depth: Annotated[str, typer.Option(help="1, 2, 4 or all.")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    plots: Annotated[Path | None, typer.Option(help="Folder for confusion matrices as PNG.")] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness", help="Also with noise, reverberation, other speeds and levels; 18 times the work."
        ),
    ] = False,
) -> None:
    """Evaluate a model: accuracy, balanced accuracy, precision and recall a word, and its worst mistakes.

    Word clips are all used; clips of words that the model does not know count as _unknown_, and silence is cut from the
    background recordings, each a tenth as many as the word clips (the official protocol of Speech Commands).
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kws.evaluate.report import show, to_json
    from kws.evaluate.run import evaluate as run
    from kws.model import load

    if depth != "all" and not depth.isdecimal():
        raise KwsError(f"--depth {depth} is no depth; choose 1, 2, 4 or all.")
    folded = load(model)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("clips", total=None)
        evaluation = run(
            folded,
            data,
            split,
            engine,
            None if depth == "all" else [int(depth)],
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
        degraded = None
        if robustness:
            from kws.evaluate.robustness import robustness as run_degraded

            bar = progress.add_task("clips, degraded", total=None)
            degraded = run_degraded(
                folded,
                data,
                split,
                engine,
                None if depth == "all" else [int(depth)],
                progress=lambda done, total: progress.update(bar, completed=done, total=total),
            )
    written = []
    if plots is not None:
        from kws.evaluate.plots import draw_confusions

        written = draw_confusions(evaluation, plots)
    if as_json:
        found = to_json(evaluation)
        if degraded is not None:
            found["robustness"] = degraded.as_dict()
        print(json.dumps(found, ensure_ascii=False))
        return
    console = Console(highlight=False)
    show(evaluation, console)
    if degraded is not None:
        from kws.evaluate.robustness import show as show_degraded

        show_degraded(degraded, console)
    for path in written:
        console.print(f"{path} written", markup=False, soft_wrap=True)
