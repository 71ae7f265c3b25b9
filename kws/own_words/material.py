"""Which recordings of a project teach what: takes of the words, near words, other speech, backgrounds.

People's takes are few, so the split by speaker that corpora have would put all of them on one side. Here a speaker with
``HOLD_OUT_FROM`` takes of a word and more has every ``HOLD_OUT_EVERY``-th held out, which training never sees and the
report counts; with fewer, all are trained on. Everything else is split by speaker, or by file where that is unknown.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from kws.data import neural
from kws.data.splits import hash_split, speaker_of
from kws.data.tasks import BACKGROUND, SILENCE, Clip, Corpus, negative_recordings, recordings, scan
from kws.errors import KwsError
from kws.own_words.project import FALSE, FILE, Project
from kws.own_words.spoken import NEAR, SPEECH

HOLD_OUT_FROM, HOLD_OUT_EVERY = 12, 5
OTHER_CLIPS = {"training": 8000, "validation": 3000}
"""Most clips of other words, so that memory and reading time stay small whatever the corpus."""

OTHERS = "others"
"""The one word under which a calibration stream knows all other speech."""


@dataclass
class Material:
    """Recordings by what they teach; every clip has its split.

    Attributes:
        takes: by class name, people's takes in the project: few, and drawn often.
        voices: by class name, the word in other voices, synthesised or from a corpus.
        near: what sounds almost like a word.
        speech: other words and sentences.
        running: long recordings of speech without the words.
        false: what an earlier model took for a word.
        backgrounds: long recordings of noise and of rooms.
    """

    takes: dict[str, list[Clip]]
    voices: dict[str, list[Clip]]
    near: list[Clip]
    speech: list[Clip]
    running: list[Clip]
    false: list[Clip]
    backgrounds: list[Path] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Clips by kind, for people."""
        takes = {f"takes of {name}": len(clips) for name, clips in self.takes.items() if clips}
        kinds = ("near", "speech", "running", "false")
        voices = {f"voices of {name}": len(clips) for name, clips in self.voices.items()}
        return takes | voices | {kind: len(getattr(self, kind)) for kind in kinds}

    def without(self, paths: Collection[Path]) -> Material:
        """The same but for the recordings at ``paths``."""

        def left(clips: list[Clip]) -> list[Clip]:
            return [clip for clip in clips if clip.path not in paths]

        return Material(
            {name: left(clips) for name, clips in self.takes.items()},
            {name: left(clips) for name, clips in self.voices.items()},
            left(self.near),
            left(self.speech),
            left(self.running),
            left(self.false),
            [path for path in self.backgrounds if path not in paths],
        )

    def stream_corpus(self, root: Path) -> Corpus:
        """What a measuring stream is mixed of: the words, and speech; near words are not, since nobody says one every
        few seconds, and a threshold for such a stream would miss the words themselves.

        A word is said by the people whose takes there are, not by the voices, which a model that has learned people's
        takes finds far less often. They are those that it has trained on: held-out ones are to be measured with it.
        """
        heard = {
            name: [replace(clip, split="validation") for clip in takes if clip.split == "training"]
            for name, takes in self.takes.items()
        }
        words = {name: heard[name] or voices for name, voices in self.voices.items()}
        return Corpus(root, {**words, OTHERS: self.speech}, self.backgrounds)


def gather(project: Project) -> Material:
    """Lists the project's recordings; takes that are copies of others are left out.

    Raises:
        KwsError: a folder of recordings that holds no word of the project, or cannot be scanned, or a voice that cannot
            be used.
    """
    require_inputs(project)
    classes = project.classes
    found = Material({name: [] for name in classes}, {name: [] for name in classes}, [], [], [], [])
    for folder in _people(project):
        _add_people(found, folder, project)
    for name in classes:
        found.takes[name] = _held_out(distinct(found.takes[name]))
        found.voices[name] += _clips(project.spoken / name, name)
    found.near += _clips(project.spoken / NEAR, NEAR)
    found.speech += _clips(project.spoken / SPEECH, SPEECH)
    found.false += [Clip(clip.path, FALSE, "training") for clip in _clips(project.mined / FALSE, FALSE)]
    found.backgrounds += _recordings(project.spoken / BACKGROUND)
    if project.data is not None:
        _add_corpus(found, project.data, project)
    if project.negatives is not None:
        found.running += _halves(project.negatives)
    return found


