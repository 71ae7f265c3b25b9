"""Long recordings whose every word is known: clips laid over noise.

``make_stream`` makes a short one for a demonstration. ``Mix`` makes hours of it for measuring, section by section:
words to be found, each amid a pause, between runs of other words spoken one after another or stretches of running
speech, all over background recordings at a drawn distance in level.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, read_audio
from kws.data.labels import Label
from kws.data.tasks import BACKGROUND_STRETCH, Clip, Corpus, background_length
from kws.errors import KwsError

_EDGE = SAMPLE_RATE  # samples free of words at both ends
_LEAST_GAP, _MOST_GAP = SAMPLE_RATE, 2 * SAMPLE_RATE  # between the end of a clip and the next

SECTION_SECONDS = 60.0
"""Stretch of a mixed stream with one background recording and one distance in level."""

CLIPS_A_WORD = 200
"""Most clips of a word to be found that a mixed stream draws from."""

OTHER_CLIPS = 3000
"""Most clips of other words that a mixed stream draws from."""

_RUN = (2, 6)  # other words spoken one after another
_STRETCH = (1.5, 6.0)  # seconds of running speech, about as long as such a run
_PAUSE = (0.5, 1.5)  # seconds before and after a word to be found
_BETWEEN = (0.05, 0.3)  # seconds between other words of a run
_SPEECH_DB = (-35.0, -20.0)  # level of the speech, dBFS
_FRAME = SAMPLE_RATE // 50
_FADE = SAMPLE_RATE // 100
_RANGE_DB = 35.0  # what is further below the loudest frame is no speech
_QUIET_DB = -60.0  # a stretch of running speech below it is one of its pauses and is not made louder

RUNNING = "_speech_"
"""What a label of a stretch of running speech has in place of a word."""


def make_stream(
    clips: Mapping[str, Sequence[NDArray[np.int16]]],
    noise: NDArray[np.int16],
    seconds: float,
    seed: int,
    noise_db: float = -50.0,
) -> tuple[NDArray[np.int16], list[Label]]:
    """A stream in which every word comes about equally often, one to two seconds apart.

    Args:
        clips: for each word one or more clips, int16 [n] at 16 kHz.
        noise: int16 [n], repeated as often as needed from a drawn place; empty for none.
        seconds: length of the stream.
        seed: of every draw; the same arguments give the same stream.
        noise_db: RMS of the noise in the stream, relative to full scale.

    Returns:
        The samples, int16 [seconds * 16000], and a label for each word in it, in order.

    Raises:
        KwsError: a word without a clip, or a stream too short for one word.
    """
    for word, takes in clips.items():
        if not takes or any(len(take) == 0 for take in takes):
            raise KwsError(f"No sound given for '{word}'; record it or leave the word out.")
    rng = np.random.default_rng(seed)
    total = round(seconds * SAMPLE_RATE)
    stream = _bed(noise, total, noise_db, rng)
    labels: list[Label] = []
    position = _EDGE
    for word in _turns(sorted(clips), rng):
        clip = clips[word][int(rng.integers(len(clips[word])))]
        end = position + len(clip)
        if end > total - _EDGE:
            break
        stream[position:end] += clip
        labels.append(Label(word, position, end))
        position = end + int(rng.integers(_LEAST_GAP, _MOST_GAP))
    if not labels:
        raise KwsError(f"A stream of {seconds} seconds has no room for a word; ask for more seconds.")
    return np.clip(stream, -32768, 32767).astype(np.int16), labels


def _turns(words: list[str], rng: np.random.Generator) -> Iterator[str]:
    """Every word once in a drawn order, then again, without end."""
    while words:
        yield from (words[index] for index in rng.permutation(len(words)))


def _bed(noise: NDArray[np.int16], total: int, noise_db: float, rng: np.random.Generator) -> NDArray[np.int32]:
    if len(noise) == 0 or not noise.any():
        return np.zeros(total, np.int32)
    start = int(rng.integers(len(noise)))
    bed = np.take(noise, np.arange(start, start + total), mode="wrap").astype(np.float64)
    gain = 32768.0 * 10.0 ** (noise_db / 20.0) / np.sqrt(np.mean(noise.astype(np.float64) ** 2))
    return np.rint(bed * gain).astype(np.int32)


def speech_extent(pcm: NDArray[np.int16]) -> tuple[int, int, float]:
    """Where the speech in a clip is, and how loud.

    Frames of 20 ms count as speech where their level is above the clip's floor (the tenth percentile of them) by a
    quarter of the distance to its loudest frame, and within 35 dB of that one.

    Args:
        pcm: int16 [n], n > 0.

    Returns:
        First sample, the sample after the last, and the RMS level of the frames of speech, dBFS; the whole clip and
        -100 where it is digital silence.
    """
    frames = -(-len(pcm) // _FRAME)
    padded = np.pad(pcm.astype(np.float64) / 32768.0, (0, frames * _FRAME - len(pcm)))
    power = np.mean(padded.reshape(frames, _FRAME) ** 2, axis=1)
    level = 10.0 * np.log10(np.maximum(power, 1e-10))
    peak, floor = level.max(), np.percentile(level, 10)
    if peak <= -100.0:
        return 0, len(pcm), -100.0
    speech = level >= max(floor + 0.25 * (peak - floor), peak - _RANGE_DB)
    loud = np.flatnonzero(speech)
    mean = 10.0 * math.log10(float(power[speech].mean()))
    return int(loud[0]) * _FRAME, min(int(loud[-1] + 1) * _FRAME, len(pcm)), mean


@dataclass(frozen=True)
class _Laid:
    """A recording, or a stretch of one, to be laid into a stream.

    Attributes:
        label: its word and recording; its place is not known yet.
        pcm: int16 [n].
        first, last, loudness: where in it speech begins and ends, and its level, as ``speech_extent`` has them.
    """

    label: Label
    pcm: NDArray[np.int16]
    first: int
    last: int
    loudness: float


@dataclass(frozen=True)
class Section:
    """A minute of a mixed stream.

    Attributes:
        pcm: int16 [n].
        labels: of every word in it, other words too, each with its clip, in samples from the start of the whole stream.
    """

    pcm: NDArray[np.int16]
    labels: list[Label]


@dataclass(frozen=True)
class Mix:
    """The recipe of a long stream; the same recipe always gives the same samples.

    Attributes:
        corpus: scanned recordings.
        words: to be found; those without a clip in the split are left out.
        minutes: length, rounded up to whole sections.
        snr: lowest and highest level of the speech above the background, dB, drawn anew for each section; infinite for
            no background at all.
        split: that clips and stretches of the background recordings are taken from; "all" for everything.
        seed: of every draw.
        speech: recordings of running speech in which no word is said: stretches of them in place of other words; empty
            for other words. Of those at 16 kHz only the stretches are read, others are read as a whole for each.
    """

    corpus: Corpus
    words: Sequence[str]
    minutes: float
    snr: tuple[float, float] = (5.0, 20.0)
    split: str = "validation"
    seed: int = 0
    speech: Sequence[Path] = ()

    @property
    def n_sections(self) -> int:
        return max(1, math.ceil(60.0 * self.minutes / SECTION_SECONDS))

    def sections(self) -> Iterator[Section]:
        """The stream from its start.

        Raises:
            KwsError: no clip of any of the words, or a recording that cannot be read.
        """
        if not self._spoken:
            raise KwsError(
                f"{self.corpus.root}: no {self.split} clip of {', '.join(self.words)}; choose another --split."
            )
        turns = _turns(sorted(self._spoken), np.random.default_rng([self.seed, 0]))
        samples = round(SECTION_SECONDS * SAMPLE_RATE)
        for index in range(self.n_sections):
            yield self._section(turns, index, samples)

    @cached_property
    def _spoken(self) -> dict[str, list[Clip]]:
        """Clips of the words to be found, by word."""
        found = {word: self.corpus.select(word, self.split) for word in self.words}
        return {word: _sample(clips, CLIPS_A_WORD, f"{self.seed}-{word}") for word, clips in found.items() if clips}

    @cached_property
    def _others(self) -> list[Clip]:
        names = [word for word in sorted(self.corpus.clips) if word not in self.words and not word.startswith("_")]
        clips = [clip for word in names for clip in self.corpus.select(word, self.split)]
        return _sample(clips, OTHER_CLIPS, f"{self.seed}-others")

    @cached_property
    def _read(self) -> dict[Clip, _Laid]:
        return {}

    def _clip(self, clip: Clip) -> _Laid:
        if clip not in self._read:
            pcm = clip.read()
            self._read[clip] = _Laid(Label(clip.word, 0, 0, clip.path), pcm, *speech_extent(pcm))
        return self._read[clip]

    def _stretch(self, rng: np.random.Generator) -> _Laid:
        """Some seconds of a recording of running speech, or the whole of a short one."""
        path = self.speech[int(rng.integers(len(self.speech)))]
        count = drawn_samples(_STRETCH, rng)
        pcm = read_audio(path, int(rng.integers(max(1, background_length(path) - count + 1))), count)
        return _Laid(Label(RUNNING, 0, 0, path), pcm, *speech_extent(pcm))

    def _run(self, rng: np.random.Generator) -> list[_Laid]:
        """What is said before the next word to be found."""
        if self.speech:
            return [self._stretch(rng)]
        count = int(rng.integers(_RUN[0], _RUN[1] + 1)) if self._others else 0
        run: list[Clip] = []
        for _ in range(count):
            clip = self._others[int(rng.integers(len(self._others)))]
            # "zero" and then "three" would say a phrase "zero_three" that no label tells of.
            if not self._say_any([*(one.word for one in run), clip.word]):
                run.append(clip)
        return [self._clip(clip) for clip in run]

    def _say_any(self, said: list[str]) -> bool:
        """Whether the last of these words in a row are one of the words to be found."""
        wanted = {word.casefold() for word in self.words}
        return any("_".join(said[start:]).casefold() in wanted for start in range(len(said)))

    def _section(self, turns: Iterator[str], index: int, samples: int) -> Section:
        # Draws of their own for the background: the words are the same over any, and over none.
        rng, behind = (np.random.default_rng([self.seed, use, index]) for use in (1, 2))
        start, level = index * samples, rng.uniform(*_SPEECH_DB)
        stream = self._background(samples, level, behind).astype(np.float64)
        labels: list[Label] = []
        position = SAMPLE_RATE // 2
        while True:
            # A run of others, then one to be found amid pauses. Positions are those of the speech, not of its clip.
            chosen = [(one, _BETWEEN) for one in self._run(rng)]
            takes = self._spoken[next(turns)]
            chosen.append((self._clip(takes[int(rng.integers(len(takes)))]), _PAUSE))
            for one, gap in chosen:
                if gap is _PAUSE:
                    position += drawn_samples(_PAUSE, rng)
                length = one.last - one.first
                if position + length > samples - SAMPLE_RATE:
                    return Section(np.clip(np.rint(stream), -32768, 32767).astype(np.int16), labels)
                if one.label.word != RUNNING or one.loudness > _QUIET_DB:
                    lay(stream, 10.0 ** ((level - one.loudness) / 20.0) * one.pcm, position - one.first)
                    labels.append(replace(one.label, start=start + position, end=start + position + length))
                position += length + drawn_samples(gap, rng)

    def _background(self, samples: int, speech_db: float, rng: np.random.Generator) -> NDArray[np.int32]:
        if not self.corpus.backgrounds or not math.isfinite(self.snr[0]):
            return np.zeros(samples, np.int32)
        level = speech_db - rng.uniform(*self.snr)
        path = self.corpus.backgrounds[int(rng.integers(len(self.corpus.backgrounds)))]
        noise = read_audio(path)
        low, high = (int(share * len(noise)) for share in BACKGROUND_STRETCH.get(self.split, (0.0, 1.0)))
        return _bed(noise[low:high], samples, level, rng)


def _sample(clips: list[Clip], most: int, seed: str) -> list[Clip]:
    return random.Random(seed).sample(clips, most) if len(clips) > most else clips


def drawn_samples(span: tuple[float, float], rng: np.random.Generator) -> int:
    """Samples of a time drawn from ``span``, seconds."""
    return int(rng.uniform(*span) * SAMPLE_RATE)


def lay(canvas: NDArray[Any], wave: NDArray[Any], at: int) -> None:
    """Adds ``wave`` from sample ``at`` on, faded in and out over 10 ms; what lies outside the canvas is lost.

    Both hold floats, [n].
    """
    ramp = np.minimum(1.0, (np.arange(len(wave)) + 1) / _FADE)
    first, last = max(at, 0), min(at + len(wave), len(canvas))
    if first < last:
        canvas[first:last] += (wave * ramp * ramp[::-1])[first - at : last - at]


def at_speed(pcm: NDArray[Any], speed: float) -> NDArray[np.float64]:
    """``pcm``, [n], played ``speed`` times as fast, pitch and all, by linear interpolation; float64 [n / speed]."""
    places = np.arange(int(len(pcm) / speed)) * speed
    return np.interp(places, np.arange(len(pcm)), pcm)
