"""The whole line on synthetic speech: recordings, training, export, C, and the same words heard by all of it.

`make demo` runs this. Every step prints the commands that it runs, as a user would type them, and how long they took.
It fails unless the compiled C program and `kws listen` agree on every detection and find the words that were said.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from kws.data.audio import SAMPLE_RATE, read_audio
from kws.data.labels import Label
from kws.data.splits import hash_split
from kws.data.stream import make_stream
from kws.engine import Event
from kws.evaluate.matching import match

ROOT = Path(__file__).resolve().parents[1]
WORK = Path("build/demo")
CORPUS, RUN, SPOKEN, STREAM = WORK / "corpus", WORK / "run", WORK / "spoken", WORK / "stream.wav"
HEADER, PROGRAM = WORK / "demo.h", WORK / "listen"

WORDS = ("yes", "no")
# What `_unknown_` is learnt from, and what the stream holds beside the words.
OTHERS = ("stop", "go", "left", "right", "cat", "house", "seven", "marvin")
STRANGERS = ("stop", "seven", "house")
CLIPS, OTHER_CLIPS = 500, 80  # of every word; of every other
EPOCHS = 30  # of the last stage; all stages take some three minutes on two cores
STREAM_CLIPS, STREAM_SECONDS = 100, 60.0

LEAST_FOUND = 0.75  # share of the said words; a few minutes of training is no claim to accuracy

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
steps = 0


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announces a step, and says afterwards how long it took."""
    global steps
    steps += 1
    console.print(f"\n[bold cyan]{steps}. {title}[/]")
    began = time.monotonic()
    yield
    console.print(f"[dim]took {time.monotonic() - began:.1f} s[/]")


def run(*command: str | Path, capture: bool = False) -> str:
    """Prints and runs a command; its output goes to the terminal, or is returned. Ends the demo where it fails."""
    words = [str(word) for word in command]
    shown = " ".join(word if "*" in word else shlex.quote(word) for word in words)
    console.print(f"$ {shown}", style="green", markup=False, soft_wrap=True)
    expanded = [part for word in words for part in (sorted(glob(word)) if "*" in word else [word])]
    done = subprocess.run(expanded, stdout=subprocess.PIPE if capture else None, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"demo: {words[0]} failed with exit status {done.returncode}.")
    return done.stdout or ""


def detections(output: str) -> list[dict[str, Any]]:
    """The lines that `kws listen --json` and the C program print."""
    return [json.loads(line) for line in output.splitlines()]


def say_stream() -> list[Label]:
    """Writes STREAM: words and strangers, said by voices that the network never heard, over noise."""
    said = [*WORDS, *STRANGERS]
    run("kws", "data", "synth", *said, "--out", SPOKEN, "--count", str(STREAM_CLIPS), "--seed", "1", "--noise")

    def clips(word: str) -> list[NDArray[np.int16]]:
        files = sorted((SPOKEN / word).glob("*.wav"))
        return [read_audio(file) for file in files if hash_split(file.name) == "testing"]

    noise = read_audio(SPOKEN / "_background_noise_" / "pink.wav")
    pcm, labels = make_stream({word: clips(word) for word in said}, noise, STREAM_SECONDS, seed=1)
    soundfile.write(STREAM, pcm, SAMPLE_RATE, subtype="PCM_16")
    counts = ", ".join(f"{word} {sum(label.word == word for label in labels)} times" for word in said)
    console.print(f"{STREAM}: {STREAM_SECONDS:g} s; {counts}")
    return labels


def pair(labels: list[Label], heard: list[dict[str, Any]]) -> list[tuple[Label | None, Event | None]]:
    """Every label with the detection that hit it, if any, and every other detection alone, in order of time."""
    events = [Event(one["word"], one["time"], one["score"], one["depth"]) for one in heard]
    found = match(events, labels)
    pairs: list[tuple[Label | None, Event | None]] = list(zip(labels, found.hits, strict=True))
    pairs += [(None, event) for event in (*found.repeats, *found.false_accepts)]
    return sorted(pairs, key=lambda pair: pair[0].time if pair[0] else pair[1].time if pair[1] else 0.0)


