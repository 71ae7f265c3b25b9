"""A day of sound through the path of `kws listen`, faster than real time: nothing may be lost, drift or grow.

    python tools/soak.py --hours 24 --recordings DATA

A stand-in for the sound card calls PortAudio's callback from a thread of its own, with blocks of drawn sizes; from
there on everything is what `kws listen` runs, page and all. The sound comes in cycles of about a minute. Each begins
with the same words at the same places, goes on with noise and clips that are drawn anew every time, and ends in
silence. So the words must be heard in every cycle at the same sample with the same score, to the bit. DATA is a folder
of one folder of recordings a word; without it noise takes the words' place, which only a model that hears something in
noise answers.

Ctrl-C ends it early, with the figures so far. The exit status is 1 where a sample or a word is missing, a time has
moved, or memory has grown.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import sys
import threading
import time
import types
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from rich.console import Console

from kws.data.audio import SAMPLE_RATE, SUFFIXES, read_audio
from kws.engine import Engine, Event, Stream
from kws.errors import KwsError
from kws.listen import page as pages
from kws.listen.listener import Listener
from kws.listen.session import Session
from kws.listen.stream import Heard
from kws.model import load

WORDS_SECONDS, DRAWN_SECONDS, SILENCE_SECONDS = 25.0, 30.0, 4.0
"""Parts of a cycle. The silence outlasts the window, the average and the rest after an event."""

POOL = 300
"""Recordings that the drawn parts use."""

AHEAD_SECONDS = (0.5, 4.0)
"""The sound card goes on when it is less than the first ahead, until it is the second ahead, so that the threads change
seldom. A listener that is 5 s behind would have to drop sound."""

GROWTH_BYTES = 2 << 20
"""What resident memory may grow by. It goes up and down with every cycle that is made, so the least of one part of the
run is compared with the least of another."""


class Tape:
    """The sound, cycle by cycle, int16 at ``rate``.

    Attributes:
        length: samples of a cycle at 16 kHz; a whole number of the engine's steps, so that every cycle meets the same.
        places: (word, second) of each word in a cycle.
    """

    def __init__(self, engine: Engine, rate: int, recordings: Path | None, seed: int) -> None:
        step = engine.preset.hop * engine.model.hop_frames
        self.length = round((WORDS_SECONDS + DRAWN_SECONDS + SILENCE_SECONDS) * SAMPLE_RATE / step) * step
        self.rate = rate
        if self.length * rate % SAMPLE_RATE:
            raise SystemExit(
                f"soak: at {rate} Hz no cycle has a whole number of samples; choose 16000, 32000 or 48000."
            )
        self._rng = np.random.default_rng(seed)
        words, self._pool = self._read(engine.class_names[: engine.n_words], recordings)
        self.places: list[tuple[str, float]] = []
        self._words = np.zeros(self._samples(WORDS_SECONDS), np.int16)
        at = 1.0
        for word, clip in itertools.cycle(words.items()):
            start = self._samples(at)
            if start + len(clip) > len(self._words):
                break
            self._words[start : start + len(clip)] = clip
            self.places.append((word, at))
            at += 2.37  # at ever other places between the engine's steps

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.rate)

    def _read(
        self, names: list[str], recordings: Path | None
    ) -> tuple[dict[str, NDArray[np.int16]], list[NDArray[np.int16]]]:
        """A clip for each word, and others, at the tape's rate."""
        if recordings is None:
            burst = [
                np.convolve(self._rng.normal(0, 4000, 16000), self._rng.normal(0, 0.4, 8), "same") for _ in range(6)
            ]
            words = {f"burst {number}": self._at_rate(one * np.hanning(len(one))) for number, one in enumerate(burst)}
            return words, list(words.values())
        files = {
            folder.name: [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
            for folder in sorted(recordings.iterdir())
            if folder.is_dir()
        }
        if not any(files.get(name) for name in names):
            raise SystemExit(f"soak: {recordings} has no folder of one of the words {', '.join(names)}.")
        chosen = {name: files[name][int(self._rng.integers(len(files[name])))] for name in names if files.get(name)}
        every = [path for paths in files.values() for path in paths]
        pool = [every[int(index)] for index in self._rng.integers(len(every), size=POOL)]
        # A minute of a long one is enough.
        read = lambda path: self._at_rate(read_audio(path, 0, 60 * SAMPLE_RATE))  # noqa: E731
        return {name: read(path) for name, path in chosen.items()}, [read(path) for path in pool]

    def _at_rate(self, pcm: NDArray[Any]) -> NDArray[np.int16]:
        wave = soxr.resample(pcm.astype(np.float32), SAMPLE_RATE, self.rate) if self.rate != SAMPLE_RATE else pcm
        return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)

    def cycles(self, count: int) -> Iterator[NDArray[np.int16]]:
        """``count`` cycles."""
        total = self.length * self.rate // SAMPLE_RATE
        silence = self._samples(SILENCE_SECONDS)
        for _ in range(count):
            drawn = self._drawn(total - len(self._words) - silence)
            yield np.concatenate([self._words, drawn, np.zeros(silence, np.int16)])

    def _drawn(self, samples: int) -> NDArray[np.int16]:
        """Noise of a drawn level, silent to clipping, with clips of the pool in it."""
        rng = self._rng
        sound = rng.normal(0, 10.0 ** rng.uniform(-1.0, 4.5), samples)
        for _ in range(10):
            clip = self._pool[int(rng.integers(len(self._pool)))][:samples]
            at = int(rng.integers(samples - len(clip) + 1))
            sound[at : at + len(clip)] += clip
        return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


