"""Running a model over the clips of a data set, at every depth that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE
from kws.data.tasks import Clip, Corpus, Task, evaluation_set, scan
from kws.errors import KwsError
from kws.evaluate import metrics
from kws.features import Preset, place_clip
from kws.model import FoldedModel

ENGINES = ("c", "torch")
SPLITS = ("validation", "testing", "all")
BATCH = 256
"""Clips classified at once; two batches are in memory at a time, however large the data set."""

READERS = 4

Classifier = Callable[[NDArray[np.int16], int], NDArray[np.float32]]
"""(windows int16 [N, window_samples], delta) -> logits float32 [N, n_classes]."""


@dataclass(frozen=True)
class Answer:
    """A clip's classification.

    Attributes:
        clip: the clip.
        truth: class index by its folder.
        predicted: class index by the model.
        probability: the model's for ``predicted``, 0..1.
    """

    clip: Clip
    truth: int
    predicted: int
    probability: float


@dataclass(frozen=True)
class DepthResult:
    """What one depth answered.

    Attributes:
        matrix: int64 [n_classes, n_classes], rows the truth.
        wrong: every wrong answer, most confident first.
    """

    matrix: metrics.Matrix
    wrong: list[Answer]


@dataclass
class Evaluation:
    """The outcome of ``evaluate``.

    Attributes:
        model: the model's name.
        data: the folder.
        split: the split that was used.
        engine: "c" or "torch".
        class_names: in class order.
        depths: by delta, in the model's order.
        skipped: one sentence for every clip that could not be read.
        shortened: clips longer than the window, of which the model saw only the beginning.
        notes: sentences about the set itself that a reader of the figures must know.
    """

    model: str
    data: Path
    split: str
    engine: str
    class_names: list[str]
    depths: dict[int, DepthResult] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    shortened: int = 0
    notes: list[str] = field(default_factory=list)


def model_task(model: FoldedModel) -> Task:
    """The task that ``model`` was made for: its words, and whether unknown and silence are classes of it."""
    words = tuple(model.class_names[: model.n_words])
    return Task(model.name, words, fillers=model.n_words < len(model.class_names))


def require_rate(model: FoldedModel) -> None:
    """Raises KwsError where recordings are not read at the rate that ``model`` hears."""
    if model.preset.sample_rate != SAMPLE_RATE:
        raise KwsError(
            f"{model.name} hears {model.preset.sample_rate} Hz; recordings are read at {SAMPLE_RATE} Hz only."
        )


def choose_clips(
    corpus: Corpus, task: Task, split: str | None, seed: int
) -> tuple[list[tuple[Clip, int]], str, list[str]]:
    """The labelled clips, the split they come from, and notes. See ``evaluate`` for ``split``.

    Raises:
        KwsError: no clip of any word in the split.
    """
    if not any(word in corpus.clips for word in task.words):
        have, words = ", ".join(sorted(corpus.clips)), ", ".join(task.words)
        raise KwsError(f"{corpus.root}: no folder for any word of the model ({words}); it holds {have}.")
    notes = []
    if split is None:
        split = "validation"
        if not any(corpus.select(word, split) for word in task.words):
            split = "all"
            notes.append("None of the clips falls in the validation split, so all are used, trained on or not.")
    items = evaluation_set(corpus, task, split, seed)
    present = {label for _, label in items}
    absent = [name for label, name in enumerate(task.class_names) if label not in present]
    if absent:
        where = "" if split == "all" else f" {split}"
        notes.append(f"No{where} clip of {', '.join(absent)}: left out of the balanced accuracy.")
    return items, split, notes


def classifier(model: FoldedModel, engine: str) -> Classifier:
    """The function that computes logits in ``engine``.

    Raises:
        KwsError: no such engine, or torch is not installed.
    """
    if engine == "c":
        from kws.engine import Engine

        return Engine(model).classify_batch
    if engine == "torch":
        try:
            from kws_training.folded import logits
        except ImportError as error:
            raise KwsError(f"--engine torch needs the training extra ({error}): pip install 'kws[train]'.") from error
        return lambda windows, delta: logits(model, windows, delta)
    raise KwsError(f"'{engine}' is no engine; choose {' or '.join(ENGINES)}.")


def evaluate(
    model: FoldedModel,
    data: str | Path,
    split: str | None = None,
    engine: str = "c",
    deltas: list[int] | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Classifies every clip of a data set once at every depth.

    Args:
        model: what to evaluate; its classes make the task.
        data: Speech Commands, or plain class folders. Words that the model does not know count as unknown.
        split: "validation", "testing" or "all"; None means validation, or all where that has no clip.
        engine: "c" for the engine that devices run, "torch" for the same folded model in PyTorch.
        deltas: depths; the model's own where None.
        seed: of the draw of unknown and silence clips.
        progress: called with (clips done, clips in all).

    Raises:
        KwsError: nothing to evaluate, an unknown engine, depth or split, or no readable clip.
    """
    deltas = model.deltas if deltas is None else deltas
    for delta in deltas:
        if delta not in model.deltas:
            choices = ", ".join(str(known) for known in model.deltas)
            raise KwsError(f"--depth {delta} is not in the model; choose from {choices} or all.")
    if split is not None and split not in SPLITS:
        raise KwsError(f"'{split}' is no split to evaluate on; choose {', '.join(SPLITS)}.")
    require_rate(model)
    compute = classifier(model, engine)
    corpus = scan(data)
    items, split, notes = choose_clips(corpus, model_task(model), split, seed)
    result = Evaluation(model.name, corpus.root, split, engine, list(model.class_names), notes=notes)

    answers: dict[int, list[Answer]] = {delta: [] for delta in deltas}
    done = 0
    for batch in _read_batches(items, model.preset):
        good = []
        for (clip, label), window in batch:
            if isinstance(window, KwsError):
                result.skipped.append(str(window))
            else:
                good.append((clip, label, window.pcm))
                result.shortened += window.shortened
        if good:
            windows = np.stack([pcm for _, _, pcm in good])
            for delta in deltas:
                probabilities = metrics.softmax(compute(windows, delta))
                if not np.isfinite(probabilities).all():
                    raise KwsError(f"The model gives values that are not numbers at depth {delta}; train it again.")
                for (clip, label, _), row in zip(good, probabilities, strict=True):
                    best = int(row.argmax())
                    answers[delta].append(Answer(clip, label, best, float(row[best])))
        done += len(batch)
        if progress:
            progress(done, len(items))
    if len(result.skipped) == len(items):
        raise KwsError(f"{corpus.root}: none of {len(items)} clips can be read; the first: {result.skipped[0]}")
    for delta, given in answers.items():
        matrix = metrics.confusion_matrix(
            [answer.truth for answer in given], [answer.predicted for answer in given], len(model.class_names)
        )
        wrong = [answer for answer in given if answer.predicted != answer.truth]
        result.depths[delta] = DepthResult(matrix, sorted(wrong, key=lambda answer: -answer.probability))
    return result


@dataclass(frozen=True)
class _Window:
    pcm: NDArray[np.int16]
    shortened: bool


def _read(clip: Clip, preset: Preset) -> _Window | KwsError:
    """The clip as one window; an unreadable one as the error that says why, so that the others go on."""
    try:
        pcm = clip.read()
    except KwsError as error:
        return error
    return _Window(place_clip(pcm, preset), len(pcm) > preset.window_samples - preset.n_fft // 2)


Read = tuple[tuple[Clip, int], "_Window | KwsError"]


def _read_batches(items: list[tuple[Clip, int]], preset: Preset) -> Iterator[list[Read]]:
    """Reads ``items`` in order on several threads, one batch ahead of the consumer."""
    with ThreadPoolExecutor(READERS) as pool:

        def submit(start: int) -> list[Future[_Window | KwsError]]:
            return [pool.submit(_read, clip, preset) for clip, _ in items[start : start + BATCH]]

        ahead = submit(0)
        for start in range(0, len(items), BATCH):
            current, ahead = ahead, submit(start + BATCH)
            yield list(zip(items[start : start + BATCH], (future.result() for future in current), strict=True))
