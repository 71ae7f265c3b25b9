"""`kws record`: takes of words by a person, guided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from kws.own_words.takes import Samples, Take


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("record")(record)


def record(
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help='Words, or phrases in quotes ("hey pi").')],
    out: Annotated[Path, typer.Option(help="Folder of recordings; a project's is NAME/recordings.")] = Path(
        "recordings"
    ),
    speaker: Annotated[str, typer.Option(help="Whose voice it is; part of the file names.")] = "me",
    takes: Annotated[int, typer.Option(help="Takes of each word, in addition to those that are there.")] = 12,
    device: Annotated[str | None, typer.Option(help="Input device: its number or part of its name.")] = None,
) -> None:
    """Record takes of words: first the room, then each word as often as asked, as you would say it to the device.

    A take is cut out by itself once you stop speaking; one that is too loud, too quiet or too long is asked for again.
    Every good take is a 16 kHz WAV in OUT/<word>/, where kws data check, kws train and kws new find it. Vary distance,
    pace and tone a little, as life does. Ctrl-C stops and keeps what is there.
    """
    from rich.console import Console

    from kws.listen import microphone
    from kws.own_words.record import checked
    from kws.own_words.record import record as run

    checked(words, speaker, takes)  # what was mistyped is told without a microphone, too
    console = Console(highlight=False)
    chosen = microphone.choose(device)
    losses = microphone.Losses()

    def source() -> Iterator[Samples]:
        return microphone.chunks(chosen, losses)

    console.print(f"Recording from {chosen.name}.", markup=False, soft_wrap=True)
    result = run(words, out, speaker, takes, source, _Terminal(console))
    for name, files in result.files.items():
        text = f"{out / name}: {len(files)} new {'take' if len(files) == 1 else 'takes'}"
        console.print(text, markup=False, soft_wrap=True)
    if losses:
        console.print(f"Sound was lost: {losses}. Listen to the takes.", style="yellow", markup=False, soft_wrap=True)
    console.print(f"Look through them with: kws data check {out}", markup=False, soft_wrap=True)
    if result.left:
        raise typer.Exit(1)


class _Terminal:
    """A guide that prints."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        self._console.print(text, style="yellow", markup=False, soft_wrap=True)

    def prompt(self, word: str, number: int, count: int) -> None:
        from rich.markup import escape

        self._console.print(f"{number:3d} of {count}   say: [bold]{escape(word)}[/bold]", soft_wrap=True)

    def kept(self, take: Take) -> None:
        from kws.listen.display import meter

        line = meter(take.level)
        line.append(f"   {take.seconds:.2f} s, kept")
        self._console.print(line, soft_wrap=True)

    def ask(self, question: str) -> str:
        try:
            return self._console.input(question, markup=False)
        except EOFError:
            return ""
