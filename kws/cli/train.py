"""``kws train``: recordings in, a model file out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from kws.cli.given import given


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("train", help="Train a binary network on a folder of recordings.")(train)


def show_binarizers(wanted: bool) -> None:
    """Prints every binarizer and ends the command."""
    if not wanted:
        return
    from rich.console import Console
    from rich.table import Table

    from kws_training.quantizers import BINARIZERS

    table = Table("--binarizer", "source", "learns or schedules", "model", box=None, pad_edge=False)
    for name, method in BINARIZERS.items():
        table.add_row(name, method.paper, method.learns, "yes" if method.maps_to_engine else "no")
    console = Console()
    console.print(table)
    console.print("\nThose without a model train all the same, for comparison; the engine cannot run them.")
    raise typer.Exit


RESUMABLE = ("out", "data", "extra", "negatives", "resume")
"""What may stand beside ``--resume``: where the run is, and where its recordings are now if they have moved."""

OF_A_BASE = ("preset", "network", "channels", "hidden", "blocks", "binarizer", "distillation", "teacher", "student")
"""What a ``--base`` decides."""


def refuse_beside_resume(context: typer.Context) -> None:
    """Raises KwsError where an option is given that a resumed run would have to ignore."""
    from kws.errors import KwsError

    for name in given(context):
        if name not in RESUMABLE:
            option = name.replace("_", "-")
            raise KwsError(f"--{option} beside --resume: a run keeps its settings; leave it out, or begin another run.")


def refuse_beside_base(context: typer.Context, recipe: str) -> None:
    """Raises KwsError where an option is given that the base model decides, or has no use for."""
    from kws.errors import KwsError
    from kws_training.config import LISTENING

    for name in given(context):
        if name in OF_A_BASE and (name, recipe) != ("teacher", LISTENING):
            raise KwsError(f"--{name} beside --base: the base model's stays; leave it out, or train without a base.")


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Run folder: checkpoints, record, logs and, at the end, model.kws.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of recordings, <word>/*.wav, or a Speech Commands folder.")
    ] = None,
    extra: Annotated[
        Path | None, typer.Option(help="Folder of more recordings, for training alone: synthesised ones, for example.")
    ] = None,
    negatives: Annotated[
        Path | None, typer.Option(help="Folder of recordings in which none of the words is said, for training alone.")
    ] = None,
    words: Annotated[str, typer.Option(help="Words to spot, comma-separated; overrides --task.")] = "",
    task: Annotated[str, typer.Option(help="Speech Commands task: 12, 22 or 35.")] = "12",
    preset: Annotated[str, typer.Option(help="Feature preset.")] = "bifsmn",
    recipe: Annotated[
        str,
        typer.Option(
            help="Stages: standard; quick for a try; listening, among other words; of a --student: running, among "
            "other words; settling, more epochs at a quarter of the rate; of a --base: standard; noise, for rooms that "
            "are not quiet; listening, to make a listener of it."
        ),
    ] = "standard",
    network: Annotated[
        str,
        typer.Option(
            help="bifsmn: one bit an input; bifsmnv2: two, at up to twice the work; for comparison, without a model: "
            "bifsmn-attention, bifsmn-shrinkable."
        ),
    ] = "bifsmn",
    channels: Annotated[int, typer.Option(help="Width of the network: 64, 128, 192 or 256.")] = 128,
    hidden: Annotated[
        int | None, typer.Option(help="Width inside a block: a multiple of 64, twice --channels by default.")
    ] = None,
    blocks: Annotated[int, typer.Option(help="Blocks of the network at full depth.")] = 8,
    binarizer: Annotated[
        str, typer.Option(metavar="NAME", help="How weights and inputs become bits; see --list-binarizers.")
    ] = "bireal",
    distillation: Annotated[
        str,
        typer.Option(
            help="Distilled beside answers: hidden maps, enhanced (BiFSMN) or independent (BiFSMNv2); answers: none."
        ),
    ] = "enhanced",
    unknown: Annotated[
        float | None,
        typer.Option(help="Clips of other words an epoch, as a share of the words' own; few words want more than 1."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the last stage; the others scale with it.")] = None,
    teacher: Annotated[Path | None, typer.Option(help="Run folder or teacher.pt whose float teacher to reuse.")] = None,
    student: Annotated[
        Path | None, typer.Option(help="Run folder whose student to train further; without --teacher, its teacher too.")
    ] = None,
    base: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Model to train further on these words, without a teacher but for --recipe listening: a file or a "
            "shipped name.",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed of every draw.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the model; the run folder's by default.")] = "",
    threshold: Annotated[float, typer.Option(min=0.0, max=1.0, help="Score that makes a detection of a word.")] = 0.5,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the interrupted run in --out.")] = False,
    list_binarizers: Annotated[
        bool,
        typer.Option(
            "--list-binarizers", callback=show_binarizers, is_eager=True, help="Name the binarizers, and exit."
        ),
    ] = False,
) -> None:
    """Trains in the folder ``out``; see ``kws_training.run``."""
    from kws.data.tasks import TASKS, task_of_words
    from kws.errors import KwsError
    from kws.model import load, resolve
    from kws_training.config import OF_A_STUDENT, SETTLING
    from kws_training.display import TrainingDisplay
    from kws_training.finetune import settings_from
    from kws_training.inputs import Inputs
    from kws_training.loop import load_state
    from kws_training.run import new_settings, resumed_inputs, resumed_settings, settled
    from kws_training.run import train as run

    state = None
    if resume:
        refuse_beside_resume(context)
        state = load_state(out)
        settings = resumed_settings(state)
        moved = {"data": data, "extra": extra, "negatives": negatives}
        inputs = replace(resumed_inputs(state), **{key: path for key, path in moved.items() if path})
    else:
        if data is None:
            raise KwsError("--data is missing: give a folder of recordings, or --resume a run.")
        start = resolve(base) if base else None
        inputs = Inputs(data, extra, negatives, teacher, student, start, name, threshold)
        if not words and task not in TASKS:
            raise KwsError(f"'{task}' is no task; choose {', '.join(TASKS)}, or name --words.")
        chosen = task_of_words([word.strip() for word in words.split(",")]) if words else TASKS[task]
        if start:
            refuse_beside_base(context, recipe)
            settings = settings_from(load(start), chosen, epochs, seed, unknown, recipe)
        else:
            if recipe in OF_A_STUDENT and not (student or (teacher and recipe == "running")):
                raise KwsError(f"--recipe {recipe} trains a finished run further; give that with --student RUN.")
            settings = new_settings(
                chosen,
                recipe,
                preset,
                epochs,
                seed,
                binarizer=binarizer,
                network=network,
                channels=channels,
                hidden=hidden,
                blocks=blocks,
                distillation=distillation,
                unknown=unknown,
            )
            if recipe == SETTLING and student:
                settings = settled(settings, student, unknown)
    with TrainingDisplay(settings, out) as display:
        run(inputs, out, settings, display, display.reading, state)
