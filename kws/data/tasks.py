"""Which clips make a data set: scanning a folder, tasks, and the official evaluation protocol.

The 12-class protocol (Warden, 2018, section 7): ten words, ``_unknown_`` drawn from every other word, and ``_silence_``
cut from the background recordings, each of the two about a tenth as many clips as there are word clips. The 22-class
task adds the ten digits; the 35-class task is every word of the folder, with neither unknown nor silence.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, SUFFIXES, read_audio
from kws.data.splits import SPLITS, SplitLists
from kws.errors import KwsError

UNKNOWN, SILENCE, BACKGROUND = "_unknown_", "_silence_", "_background_noise_"
FILLER_SHARE = 0.10
"""Unknown and silence clips, each, as a share of the word clips of a split."""

# The stretch of every background recording that each split cuts its silence and noise from, as shares of its length.
BACKGROUND_STRETCH = {"training": (0.0, 0.8), "validation": (0.8, 0.9), "testing": (0.9, 1.0)}

_COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_OTHERS: tuple[str, ...] = ("backward", "bed", "bird", "cat", "dog", "follow", "forward", "happy", "house", "learn")
_OTHERS += ("marvin", "sheila", "tree", "visual", "wow")


@dataclass(frozen=True)
class Task:
    """Words to tell apart.

    Attributes:
        name: short name, part of file names.
        words: in class order.
        fillers: whether ``_unknown_`` and ``_silence_`` follow the words.
    """

    name: str
    words: tuple[str, ...]
    fillers: bool = True

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.words + ((UNKNOWN, SILENCE) if self.fillers else ())


TASKS = {
    "12": Task("12", _COMMANDS),
    "22": Task("22", _COMMANDS + _DIGITS),
    "35": Task("35", tuple(sorted(_COMMANDS + _DIGITS + _OTHERS)), fillers=False),
}


def task_of_words(words: list[str]) -> Task:
    """A task of the user's own words.

    Raises:
        KwsError: no word, an empty one, a word twice, or a name that a folder of recordings cannot have.
    """
    if not words:
        raise KwsError("No word given; name at least one, such as --words yes,no.")
    for word in words:
        if not word:
            raise KwsError("A word between the commas of --words is empty; name each, such as --words yes,no.")
        if words.count(word) > 1:
            raise KwsError(f"The word '{word}' is given twice; give each word once.")
        if not word or word.startswith("_") or "/" in word or "\\" in word or word != word.strip():
            raise KwsError(f"'{word}' cannot be a word: it names a folder and must not start with '_' or hold a slash.")
    return Task("-".join(words), tuple(words))


@dataclass(frozen=True)
class Clip:
    """One example.

    Attributes:
        path: the recording.
        word: its folder's name.
        split: "training", "validation" or "testing".
        start: first sample at 16 kHz where the clip is a cut of a longer recording, else None.
    """

    path: Path
    word: str
    split: str
    start: int | None = None

    def read(self) -> NDArray[np.int16]:
        """The clip, int16 [n] at 16 kHz; a cut is one second long. Raises KwsError as ``read_audio`` does."""
        if self.start is None:
            return read_audio(self.path)
        return read_audio(self.path, self.start, SAMPLE_RATE)


@dataclass(frozen=True)
class Corpus:
    """A scanned folder.

    Attributes:
        root: the folder that holds one folder a word.
        clips: every clip by word, sorted by name; ``_unknown_`` and ``_silence_`` folders included.
        backgrounds: the long recordings of ``_background_noise_``.
    """

    root: Path
    clips: dict[str, list[Clip]]
    backgrounds: list[Path] = field(default_factory=list)

    def select(self, word: str, split: str) -> list[Clip]:
        """Clips of ``word`` in ``split`` ("all" for every split); empty where the folder has none."""
        return [clip for clip in self.clips.get(word, []) if split in ("all", clip.split)]

    def without(self, words: Collection[str]) -> Corpus:
        """The same but for all clips of ``words``."""
        return replace(self, clips={word: clips for word, clips in self.clips.items() if word not in words})

    def others(self, task: Task, split: str) -> list[Clip]:
        """Clips that are unknown to ``task``: every other word's, and those of an ``_unknown_`` folder."""
        names = sorted(set(self.clips) - set(task.words) - {SILENCE})
        return [clip for name in names for clip in self.select(name, split)]


def find_root(folder: str | Path) -> Path:
    """The folder that holds the word folders: ``folder`` itself, or the Speech Commands folder inside it.

    Raises:
        KwsError: ``folder`` does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise KwsError(f"{folder}: no such folder; give a folder that holds one folder of recordings a word.")
    inside = sorted(folder.glob("SpeechCommands/speech_commands_v0.0[12]")) + sorted(
        folder.glob("speech_commands_v0.0[12]")
    )
    return inside[-1] if inside else folder


def recordings(folder: Path) -> list[Path]:
    """The audio files directly in ``folder``, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def negative_recordings(folder: Path) -> list[Path]:
    """The audio files directly in a folder of recordings in which none of the words is said, sorted by name.

    Raises:
        KwsError: no such folder, or no audio file directly in it.
    """
    found = recordings(folder) if folder.is_dir() else []
    if not found:
        problem = "holds no recording directly in it" if folder.is_dir() else "no such folder"
        raise KwsError(f"{folder}: {problem}; give a folder of recordings in which none of the words is said.")
    return found