class SoundCard(types.ModuleType):
    """Stands for sounddevice: one input, which delivers the tape as fast as it is heard.

    Attributes:
        delivered: samples so far.
        checksum: CRC-32 of them.
    """

    class PortAudioError(Exception):
        """As in sounddevice."""

    def __init__(self, tape: Tape, cycles: int, seed: int) -> None:
        super().__init__("sounddevice")
        self.default = types.SimpleNamespace(device=[0, -1])
        self.delivered = self.checksum = 0
        self._tape, self._cycles = tape, cycles
        self._rng = np.random.default_rng(seed)
        self._heard = 0
        self._more = threading.Condition()
        self._ended = False

    def query_devices(self) -> list[dict[str, Any]]:
        return [{"name": "soak", "hostapi": 0, "max_input_channels": 1, "default_samplerate": float(self._tape.rate)}]

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "tape", "default_input_device": 0}]

    def check_input_settings(self, **settings: Any) -> None:
        """Takes whatever is wanted."""

    def InputStream(self, callback: Callable[..., None], **settings: Any) -> Any:
        thread = threading.Thread(target=self._play, args=(callback,), daemon=True)
        return types.SimpleNamespace(
            start=thread.start, active=True, abort=self._end, close=lambda ignore_errors: thread.join(), thread=thread
        )

    def heard(self, samples: int) -> None:
        """Tells how many samples of 16 kHz have been heard in all."""
        self._heard = samples * self._tape.rate // SAMPLE_RATE
        if self.delivered - self._heard < AHEAD_SECONDS[0] * self._tape.rate:
            with self._more:
                self._more.notify()

    def _end(self, ignore_errors: bool) -> None:
        with self._more:
            self._ended = True
            self._more.notify()

    def _play(self, callback: Callable[..., None]) -> None:
        least, most = (seconds * self._tape.rate for seconds in AHEAD_SECONDS)
        status = types.SimpleNamespace(input_overflow=False)
        # One buffer for all blocks: the real one's is only valid during the callback.
        buffer = np.zeros((2048, 1), np.float32)
        for cycle in self._tape.cycles(self._cycles):
            self.checksum = zlib.crc32(cycle, self.checksum)
            sound, at = cycle / np.float32(32768.0), 0
            while at < len(sound):
                block = sound[at : at + int(self._rng.integers(1, len(buffer) + 1))]
                if self.delivered - self._heard >= most:
                    with self._more:
                        self._more.wait_for(lambda: self._ended or self.delivered - self._heard < least)
                if self._ended:
                    return
                buffer[: len(block), 0] = block
                callback(buffer[: len(block)], len(block), None, status)
                at += len(block)
                self.delivered += len(block)


