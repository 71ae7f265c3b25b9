"""``kws compare``: a grid of networks, trained and measured alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("compare")(compare)


def compare(
    grid: Annotated[Path, typer.Argument(metavar="GRID.toml", help="Networks and schedule; see docs/compare.md.")],
    out: Annotated[Path, typer.Option(help="Folder: one for every cell, table.md, results.json, plots.")],
    data: Annotated[
        Path | None, typer.Option(help="Recordings, <word>/*.wav, or Speech Commands; needed until all is done.")
    ] = None,
    robustness: Annotated[bool, typer.Option(help="Classify degraded clips too: noise, rooms, speed, level.")] = True,
    seconds: Annotated[float, typer.Option(min=0.1, max=600.0, help="Time to measure each cell's speed for.")] = 2.0,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="Keep augmented clips in this folder for cells that draw the same: some 80 MB an epoch, "
            "and small networks train twice as fast."
        ),
    ] = None,
    peers: Annotated[
        Path | None,
        typer.Option(help="Count others' AArch64 instructions too; some 100 MB are downloaded into this folder."),
    ] = None,
) -> None:
    """Train and measure a grid of networks under one schedule: accuracy, bytes, work, time, instructions, robustness.

    Does what is not done yet and can be interrupted at any time: the same command goes on.
    """
    from kws_training.compare.display import CompareDisplay
    from kws_training.compare.grid import read_grid
    from kws_training.compare.measure import Options
    from kws_training.compare.run import compare as run

    wanted = read_grid(grid)
    with CompareDisplay(wanted, out) as display:
        run(wanted, data, out, display, display.reading, Options(robustness, seconds, peers), keep)
