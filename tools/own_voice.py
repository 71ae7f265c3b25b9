"""What a person's own takes of a shipped model's words make of it, for that person.

    python tools/own_voice.py --data DATA --negatives DIR --out OUT

DATA is Speech Commands. Whose takes they are: the first --speakers of the validation split, by name, who said each of
--words, all of them words of --base, in --takes and two more different recordings. For each of these speakers a model
is made of the first --takes recordings of every word, by what `kws new` runs, from --base; and its thresholds are
chosen for each of --targets, false accepts an hour of all words together. Its --data is DATA without these speakers,
and without every second other speaker of the validation split. The neural voices that are installed speak, too.

What is measured: the two recordings of each word that no model was given are said over and over in a stream of
--minutes, amid pauses between runs of other words by the speakers left out above, over background recordings at 10 dB,
and over none; and --negatives are heard, running speech without the words, which none was given. The base hears the
same, and its words that are not asked for never fire. Both as their own thresholds have it; and, since these are for
different numbers of false accepts, with all thresholds of a model moved together to where a stream has no false accept
and most of the words are found.

The background recordings are those that `kws new` has, a stretch of each that it does not train on but chooses
thresholds with. Ctrl-C is safe: what is done in OUT is not done again. Prints a table, and writes OUT/results.json.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from own_words import (
    HELD_OUT,
    SNRS,
    Found,
    Said,
    counted,
    divided,
    judges,
    keep_options,
    link,
    made,
    made_with,
    measure,
    measure_streams,
    parser_of,
    report,
    said_by,
)

from kws.data.tasks import Clip, Corpus, negative_recordings, scan
from kws.errors import KwsError
from kws.evaluate.sounds import Sound, hear_folder
from kws.model import FoldedModel, load
from kws.own_words.project import Project, base_of, checked

SHIFTS = np.arange(-6.0, 8.05, 0.1)
"""Added to the logits of all thresholds of a model."""


def speakers(corpus: Corpus, words: Sequence[str], count: int, takes: int) -> dict[str, dict[str, list[Clip]]]:
    """Different recordings of every word, by speaker.

    Raises:
        KwsError: fewer speakers than ``count`` have as many of each.
    """
    said = {word: said_by(corpus, word) for word in words}
    enough = [
        name
        for name in sorted(set.intersection(*map(set, said.values())))
        if all(len(theirs[name]) >= takes + HELD_OUT for theirs in said.values())
    ]
    if len(enough) < count:
        raise KwsError(
            f"{corpus.root}: {len(enough)} speakers of the validation split have {takes + HELD_OUT} recordings of each "
            "of the words; ask for fewer --speakers, --takes or --words."
        )
    return {name: {word: theirs[name] for word, theirs in said.items()} for name in enough[:count]}


def own_model(project: Project, takes: Said, voices: Path | None) -> FoldedModel:
    """What ``made`` makes, with thresholds for the project's target; kept beside those for other targets."""
    path = project.folder / f"{project.name}-{project.target:g}.kws"
    if not path.is_file():
        project.model.unlink(missing_ok=True)  # of another target; its training stays
        made(project, takes, voices)
        shutil.copy(project.model, path)
    return load(path)


