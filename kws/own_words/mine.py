"""Mining: what a project's model gets wrong in long recordings becomes what it learns from next.

The model listens through the C engine. Where a label track says what is spoken, its false accepts and its misses are
found by the rule of every other figure; where there is none, the recording holds none of the words, and every detection
is false. What the model heard when it was wrong is to be learned as no word, so it is left out where a word of the
project is in it: a detection that came too late, or one word taken for another. Each finding is cut out and written
under a name made of the recording's content and the place in it: mining the same recording twice adds nothing twice.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, read_audio, write_wav
from kws.data.labels import Label, read_labels
from kws.data.tasks import recordings
from kws.engine import Engine, Event, Stream
from kws.errors import KwsError
from kws.evaluate.matching import LATE_SECONDS, match
from kws.evaluate.sounds import GAP, require_within, stretches
from kws.model import FoldedModel
from kws.model import load as load_model
from kws.own_words.project import FALSE, Project

MARGIN_SECONDS = 0.2
"""Around a missed word."""

BEFORE_SECONDS = 0.144
"""Kept before the first window whose score made a false accept; with three averaged, 0.4 s before the last one."""

LONGEST_CAPTURE_SECONDS = 15.0
_CAPTURED = re.compile(r".+_(?P<score>[01]\.\d+)")

Progress = Callable[[Path, float], None]
"""Called with a recording and the seconds of it heard so far."""


@dataclass
class Findings:
    """What mining one recording came to.

    Attributes:
        recording: its path.
        seconds: its length.
        labelled: whether a label track said what is in it.
        events: detections.
        added: files written now.
        known: findings that an earlier call had written.
        beside: false accepts that were left out, since a word of the project is in what was heard.
    """

    recording: Path
    seconds: float
    labelled: bool
    events: int
    added: list[Path] = field(default_factory=list)
    known: int = 0
    beside: int = 0


def long_recordings(paths: Sequence[Path]) -> list[Path]:
    """``paths`` with each folder replaced by the recordings directly in it.

    Raises:
        KwsError: a path that is not there, or a folder without a recording.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = recordings(path)
            if not inside:
                raise KwsError(f"{path}: holds no recording; give recordings, or a folder of them.")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise KwsError(f"{path}: no such recording; give one, or a folder of them.")
    return found


class Miner:
    """A project's model, to be run over recordings.

    Args:
        project: whose model exists.
        sensitivity: 0..1, above 1/2 to find near mistakes too; the model's own thresholds if None.

    Raises:
        KwsError: no model yet or none that can be read, or a sensitivity out of range.
    """

    def __init__(self, project: Project, sensitivity: float | None = None) -> None:
        if not project.model.is_file():
            raise KwsError(f"{project.model}: no model yet; make it with kws new {project.folder}.")
        self._project, self._model = project, load_model(project.model)
        self._stream = Engine(self._model).stream()
        if sensitivity is not None:
            self._stream.set_sensitivity(sensitivity)

    def mine(self, recording: Path, labels: Path | None = None, progress: Progress | None = None) -> Findings:
        """Adds the model's mistakes in ``recording`` to ``project.mined``.

        Args:
            recording: of any length and rate.
            labels: its label track; None takes the ``.txt`` of the same name beside it, where there is one.
            progress: told what has been heard.

        Raises:
            KwsError: a recording or track that cannot be read, or a track that names other words alone or is of a
                longer recording.
        """
        project = self._project
        beside = recording.with_suffix(".txt")
        track = labels or (beside if beside.is_file() else None)
        spoken = _words_of(project, track) if track else []
        if track:
            require_within(spoken, track, recording)
        events, samples, identity = _listen(self._stream, recording, progress)
        result = Findings(recording, samples / SAMPLE_RATE, track is not None, len(events))

        cut = _cuts(recording)

        def keep(folder: str, start: float, end: float) -> None:
            first, last = max(0, round(start * SAMPLE_RATE)), min(samples, round(end * SAMPLE_RATE))
            if first < last:
                path = project.mined / folder / f"{identity}_nohash_{first}.wav"
                if path.exists():
                    result.known += 1
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_wav(path, cut(first, last - first))
                    result.added.append(path)

        matching = match(events, spoken)
        back = _samples_behind(self._model) / SAMPLE_RATE + BEFORE_SECONDS
        for event in matching.false_accepts:
            if _any_within(spoken, event.time - max(back, LATE_SECONDS), event.time):
                result.beside += 1
            else:
                keep(FALSE, event.time - back, event.time)
        for label, hit in zip(spoken, matching.hits, strict=True):
            if hit is None:
                keep(label.word, label.start / SAMPLE_RATE - MARGIN_SECONDS, label.end / SAMPLE_RATE + MARGIN_SECONDS)
        if (
            track is None
            and not events
            and is_capture(recording, project)
            and result.seconds <= LONGEST_CAPTURE_SECONDS
        ):
            # An earlier model, or other settings, fired here: that is why the file exists.
            keep(FALSE, 0.0, result.seconds)
        return result


def _samples_behind(model: FoldedModel) -> int:
    """Samples behind a detection: of all the windows whose scores are averaged."""
    return model.preset.window_samples + (model.smoothing - 1) * model.hop_frames * model.preset.hop


def _words_of(project: Project, track: Path) -> list[Label]:
    """The labels in ``track`` that are words of the project, under the names of their classes.

    A track without a label says that nothing is said. One that names other words alone is more likely to spell these
    otherwise, and then what is said here would be learned as none of them.
    """
    labels = read_labels(track)
    spoken = [replace(label, word=name) for label in labels if (name := project.class_of(label.word))]
    if labels and not spoken:
        raise KwsError(
            f"{track}: labels '{labels[0].word}', and none of the project's words ({', '.join(project.words)}); label "
            "them so, or where none of them is said, move the track away."
        )
    return spoken


def _any_within(labels: Sequence[Label], start: float, end: float) -> bool:
    """Whether a part of any of ``labels`` lies between two times, in seconds."""
    return any(label.start < end * SAMPLE_RATE and label.end > start * SAMPLE_RATE for label in labels)


def is_capture(path: Path, project: Project) -> bool:
    """Whether ``kws listen --capture`` wrote it for a word of the project: ``<time>_<word>_<score>.wav``."""
    found = _CAPTURED.fullmatch(path.stem)
    return found is not None and any(path.stem.endswith(f"_{name}_{found['score']}") for name in project.classes)


def _listen(stream: Stream, recording: Path, progress: Progress | None) -> tuple[list[Event], int, str]:
    """Detections in a recording, read piece by piece; its samples at 16 kHz; and a name made of its content."""
    stream.reset()
    events: list[Event] = []
    digest, samples = hashlib.sha256(), 0
    for pcm in stretches(recording):
        events += stream.feed(pcm)
        digest.update(pcm.tobytes())
        samples += len(pcm)
        if progress:
            progress(recording, samples / SAMPLE_RATE)
    return events, samples - GAP, digest.hexdigest()[:8]


def _cuts(recording: Path) -> Callable[[int, int], NDArray[np.int16]]:
    """Reads samples of a recording, from the first and so many. One at another rate can only be resampled as a whole;
    this is done once, where there is something to cut.
    """
    if soundfile.info(recording).samplerate == SAMPLE_RATE:
        return functools.partial(read_audio, recording)
    whole = functools.cache(lambda: read_audio(recording))
    return lambda first, count: whole()[first : first + count]
