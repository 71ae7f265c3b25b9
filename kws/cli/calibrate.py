"""`kws calibrate`: thresholds for a target of false accepts an hour."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kws.errors import KwsError

if TYPE_CHECKING:
    from kws.model import FoldedModel

FEW_HOURS = 0.5
"""Of sound, in which a false accept is so rare that chance and caution choose the thresholds."""


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("calibrate")(calibrate)


def hop_frames(model: FoldedModel, milliseconds: float) -> int:
    """Frames of ``model`` that last so long.

    Raises:
        KwsError: not a whole number of them, none, or more than a window has.
    """
    preset = model.preset
    frame = 1000.0 * preset.hop / preset.sample_rate
    frames = round(milliseconds / frame) if math.isfinite(milliseconds) else 0
    if not 1 <= frames <= preset.frames or abs(frames * frame - milliseconds) > 0.01:
        raise KwsError(
            f"--hop {milliseconds:g}: {model.name} hears a frame every {frame:g} ms; give {frame:g}, {2 * frame:g}, "
            f"{3 * frame:g} and so on up to {preset.frames * frame:g}."
        )
    return frames


def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .kws file, a run folder or a shipped name.")],
    data: Annotated[Path, typer.Option(help="Speech Commands, or a folder with one folder of recordings a word.")],
    out: Annotated[Path, typer.Option(help="The .kws file to write.")],
    target: Annotated[float, typer.Option("--target-false-accepts", help="An hour, of all words together.")] = 0.5,
    negatives: Annotated[Path | None, typer.Option(help="Folder of recordings in which no word is said.")] = None,
    split: Annotated[str, typer.Option(help="Of the clips: validation, testing or all.")] = "validation",
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the stream mixed from --data.")] = 120.0,
    snr: Annotated[str, typer.Option(help="dB of speech above background, LOW,HIGH or one; inf for none.")] = "5,20",
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    hop: Annotated[
        float | None,
        typer.Option(help="ms between windows, the model's own by default: 64 finds more than 128, at twice the work."),
    ] = None,
    smoothing: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="Windows to average; by default as many as lose least. Fewer answer sooner."),
    ] = None,
    gate: Annotated[float | None, typer.Option(help="dBFS below which a window counts as silence.")] = None,
    adaptive: Annotated[
        bool | None, typer.Option("--adaptive/--fixed", help="Whether the model listens at its thinnest depth.")
    ] = None,
) -> None:
    """Choose every word's threshold, at each depth, for a number of false accepts an hour; write the model with them.

    Words of --data are laid between runs of other words, over its backgrounds; whatever fires there without reason, and
    in --negatives, is a false accept. Unlike in kws eval --stream, a word heard late is none. The more hours of speech
    without the words, the better the thresholds: two hours cannot measure one false accept in ten, only estimate it
    from how the scores thin out.
    """
    from dataclasses import replace

    from rich.console import Console

    from kws.cli.eval import hear
    from kws.evaluate.calibrate import SMOOTHINGS
    from kws.evaluate.calibrate import calibrate as choose
    from kws.evaluate.stream_report import show_words
    from kws.listen.controls import checked_gate
    from kws.model import load, save

    if out.suffix != ".kws":
        raise KwsError(f"{out}: a model file's name ends in .kws; give --out such as {out.stem or 'mine'}.kws.")
    folded = load(model)
    if hop is not None:
        folded = replace(folded, hop_frames=hop_frames(folded, hop))
    if gate is not None:
        folded = replace(folded, gate=checked_gate(gate))
    if adaptive is not None:
        folded = replace(folded, listen_delta=folded.deltas[-1] if adaptive and len(folded.deltas) > 1 else 0)
    folded.validate()
    sounds = hear(folded, data, negatives, None, None, minutes, snr, seed, split, None)
    sizes = SMOOTHINGS if smoothing is None else (smoothing,)
    result = choose(folded, sounds, target, smoothings=sizes)
    save(result.model, out)

    console = Console(highlight=False)
    console.print(
        f"{out} written: thresholds for {target:g} false accepts an hour, chosen on {result.hours:.2f} hours. What "
        "they cost, on these same hours:",
        markup=False,
        soft_wrap=True,
    )
    for mode, operation in result.measured.items():
        point = operation.point
        expected = [f", {rate:.2f} expected" for delta, rate in result.expected.items() if mode == f"depth {delta}"]
        console.print(
            f"{mode}: {100 * (point.misses or 0.0):.1f} % of the words missed, {point.false_accepts - point.late:.2f} "
            f"false accepts an hour{''.join(expected)}, and {point.late:.2f} detections that come late",
            style="bold",
            soft_wrap=True,
        )
        show_words("", operation, console)
    counts = [pair for operation in result.measured.values() for pair in operation.counts.items()]
    lost = sorted({word for word, count in counts if count.hits < 0.5 * count.said})
    if lost:
        reason = "For this target the model takes too much else for them."
        if result.hours < FEW_HOURS:
            reason = f"{result.hours:.2f} hours cannot tell what is rare, so thresholds are high; give more --minutes."
        text = f"More than half missed: {', '.join(lost)}. {reason}"
        console.print(text, style="yellow", markup=False, soft_wrap=True)
