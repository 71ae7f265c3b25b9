"""How much of a model's accuracy is left when the sound is not clean: the same clips, degraded in many ways.

Signal-to-noise ratios are over the whole clip, as in training. The standard recipe mixes in background recordings
alone, neither babble of other speakers nor music; the recipes of noise and of listening know babble, of other voices,
and tones. No recipe of ``kws train`` knows reverberation or clipping.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from kws.data.audio import to_int16
from kws.data.splits import speaker_of
from kws.data.tasks import SILENCE, Clip, Corpus, Task, scan
from kws.errors import KwsError
from kws.evaluate import degrade, metrics
from kws.evaluate.report import THIN
from kws.evaluate.run import Classifier, choose_clips, classifier, model_task
from kws.features import Preset, place_clip
from kws.model import FoldedModel

CLEAN = "clean"
SNRS = (20, 10, 5, 0)  # dB
REVERBERATION = (0.3, 0.6, 0.9)  # seconds to -60 dB
SPEEDS = (0.9, 1.1)
OVERDRIVES = (12, 24)  # dB
LEVELS = (-30, 10)  # dB
MOST_VOICES = 400
"""Clips kept in memory for babble."""

BATCH = 128


@dataclass(frozen=True)
class Scene:
    """What a degradation may use beside the clip.

    Attributes:
        rng: of its draws, the same for the same clip, seed and family.
        voices: clips of other speakers, int16.
    """

    rng: np.random.Generator
    voices: Sequence[NDArray[np.int16]]


Family = Callable[[degrade.Sound, Scene], dict[str, degrade.Sound]]


def _babble(clip: degrade.Sound, scene: Scene) -> dict[str, degrade.Sound]:
    noise = degrade.babble(len(clip), scene.voices, scene.rng)
    return {f"babble {snr} dB": degrade.mix(clip, noise, snr) for snr in SNRS}


def _music(clip: degrade.Sound, scene: Scene) -> dict[str, degrade.Sound]:
    noise = degrade.music(len(clip), scene.rng)
    return {f"music {snr} dB": degrade.mix(clip, noise, snr) for snr in SNRS}


def _room(clip: degrade.Sound, scene: Scene) -> dict[str, degrade.Sound]:
    return {f"reverberation {time} s": degrade.reverberate(clip, time, scene.rng) for time in REVERBERATION}


def _speed(clip: degrade.Sound, scene: Scene) -> dict[str, degrade.Sound]:
    return {f"speed {factor}": degrade.change_speed(clip, factor) for factor in SPEEDS}


def _clipping(clip: degrade.Sound, scene: Scene) -> dict[str, degrade.Sound]:
    return {f"clipping {gain} dB": degrade.overdrive(clip, gain) for gain in OVERDRIVES}


def _level(clip: degrade.Sound, scene: Scene) -> dict[str, degrade.Sound]:
    return {f"level {gain:+} dB": clip * degrade.decibels(gain) for gain in LEVELS}


FAMILIES: dict[str, Family] = {
    CLEAN: lambda clip, scene: {CLEAN: clip},
    "babble": _babble,
    "music": _music,
    "reverberation": _room,
    "speed": _speed,
    "clipping": _clipping,
    "level": _level,
}
"""A family of conditions, by name: from a clip to its variants by condition. Each is one line here."""


@dataclass
class Robustness:
    """What came out.

    Attributes:
        class_names: in class order.
        split: of the clips.
        matrices: by condition, then delta: int64 [n_classes, n_classes], rows the truth.
        skipped: a sentence for every clip that could not be read.
        notes: what a reader of the figures must know.
    """

    class_names: list[str]
    split: str
    matrices: dict[str, dict[int, metrics.Matrix]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def drop(self, condition: str, delta: int) -> float:
        """Balanced accuracy lost against the clean clips, 0..1; negative where it is gained."""
        clean, degraded = (metrics.balanced_accuracy(self.matrices[name][delta]) for name in (CLEAN, condition))
        return clean - degraded

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: by condition and delta, what ``scores`` gives, 0..1."""
        return {
            "split": self.split,
            "clips": int(next(iter(self.matrices[CLEAN].values())).sum()),
            "conditions": {
                name: {str(delta): scores(matrix, self.class_names) for delta, matrix in depths.items()}
                for name, depths in self.matrices.items()
            },
            "skipped": self.skipped,
            "notes": self.notes,
        }


def scores(matrix: metrics.Matrix, class_names: Sequence[str]) -> dict[str, Any]:
    """``balanced_accuracy`` over all classes, ``covered_accuracy`` over those of ``THIN`` clips or more, if any, and
    ``recall`` by class.
    """
    covered = bool((matrix.sum(axis=1) >= THIN).any())
    return {
        "balanced_accuracy": metrics.balanced_accuracy(matrix),
        "covered_accuracy": metrics.balanced_accuracy(matrix, THIN) if covered else None,
        "recall": {name: score.recall for name, score in zip(class_names, metrics.class_scores(matrix), strict=True)},
    }