def compare(labels: list[Label], from_c: list[dict[str, Any]], from_python: list[dict[str, Any]]) -> None:
    """Shows what was said and heard side by side. Ends the demo unless both hear the same, and nearly every word."""
    table = Table("said", "at", "C program", "at", "kws listen", "at", "score")
    for index in range(max(len(from_c), len(from_python))):
        c, python = from_c[index : index + 1], from_python[index : index + 1]
        if c != python:
            raise SystemExit(f"demo: detection {index} differs: C heard {c}, kws listen {python}.")
    pairs = pair(labels, from_c)
    for label, event in pairs:
        heard = [event.word, f"{event.time:.3f} s"] if event else ["", ""]
        said = [label.word, f"{label.time:.2f} s"] if label else ["", ""]
        colour = None
        if label is None or (label.word in WORDS and event is None):
            colour = "yellow"  # a false alarm, or a word missed
        elif event is None:
            colour = "dim"  # another word, rightly ignored
        table.add_row(*said, *heard, *heard, f"{event.score:.3f}" if event else "", style=colour)
    console.print(table)
    said = [(label, event) for label, event in pairs if label and label.word in WORDS]
    found = {word: sum(1 for label, event in said if event and label.word == word) for word in WORDS}
    alarms = sum(1 for label, _ in pairs if label is None)
    console.print(
        f"The C program and kws listen agree on all {len(from_c)} detections. "
        f"{sum(found.values())} of {len(said)} words found, {alarms} false alarms."
    )
    if not all(found.values()) or sum(found.values()) < LEAST_FOUND * len(said):
        raise SystemExit(f"demo: too few words found: {found} of {len(said)}.")


def main() -> None:
    """Runs every step in the repository's root."""
    os.chdir(ROOT)
    shutil.rmtree(WORK, ignore_errors=True)
    began = time.monotonic()
    compiler = os.environ.get("CC", "cc")

    with step("Speak a corpus: two words to spot, others to ignore, and noise"):
        run("kws", "data", "synth", *WORDS, "--out", CORPUS, "--count", str(CLIPS), "--noise")
        run("kws", "data", "synth", *OTHERS, "--out", CORPUS, "--count", str(OTHER_CLIPS))
    with step("Train on it: a float teacher, then its one-bit student at three depths"):
        run(
            "kws",
            "train",
            "--data",
            CORPUS,
            "--out",
            RUN,
            "--words",
            ",".join(WORDS),
            "--recipe",
            "quick",
            "--epochs",
            str(EPOCHS),
        )
    with step("Evaluate on voices that training never heard"):
        run("kws", "eval", RUN, "--data", CORPUS, "--split", "testing")
    with step("Export: the network as a C header"):
        run("kws", "export", RUN, "--out", HEADER)
    with step("Compile the engine, the header and a file listener into a program of its own"):
        flags = ["-std=c11", "-O3", "-ffp-contract=off", "-Ifirmware/include", f"-I{WORK}"]
        defines = ['-DKWS_MODEL_HEADER="demo.h"', "-DKWS_MODEL=kws_demo", "-DKWS_MODEL_STATE_SIZE=KWS_DEMO_STATE_SIZE"]
        run(
            compiler,
            *flags,
            *defines,
            "firmware/boards/host/listen.c",
            "firmware/src/*.c",
            "firmware/src/*.S",
            "-o",
            PROGRAM,
        )
        console.print(f"{PROGRAM}: {PROGRAM.stat().st_size:,} bytes, model included")
    with step("Listen to a minute of speech with the program and with the same engine in Python"):
        labels = say_stream()
        from_c = detections(run(PROGRAM, STREAM, capture=True))
        from_python = detections(run("kws", "listen", STREAM, "--model", RUN, "--json", capture=True))
        compare(labels, from_c, from_python)
    with step("Listen to the same minute with the shipped model, trained on real voices"):
        run("kws", "listen", STREAM)
    console.print(f"\n[bold green]The demo worked[/], in {time.monotonic() - began:.0f} s. Now you: kws listen --help")


if __name__ == "__main__":
    main()
