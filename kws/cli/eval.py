"""`kws eval`: how good a model is on labelled recordings, and as a listener on long ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kws.cli.given import given
from kws.errors import KwsError

if TYPE_CHECKING:
    from kws.evaluate.sounds import Sound
    from kws.model import FoldedModel


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("eval")(evaluate)


def evaluate(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="A .kws file, a run folder or a shipped name.", show_default="kws12"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Speech Commands, or a folder with one folder of recordings a word.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="validation, testing or all; validation by default, or all where that has no clip."),
    ] = None,
    engine: Annotated[str, typer.Option(help="c: what devices run; torch: the same model in PyTorch.")] = "c",
    depth: Annotated[str, typer.Option(help="1, 2, 4 or all.")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    plots: Annotated[Path | None, typer.Option(help="Folder for confusion matrices, or the curve, as PNG.")] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness", help="Also with noise, reverberation, other speeds and levels; 18 times the work."
        ),
    ] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Measure the listener on long streams.")] = False,
    minutes: Annotated[float, typer.Option(min=0.1, help="--stream: length of the stream mixed from --data.")] = 60.0,
    snr: Annotated[
        str, typer.Option(help="--stream: dB of the speech above the background, LOW,HIGH or one; inf for none.")
    ] = "5,20",
    words: Annotated[
        str,
        typer.Option(
            help="--stream: words to find, comma-separated; the model's others never fire, and no mix has them."
        ),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    negatives: Annotated[
        Path | None, typer.Option(help="--stream: folder of recordings in which no word is said.")
    ] = None,
    speech: Annotated[
        Path | None,
        typer.Option(
            help="--stream: folder of recordings in which no word is said, best at 16 kHz, to lay between the words."
        ),
    ] = None,
    recording: Annotated[Path | None, typer.Option(help="--stream: a long recording.")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="--stream: label track of --recording, start<TAB>end<TAB>word a line."),
    ] = None,
    targets: Annotated[
        str, typer.Option(help="--stream: false accepts an hour at which to show every figure.")
    ] = "0.5,5",
    count_late: Annotated[
        bool, typer.Option(help="--stream: whether detections of a word up to a second after it count as false.")
    ] = True,
    save: Annotated[
        Path | None, typer.Option(help="--stream: write the mixed stream as WAV, its labels beside it.")
    ] = None,
) -> None:
    """Evaluate a model: accuracy, balanced accuracy, precision and recall a word, and its worst mistakes.

    Word clips are all used; clips of words that the model does not know count as _unknown_, and silence is cut from the
    background recordings, each a tenth as many as the word clips (the official protocol of Speech Commands).

    With --stream: misses against false accepts an hour, latency, repeats and work, at each depth and adaptive. The
    words of --data are laid amid pauses between runs of other words, or with --speech stretches of running speech, over
    its background recordings. A hit lies between the word's start and half a second after its end.
    """
    from kws.model import load

    if depth != "all" and not depth.isdecimal():
        raise KwsError(f"--depth {depth} is no depth; choose 1, 2, 4 or all.")
    folded = load(model)
    deltas = None if depth == "all" else [int(depth)]
    refuse_ignored(context, stream)
    if not stream:
        if data is None:
            raise KwsError("Nothing to evaluate on: give --data DIR, or --stream and a recording.")
        return _evaluate_clips(folded, data, split, engine, deltas, seed, robustness, as_json, plots)
    if deltas and deltas[0] not in folded.deltas:
        raise KwsError(f"--depth {depth} is not in the model; choose from {', '.join(map(str, folded.deltas))} or all.")
    aims = numbers(targets, "--targets")
    if any(not 0.0 <= aim < math.inf for aim in aims):
        raise KwsError(f"--targets {targets}: give false accepts an hour, none of them negative, such as 0.5,5.")
    wanted = chosen_words(folded, words)
    sounds = hear(folded, data, negatives, recording, labels, minutes, snr, seed, split, deltas, save, wanted, speech)
    return _evaluate_stream(folded, sounds, deltas, aims, count_late, as_json, plots, wanted)


OF_STREAMS = ("minutes", "snr", "speech", "words", "negatives", "recording", "labels", "targets", "count_late", "save")
OF_CLIPS = ("engine", "robustness")
"""What --stream alone has a use for, and what has none beside it."""


def refuse_ignored(context: typer.Context, stream: bool) -> None:
    """Raises KwsError where an option is given that would be ignored."""
    for name in given(context):
        option = "--" + name.replace("_", "-")
        if not stream and name in OF_STREAMS:
            raise KwsError(f"{option} measures a listener; add --stream, or leave it out.")
        if stream and name in OF_CLIPS:
            raise KwsError(f"{option} measures clips; leave out {option} or --stream.")


def _evaluate_clips(
    model: FoldedModel,
    data: Path,
    split: str | None,
    engine: str,
    deltas: list[int] | None,
    seed: int,
    robustness: bool,
    as_json: bool,
    plots: Path | None,
) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from kws.evaluate.report import show, to_json
    from kws.evaluate.run import evaluate as run

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("clips", total=None)
        evaluation = run(
            model,
            data,
            split,
            engine,
            deltas,
            seed,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
        degraded = None
        if robustness:
            from kws.evaluate.robustness import robustness as run_degraded

            bar = progress.add_task("clips, degraded", total=None)
            degraded = run_degraded(
                model,
                data,
                split,
                engine,
                deltas,
                seed,
                progress=lambda done, total: progress.update(bar, completed=done, total=total),
            )
    written = []
    if plots is not None:
        from kws.evaluate.plots import draw_confusions

        written = draw_confusions(evaluation, plots)
    if as_json:
        found = to_json(evaluation)
        if degraded is not None:
            found["robustness"] = degraded.as_dict()
        print(json.dumps(found, ensure_ascii=False))
        return
    console = Console(highlight=False)
    show(evaluation, console)
    if degraded is not None:
        from kws.evaluate.robustness import show as show_degraded

        show_degraded(degraded, console)
    for path in written:
        console.print(f"{path} written", markup=False, soft_wrap=True)


def hear(
    model: FoldedModel,
    data: Path | None,
    negatives: Path | None,
    recording: Path | None,
    labels: Path | None,
    minutes: float,
    snr: str,
    seed: int,
    split: str | None,
    deltas: list[int] | None,
    save: Path | None = None,
    wanted: list[str] | None = None,
    speech: Path | None = None,
) -> list[Sound]:
    """Runs the engine over everything that the options name, with a bar on stderr.

    Args:
        wanted: words to be found in a mix, in which the model's others are then not said; all if None.
        speech: recordings to lay between the words of a mix; None for its other words.

    Raises:
        KwsError: nothing is named, or something cannot be read.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from kws.data.stream import Mix
    from kws.data.tasks import negative_recordings, scan
    from kws.evaluate import sounds
    from kws.evaluate.run import require_rate

    if data is None and negatives is None and recording is None:
        raise KwsError("Nothing to listen to: give --data, --recording or --negatives.")
    if labels is not None and recording is None:
        raise KwsError(f"--labels {labels} belongs to a recording; give --recording too.")
    if save is not None and data is None:
        raise KwsError(f"--save {save} writes the stream mixed from --data; give --data too.")
    if speech is not None and data is None:
        raise KwsError(f"--speech {speech} is laid between words of --data; give --data too, or name it --negatives.")
    require_rate(model)
    heard: list[Sound] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} s heard"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def bar(name: str, total: float | None = None) -> sounds.Progress:
            task = progress.add_task(name, total=total)
            return lambda seconds: progress.update(task, completed=seconds)

        if data is not None:
            span = numbers(snr, "--snr")
            if len(span) > 2 or -math.inf in span:
                raise KwsError(f"--snr {snr} is no range; give one number of dB, two as 5,20, or inf.")
            if len({math.isinf(value) for value in span}) > 1:
                raise KwsError(f"--snr {snr} goes from some background to none; give two numbers, or inf alone.")
            every = model.class_names[: model.n_words]
            words = wanted or every
            between = negative_recordings(speech) if speech else []
            corpus = scan(data).without(set(every) - set(words))
            mix = Mix(corpus, words, minutes, (min(span), max(span)), split or "validation", seed, between)
            heard.append(sounds.hear_mix(model, mix, deltas, bar("mix", 60.0 * minutes), save))
        if recording is not None:
            heard.append(sounds.hear_recording(model, recording, labels, deltas, bar(recording.name)))
        if negatives is not None:
            heard.append(sounds.hear_folder(model, negatives, deltas, bar(negatives.name)))
    return heard


