"""What `kws new` makes of a few takes by one person, measured on other takes by that person.

    python tools/own_words.py --data DATA --negatives DIR --out OUT

DATA is Speech Commands; give words that the base model does not answer to. Whose takes they are: the first --speakers
of a word's validation split, by name, who said it in enough different recordings, as many as the most of --takes and
two more (copies of one recording count once). A model is made for each of these speakers of their first recordings, as
many as --takes says, and one for all of them where it says none, all by what `kws new` runs. Its --data is DATA
without the word, without these speakers, and without every second other speaker of the validation split. The neural
voices that are installed speak, too.

A phrase is several words of DATA, "zero three": nobody said it in one breath, so its takes are recordings of one
speaker's, joined with a short gap; where more of them are asked for than there are recordings of a word, these are
joined in other ways, too. The words themselves stay in --data. A speaker whose takes are too long for any window is
left out, which is said.

What is measured, at the thresholds that `kws new` chose: the two recordings that no model was given are said over and
over in a stream of --minutes, amid pauses between runs of other words by the speakers left out above, over background
recordings at 10 dB, and over none; and every model hears --negatives, running speech without the words, which none was
given.

The background recordings are those that `kws new` has, a stretch of each that it does not train on but chooses
thresholds with. Ctrl-C is safe: what is done in OUT is not done again. Prints a table, and writes OUT/results.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from kws.data import neural
from kws.data.audio import SAMPLE_RATE, to_int16
from kws.data.splits import speaker_of
from kws.data.stream import Mix, lay, speech_extent
from kws.data.synth import folder_name
from kws.data.tasks import BACKGROUND, SILENCE, Clip, Corpus, find_root, negative_recordings, scan
from kws.errors import KwsError
from kws.evaluate.sounds import Sound, hear_folder, hear_mix
from kws.evaluate.stream import Judge, Operation, modes_of
from kws.files import write_atomically
from kws.model import FoldedModel, load
from kws.own_words.material import OTHERS, distinct
from kws.own_words.project import Project, base_of, checked
from kws_training.composed.pieces import Pieces, piece_of
from kws_training.own_words.display import MakeDisplay
from kws_training.own_words.make import RECIPE, make, window_for

HELD_OUT = 2
"""Recordings of a speaker that no model is given."""

SNRS = {"10 dB": 10.0, "clean": math.inf}
OPTIONS = "options.json"
"""In OUT: what its models and figures were made with."""


LEVEL = -26.0
"""Of the words of a joined phrase, dBFS."""
GAP = (0.02, 0.12)
"""Seconds between the words of a joined phrase."""

Take = tuple[Clip, ...]
"""A recording of every word of a phrase, in order; of a single word, that one."""
Said = Mapping[str, Sequence[Clip]]
"""Recordings of words, by class name."""
Found = dict[str, dict[str, int]]
"""Counts by mode."""
Count = Callable[[FoldedModel, Sound], Found]


@dataclass(frozen=True)
class Ground:
    """Who is measured with a word, and what is left out for it.

    Attributes:
        takes: by speaker; of those of the last ``HELD_OUT``, no recording is in another one.
        given: speech and backgrounds that models are made with.
        others: clips of other words by speakers of whom no model is given anything.
    """

    takes: dict[str, list[Take]]
    given: Corpus
    others: list[Clip]


def ground(corpus: Corpus, word: str, speakers: int, takes: int) -> Ground:
    """Divides ``corpus`` for ``word``.

    Args:
        corpus: scanned.
        word: one of its folders, or several separated by spaces.
        speakers: how many to measure.
        takes: most that a model is given.

    Raises:
        KwsError: too few speakers with so many different recordings.
    """
    parts = [said_by(corpus, part) for part in word.split() or [word]]
    every = {name: _takes([part[name] for part in parts], takes) for name in sorted(set.intersection(*map(set, parts)))}
    enough = {name: theirs for name, theirs in every.items() if len(theirs) >= takes + HELD_OUT}
    if len(enough) < speakers:
        raise KwsError(
            f"{corpus.root}: {len(enough)} speakers of the validation split have {takes + HELD_OUT} takes of '{word}'; "
            "ask for fewer --speakers or --takes."
        )
    chosen = dict(list(enough.items())[:speakers])
    given, others = divided(corpus, chosen, {word})
    return Ground(chosen, given, [clip for clips in others.values() for clip in clips])


def divided(corpus: Corpus, chosen: Collection[str], without: Collection[str] = ()) -> tuple[Corpus, Said]:
    """What models are made with, and what is kept back for streams: all that every second speaker of the validation
    split said; nothing of the ``chosen`` speakers is in either, and no word of ``without``.
    """
    rest = {name: clips for name, clips in corpus.clips.items() if name not in {SILENCE, *without}}
    validation = {_speaker(clip) for clips in rest.values() for clip in clips if clip.split == "validation"}
    kept_back = set(sorted(validation - set(chosen))[::2])
    given = {
        name: [clip for clip in clips if _speaker(clip) not in kept_back | set(chosen)] for name, clips in rest.items()
    }
    others = {name: [clip for clip in clips if _speaker(clip) in kept_back] for name, clips in rest.items()}
    return Corpus(corpus.root, given, corpus.backgrounds), others


def said_by(corpus: Corpus, word: str) -> dict[str, list[Clip]]:
    """The different recordings of ``word`` in the validation split, by speaker."""
    said: dict[str, list[Clip]] = defaultdict(list)
    for clip in distinct(corpus.select(word, "validation")):
        if name := speaker_of(clip.path.name):
            said[name].append(clip)
    return said


def _takes(recordings: list[list[Clip]], most: int) -> list[Take]:
    """At most ``most`` takes of one speaker, of whom ``recordings`` holds those of each word, and those held out.

    As many recordings of each word as there are of all are joined first to first, second to second; then, of a phrase,
    in other ways.
    """
    count = min(map(len, recordings))
    given = max(0, count - HELD_OUT)
    # How much further on each word's recording is than the first word's.
    further = itertools.product([0], *[range(given)] * (len(recordings) - 1))
    ways = (tuple((first + by) % given for by in steps) for steps in further for first in range(given))
    order = list(itertools.islice(ways, most))
    order += [(index,) * len(recordings) for index in range(given, count)]
    return [tuple(clips[index] for clips, index in zip(recordings, at, strict=True)) for at in order]


def join(take: Take, path: Path, rng: np.random.Generator) -> Clip:
    """The take as one recording, at ``path`` if it is of several: word after word, equally loud, each with what was
    recorded around it.
    """
    if len(take) == 1:
        return take[0]
    canvas, end = np.zeros(0), 0
    for index, clip in enumerate(take):
        pcm = clip.read()
        first, last, level = speech_extent(pcm)
        at = end + round(rng.uniform(*GAP) * SAMPLE_RATE) - first if index else 0
        before = max(0, -at)
        canvas = np.pad(canvas, (before, max(0, at + len(pcm) - len(canvas))))
        lay(canvas, pcm * 10.0 ** ((LEVEL - level) / 20.0), at + before)
        end = at + before + last
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, to_int16(canvas / 32768.0), SAMPLE_RATE, subtype="PCM_16")
    return Clip(path, take[0].word, take[0].split)


def _speaker(clip: Clip) -> str:
    return speaker_of(clip.path.name) or clip.path.name


def link(given: Corpus, folder: Path) -> Path:
    """Lays ``given`` out as a corpus in ``folder``, by links, and returns it."""
    if not folder.is_dir():
        temporary = folder.with_name(folder.name + ".part")
        shutil.rmtree(temporary, ignore_errors=True)
        files = [(clip.path, clip.word) for clips in given.clips.values() for clip in clips]
        for path, name in [*files, *((path, BACKGROUND) for path in given.backgrounds)]:
            (temporary / name).mkdir(parents=True, exist_ok=True)
            (temporary / name / path.name).symlink_to(path.resolve())
        for path in find_root(given.root).glob("*_list.txt"):
            shutil.copy(path, temporary)
        temporary.rename(folder)
    return folder


def fits(project: Project, takes: Iterable[Clip]) -> bool:
    """Whether there is a window for ``takes`` of the project's word, if there are any."""
    pieces = [piece_of(clip.read()) for clip in takes]
    if not pieces:
        return True
    try:
        window_for(project, Pieces([pieces], [pieces], [], [], [], [], np.zeros(0, np.int16)))
    except KwsError:
        return False
    return True


