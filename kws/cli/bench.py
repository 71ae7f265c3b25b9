"""`kws bench`: what an inference and a second of sound take on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kws.errors import KwsError

if TYPE_CHECKING:
    from rich.console import Console

    from kws.bench.host import Bench
    from kws.bench.timing import Timing


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("bench")(bench)


def bench(
    model: Annotated[
        str | None, typer.Option(help="A .kws file, a run folder or a shipped name.", show_default="kws12")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time to measure for, about.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    r"""Time the engine on this machine: every set of kernels at every depth, against other engines if installed.

    CPU time of one thread, each in turn; figures are medians. Other engines run the same network with random weights:
    install them with pip install 'kws\[bench]'.
    """
    from rich.console import Console

    from kws.bench.host import bench as run
    from kws.model import load

    if not 0 < seconds < 3600:
        raise KwsError(f"--seconds {seconds:g} is no time to measure for; give 1 to 3600.")
    result = run(load(model), seconds)
    if as_json:
        print(json.dumps(result.as_dict(), ensure_ascii=False))
    else:
        show(result, Console(highlight=False))


def show(result: Bench, console: Console) -> None:
    """Prints tables."""
    from kws.bench.host import processor

    console.print(f"[bold]{result.model}[/bold] on {processor()}, one thread, medians of {result.rounds} rounds")
    console.print("A window: one inference with its features given. ±: half the distance of the quartiles.")
    console.print(_own(result))
    if result.peers:
        console.print(_peers(result))
    for peer, reason in result.missing.items():
        console.print(f"{peer} was not measured: {reason}", markup=False)


def _own(result: Bench) -> Any:
    from rich.table import Table

    table = Table("µs of CPU time", title="This engine", title_justify="left")
    for isa in result.sets:
        table.add_column(isa, justify="right")

    def row(name: str, what: str) -> None:
        table.add_row(name, *(_cell(timings[what]) for timings in result.sets.values()))

    row("one frame of features", "frame")
    stages = {isa: result.stages(isa) for isa in result.sets}
    for stage, name in (("around", "convolutions, linear, classes"), ("block", "one block")):
        if all(stage in parts for parts in stages.values()):
            table.add_row(name, *(f"{1e6 * parts[stage]:.2f}" for parts in stages.values()))
    table.add_section()
    for delta in result.passes:
        row(f"a window at depth {delta}", f"network {delta}")
    table.add_section()
    for delta in result.passes:
        row(f"a second of sound at depth {delta}", f"second {delta}")
    return table


def _peers(result: Bench) -> Any:
    from rich.table import Table

    table = Table("a window, features given", "depth", title="Other engines, same topology", title_justify="left")
    table.add_column("µs", justify="right")
    table.add_column(f"times {result.fastest}", justify="right")
    for peer, timings in result.peers.items():
        for delta, timing in timings.items():
            table.add_row(peer, str(delta), _cell(timing), f"{result.ratio(peer, delta):.1f}x")
        table.caption = f"{result.versions[peer]}; the faster of two ways to write the graph"
    return table


def _cell(timing: Timing) -> str:
    return f"{1e6 * timing.median:.2f} ±{50 * timing.spread:.0f} %"
