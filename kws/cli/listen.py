"""`kws listen`: detections from recordings or from a microphone."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kws.errors import KwsError

if TYPE_CHECKING:
    from rich.console import Console

    from kws.engine import Engine
    from kws.listen.command import Command
    from kws.listen.controls import Depth, Settings
    from kws.listen.listener import Listener
    from kws.listen.session import Session


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("listen")(listen)


def listen(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Recordings; the microphone where none is given.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A .kws file, a run folder or a shipped name.", show_default="kws12_listener")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Input device: its number or part of its name.")] = None,
    depth: Annotated[
        str | None,
        typer.Option(
            metavar="N|adaptive",
            help="1 runs every block, 2 every second, 4 every fourth; adaptive: thin listens, deep confirms.",
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[WORD=]SCORE",
            help="Score, 0.01 to 1, that makes a detection, in place of the model's own; again for other words.",
        ),
    ] = None,
    sensitivity: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[WORD=]S",
            help="0 to 1: moves every threshold, or a word's; 0.5 leaves them as they are, more hears more.",
        ),
    ] = None,
    gate: Annotated[
        float | None, typer.Option(metavar="DBFS", help="Sound that stays below this level is silence, unclassified.")
    ] = None,
    execute: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="Run at every word, without a shell, with KWS_WORD, KWS_SCORE, KWS_TIME and KWS_DEPTH in its "
            "environment; one at a time.",
        ),
    ] = None,
    execute_seconds: Annotated[float, typer.Option("--exec-seconds", help="End that command after so long.")] = 10.0,
    capture: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep two seconds of sound around every detection of the microphone there."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw a recording: waveform, mel, scores, detections.")
    ] = None,
    reconnect: Annotated[
        bool, typer.Option("--reconnect/--no-reconnect", help="Wait for a microphone that was unplugged, or end.")
    ] = True,
    plain: Annotated[bool, typer.Option("--plain", help="One line a detection, on a terminal too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a detection, one a line.")] = False,
) -> None:
    """Listen to recordings, or to the microphone, and print every word heard with its time.

    On a terminal the microphone has a page: level, mel picture, scores, what was heard, and keys that change the depth
    and the sensitivity. Elsewhere every word is a line.

    Recordings run through the engine as though they were live, only faster, and a second of silence follows each.
    """
    from kws.engine import Engine
    from kws.listen.command import Command
    from kws.listen.controls import Settings
    from kws.model import LISTENER, load

    _check_options(files or [], device, capture, plot)
    thresholds, sensitivities = _by_word("--threshold", threshold), _by_word("--sensitivity", sensitivity)
    engine = Engine(load(model, LISTENER))
    settings = Settings(_depth(depth, engine), thresholds, sensitivities, gate)
    command = None if execute is None else Command(execute, execute_seconds)
    if files:
        if not _listen_to_files(engine, files, settings, command, plot, as_json):
            raise typer.Exit(1)
    else:
        _listen_to_microphone(engine, device, settings, command, capture, reconnect, plain, as_json)


def _check_options(files: list[Path], device: str | None, capture: Path | None, plot: Path | None) -> None:
    """Raises KwsError where options do not go together, before anything is read."""
    if files and device is not None:
        raise KwsError(f"--device {device} chooses a microphone; leave it out to listen to recordings.")
    if files and capture is not None:
        raise KwsError("--capture keeps the sound of a microphone; leave it out to listen to recordings.")
    if plot is not None:
        from kws.listen.plot import check_path

        if len(files) != 1:
            raise KwsError(f"--plot draws one recording, and {len(files)} were given; give one.")
        check_path(plot)


def _by_word(option: str, texts: list[str] | None) -> dict[str, float]:
    """The numbers of ``0.7`` and ``yes=0.8``, that of every word under ``EVERY``."""
    from kws.listen.controls import EVERY

    found = {}
    for text in texts or []:
        word, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= 1.0:
            raise KwsError(f"{option} {text} is no number from 0 to 1, nor WORD=NUMBER; give one such as yes=0.6.")
        found[word if equals else EVERY] = value
    return found


def _depth(text: str | None, engine: Engine) -> Depth | None:
    from kws.listen.controls import ADAPTIVE

    if text is None:
        return None
    if text == ADAPTIVE:
        return ADAPTIVE
    if text not in map(str, engine.deltas):
        choices = ", ".join(str(delta) for delta in engine.deltas)
        raise KwsError(f"--depth {text} is not in the model; choose from {choices} or {ADAPTIVE}.")
    return int(text)


def _listen_to_files(
    engine: Engine, files: list[Path], settings: Settings, command: Command | None, plot: Path | None, as_json: bool
) -> bool:
    """Runs every file through a fresh stream; False where one could not be read."""
    from dataclasses import asdict

    from rich.console import Console

    from kws.data.audio import SAMPLE_RATE
    from kws.listen.display import Lines
    from kws.listen.listener import Listener
    from kws.listen.plot import Plot
    from kws.listen.sources import TAIL_SECONDS

    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    lines = Lines(console, errors, as_json)
    began = time.monotonic()
    samples = detections = unread = 0
    drawing = None if plot is None else Plot(engine)  # of the only file
    for file in files:
        listener = Listener(file, engine, **asdict(settings))
        try:
            for heard in listener.heard(None if drawing is None else drawing.each_hop):
                samples += len(heard.pcm)
                detections += len(heard.events)
                if drawing is not None:
                    drawing.push(heard)
                for event in heard.events:
                    lines.event(event, str(file))
                    # A recording can wait: every word gets its run.
                    for note in [*command.start(event), *command.finish()] if command is not None else ():
                        lines.say(note)
            samples -= round(TAIL_SECONDS * SAMPLE_RATE)
        except KwsError as error:
            errors.print(str(error), style="red", markup=False, soft_wrap=True)
            unread += 1
    if not as_json:
        seconds = samples / SAMPLE_RATE
        speed = seconds / max(time.monotonic() - began, 1e-9)
        summary = f"{_count(detections, 'detection')} in {_count(len(files) - unread, 'file')}"
        summary += f" ({seconds:.1f} s, {speed:.0f} x real time)"
        if unread:
            summary += f", {_count(unread, 'file')} could not be read"
        console.print(summary, style="bold", soft_wrap=True)
    if drawing is not None and plot is not None and not unread:
        drawing.draw(plot, files[0].name)
        errors.print(f"Drawn: {plot}", markup=False, soft_wrap=True)
    return unread == 0


def _listen_to_microphone(
    engine: Engine,
    device: str | None,
    settings: Settings,
    command: Command | None,
    capture: Path | None,
    reconnect: bool,
    plain: bool,
    as_json: bool,
) -> None:
    """Listens until Ctrl-C."""
    from dataclasses import asdict

    from rich.console import Console

    from kws.listen.capture import AFTER_SECONDS, BEFORE_SECONDS, Capture
    from kws.listen.display import Lines
    from kws.listen.keys import ended_by_signals
    from kws.listen.listener import Listener
    from kws.listen.session import Session

    listener = Listener(device or "default", engine, reconnect=reconnect, **asdict(settings))
    session = Session(listener, command, Capture(capture) if capture is not None else None)
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    lines = Lines(console, errors, as_json)
    paged = console.is_terminal and not (console.is_dumb_terminal or plain or as_json)
    kept = BEFORE_SECONDS + AFTER_SECONDS
    aloud = f"Keeping {kept:g} s of sound around every detection in {capture}." if capture is not None else ""
    try:
        with ended_by_signals():
            if paged:
                _show_page(console, listener, session, aloud)
            else:
                if aloud:
                    lines.say(aloud)
                session.run(lines)
    except KeyboardInterrupt:
        pass
    finally:
        session.finish(lines)
    if not as_json:
        console.print(
            f"{_count(session.detections, 'detection')} in {session.seconds:.1f} s", style="bold", soft_wrap=True
        )
        sys.stdout.flush()


def _show_page(console: Console, listener: Listener, session: Session, aloud: str) -> None:
    """Listens on a terminal's page; what it showed last stays on the terminal."""
    from kws.listen.page import Page

    page = Page(console, listener)
    try:
        with page:
            if aloud:
                page.say(aloud)
            session.run(page)
    finally:
        for line in page.lines():
            console.print(line, soft_wrap=True)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
