"""`kws deploy`: the listener as a service on a device that runs Linux."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("deploy")(deploy)


def deploy(
    host: Annotated[str, typer.Argument(metavar="USER@HOST", help="As ssh takes it.")],
    model: Annotated[
        str | None, typer.Option(help="A .kws file, a run folder or a shipped name.", show_default="kws12_listener")
    ] = None,
    program: Annotated[
        Path | None, typer.Option(help="A listener that `kws build` made, in place of building one.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="In place of ssh's own.", min=1, max=65535)] = None,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Remove it from the device.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and touch nothing.")] = False,
) -> None:
    """Install the listener on a Raspberry Pi over ssh, start it, and show its log.

    The one that was there before comes back where the new one does not come up. Settings in /etc/kws/kws.txt stay.
    """
    from rich.console import Console

    from kws.board import deploy as steps
    from kws.board.build import build
    from kws.board.compiler import find
    from kws.board.elf import read
    from kws.board.unit import UNIT
    from kws.errors import KwsError
    from kws.model import LISTENER, load

    connection = steps.Connection(host, port)
    if program is not None and model is not None:
        raise KwsError("--model: a program has its model inside; leave out --model or --program.")
    if uninstall and (program is not None or model is not None):
        raise KwsError("--uninstall takes the listener away; leave out --model and --program.")
    binary = b"" if program is None else read(program)[0]
    folded = None if uninstall or program is not None else load(model, LISTENER)
    if dry_run:
        script = steps.UNINSTALL if uninstall else f"{steps.PROBE}\n{steps.INSTALL}\n--- unit\n{UNIT}"
        print(f"--- would run on {host}\n{script}", end="")
        return
    if uninstall:
        print(f"{host}: {steps.uninstall(connection)}")
        return
    errors = Console(stderr=True)
    if folded is not None:
        with errors.status("Compiling (the first time takes minutes)"):
            binary = build(folded, find("aarch64"))
    name = "the listener" if program is None else str(program)
    with errors.status("") as status:
        log = steps.install(connection, binary, name, status.update)
    print(log, end="")
    print(f"{host} listens. Its log: ssh {host} journalctl -fu {steps.SERVICE}")
