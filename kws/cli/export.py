"""`kws export`: a model as C headers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("export")(export)


def export(
    out: Annotated[Path, typer.Option(help="The header to write, such as firmware/models/my_words.h.")],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|MODEL", help="A run folder, a .kws file or a shipped name.", show_default="kws12_listener"
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The C identifier is kws_NAME; the header's file name by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that kws export did not write.")] = False,
) -> None:
    """Write a model as a C header, and its feature tables as another beside it."""
    from kws.model import LISTENER, load
    from kws.model.header import export as write

    for path in write(load(model, LISTENER), out, name, force):
        print(f"{path} written ({path.stat().st_size:,} bytes of text)")
