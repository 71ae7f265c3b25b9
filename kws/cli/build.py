"""`kws build`: the listener for a Raspberry Pi, or for this machine, as one program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("build")(build)


def build(
    out: Annotated[Path, typer.Option(help="The program to write, such as kws-listener.")],
    target: Annotated[str, typer.Option(help="aarch64 (Raspberry Pi Zero 2 W, 3, 4, 5) or host.")] = "aarch64",
    model: Annotated[
        str | None, typer.Option(help="A .kws file, a run folder or a shipped name.", show_default="kws12_listener")
    ] = None,
    compiler: Annotated[str | None, typer.Option(help="zig or cc; the first that is installed by default.")] = None,
) -> None:
    """Compile the listener with a model inside: one program that needs nothing else on the device."""
    import hashlib

    from rich.console import Console

    from kws.board.build import build as compile_listener
    from kws.board.build import write
    from kws.board.compiler import find
    from kws.model import LISTENER, load

    chosen, folded = find(target, compiler), load(model, LISTENER)
    wait = " (the first time takes minutes)" if chosen.slow_start else ""
    with Console(stderr=True).status(f"Compiling for {target} with {chosen.name}{wait}"):
        program = compile_listener(folded, chosen)
    write(program, out)
    print(f"{out} written ({len(program):,} bytes, SHA-256 {hashlib.sha256(program).hexdigest()})")