class Watch:
    """A view that counts, checks and draws the page of `kws listen` on a terminal that nobody sees."""

    def __init__(self, listener: Listener, card: SoundCard, tape: Tape, cycles: int) -> None:
        console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True, color_system="truecolor")
        self._console, self._page = console, pages.Page(console, listener)
        self._card, self._tape = card, tape
        self._total = cycles * tape.length
        self.samples = self.checksum = 0
        # Only these two cycles are kept: what the tool itself remembers must not grow.
        self.first: list[tuple[str, int, float]] | None = None
        self._now: list[tuple[str, int, float]] = []
        self.differing: list[int] = []
        self.others = 0
        self.memory: list[int] = []  # resident bytes after each cycle
        self.said: list[str] = []
        self._began = time.monotonic()

    @property
    def ended(self) -> bool:
        # What a resampler keeps for its filter does not come out.
        return self.samples >= self._total - SAMPLE_RATE // 10 * (self._tape.rate != SAMPLE_RATE)

    def each_hop(self, stream: Stream) -> None:
        self._page.each_hop(stream)

    def say(self, sentence: str) -> None:
        self.said.append(sentence)
        self._page.say(sentence)

    def warn(self, sentence: str) -> None:
        self._page.warn(sentence)

    def show(self, heard: Heard) -> None:
        self._page.show(heard)
        self.checksum = zlib.crc32(heard.pcm, self.checksum)
        before, self.samples = self.samples, self.samples + len(heard.pcm)
        for event in heard.events:
            self._sort(event)
        if before // self._tape.length != self.samples // self._tape.length:
            self._each_cycle(self.samples // self._tape.length)
        self._card.heard(self.samples)

    def _sort(self, event: Event) -> None:
        place = round(event.time * SAMPLE_RATE) % self._tape.length
        if place <= WORDS_SECONDS * SAMPLE_RATE:
            self._now.append((event.word, place, event.score))
        else:
            self.others += 1

    def end_cycle(self, number: int) -> None:
        """Compares what was heard since the last one with the first."""
        if self.first is None:
            self.first = self._now
        elif self._now != self.first:
            self.differing.append(number)
        self._now = []

    def _each_cycle(self, cycle: int) -> None:
        self.end_cycle(cycle - 1)
        self._console.print(self._page.page())
        self._console.file.seek(0)
        self._console.file.truncate()
        self.memory.append(resident_bytes())
        spent = time.monotonic() - self._began
        hours = self.samples / SAMPLE_RATE / 3600
        if sys.stderr.isatty() or cycle % 60 == 0:
            note = f"{hours:6.2f} h heard, {hours * 3600 / spent:.0f} x real time, {self.memory[-1] >> 10:,} KiB"
            print(note, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def result(watch: Watch, card: SoundCard, tape: Tape, cycles: int, seconds: float, whole: bool) -> dict[str, Any]:
    """The figures, and under ``faults`` a sentence for each thing that is not as it must be.

    Of a run that was not heard to its end (``whole``), what the sound card delivered last is still under way, and a
    lost sample shows in the words alone.
    """
    if not watch.memory:
        raise KwsError("Not one cycle was heard; let it run longer.")
    if len(watch.memory) < cycles:  # a resampler keeps the end of the last one
        watch.end_cycle(cycles - 1)
    first, differing = watch.first or [], watch.differing
    # A twelfth of the run, two hours of a day, is passed over: by then every buffer has its size.
    part = max(1, len(watch.memory) // 12)
    early, late = min(watch.memory[part : 2 * part + 1]), min(watch.memory[-part:])
    lost = card.delivered * SAMPLE_RATE // tape.rate - watch.samples if whole else 0
    faults = []
    if whole and tape.rate == SAMPLE_RATE and (lost or card.checksum != watch.checksum):
        faults.append(f"{lost} samples are missing, or some were changed")
    if abs(lost) > SAMPLE_RATE // 5:
        faults.append(f"{lost} samples are missing")
    if not first:
        faults.append("no word was heard: there is nothing to tell times by")
    if differing:
        faults.append(
            f"{len(differing)} cycles were heard otherwise than the first, the earliest number {differing[0]}"
        )
    if late - early > GROWTH_BYTES:
        faults.append(f"memory grew by {late - early:,} bytes")
    if unwanted := [sentence for sentence in watch.said if not sentence.startswith("Listening on")]:
        faults.append(f"the listener said: {unwanted[0]}")
    return {
        "hours": watch.samples / SAMPLE_RATE / 3600,
        "rate": tape.rate,
        "cycles": cycles,
        "seconds": round(seconds, 1),
        "samples": watch.samples,
        "samples_lost": lost if whole else None,
        "words": [{"word": word, "second": round(second, 2)} for word, second in tape.places],
        "heard_each_cycle": [
            {"word": word, "second": place / SAMPLE_RATE, "score": round(score, 4)} for word, place, score in first
        ],
        "cycles_that_differ": len(differing),
        "other_detections": watch.others,
        "memory_bytes": {"second_twelfth": early, "last_twelfth": late, "most": max(watch.memory)},
        "faults": faults,
    }


def main() -> None:
    """Runs the day and prints its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--rate", type=int, default=SAMPLE_RATE, help="of the sound card, Hz; others are resampled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    try:
        engine = Engine(load(options.model))
        tape = Tape(engine, options.rate, options.recordings, options.seed)
        cycles = max(2, round(options.hours * 3600 * SAMPLE_RATE / tape.length))
        card = SoundCard(tape, cycles, options.seed)
        sys.modules["sounddevice"] = card
        # By the clock it would draw a page for every few chunks or for every few hours: here it draws one a cycle.
        pages.REFRESH_SECONDS = float("inf")
        listener = Listener("soak", engine, reconnect=False)
        watch = Watch(listener, card, tape, cycles)
        began = time.monotonic()
        try:
            Session(listener).run(watch)
            whole = True
        except KeyboardInterrupt:
            cycles, whole = len(watch.memory), False
        figures = result(watch, card, tape, cycles, time.monotonic() - began, whole)
    except KwsError as error:
        raise SystemExit(f"soak: {error}") from error
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    sys.exit(1 if figures["faults"] else 0)


if __name__ == "__main__":
    main()