def made(project: Project, takes: Said, voices: Path | None) -> FoldedModel:
    """The model of ``project``, which is made if it is not there.

    Args:
        project: to be saved.
        takes: to be given.
        voices: what another project of the same words and seed has had spoken.
    """
    if not project.model.is_file():
        project.save()
        for name, clips in takes.items():
            folder = project.own_recordings / name
            folder.mkdir(parents=True, exist_ok=True)
            for clip in clips:
                shutil.copy(clip.path, folder)
        if voices is not None and not project.spoken.is_dir():
            shutil.copytree(voices, project.spoken, copy_function=os.link)
        with MakeDisplay(project) as display:
            display.made(make(project, display, display.reading, display.spoken))
    return load(project.model)


def judges(
    model: FoldedModel, sound: Sound, words: Sequence[str] | None = None
) -> Iterator[tuple[str, Judge, NDArray[np.float32]]]:
    """Each mode's name, its judge of ``sound``, which counts ``words`` or all, and the model's thresholds for it."""
    for mode in modes_of(model, model.deltas):
        own = model.word_threshold[model.deltas.index(mode.confirm)]
        yield mode.name, Judge(model, [sound], mode, counted=words), own


def found(model: FoldedModel, sound: Sound) -> Found:
    """By mode, what the model's own thresholds come to in ``sound``."""
    return {name: counted(judge.at(own)) for name, judge, own in judges(model, sound)}