def found(model: FoldedModel, sound: Sound, words: Sequence[str]) -> Found:
    """By mode, what the thresholds come to in ``sound``; ``quiet``: hits without a false accept, thresholds moved."""
    result = {}
    for name, judge, own in judges(model, sound, words):
        moved = [counted(judge.at(own, float(shift))) for shift in SHIFTS]
        quiet = max((one["hits"] for one in moved if one["false_accepts"] == 0), default=0)
        result[name] = {**counted(judge.at(own)), "quiet": quiet}
    return result


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Makes every model and measures it and the base; a dict for each speaker and model, and each of its targets.

    Raises:
        KwsError: before anything is made, for options that do not fit the recordings, the base or what is in OUT.
    """
    corpus, base, words = scan(options.data), load(options.base), options.words
    negative_recordings(options.negatives)
    if strange := set(words) - set(base.class_names[: base.n_words]):
        raise KwsError(f"{options.base} has no word '{min(strange)}'; tools/own_words.py measures words of one's own.")
    chosen = speakers(corpus, words, options.speakers, options.takes)
    plain = Project(options.out, tuple(words), base=base_of(options.base), epochs=options.epochs)
    wanted = [checked(replace(plain, target=target)) for target in options.targets]
    keep_options(options, free=("out", "targets"))
    given, others = divided(corpus, chosen)
    between = [clip for word, clips in others.items() if word not in words for clip in clips]
    data = link(given, options.out / "data")
    count = partial(found, words=words)
    results, voices, how = [], None, made_with()
    for speaker, takes in chosen.items():
        given_takes = {word: clips[: options.takes] for word, clips in takes.items()}
        models: dict[float | None, FoldedModel] = {None: base}
        for aimed in wanted:
            project = replace(aimed, folder=options.out / f"voice_{speaker}", data=data)
            models[project.target] = own_model(project, given_takes, voices)
            voices = voices or project.spoken
        held_out = {word: clips[-HELD_OUT:] for word, clips in takes.items()}
        for target, model in models.items():
            label = "base" if target is None else f"{target:g}"
            stem = options.out / f"{speaker}-{label}"
            heard_as = label if target is None else stem.name  # the base is one model, whoever speaks
            one = {"speaker": speaker, "target": target, "words": words, "takes": options.takes, "base": options.base}
            one |= how
            one |= measure_streams(stem, count, model, held_out, between, given, options.minutes)
            path = options.out / f"{heard_as}-negatives.json"
            results.append({**one, "negatives": measure(path, count, model, hear_folder, options.negatives, None)})
    return results


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row for each model and mode, all speakers together."""
    rows = [
        "| | | found, 10 dB | found, clean | false accepts in the streams | in running speech "
        "| found without a false accept, 10 dB / clean |",
        "|---|---|---|---|---|---|---|",
    ]
    for target in dict.fromkeys(one["target"] for one in results):
        part = [one for one in results if one["target"] == target]
        models = part[:1] if target is None else part  # of one base, whoever speaks
        takes = f"{part[0]['takes']} takes of each word"
        name = f"`{part[0]['base']}`" if target is None else f"{takes}, for {target:g} an hour"
        for mode in part[0]["clean"]["modes"]:
            streams = {label: _sum(one[label]["modes"][mode] for one in part) for label in SNRS}
            running = _sum(one["negatives"]["modes"][mode] for one in models)
            hours = sum(one[label]["hours"] for one in part for label in SNRS)
            false = sum(one["false_accepts"] for one in streams.values())
            cells = [
                *(f"{_share(one, 'hits')} of {one['said']:,}" for one in streams.values()),
                f"{false} in {hours:.1f} h",
                f"{running['false_accepts']} in {sum(one['negatives']['hours'] for one in models):.1f} h",
                " / ".join(_share(one, "quiet") for one in streams.values()),
            ]
            rows.append(f"| {name} | {mode} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _sum(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    every = list(parts)
    return {key: sum(one[key] for one in every) for key in every[0]}


def _share(one: dict[str, int], key: str) -> str:
    return f"{100.0 * one[key] / one['said']:.1f} %"


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = parser_of(__doc__, ["yes", "no", "up", "down"])
    parser.add_argument("--speakers", type=int, default=6)
    parser.add_argument("--takes", type=int, default=3)
    numbers = "false accepts an hour that own thresholds are chosen for; the first is what kws new has by itself"
    parser.add_argument(
        "--targets",
        type=lambda text: [float(part) for part in text.split(",")],
        default=[Project.target, 2.0],
        help=numbers,
    )
    report("own_voice", parser.parse_args(), run, table)


if __name__ == "__main__":
    main()
