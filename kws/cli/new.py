"""`kws new`: a model of your own words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kws.errors import KwsError


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("new")(new)


def new(
    folder: Annotated[Path, typer.Argument(metavar="NAME", help="The project's folder; its name is the model's.")],
    words: Annotated[
        list[str] | None, typer.Option("--words", metavar="WORD", help="A word, or a phrase in quotes; again for more.")
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="[WORD]...", help="More words after --words.")] = None,
    recordings: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="People's takes, beside those in NAME/recordings.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Speech Commands, for real speech that is none of the words.")
    ] = None,
    negatives: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Recordings of running speech without any of the words.")
    ] = None,
    voices: Annotated[
        list[Path] | None,
        typer.Option(
            "--voice", metavar="FILE.onnx", help="A voice of Piper, to speak beside those that are installed."
        ),
    ] = None,
    base: Annotated[str | None, typer.Option(help="To start from: kws12_listener, kws12_lite or a .kws file.")] = None,
    language: Annotated[str | None, typer.Option(help="As eSpeak NG names it: en, de, fr, es, ...")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of training; 4,096 windows each.")] = None,
    target: Annotated[
        float | None, typer.Option("--target-false-accepts", help="An hour, of all words together.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every draw.")] = None,
) -> None:
    """Make a model of your own words, or bring it up to date: kws new NAME --words "hey pi" "lights on".

    Speaks the words in many voices and what is almost the words in others, adds people's takes (kws record), fine-tunes
    a shipped model, chooses thresholds, and writes NAME/NAME.kws and NAME.h. Settings are kept in the project: later,
    kws new NAME alone goes on after an interruption, or learns from takes and mined recordings that have come since.
    """
    from dataclasses import replace

    from kws.data.espeak import phonemes
    from kws.own_words.material import require_inputs
    from kws.own_words.project import Project, base_of, checked, exists, load
    from kws_training.own_words.display import MakeDisplay
    from kws_training.own_words.make import base_model, make

    named = [*(words or []), *(more or [])]
    if exists(folder):
        project = load(folder)
    elif named:
        project = Project(folder, tuple(named))
    else:
        raise KwsError(f'{folder}: no project there yet; name its words, such as kws new {folder} --words "hey pi".')
    given: dict[str, Any] = {
        "words": tuple(named) or None,
        "recordings": tuple(path.resolve() for path in recordings) if recordings else None,
        "data": data.resolve() if data else None,
        "negatives": negatives.resolve() if negatives else None,
        "voices": tuple(path.resolve() for path in voices) if voices else None,
        "base": base_of(base) if base else None,
        "language": language,
        "epochs": epochs,
        "target": target,
        "seed": seed,
    }
    project = checked(replace(project, **{key: value for key, value in given.items() if value is not None}))
    # What cannot be used is told of before it is kept: the project stays as it was.
    require_inputs(project)
    base_model(project)
    if language is not None:
        phonemes(project.words, language)
    project.save()
    with MakeDisplay(project) as display:
        display.made(make(project, display, display.reading, display.spoken))