def counted(operation: Operation) -> dict[str, int]:
    """Of all words together."""
    every = operation.counts.values()
    return {
        "said": sum(one.said for one in every),
        "hits": sum(one.hits for one in every),
        "false_accepts": sum(len(one.false_accepts) - one.late for one in every),
        "late": sum(one.late for one in every),
    }


def measure(
    path: Path, count: Count, model: FoldedModel, hear: Callable[..., Sound], *arguments: Any
) -> dict[str, Any]:
    """What ``count`` says of ``hear(model, *arguments)``, with its hours; kept at ``path`` for another time."""
    if not path.is_file():
        sound = hear(model, *arguments)
        content = {"hours": round(sound.track.hours, 4), "modes": count(model, sound)}
        write_atomically(path, (json.dumps(content) + "\n").encode())
    return dict(json.loads(path.read_text()))


def stream(
    model: FoldedModel, held_out: Said, others: Sequence[Clip], given: Corpus, snr: float, minutes: float
) -> Sound:
    """``held_out`` said over and over amid ``others``, over the backgrounds of ``given``."""
    clips = {word: [replace(clip, word=word) for clip in its] for word, its in held_out.items()}
    corpus = Corpus(given.root, {**clips, OTHERS: list(others)}, given.backgrounds)
    return hear_mix(model, Mix(corpus, list(held_out), minutes, (snr, snr), "validation"), None)


def measure_streams(
    stem: Path, count: Count, model: FoldedModel, held_out: Said, others: Sequence[Clip], given: Corpus, minutes: float
) -> dict[str, Any]:
    """What ``measure`` says of a stream for each of ``SNRS``; kept beside ``stem``, whose name theirs begin with."""
    return {
        label: measure(
            stem.with_name(f"{stem.name}-{label.replace(' ', '')}.json"),
            count,
            model,
            stream,
            held_out,
            others,
            given,
            snr,
            minutes,
        )
        for label, snr in SNRS.items()
    }


def made_with() -> dict[str, Any]:
    """What models are made with beside options: the neural voices that are installed, and how kws trains."""
    return {"voices": [voice.name for voice in neural.voices(Project.language)], "recipe": RECIPE}


