"""`kws listen`: detections from recordings or from a microphone."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kws.errors import KwsError

if TYPE_CHECKING:
    from kws.engine import Engine, Event, Stream


ADAPTIVE = "adaptive"


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("listen")(listen)


def listen(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Recordings; the microphone where none is given.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A .kws file, a run folder or a shipped name.")] = None,
    device: Annotated[str | None, typer.Option(help="Input device: its number or part of its name.")] = None,
    depth: Annotated[
        str | None,
        typer.Option(
            metavar="N|adaptive",
            help="1 runs every block, 2 every second, 4 every fourth; adaptive: thin listens, deep confirms.",
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score, 0 to 1, that makes a detection, in place of the model's own per word.")
    ] = None,
    sensitivity: Annotated[
        float | None, typer.Option(help="0 to 1: moves every threshold; 0.5 leaves them as they are, more hears more.")
    ] = None,
    gate: Annotated[
        float | None, typer.Option(metavar="DBFS", help="Sound that stays below this level is silence, unclassified.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a detection, one a line.")] = False,
) -> None:
    """Listen to recordings, or to the microphone, and print every word heard with its time.

    Recordings run through the engine as though they were live, only faster, and a second of silence follows each.
    """
    from kws.data.audio import SAMPLE_RATE
    from kws.engine import Engine
    from kws.model import load

    if files and device is not None:
        raise KwsError(f"--device {device} chooses a microphone; leave it out to listen to recordings.")
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise KwsError(f"--threshold {threshold} is out of range; give a score from 0 to 1.")
    engine = Engine(load(model))
    if engine.preset.sample_rate != SAMPLE_RATE:
        raise KwsError(f"The model hears {engine.preset.sample_rate} Hz, not {SAMPLE_RATE} Hz; train it at that rate.")
    if depth not in (None, ADAPTIVE, *map(str, engine.deltas)):
        choices = ", ".join(str(delta) for delta in engine.deltas)
        raise KwsError(f"--depth {depth} is not in the model; choose from {choices} or {ADAPTIVE}.")
    wanted = Settings(depth, threshold, sensitivity, gate)
    if files:
        if not _listen_to_files(engine, files, wanted, as_json):
            raise typer.Exit(1)
    else:
        _listen_to_microphone(engine, device, wanted, as_json)


@dataclass(frozen=True)
class Settings:
    """What the options change in a stream; None leaves it as the model says."""

    depth: str | None
    threshold: float | None
    sensitivity: float | None
    gate: float | None

    def stream(self, engine: Engine) -> Stream:
        """A fresh stream with these settings. Raises KwsError where one is out of range."""
        stream = engine.stream(int(self.depth) if self.depth not in (None, ADAPTIVE) else None)
        if self.depth == ADAPTIVE:
            stream.set_adaptive()
        if self.threshold is not None:
            for word in engine.class_names[: engine.n_words]:
                stream.set_threshold(word, self.threshold)
        if self.sensitivity is not None:
            stream.set_sensitivity(self.sensitivity)
        if self.gate is not None:
            stream.set_gate(self.gate)
        return stream


def _json_line(event: Event, file: str | None = None) -> str:
    fields: dict[str, object] = {} if file is None else {"file": file}
    fields |= {
        "word": event.word,
        "time": round(event.time, 3),
        "score": round(float(event.score), 4),
        "depth": event.depth,
    }
    return json.dumps(fields, ensure_ascii=False)


def _listen_to_files(engine: Engine, files: list[Path], wanted: Settings, as_json: bool) -> bool:
    """Runs every file through a fresh stream; False where one could not be read."""
    from rich.console import Console

    from kws.listen.display import event_line
    from kws.listen.stream import file_chunks
    from kws.listen.stream import listen as hear

    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    began = time.monotonic()
    samples = detections = unread = 0
    for file in files:
        try:
            chunks = file_chunks(file)
        except KwsError as error:
            errors.print(str(error), style="red", markup=False, soft_wrap=True)
            unread += 1
            continue
        for heard in hear(chunks, wanted.stream(engine)):
            samples += len(heard.pcm)
            detections += len(heard.events)
            for event in heard.events:
                if as_json:
                    print(_json_line(event, str(file)), flush=True)
                else:
                    console.print(event_line(event, str(file)), soft_wrap=True)
    if not as_json:
        seconds = samples / engine.preset.sample_rate
        speed = seconds / max(time.monotonic() - began, 1e-9)
        summary = f"{_count(detections, 'detection')} in {_count(len(files) - unread, 'file')}"
        summary += f" ({seconds:.1f} s, {speed:.0f} x real time)"
        if unread:
            summary += f", {_count(unread, 'file')} could not be read"
        console.print(summary, style="bold", soft_wrap=True)
    return unread == 0


def _listen_to_microphone(engine: Engine, device: str | None, wanted: Settings, as_json: bool) -> None:
    """Listens until Ctrl-C."""
    from contextlib import closing, nullcontext

    from rich.console import Console

    from kws.listen import microphone
    from kws.listen.display import LiveLine
    from kws.listen.stream import SilenceWatch
    from kws.listen.stream import listen as hear

    chosen = microphone.choose(device)
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    stream = wanted.stream(engine)
    depth = wanted.depth or (ADAPTIVE if engine.model.listen_delta else engine.deltas[0])
    losses, silence = microphone.Losses(), SilenceWatch()
    display = None if as_json else LiveLine(console, stream, list(engine.class_names), depth)
    samples = detections = 0
    # Above the live line where there is one, else where output that is piped on stays clean.
    warn = console if display is not None and console.is_terminal else errors
    told = ""
    try:
        with closing(microphone.chunks(chosen, losses)) as chunks, display or nullcontext():
            for heard in hear(chunks, stream):
                if not samples:
                    warn.print(f"Listening on {chosen.name}; Ctrl-C stops.", markup=False, soft_wrap=True)
                samples += len(heard.pcm)
                detections += len(heard.events)
                if display is not None:
                    display.show(heard)
                else:
                    for event in heard.events:
                        print(_json_line(event), flush=True)
                if silence.push(heard.pcm):
                    text = (
                        f"'{chosen.name}' gives only digital silence: is the microphone muted or the wrong one chosen?"
                    )
                    warn.print(f"{text} `kws devices` lists the others.", style="yellow", markup=False, soft_wrap=True)
                if losses and not told:
                    told = str(losses)
                    warn.print(f"Sound was lost: {told}.", style="yellow", markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        pass
    if str(losses) != told:
        errors.print(f"Sound was lost in all: {losses}.", style="yellow", markup=False, soft_wrap=True)
    if not as_json:
        seconds = samples / engine.preset.sample_rate
        console.print(f"{_count(detections, 'detection')} in {seconds:.1f} s", style="bold", soft_wrap=True)
        sys.stdout.flush()


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
