"""`kws devices`: the inputs that `kws listen` can use."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from kws.errors import KwsError


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("devices")(devices)


def devices(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array of objects.")] = False,
) -> None:
    """List the input devices: the number or name to give to `kws listen --device`."""
    from kws.listen.microphone import NO_INPUT, inputs

    found = inputs()
    if as_json:
        print(json.dumps([asdict(device) for device in found], ensure_ascii=False))
        return
    if not found:
        raise KwsError(NO_INPUT)

    from rich.console import Console
    from rich.table import Table

    table = Table("", "number", "name", "system", "channels", "rate")
    for device in found:
        table.add_row(
            "default" if device.default else "",
            str(device.index),
            device.name,
            device.host_api,
            str(device.channels),
            f"{device.rate:g} Hz",
        )
    Console(highlight=False).print(table)
