"""Recordings in memory, drawn in balanced and augmented batches.

All waveforms are held as int16 (33,000 one-second clips take 1 GB), so that every epoch augments afresh and nothing
is read twice. What a step draws depends on the seed, the stage, the epoch and the step alone: a resumed run draws the
same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kws.data.audio import read_audio
from kws.data.tasks import (
    BACKGROUND_STRETCH,
    FILLER_SHARE,
    SILENCE,
    Clip,
    Corpus,
    Task,
    evaluation_set,
    negative_recordings,
    require_words,
)
from kws.errors import KwsError
from kws.features import Preset, place_clip
from kws_training.augment import Augmentation, add_noise, apply_gain, mask_spectrum, place
from kws_training.features import LogMel
from kws_training.kept import Batch, KeptEpochs
from kws_training.running import RunningSpeech
from kws_training.speech import Speech
from kws_training.voices import make_voices

CLIP_SAMPLES = 16000
BACKGROUND_CUT, SPEECH_CUT = -1, -2
"""What stands in place of a clip's index for a cut of the background, and for one of speech without the words."""
SPEECH_SHARE = 1 / 3
"""Of the windows of ``_unknown_``, where there is such speech."""
VOICES_DRAW = 1  # what tells the draws of the voices from an epoch's
Progress = Callable[[Iterable, int, str], Iterable]


@dataclass
class Loaded:
    """Clips read into memory.

    Attributes:
        pcm: int16 [n, CLIP_SAMPLES], shorter clips padded with zeros, longer ones cut.
        labels: int64 [n].
        words: of the n clips.
        skipped: a sentence for every clip that was left out.
    """

    pcm: NDArray[np.int16]
    labels: NDArray[np.int64]
    words: list[str]
    skipped: list[str]


def load(items: list[tuple[Clip, int]], progress: Progress, title: str) -> Loaded:
    """Reads ``items`` (clip, label); leaves out, with a reason, what cannot be read and what holds no sound."""
    pcm = np.zeros((len(items), CLIP_SAMPLES), np.int16)
    kept, skipped = [], []

    def read(clip: Clip) -> NDArray[np.int16] | str:
        try:
            return clip.read()
        except KwsError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        results = pool.map(read, (clip for clip, _ in items))
        for index, result in enumerate(progress(results, len(items), title)):
            if isinstance(result, str):
                skipped.append(result)
            elif not result.any() and items[index][0].word != SILENCE:
                skipped.append(f"{items[index][0].path}: digital silence; remove it or record it again.")
            else:
                samples = result[:CLIP_SAMPLES]
                pcm[index, : len(samples)] = samples
                kept.append(index)
    labels = np.array([label for _, label in items], np.int64)
    return Loaded(pcm[kept], labels[kept], [items[index][0].word for index in kept], skipped)


def read_negatives(folder: Path, progress: Progress) -> tuple[list[NDArray[np.int16]], list[str]]:
    """The recordings directly in ``folder``, int16 [n] at 16 kHz; and a sentence for each that cannot be read.

    Raises:
        KwsError: no such folder, or no readable recording directly in it.
    """
    paths = negative_recordings(folder)
    pcm, skipped = [], []
    for path in progress(paths, len(paths), "Reading negatives"):
        try:
            pcm.append(read_audio(path))
        except KwsError as error:
            skipped.append(str(error))
    if not pcm:
        raise KwsError(f"{folder}: none of its recordings can be read; the first: {skipped[0]}")
    return pcm, skipped


def number_words(words: list[str]) -> tuple[NDArray[np.int64], int]:
    """A number for each clip's word, in the words' order, -1 for silence; and how many words there are."""
    numbers = {word: number for number, word in enumerate(sorted(set(words) - {SILENCE}))}
    return np.array([numbers.get(word, -1) for word in words], np.int64), len(numbers)


def _background(corpus: Corpus, preset: Preset) -> NDArray[np.int16]:
    """The training stretches of the background recordings, one after another; at least one window long."""
    low, high = BACKGROUND_STRETCH["training"]
    pieces = []
    for path in corpus.backgrounds:
        samples = read_audio(path)
        pieces.append(samples[int(low * len(samples)) : int(high * len(samples))])
    noise = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    if len(noise) <= preset.window_samples:
        noise = np.concatenate([noise, np.zeros(preset.window_samples + 1 - len(noise), np.int16)])
    return noise


def _cuts(sound: Tensor, length: int, count: int, generator: torch.Generator) -> Tensor:
    """``count`` stretches of ``length`` samples from drawn places of an int16 sound, float32 [count, length]."""
    starts = torch.randint(len(sound) - length, (count,), generator=generator).tolist()
    return torch.stack([sound[start : start + length] for start in starts]).float()


def filler_shares(unknown: float) -> tuple[float, float]:
    """Draws of ``_unknown_`` and of ``_silence_`` as shares of the word clips.

    Silence is a tenth, as in the official protocol; or a tenth of ``_unknown_`` where that is more, for so few clips
    of it would not be learned among many of other words.
    """
    return unknown, max(FILLER_SHARE, 0.1 * unknown)