def keep_options(options: argparse.Namespace, free: Collection[str] = ("out", "words")) -> None:
    """Raises KwsError where what is in OUT was made with other options, but for those that are ``free`` to change: it
    would be mixed with what is not there.
    """
    wanted = {name: value for name, value in vars(options).items() if name not in free}
    content = json.dumps({**wanted, **made_with()}, default=str, sort_keys=True)
    path = options.out / OPTIONS
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.encode())
    elif path.read_text() != content:
        raise KwsError(f"{options.out}: holds what was made with other options, see {OPTIONS}; give another --out.")


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Makes every model and measures it; one dict for each speaker and number of takes.

    Raises:
        KwsError: before anything is made, for options that do not fit the recordings, the base or what is in OUT.
    """
    corpus, base = scan(options.data), load(options.base)
    counts = sorted(set(options.takes))
    negative_recordings(options.negatives)
    if known := set(options.words) & set(base.class_names):
        raise KwsError(f"{options.base} answers to '{min(known)}' already; choose other --words.")
    grounds = {word: ground(corpus, word, options.speakers, max(counts)) for word in options.words}
    keep_options(options)
    results, how = [], made_with()
    for word, where in grounds.items():
        folder = options.out / folder_name(word)
        shared = Project(
            folder, (word,), base=base_of(options.base), data=link(where.given, folder / "data"), epochs=options.epochs
        )
        (class_name,) = shared.classes
        voices = None
        joined = {
            speaker: [
                join(take, folder / "joined" / f"{speaker}_nohash_{index}.wav", np.random.default_rng(index))
                for index, take in enumerate(takes)
            ]
            for speaker, takes in where.takes.items()
        }
        for speaker, takes in list(joined.items()):
            if not all(fits(shared, takes[:count]) for count in counts):
                print(f"{speaker} takes too long to say '{word}' for any window, and is left out.")
                del joined[speaker]
        for count, (speaker, takes) in itertools.product(counts, joined.items()):
            name = f"take_{count}_{speaker}" if count else "take_0"
            project = checked(replace(shared, folder=folder / name))
            model = made(project, {class_name: takes[:count]}, voices)
            voices = voices or project.spoken
            one = {"word": word, "takes": count, "speaker": speaker, "model": name, "base": options.base, **how}
            held_out = {class_name: takes[-HELD_OUT:]}
            stem = folder / f"{count}-{speaker}"
            one |= measure_streams(stem, found, model, held_out, where.others, where.given, options.minutes)
            path = folder / f"{name}-negatives.json"
            results.append({**one, "negatives": measure(path, found, model, hear_folder, options.negatives, None)})
    return results


def lines(results: list[dict[str, Any]]) -> str:
    """JSON, a line for each result."""
    rows = ",\n".join(json.dumps(one, separators=(",", ":")) for one in results)
    return f"[\n{rows}\n]\n"


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row for each word, number of takes and mode."""
    lines = [
        "| word | takes given | | found, 10 dB | found, clean | speakers with 90 % found, 10 dB / clean "
        "| false accepts in the streams | in running speech |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for word, takes in dict.fromkeys((one["word"], one["takes"]) for one in results):
        rows = [one for one in results if (one["word"], one["takes"]) == (word, takes)]
        models = list({one["model"]: one for one in rows}.values())
        for mode in rows[0]["clean"]["modes"]:
            streams = {label: [one[label]["modes"][mode] for one in rows] for label in SNRS}
            many = [sum(one["hits"] >= 0.9 * one["said"] for one in streams[label]) for label in SNRS]
            heard = sum(one[label]["hours"] for one in rows for label in SNRS)
            false = sum(one["false_accepts"] for part in streams.values() for one in part)
            running = sum(one["negatives"]["modes"][mode]["false_accepts"] for one in models)
            hours = sum(one["negatives"]["hours"] for one in models)
            cells = [
                *(_share(part) for part in streams.values()),
                f"{many[0]} / {many[1]} of {len(rows)}",
                f"{false} in {heard:.1f} h",
                f"{running} in {hours:.1f} h",
            ]
            lines.append(f"| {word} | {takes} | {mode} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _share(counts: list[dict[str, int]]) -> str:
    hits, said = (sum(one[key] for one in counts) for key in ("hits", "said"))
    return f"{100.0 * hits / said:.1f} % of {said:,}"


def parser_of(description: str | None, words: list[str]) -> argparse.ArgumentParser:
    """The options that tools which make models of people's takes share; ``words``: measured where none are named."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--negatives", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--words", type=lambda text: text.split(","), default=words)
    parser.add_argument("--base", default=Project.base)
    parser.add_argument("--epochs", type=int, default=Project.epochs)
    parser.add_argument("--minutes", type=float, default=20.0, help="of each stream")
    return parser


def report(
    name: str,
    options: argparse.Namespace,
    run: Callable[[argparse.Namespace], list[dict[str, Any]]],
    table: Callable[[list[dict[str, Any]]], str],
) -> None:
    """Writes what ``run`` finds to OUT and prints its ``table``; ``name`` is the tool's, for what goes wrong."""
    try:
        results = run(options)
        write_atomically(options.out / "results.json", lines(results).encode())
    except KwsError as error:
        raise SystemExit(f"{name}: {error}") from error
    print(table(results))


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = parser_of(__doc__, ["backward", "forward"])
    parser.add_argument("--speakers", type=int, default=6, help="of each word")
    parser.add_argument("--takes", type=lambda text: [int(part) for part in text.split(",")], default=[0, 3])
    report("own_words", parser.parse_args(), run, table)


if __name__ == "__main__":
    main()
