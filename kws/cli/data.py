"""`kws data`: get, check and synthesise recordings."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

    from kws.data.check import Finding, Report


def register(app: typer.Typer) -> None:
    """Adds the command group to ``app``."""
    group = typer.Typer(name="data", help="Get, check and synthesise recordings.", no_args_is_help=True)
    for command in (get, check, synth):
        group.command()(command)
    app.add_typer(group)


def get(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="speech-commands")],
    version: Annotated[int, typer.Option(help="1 (30 words, 1.5 GB) or 2 (35 words, 2.4 GB).")] = 2,
    folder: Annotated[Path, typer.Option("--dir", help="Where to put it.")] = Path("data"),
    keep_archive: Annotated[bool, typer.Option("--keep-archive", help="Keep the archive beside the data.")] = False,
) -> None:
    """Download a data set, check it and extract it; run the same command again after an interruption to go on."""
    from rich.console import Console
    from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    from kws.data.get import get_speech_commands
    from kws.errors import KwsError

    if dataset != "speech-commands":
        raise KwsError(f"There is no data set '{dataset}' to get; the one there is: speech-commands.")
    console = Console(stderr=True)
    with _progress(console, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as bar:
        tasks = {}

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage.capitalize(), total=total)
            bar.update(tasks[stage], completed=done, total=total)

        try:
            path = get_speech_commands(folder, version, keep_archive=keep_archive, progress=show)
        except KeyboardInterrupt:
            bar.stop()
            console.print("Run the same command again to go on from here.")
            raise
    Console().print(f"Speech Commands version {version} is in {path}", markup=False, highlight=False, soft_wrap=True)


def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Speech Commands, or one folder a word.")],
    as_json: Annotated[bool, typer.Option("--json", help="The whole report as one JSON object.")] = False,
    examples: Annotated[int, typer.Option(min=0, help="Files to name for each kind of finding.")] = 3,
) -> None:
    """Count clips by word and split, find faulty ones, and say what training does with each."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn

    from kws.data.check import check as look_through

    with _progress(Console(stderr=True), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("Listening", total=None)
        report = look_through(folder, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        print(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        _show_report(Console(highlight=False), report, examples)


def synth(
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help='Words, or phrases in quotes ("hey pi").')],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Corpus to write or add to; for sentences, a new folder.")],
    count: Annotated[int, typer.Option(help="Clips a word; or sentences in all.")] = 100,
    seed: Annotated[int, typer.Option(help="Another seed gives other clips.")] = 0,
    language: Annotated[str, typer.Option(help="As eSpeak NG names it: en, de, fr, es, ...")] = "en",
    noise: Annotated[bool, typer.Option("--noise", help="Also write background noise, for the silence class.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Remove the recordings that stand there.")] = False,
    sentences: Annotated[
        bool,
        typer.Option("--sentences", help="Speak COUNT sentences in which no WORD is heard, for kws train --negatives."),
    ] = False,
    by_neural: Annotated[
        bool,
        typer.Option("--neural", help="Words by neural voices alone: few, and far more like people."),
    ] = False,
    voices: Annotated[
        list[Path] | None,
        typer.Option(
            "--voice",
            metavar="FILE.onnx",
            help="A voice of Piper, to speak beside the neural voices that are installed.",
        ),
    ] = None,
) -> None:
    """Speak words with eSpeak NG in many voices, rates and pitches, one folder a word.

    Of sentences (--sentences) the neural voices that are installed, if there are any, say half. Words they say with
    --neural.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn

    from kws.data import neural
    from kws.data.synth import synthesise
    from kws.errors import KwsError
    from kws.own_words.spoken import speak_sentences, speak_words

    if noise and (sentences or by_neural):
        raise KwsError("--noise goes with words of eSpeak NG alone; ask for each in a run of its own.")
    if sentences and by_neural:
        raise KwsError("--neural goes with words; of --sentences neural voices say half anyway.")
    if voices and not (sentences or by_neural):
        raise KwsError("--voice goes with --sentences or --neural; else words are spoken by eSpeak NG alone.")
    networks = neural.voices(language, voices or ()) if sentences or by_neural else []
    with _progress(Console(stderr=True), MofNCompleteColumn()) as bar:
        task = bar.add_task("Speaking", total=count if sentences else count * len(words))

        def tell(_: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if sentences:
            made, spoke = speak_sentences(words, out, count, seed, language, replace, tell, networks)
            text = f"{made} sentences in {out} by {', '.join(spoke)}, none of which says {', '.join(words)}"
        elif by_neural:
            spoke = speak_words(words, out, count, networks, seed, replace, tell)
            text = f"{count} clips each of {len(words)} words in {out} by {', '.join(spoke)}: {', '.join(words)}"
        else:
            folders = synthesise(
                words,
                out,
                count=count,
                seed=seed,
                language=language,
                noises=noise,
                replace=replace,
                progress=tell,
            )
            names = ", ".join(path.name for path in folders)
            text = f"{count} clips each of {len(words)} words in {out}: {names}"
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def _progress(console: Console, *columns: ProgressColumn) -> Progress:
    """A progress bar on stderr that leaves nothing behind."""
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(TextColumn("{task.description}"), BarColumn(), *columns, console=console, transient=True)


def _show_report(console: Console, report: Report, examples: int) -> None:
    from rich.markup import escape
    from rich.table import Column, Table

    from kws.data.splits import SPLITS

    table = Table("word", *(Column(name, justify="right") for name in (*SPLITS, "all")))
    for word, counts in report.counts.items():
        table.add_row(word, *(str(counts[split]) for split in SPLITS), str(sum(counts.values())))
    table.add_section()
    totals = [sum(counts[split] for counts in report.counts.values()) for split in SPLITS]
    table.add_row("all", *map(str, totals), str(sum(totals)), style="bold")
    console.print(str(report.root), style="bold", markup=False, soft_wrap=True)
    console.print(table)
    by = (
        "the folder's lists, and the speaker's hash for what they do not name"
        if report.lists
        else "the hash of the speaker id"
    )
    console.print(
        f"{report.files} files, {report.seconds / 3600:.1f} hours, {report.backgrounds} of them background noise; "
        f"split by {by}.",
        soft_wrap=True,
    )
    kinds: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in report.findings:
        kinds[finding.kind, finding.action].append(finding)
    if not kinds:
        console.print("Nothing to remark: every file can be used as it is.", style="green")
    # What is lost comes first.
    for (kind, action), findings in sorted(kinds.items(), key=lambda item: (not _is_skipped(item[1][0]), item[0])):
        colour = "red" if _is_skipped(findings[0]) else "yellow"
        console.print(f"\n[bold {colour}]{kind}[/] [bold]{len(findings)}[/]: {escape(action)}", soft_wrap=True)
        for finding in findings[:examples]:
            console.print(f"  {finding.path}: {finding.detail}", markup=False, soft_wrap=True)
        if examples and len(findings) > examples:
            console.print(f"  ... and {len(findings) - examples} more", style="dim")
    if skipped := len(report.skipped()):
        console.print(f"\n{skipped} skipped; everything else is used.", style="bold red")


def _is_skipped(finding: Finding) -> bool:
    from kws.data.check import SKIPPED

    return finding.action.startswith(SKIPPED)
