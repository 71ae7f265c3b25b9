"""`kws info`: what a model is and what it costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

LABELS = {"validation": "validation, by PyTorch"}
"""Of notes whose names say too little: the engine's figures, which ``kws eval`` shows, are others."""


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("info")(info)


def info(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="A .kws file, a run folder or a shipped name.", show_default="kws12"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show a model's classes, depths, bytes and multiply-accumulates by part, and where it comes from."""
    from rich.console import Console

    from kws.model import load
    from kws.model.info import describe

    facts = describe(load(model))
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        show(facts, Console(highlight=False))


def show(facts: dict[str, Any], console: Console) -> None:
    """Prints what ``kws.model.info.describe`` found."""
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    preset = facts["preset"]
    words, others = facts["classes"][: facts["n_words"]], facts["classes"][facts["n_words"] :]
    summary = Table.grid(padding=(0, 2))
    rows = [
        ("words", ", ".join(words)),
        ("other classes", ", ".join(others) or "none"),
        (
            "features",
            f"{preset['name']}: {preset['sample_rate']} Hz, {preset['n_mels']} mel bands, {preset['frames']} frames of "
            f"{preset['n_fft']} samples every {preset['hop']}",
        ),
        ("network", f"{facts['n_blocks']} blocks, {facts['channels']} channels, {facts['hidden']} hidden"),
        ("bits an input", str(facts["planes"])),
        ("binary weights", f"{facts['weight_bits']:,} bits"),
        ("residual stream", f"16 bits, {facts['stream_bits']} of them behind the point"),
        (
            "stream",
            f"classifies every {1000 * facts['hop_seconds']:g} ms, averages {facts['smoothing']}, "
            f"{facts['refractory_seconds']:g} s between events of a word, armed again below {facts['release']:g} of "
            "its threshold",
        ),
        *(
            (f"thresholds, depth {delta}", ", ".join(f"{word} {score:.4g}" for word, score in row.items()))
            for delta, row in facts["word_threshold"].items()
        ),
        (
            "adaptive depth",
            f"depth {facts['listen_delta']} listens" if facts["listen_delta"] else "off until a program sets it",
        ),
        ("", f"a word's probability of {facts['wake']:g} wakes the deepest"),
        ("gate", f"below {facts['gate_dbfs']:g} dBFS is silence" if facts["gate_dbfs"] > -100.0 else "off"),
        ("engine state", f"{facts['state_bytes']:,} bytes"),
        ("checkpoint", f"SHA-256 {facts['checkpoint_sha256']}" if facts["checkpoint_sha256"] else "not recorded"),
    ]
    rows += [
        (LABELS.get(key, key), value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for key, value in facts["provenance"].items()
    ]
    for key, value in rows:
        summary.add_row(Text(key, style="bold"), Text(value))
    console.print(f"[bold]{escape(facts['name'])}[/bold]")
    console.print(summary)
    console.print(_bytes_table(facts))
    console.print(_macs_table(facts))


def _bytes_table(facts: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("part", title="Model data", title_justify="left")
    table.add_column("bytes", justify="right")
    for part, count in facts["bytes"].items():
        if part == "total":
            table.add_section()
        table.add_row(part, f"{count:,}")
    table.add_row("feature tables, beside it", f"{facts['frontend_bytes']:,}")
    return table


def _macs_table(facts: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("part", title="Multiply-accumulates a classification", title_justify="left")
    depths = facts["depths"]
    for delta in depths:
        table.add_column(f"depth {delta}", justify="right")
    for kind in ("binary", "8-bit"):
        for part in next(iter(depths.values()))["macs"][kind]:
            table.add_row(f"{part} ({kind})", *(f"{depth['macs'][kind][part]:,}" for depth in depths.values()))
        table.add_section()
    for kind in ("binary", "8-bit"):
        table.add_row(f"all {kind}", *(f"{sum(depth['macs'][kind].values()):,}" for depth in depths.values()))
    totals = [sum(sum(parts.values()) for parts in depth["macs"].values()) for depth in depths.values()]
    table.add_row("total", *(f"{total:,}" for total in totals))
    return table
