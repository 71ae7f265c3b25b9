"""What a stream is measured on: mixes, recordings and folders of recordings, each as a track with its labels."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, read_audio, to_int16
from kws.data.labels import Label, read_labels, write_labels
from kws.data.stream import Mix
from kws.data.tasks import negative_recordings
from kws.errors import KwsError
from kws.evaluate.matching import LATE_SECONDS
from kws.evaluate.track import Track, record
from kws.model import FoldedModel

Progress = Callable[[float], None]
"""Called with the seconds of sound heard so far."""

_STRETCH = 60 * SAMPLE_RATE
GAP = SAMPLE_RATE
"""Samples of silence after each recording, in which its last word is heard out."""

ROUNDED = SAMPLE_RATE // 2
"""Samples by which a label may end after its recording: tracks are made by hand, and of recordings at other rates."""

OVERLAPPING = 8
"""How many of the labels before a time are looked at for the one that is nearest to it."""


@dataclass(frozen=True)
class Sound:
    """A stream that the engine has heard.

    Attributes:
        name: "mix", or the file or folder.
        track: the engine's answers.
        labels: words in it, other words too, by start.
        files: where it is made of several recordings, each one's path and first second.
    """

    name: str
    track: Track
    labels: list[Label]
    files: list[tuple[Path, float]] = field(default_factory=list)

    def said(self, seconds: float) -> Label | None:
        """The word that a detection at this time is most likely of: of those begun, the one whose end is nearest.

        None where that has ended more than ``LATE_SECONDS`` ago, or none has begun.
        """
        begun = bisect.bisect_left(self._starts, seconds * SAMPLE_RATE)
        before = self.labels[max(0, begun - OVERLAPPING) : begun]
        nearest = min(before, key=lambda label: abs(seconds - label.end / SAMPLE_RATE), default=None)
        return nearest if nearest and seconds - nearest.end / SAMPLE_RATE <= LATE_SECONDS else None

    @cached_property
    def _starts(self) -> list[int]:
        return [label.start for label in self.labels]

    def place(self, seconds: float) -> tuple[str, float]:
        """The file, or the name, that holds this time, and the time in it."""
        before = [(str(path), seconds - start) for path, start in self.files if start <= seconds]
        return before[-1] if before else (self.name, seconds)


def hear_mix(
    model: FoldedModel, mix: Mix, deltas: list[int] | None, progress: Progress | None = None, save: Path | None = None
) -> Sound:
    """The mix, and with ``save`` its samples as a WAV file, and its labels in a label track beside it.

    Raises:
        KwsError: as ``Mix.sections`` does, or ``save`` or its label track is there already or cannot be written.
    """
    labels: list[Label] = []

    def chunks() -> Iterator[NDArray[np.int16]]:
        for section in mix.sections():
            labels.extend(section.labels)
            yield section.pcm

    if save is None:
        return Sound("mix", record(model, _told(chunks(), progress), deltas), labels)
    if save.suffix != ".wav":
        raise KwsError(f"{save}: give a name that ends in .wav to save the stream under.")
    for path in (save, save.with_suffix(".txt")):
        if path.exists():
            raise KwsError(f"{path}: exists already, and the stream would replace it; choose another --save.")
    try:
        with soundfile.SoundFile(save, "w", SAMPLE_RATE, 1, "PCM_16") as file:
            track = record(model, _told(_copied(chunks(), file), progress), deltas)
    except (soundfile.LibsndfileError, OSError) as error:
        raise KwsError(f"{save}: cannot be written ({error}); choose another --save.") from error
    write_labels(labels, save.with_suffix(".txt"))
    return Sound("mix", track, labels)


def hear_recording(
    model: FoldedModel, path: Path, labels: Path | None, deltas: list[int] | None, progress: Progress | None = None
) -> Sound:
    """One recording of any length, with the words that a label track names, or none.

    Raises:
        KwsError: either cannot be read.
    """
    known = read_labels(labels) if labels else []
    if labels:
        require_within(known, labels, path)
    return Sound(str(path), record(model, _told(stretches(path), progress), deltas), known)


def require_within(labels: Sequence[Label], track: Path, recording: Path) -> None:
    """Raises KwsError where a label of ``track`` ends after ``recording``, so that it is of another one, or where that
    cannot be read.
    """
    last = max((label.end for label in labels), default=0)
    try:
        seconds = soundfile.info(recording).duration
    except (soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(recording, error) from error
    if last > seconds * SAMPLE_RATE + ROUNDED:
        raise KwsError(
            f"{track}: a label ends at {last / SAMPLE_RATE:.1f} s, and {recording} at {seconds:.1f} s; "
            "give the label track of this recording."
        )


def hear_folder(model: FoldedModel, folder: Path, deltas: list[int] | None, progress: Progress | None = None) -> Sound:
    """The recordings directly in ``folder`` one after another, as one stream in which no word is said.

    Raises:
        KwsError: no such folder, no recording in it, or one that cannot be read.
    """
    return hear_files(model, str(folder), negative_recordings(folder), deltas, progress)


def hear_files(
    model: FoldedModel, name: str, paths: Sequence[Path], deltas: list[int] | None, progress: Progress | None = None
) -> Sound:
    """Recordings one after another, as one stream called ``name`` in which no word is said.

    Raises:
        KwsError: one that cannot be read.
    """
    files: list[tuple[Path, float]] = []

    def chunks() -> Iterator[NDArray[np.int16]]:
        samples = 0
        for path in paths:
            files.append((path, samples / SAMPLE_RATE))
            for pcm in stretches(path):
                samples += len(pcm)
                yield pcm

    return Sound(name, record(model, _told(chunks(), progress), deltas), [], files)


def stretches(path: Path) -> Iterator[NDArray[np.int16]]:
    """A recording in pieces, int16 [n] at 16 kHz, then a second of silence; only a 16 kHz one may be of any length.

    Raises:
        KwsError: it cannot be read.
    """
    try:
        with soundfile.SoundFile(path) as file:
            long = file.samplerate == SAMPLE_RATE and file.frames > _STRETCH
            while long and len(block := file.read(_STRETCH, dtype="float32", always_2d=True)):
                yield to_int16(np.nan_to_num(block.mean(axis=1)))
    except (soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(path, error) from error
    if not long:
        yield read_audio(path)
    yield np.zeros(GAP, np.int16)


def _copied(chunks: Iterator[NDArray[np.int16]], file: soundfile.SoundFile) -> Iterator[NDArray[np.int16]]:
    for pcm in chunks:
        file.write(pcm)
        yield pcm


def _told(chunks: Iterator[NDArray[np.int16]], progress: Progress | None) -> Iterator[NDArray[np.int16]]:
    samples = 0
    for pcm in chunks:
        yield pcm
        samples += len(pcm)
        if progress:
            progress(samples / SAMPLE_RATE)


def _unreadable(path: Path, error: Exception) -> KwsError:
    return KwsError(f"{path}: not a readable recording ({error}); remove it or record it again.")
