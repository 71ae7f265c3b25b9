"""A guided recording of takes: the room first, then each word as often as wanted, bad takes again.

Where sound comes from and how people are spoken to are given from outside, so that all of it runs without a microphone
and without a terminal.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from kws.data.audio import SAMPLE_RATE, level_dbfs, write_wav
from kws.data.synth import folder_name
from kws.data.tasks import BACKGROUND
from kws.errors import KwsError
from kws.own_words.takes import FRAME, Samples, Take, frames_of, take_of

ROOM_SECONDS = 5.0
NOISY_ROOM_DBFS = -40.0
RESTLESS_DB = 25.0
"""A room whose loudest 20 ms are so far above its middle has somebody speaking in it."""

TRIES = 4
"""Bad takes in a row after which the word is left; a person cannot mend what goes wrong then by speaking again."""

SETTLE_SECONDS = 0.3
"""Of every opening of the source, not listened to: keys, and microphones that thump when they wake."""

Source = Callable[[], Iterator[Samples]]
"""Opens the microphone: int16 chunks at 16 kHz, until closed."""


class Guide(Protocol):
    """How a person is spoken to."""

    def tell(self, text: str) -> None:
        """A line."""

    def warn(self, text: str) -> None:
        """A line about something that should be mended."""

    def prompt(self, word: str, number: int, count: int) -> None:
        """Now: say ``word``, take ``number`` of ``count``."""

    def kept(self, take: Take) -> None:
        """The take is good."""

    def ask(self, question: str) -> str:
        """Waits for an answer; "" where there is nobody to give one."""


@dataclass
class Recorded:
    """What a session brought.

    Attributes:
        files: by word, the takes in order.
        room: the recording of the room, if one was made.
        left: words that were left before they had all their takes.
    """

    files: dict[str, list[Path]] = field(default_factory=dict)
    room: Path | None = None
    left: list[str] = field(default_factory=list)


def speaker_slug(name: str) -> str:
    """A speaker's name as file names have it: lower-case letters, digits and '-'.

    Raises:
        KwsError: nothing is left of it.
    """
    slug = re.sub(r"[\W_]+", "-", name.lower()).strip("-")
    if not slug:
        raise KwsError(f"'{name}' holds no letter; give --speaker a name, such as --speaker ada.")
    return slug


def checked(words: list[str], speaker: str, takes: int) -> tuple[dict[str, str], str]:
    """What ``record`` is asked for: words by the name of their folders, and the speaker's slug.

    Raises:
        KwsError: a word that cannot name a folder or is given twice, or a number or name out of range.
    """
    names = {folder_name(word): " ".join(word.split()) for word in words}
    if len(names) < len(words):
        raise KwsError("A word is given twice; give each word once.")
    if not 1 <= takes <= 1000:
        raise KwsError(f"--takes {takes} is out of range; give 1 to 1000.")
    return names, speaker_slug(speaker)


def record(words: list[str], out: Path, speaker: str, takes: int, source: Source, guide: Guide) -> Recorded:
    """Records ``takes`` more takes of each word to ``out/<word>/<speaker>_nohash_<n>.wav``, 16 kHz mono 16-bit.

    Every file is written as soon as its take is good, so that an interrupted session loses nothing; recording again
    adds to what is there.

    Args:
        words: words or phrases; the folder of "hey pi" is ``hey_pi``.
        out: made if missing. Five seconds of the room go to ``out/_background_noise_``.
        speaker: whose voice it is.
        takes: of each word, 1 to 1000.
        source: opens the microphone; closed while questions are asked.
        guide: speaks to the person.

    Raises:
        KwsError: a word that cannot name a folder, a number out of range, a microphone that gives only digital silence
            or fails, or a disk that cannot be written.
    """
    names, slug = checked(words, speaker, takes)
    result = Recorded()
    with _opened(source) as frames:
        room = _room(frames, guide)
        result.room = _next_file(out / BACKGROUND, f"{slug}_room_")
        write_wav(result.room, np.concatenate(room))
    level = float(np.median([level_dbfs(frame) for frame in room]))
    guide.tell(f"The room is at {level:.0f} dBFS.")
    if level > NOISY_ROOM_DBFS:
        guide.warn("That is noisy: takes will hold the noise too. Turn off what hums, or go on and stay close.")
    for name, word in names.items():
        files = result.files[name] = []
        with _opened(source) as frames:
            for number in range(1, takes + 1):
                take = _good_take(frames, level, word, number, takes, guide)
                if take is None:
                    result.left.append(name)
                    break
                files.append(_next_file(out / name, f"{slug}_nohash_"))
                write_wav(files[-1], take.pcm)
        _again(files, word, level, source, guide)
    return result


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Iterator[Samples]]:
    chunks = source()
    try:
        frames = frames_of(chunks)
        for _ in range(round(SETTLE_SECONDS * SAMPLE_RATE / FRAME)):
            next(frames, None)
        yield frames
    finally:
        close = getattr(chunks, "close", None)
        if close:
            close()


def _room(frames: Iterator[Samples], guide: Guide) -> list[Samples]:
    """Some seconds of nobody speaking."""
    for _ in range(TRIES):
        guide.tell(f"First the room: be quiet for {ROOM_SECONDS:.0f} seconds ...")
        count = round(ROOM_SECONDS * SAMPLE_RATE / FRAME)
        room = [frame for frame, _ in zip(frames, range(count), strict=False)]
        if len(room) < count:
            raise KwsError("The microphone stopped before the room was recorded; connect it again.")
        levels = np.array([level_dbfs(frame) for frame in room])
        if levels.max() <= -100.0:
            raise KwsError(
                "The microphone gives only digital silence: it is muted, or the wrong one; choose another from "
                "`kws devices` with --device."
            )
        if levels.max() - np.median(levels) < RESTLESS_DB or levels.max() < -50.0:
            return room
        guide.warn("Something was heard. Once more.")
    guide.warn("The room does not get quiet; going on with it as it is.")
    return room


def _good_take(frames: Iterator[Samples], room: float, word: str, number: int, count: int, guide: Guide) -> Take | None:
    """The next good take, or None after ``TRIES`` bad ones."""
    for _ in range(TRIES):
        guide.prompt(word, number, count)
        take = take_of(frames, room)
        if not take.fault:
            guide.kept(take)
            return take
        guide.warn(take.fault)
    guide.warn(f"{TRIES} takes in a row went wrong; leaving '{word}' with what there is.")
    return None


def _again(files: list[Path], word: str, room: float, source: Source, guide: Guide) -> None:
    """Records takes again that the person names, until none is named."""
    while files:
        answer = guide.ask(f"Enter keeps them; numbers record those again (1 to {len(files)}, such as 2 5): ")
        numbers = sorted({int(part) for part in re.findall(r"\d+", answer)})
        if not numbers:
            return
        wrong = [number for number in numbers if not 1 <= number <= len(files)]
        if wrong:
            guide.warn(f"There is no take {wrong[0]}.")
            continue
        with _opened(source) as frames:
            for number in numbers:
                take = _good_take(frames, room, word, number, len(files), guide)
                if take is None:
                    break
                write_wav(files[number - 1], take.pcm)


def _next_file(folder: Path, prefix: str) -> Path:
    """The first ``<prefix><n>.wav`` in ``folder`` beyond all that are there; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = [
        int(path.stem[len(prefix) :]) for path in folder.glob(f"{prefix}*") if path.stem[len(prefix) :].isdecimal()
    ]
    return folder / f"{prefix}{max(taken, default=-1) + 1}.wav"