class TrainingData:
    """The training and validation clips of a task.

    Args:
        corpus: scanned folder; must hold every word of ``task``, and with fillers at least one other word (for
            ``_unknown_``) and a background recording or a ``_silence_`` folder.
        task: classes.
        preset: features.
        seed: of every draw.
        temper: a word with n clips is drawn in proportion to ``n ** temper``.
        progress: wraps an iterable with a progress bar.
        negatives: recordings in which none of the words is said, for ``_unknown_`` in training, int16 [n] each.

    Attributes:
        kept: where augmented epochs are kept for others that draw the same; None, at first, draws them every time.

    Raises:
        KwsError: a class has no usable training clip, there is no validation clip, or negatives hold no sound.
    """

    composition = None
    """Windows are clips, and composed of nothing else."""

    def __init__(
        self,
        corpus: Corpus,
        task: Task,
        preset: Preset,
        seed: int,
        temper: float,
        progress: Progress,
        negatives: Sequence[NDArray[np.int16]] = (),
    ) -> None:
        require_words(corpus, task)
        if not any(corpus.select(word, "validation") for word in task.words):
            raise KwsError(
                f"{corpus.root}: no clip of {', '.join(task.words)} falls to validation; add speakers, a tenth of whom "
                "do, and name files <speaker>_nohash_<n>.wav."
            )
        self.task, self.preset, self.seed, self.temper = task, preset, seed, temper
        self.kept: KeptEpochs | None = None
        self.log_mel = LogMel(preset)
        items = [(clip, i) for i, word in enumerate(task.words) for clip in corpus.select(word, "training")]
        self.word_clips = len(items)
        if task.fillers:
            items += [(clip, len(task.words)) for clip in corpus.others(task, "training")]
            items += [(clip, len(task.words) + 1) for clip in corpus.select(SILENCE, "training")]
        training = load(items, progress, "Reading training clips")
        self.pcm, self.labels = torch.from_numpy(training.pcm), training.labels
        self.identities, self.identity_count = number_words(training.words)
        self.noise = torch.from_numpy(_background(corpus, preset))
        self.speech = Speech(list(negatives), preset.window_samples) if negatives else None
        self.members = [np.flatnonzero(self.labels == label) for label in range(len(task.class_names))]
        self._check_classes(corpus)
        validation = load(evaluation_set(corpus, task, "validation"), progress, "Reading validation clips")
        if len(validation.labels) == 0:
            raise KwsError(f"{corpus.root}: no validation clip; add speakers, or name files <speaker>_nohash_<n>.wav.")
        self.skipped = training.skipped + validation.skipped
        self.validation_features = self._validation_features(validation.pcm)
        self.validation_labels = torch.from_numpy(validation.labels)
        self.hash = self._hash(validation)

    def _check_classes(self, corpus: Corpus) -> None:
        for label, name in enumerate(self.task.class_names):
            if len(self.members[label]):
                continue
            if name == SILENCE and self.noise.any():
                continue
            remedy = {
                "_unknown_": "add folders of other words, or an _unknown_ folder",
                SILENCE: "add recordings of room noise to a _background_noise_ folder",
            }.get(name, "add recordings of it")
            raise KwsError(f"{corpus.root}: no usable training clip for {name}; {remedy}.")

    def _validation_features(self, pcm: NDArray[np.int16]) -> Tensor:
        maps = []
        for start in range(0, len(pcm), 512):
            windows = np.stack([place_clip(clip, self.preset) for clip in pcm[start : start + 512]])
            maps.append(self.log_mel(torch.from_numpy(windows).float()))
        return torch.cat(maps)

    def _hash(self, validation: Loaded) -> str:
        digest = hashlib.sha256()
        arrays = [self.pcm.numpy(), self.labels, self.noise.numpy(), validation.pcm, validation.labels]
        if self.speech is not None:
            arrays += [self.speech.pcm.numpy(), self.speech.starts.numpy()]
        for array in arrays:
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Training clips by class name."""
        return {name: len(self.members[label]) for label, name in enumerate(self.task.class_names)}

    def word_draws(self) -> list[int]:
        """Draws of each word in one epoch."""
        weight = np.array([len(self.members[label]) for label in range(len(self.task.words))], float) ** self.temper
        return [max(1, round(share)) for share in weight / weight.sum() * self.word_clips]

    def _shares(self, unknown: float) -> list[int]:
        """Draws of each class in one epoch."""
        shares = self.word_draws()
        if self.task.fillers:
            shares += [max(1, round(share * self.word_clips)) for share in filler_shares(unknown)]
        return shares

    def _draw(self, rng: np.random.Generator, unknown: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Indices and labels of one epoch; an index below 0 is a cut, see ``BACKGROUND_CUT``."""
        indices, labels = [], []
        for label, share in enumerate(self._shares(unknown)):
            members = self.members[label] if len(self.members[label]) else np.array([BACKGROUND_CUT])
            rounds = [rng.permutation(members) for _ in range(-(-share // len(members)))]
            indices.append(np.concatenate(rounds)[:share])
            labels.append(np.full(share, label))
            if self.speech is not None and label == len(self.task.words):
                indices[-1][: round(SPEECH_SHARE * share)] = SPEECH_CUT
        order = rng.permutation(sum(map(len, indices)))
        return np.concatenate(indices)[order], np.concatenate(labels)[order]

    def steps(self, batch: int, unknown: float) -> int:
        """Batches an epoch, of which ``unknown`` times the word clips are of other words.

        The last, incomplete one is left out unless it is the only one.
        """
        return max(1, sum(self._shares(unknown)) // batch)

    def epoch(self, stage: int, epoch: int, batch: int, unknown: float, augmentation: Augmentation) -> Iterator[Batch]:
        """One epoch of augmented batches.

        Args:
            stage, epoch: what the draws depend on, beside the seed.
            batch: clips a step.
            unknown: clips of other words drawn, as a share of the word clips.
            augmentation: ranges of the draws.

        Yields:
            Features float32 [batch, n_mels, frames] in dB; labels int64 [batch]; the words' numbers int64 [batch], -1
            for silence, speech without the words, and a word that is cut off.
        """
        made = self._epoch(stage, epoch, batch, unknown, augmentation)
        if self.kept is None:
            return made
        key = {
            "data": [self.hash, hashlib.sha256(self.identities.tobytes()).hexdigest()],
            "words": self.task.words,
            "fillers": self.task.fillers,
            "preset": asdict(self.preset),
            "temper": self.temper,
            "draw": [self.seed, stage, epoch, batch, unknown],
            "augmentation": asdict(augmentation),
        }
        return self.kept.epoch(key, batch, self.steps(batch, unknown), (self.preset.n_mels, self.preset.frames), made)

    def _epoch(self, stage: int, epoch: int, batch: int, unknown: float, augmentation: Augmentation) -> Iterator[Batch]:
        rng = np.random.default_rng([self.seed, stage, epoch])
        indices, labels = self._draw(rng, unknown)
        for step in range(self.steps(batch, unknown)):
            chosen = slice(step * batch, (step + 1) * batch)
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            words = np.where(indices[chosen] < 0, -1, self.identities[indices[chosen]])
            features, cut = self._batch(indices[chosen], labels[chosen], augmentation, generator)
            answers = np.where(cut, len(self.task.words), labels[chosen])
            yield features, torch.from_numpy(answers), torch.from_numpy(np.where(cut, -1, words))

    @cached_property
    def _running(self) -> RunningSpeech:
        others = self.members[len(self.task.words)] if self.task.fillers else np.zeros(0, np.int64)
        return RunningSpeech(self.pcm.numpy(), others, self.preset.window_samples)

    @cached_property
    def _voices(self) -> Tensor:
        return torch.from_numpy(make_voices(self.pcm.numpy(), np.random.default_rng([self.seed, VOICES_DRAW])))

    def _noise_windows(self, is_background: Tensor, voices: float, generator: torch.Generator) -> Tensor:
        """Noise for each clip; where there is no clip, it is what the room sounds like when nobody speaks."""
        count = len(is_background)
        windows = _cuts(self.noise, self.preset.window_samples, count, generator)
        if voices:
            spoken = (torch.rand((count, 1), generator=generator) < voices) & ~is_background
            windows = torch.where(spoken, _cuts(self._voices, self.preset.window_samples, count, generator), windows)
        return windows

    def _compose(
        self,
        windows: Tensor,
        indices: NDArray[np.int64],
        labels: NDArray[np.int64],
        augmentation: Augmentation,
        generator: torch.Generator,
    ) -> NDArray[np.bool_]:
        """Puts the drawn share of the spoken clips into running speech, in ``windows``; whose words are cut off."""
        cut = np.zeros(len(indices), bool)
        if augmentation.running:
            rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
            spoken = (indices >= 0) & (labels <= len(self.task.words))
            for row in np.flatnonzero(spoken & (rng.random(len(indices)) < augmentation.running)):
                wave, whole = self._running.compose(int(indices[row]), self.task.fillers, augmentation, rng)
                windows[row] = torch.from_numpy(wave)
                cut[row] = not whole
        return cut

    def _batch(
        self,
        indices: NDArray[np.int64],
        labels: NDArray[np.int64],
        augmentation: Augmentation,
        generator: torch.Generator,
    ) -> tuple[Tensor, NDArray[np.bool_]]:
        clips = self.pcm[torch.from_numpy(np.maximum(indices, 0))].float()
        windows = place(clips, self.preset, augmentation, generator)
        cut = self._compose(windows, indices, labels, augmentation, generator)
        if self.speech is not None:
            spoken = torch.from_numpy(np.flatnonzero(indices == SPEECH_CUT))
            windows[spoken] = self.speech.draw(len(spoken), generator)
        is_background = torch.from_numpy(indices == BACKGROUND_CUT)[:, None]
        noise = self._noise_windows(is_background, augmentation.voices, generator)
        mixed = add_noise(windows, noise, augmentation, generator)
        level = 10.0 ** (-2.0 * torch.rand((len(indices), 1), generator=generator))
        mixed = torch.where(is_background, noise * level, mixed)
        features = self.log_mel(apply_gain(mixed, augmentation, generator))
        return mask_spectrum(features, augmentation, generator), cut
