"""`kws mine`: a model's mistakes in long recordings, as data to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kws.errors import KwsError


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("mine")(mine)


def mine(
    files: Annotated[
        list[Path], typer.Argument(metavar="LONG.wav...", help="Recordings, or folders of them (kws listen --capture).")
    ],
    project: Annotated[Path, typer.Option(help="The project's folder, that kws new made.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="Label track of the one recording; without it, the .txt of its name, or no word is in it."),
    ] = None,
    sensitivity: Annotated[float | None, typer.Option(help="0 to 1; above 0.5 finds what almost fired, too.")] = None,
) -> None:
    """Run a project's model over long recordings, and add what it gets wrong to the project.

    A recording without a label track may hold none of the words: everything detected there counts as false. With one
    (start<TAB>end<TAB>word a line, in seconds), false accepts and missed words are both added. Mining a recording again
    adds nothing twice. Then run kws new PROJECT to learn from it.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from kws.own_words.mine import Findings, Miner, long_recordings
    from kws.own_words.project import FALSE, load

    own = load(project)
    miner = Miner(own, sensitivity)
    paths = long_recordings(files)
    if labels is not None and len(paths) != 1:
        raise KwsError(f"--labels {labels} belongs to one recording; {len(paths)} are given.")
    console = Console(highlight=False)
    found: list[Findings] = []
    unread = 0
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[heard]:.0f} s heard"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Listening", total=len(paths), heard=0.0)
        before = 0.0
        for path in paths:
            try:
                found.append(miner.mine(path, labels, lambda _, s, b=before: progress.update(task, heard=b + s)))  # type: ignore[misc]
                before += found[-1].seconds
            except KwsError as error:
                if len(paths) == 1:
                    raise
                console.print(f"Left out: {error}", style="red", markup=False, soft_wrap=True)
                unread += 1
            progress.advance(task)
    for one in found:
        if one.added or len(found) <= 10:
            false = sum(path.parent.name == FALSE for path in one.added)
            said = "as its labels say" if one.labelled else "no word in it"
            text = f"{one.recording}: {one.seconds:.0f} s, {said}; {one.events} detections; added {false} false accepts"
            text += f" and {len(one.added) - false} misses" if one.labelled else ""
            text += f", {one.known} known already" if one.known else ""
            text += f"; left out {one.beside} false accepts with a word of the project in them" if one.beside else ""
            console.print(text, markup=False, soft_wrap=True)
    added = sum(len(one.added) for one in found)
    if added:
        console.print(
            f"{added} files added to {own.mined}. Learn from them with: kws new {project}",
            style="bold",
            markup=False,
            soft_wrap=True,
        )
    else:
        console.print("Nothing new to learn from.", style="bold")
    if unread:
        raise KwsError(f"{unread} of {len(paths)} recordings could not be used, as said above; mend or remove them.")