def _people(project: Project) -> list[Path]:
    own = [folder for folder in (project.own_recordings, project.mined) if folder.is_dir()]
    return [*own, *project.recordings]


def require_inputs(project: Project) -> None:
    """Raises KwsError where a folder or voice outside the project is missing, or is not what it is given for."""
    given = [("--data", project.data), ("--negatives", project.negatives)]
    given += [("--recordings", folder) for folder in project.recordings]
    given += [("--voice", file) for file in project.voices]
    for option, path in given:
        kind = "file" if option == "--voice" else "folder"
        if path is not None and not (path.is_file() if kind == "file" else path.is_dir()):
            every = ", and again for every other one" if [one for one, _ in given].count(option) > 1 else ""
            raise KwsError(
                f"{path}: no such {kind}; give the one to read instead with {option}{every}, or take it out of "
                f"{project.folder / FILE}."
            )
    neural.voices(project.language, project.voices)
    if project.data is not None:
        scan(project.data)
    if project.negatives is not None:
        negative_recordings(project.negatives)
    for folder in project.recordings:
        if not any(project.class_of(path.name) and recordings(path) for path in _folders(folder)):
            names = ", ".join(project.classes)
            raise KwsError(
                f"{folder}: holds no recording of a word of the project; it needs a folder for one: {names}."
            )


def _folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _add_people(found: Material, folder: Path, project: Project) -> None:
    """Takes of the words in ``folder``, its other words as speech, and the sound of its room."""
    for path in _folders(folder):
        name = project.class_of(path.name)
        if path.name == BACKGROUND:
            found.backgrounds += recordings(path)
        elif name:
            found.takes[name] += [Clip(file, name, "training") for file in recordings(path)]
        elif path.name not in (SILENCE, FALSE):
            found.speech += _clips(path, path.name)


def distinct(takes: list[Clip]) -> list[Clip]:
    """``takes`` without copies of one file: a copy would count twice, and held out it would prove nothing."""
    first = {hashlib.sha256(clip.path.read_bytes()).digest(): clip for clip in reversed(takes)}
    kept = {clip.path for clip in first.values()}
    return [clip for clip in takes if clip.path in kept]


def _held_out(takes: list[Clip]) -> list[Clip]:
    by_speaker: dict[str, list[Clip]] = defaultdict(list)
    for clip in takes:
        by_speaker[speaker_of(clip.path.name) or ""].append(clip)
    result = []
    for theirs in by_speaker.values():
        for index, clip in enumerate(theirs, 1):
            out = len(theirs) >= HOLD_OUT_FROM and index % HOLD_OUT_EVERY == 0
            result.append(Clip(clip.path, clip.word, "validation" if out else "training"))
    return result


def _add_corpus(found: Material, data: Path, project: Project) -> None:
    corpus = scan(data)
    others: dict[str, list[Clip]] = defaultdict(list)
    for folder, clips in corpus.clips.items():
        name = project.class_of(folder)
        if name:
            found.voices[name] += [replace(clip, word=name) for clip in clips]
        elif folder != SILENCE:
            for clip in clips:
                others[clip.split].append(clip)
    for split, most in OTHER_CLIPS.items():
        clips = others[split]
        found.speech += random.Random(f"{project.seed} {split}").sample(clips, min(most, len(clips)))
    found.backgrounds += corpus.backgrounds


def _clips(folder: Path, name: str) -> list[Clip]:
    """The recordings in ``folder``, split by speaker; test voices train too: nothing here is tested on them."""
    clips = []
    for file in _recordings(folder):
        split = hash_split(file.name)
        clips.append(Clip(file, name, "training" if split == "testing" else split))
    return clips


def _halves(folder: Path) -> list[Clip]:
    """Every second recording of ``folder`` is for validation."""
    files = negative_recordings(folder)
    return [Clip(file, OTHERS, ("training", "validation")[index % 2]) for index, file in enumerate(files)]


def _recordings(folder: Path) -> list[Path]:
    return recordings(folder) if folder.is_dir() else []