def chosen_words(model: FoldedModel, text: str) -> list[str] | None:
    """Words separated by commas, None for none at all.

    Raises:
        KwsError: a word that the model does not have, or one twice.
    """
    from kws.data.tasks import task_of_words

    if not text:
        return None
    chosen = list(task_of_words([word.strip() for word in text.split(",")]).words)
    own = model.class_names[: model.n_words]
    for word in chosen:
        if word not in own:
            raise KwsError(f"--words: '{word}' is no word of {model.name}; choose from {', '.join(own)}.")
    return chosen


def numbers(text: str, option: str) -> list[float]:
    """Numbers separated by commas.

    Raises:
        KwsError: something else.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise KwsError(f"{option} {text} is no list of numbers; write them as 5,20.") from error
    if any(math.isnan(value) for value in found):
        raise KwsError(f"{option} {text} is no list of numbers; write them as 5,20.")
    return found


def _evaluate_stream(
    model: FoldedModel,
    sounds: list[Sound],
    deltas: list[int] | None,
    targets: list[float],
    count_late: bool,
    as_json: bool,
    plots: Path | None,
    wanted: list[str] | None,
) -> None:
    from rich.console import Console

    from kws.evaluate.stream import evaluate_stream, modes_of
    from kws.evaluate.stream_report import show, to_json

    results = evaluate_stream(model, sounds, modes_of(model, deltas or model.deltas), targets, count_late, wanted)
    written = None
    if plots is not None:
        from kws.evaluate.plots import draw_det

        written = draw_det(model.name, results, plots, count_late)
    if as_json:
        print(json.dumps(to_json(model, sounds, results), ensure_ascii=False))
        return
    console = Console(highlight=False)
    show(model, sounds, results, console, listed=not any(sound.labels for sound in sounds))
    if written:
        console.print(f"{written} written", markup=False, soft_wrap=True)