def scan(folder: str | Path) -> Corpus:
    """Lists the recordings under ``folder`` without opening them.

    Raises:
        KwsError: no such folder, no word folder in it, or a word folder that holds no recording.
    """
    root = find_root(folder)
    lists = SplitLists.read(root)
    clips: dict[str, list[Clip]] = {}
    for path in sorted(root.iterdir()):
        if not path.is_dir() or path.name.startswith(".") or path.name == BACKGROUND:
            continue
        found = [Clip(file, path.name, lists.split_of(path.name, file.name)) for file in recordings(path)]
        clips[path.name] = found
    if empty := [word for word, found in clips.items() if not found]:
        raise KwsError(
            f"{root}: no {', '.join(SUFFIXES)} recording in {', '.join(empty)}; add some, or remove what is empty."
        )
    if not clips:
        raise KwsError(f"{root}: holds no word folder; expected {root}/<word>/*.wav, one folder a word.")
    noise = root / BACKGROUND
    return Corpus(root, clips, recordings(noise) if noise.is_dir() else [])


def with_extra(corpus: Corpus, extra: Corpus) -> Corpus:
    """``corpus`` and, for training alone, every clip of the words in ``extra``.

    Whatever split the names in ``extra`` would fall into: synthesised voices say nothing about people, so they have no
    place in validation. Its background recordings stay out.

    Raises:
        KwsError: ``extra`` has none of the words of ``corpus``, or a folder of unnamed ones, which would change what
            validation is drawn from.
    """
    unnamed = sorted({UNKNOWN, SILENCE} & set(extra.clips))
    if unnamed:
        raise KwsError(f"{extra.root / unnamed[0]}: extra recordings need words; give the folder the name of one.")
    if not set(extra.clips) & set(corpus.clips):
        raise KwsError(f"{extra.root}: none of its folders has the name of one in {corpus.root}; name them alike.")
    clips = {word: list(found) for word, found in corpus.clips.items()}
    for word, found in extra.clips.items():
        clips.setdefault(word, []).extend(replace(clip, split="training") for clip in found)
    return replace(corpus, clips=clips)


def require_words(corpus: Corpus, task: Task) -> None:
    """Raises KwsError naming every word of ``task`` that the folder lacks."""
    missing = [word for word in task.words if word not in corpus.clips]
    if missing:
        have = ", ".join(sorted(word for word in corpus.clips if not word.startswith("_")))
        raise KwsError(f"{corpus.root}: no folder for {', '.join(missing)}; it holds {have}. Add it or choose --words.")


def background_length(path: Path) -> int:
    """Samples at 16 kHz in a background recording. Raises KwsError where it cannot be read."""
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise KwsError(f"{path}: not a readable recording ({error}); remove it.") from error
    return int(info.frames * SAMPLE_RATE / info.samplerate)


def silence_cuts(corpus: Corpus, split: str, count: int, rng: random.Random) -> list[Clip]:
    """``count`` one-second cuts at drawn places of the background recordings' stretch for ``split``."""
    places = []
    for path in corpus.backgrounds:
        low, high = BACKGROUND_STRETCH.get(split, (0.0, 1.0))
        length = background_length(path)
        first, last = int(low * length), int(high * length) - SAMPLE_RATE
        if last >= first:
            places.append((path, first, last))
    if not places:
        return []
    return [
        Clip(path, SILENCE, split, rng.randint(first, last))
        for path, first, last in (places[rng.randrange(len(places))] for _ in range(count))
    ]


def evaluation_set(corpus: Corpus, task: Task, split: str, seed: int = 0) -> list[tuple[Clip, int]]:
    """The clips of ``split`` with their class indices, by the official protocol; the same for the same seed.

    Word clips are all used. Unknown clips are drawn from the other words, silence from the ``_silence_`` folder and
    the background recordings, each a tenth as many as the word clips (fewer where the folder has fewer).

    Args:
        corpus: from ``scan``.
        task: its words may be missing from the folder; those classes then have no clip.
        split: "training", "validation", "testing" or "all".
        seed: of the draw.

    Raises:
        KwsError: an unknown split, or no clip of any word in it.
    """
    if split not in (*SPLITS, "all"):
        raise KwsError(f"'{split}' is no split; choose training, validation, testing or all.")
    items = [(clip, label) for label, word in enumerate(task.words) for clip in corpus.select(word, split)]
    if not items:
        raise KwsError(
            f"{corpus.root}: no {split} clip of {', '.join(task.words)}; choose another --split, such as --split all."
        )
    if not task.fillers:
        return items
    rng = random.Random(f"{seed}-{split}")
    wanted = -(-len(items) * int(100 * FILLER_SHARE) // 100)
    own_fillers = UNKNOWN in corpus.clips or SILENCE in corpus.clips
    others = corpus.others(task, split)
    unknown = others if own_fillers else rng.sample(others, min(wanted, len(others)))
    silence = corpus.select(SILENCE, split)
    if not silence:
        silence = silence_cuts(corpus, split, wanted, rng)
    items += [(clip, len(task.words)) for clip in unknown]
    items += [(clip, len(task.words) + 1) for clip in silence]
    return items