def robustness(
    model: FoldedModel,
    data: str | Path,
    split: str | None = None,
    engine: str = "c",
    deltas: list[int] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Robustness:
    """As ``kws.evaluate.run.evaluate``, under every condition. Raises KwsError as it does."""
    corpus = scan(data)
    compute = classifier(model, engine)
    return measure(
        compute, corpus, model_task(model), model.preset, deltas or model.deltas, split, seed, progress=progress
    )


def measure(
    compute: Classifier,
    corpus: Corpus,
    task: Task,
    preset: Preset,
    deltas: Sequence[int],
    split: str | None = None,
    seed: int = 0,
    families: dict[str, Family] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Robustness:
    """Classifies every clip under every condition at every depth.

    Args:
        compute: the model.
        corpus: scanned folder.
        task: classes.
        preset: features, for the windows' length.
        deltas: depths.
        split: as of ``kws.evaluate.run.evaluate``.
        seed: of the draw of clips and of every degradation.
        families: of conditions; ``FAMILIES`` where None. ``CLEAN`` must be one.
        progress: called with (clips done, clips in all).

    Raises:
        KwsError: nothing to classify, or nobody else to babble.
    """
    families = FAMILIES if families is None else families
    items, split, notes = choose_clips(corpus, task, split, seed)
    result = Robustness(list(task.class_names), split, notes=notes)
    crowd = _Crowd(corpus, task, split, seed) if "babble" in families else None
    if crowd and crowd.has_words:
        result.notes.append("There is no clip of other words, so babble may hold the words themselves.")
    for start in range(0, len(items), BATCH):
        batch = list(_read(items[start : start + BATCH], start, result.skipped))
        for name, family in families.items():
            windows: dict[str, list[NDArray[np.int16]]] = {}
            for index, clip, _, pcm in batch:
                voices = crowd.others(clip) if crowd and name == "babble" else []
                scene = Scene(np.random.default_rng([seed, zlib.crc32(name.encode()), index]), voices)
                for condition, sound in family(pcm.astype(np.float64), scene).items():
                    windows.setdefault(condition, []).append(place_clip(to_int16(sound / 32768.0), preset))
            truth = [label for _, _, label, _ in batch]
            for condition, many in windows.items():
                depths = result.matrices.setdefault(condition, {})
                for delta in deltas:
                    answers = compute(np.stack(many), delta).argmax(axis=1)
                    counts = metrics.confusion_matrix(truth, answers, len(task.class_names))
                    depths[delta] = depths.get(delta, 0) + counts
        if progress:
            progress(min(start + BATCH, len(items)), len(items))
    if not result.matrices:
        raise KwsError(f"{corpus.root}: none of {len(items)} clips can be read; the first: {result.skipped[0]}")
    return result


def show(result: Robustness, console: Console) -> None:
    """Prints balanced accuracy by condition and depth, and what it loses against the clean clips."""
    depths = list(result.matrices[CLEAN])
    table = Table(
        "condition", title="Balanced accuracy, all classes", title_justify="left", box=None, padding=(0, 1, 0, 0)
    )
    for delta in depths:
        table.add_column(f"depth {delta}", justify="right")
        table.add_column("drop", justify="right")
    for condition, matrices in result.matrices.items():
        cells = []
        for delta in depths:
            cells.append(f"{100 * metrics.balanced_accuracy(matrices[delta]):.2f} %")
            cells.append("" if condition == CLEAN else f"{100 * result.drop(condition, delta):.2f}")
        table.add_row(condition, *cells)
    console.print(table)
    for note in result.notes:
        console.print(note, style="yellow", markup=False, soft_wrap=True)


def _read(
    items: list[tuple[Clip, int]], start: int, skipped: list[str]
) -> Iterator[tuple[int, Clip, int, NDArray[np.int16]]]:
    """(index, clip, label, samples) of those that can be read; a sentence in ``skipped`` for the others."""
    for index, (clip, label) in enumerate(items, start):
        try:
            yield index, clip, label, clip.read()
        except KwsError as error:
            skipped.append(str(error))


def _speaker(clip: Clip) -> str:
    return speaker_of(clip.path.name) or clip.path.stem


class _Crowd:
    """Clips of the split to babble with, of words that are not the task's where there are enough.

    Raises:
        KwsError: there are none.
    """

    def __init__(self, corpus: Corpus, task: Task, split: str, seed: int) -> None:
        clips = corpus.others(task, split)
        self.has_words = len({_speaker(clip) for clip in clips}) <= degrade.VOICES
        if self.has_words:
            clips = [clip for word in corpus.clips if word != SILENCE for clip in corpus.select(word, split)]
        order = np.random.default_rng(seed).permutation(len(clips))[:MOST_VOICES]
        self.voices: list[tuple[str, NDArray[np.int16]]] = []
        for index in order:
            try:
                pcm = clips[index].read()
            except KwsError:
                continue
            if pcm.any():
                self.voices.append((_speaker(clips[index]), pcm))
        if len({speaker for speaker, _ in self.voices}) < 2:
            raise KwsError(
                f"{corpus.root}: fewer than two speakers in the {split} split; no babble can be made of them."
            )

    def others(self, clip: Clip) -> list[NDArray[np.int16]]:
        """Every voice but those of the clip's speaker."""
        speaker = _speaker(clip)
        return [pcm for name, pcm in self.voices if name != speaker]
