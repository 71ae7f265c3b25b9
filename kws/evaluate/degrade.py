"""Sound as it reaches a microphone: with other voices or music, through a room, too fast, too loud, too faint.

Everything here is made from nothing or from other clips, so that nobody needs another download. Training knows babble
too (``kws_training.voices``), of other speakers, and tones; it knows no music, no room, no faulty converter, and speeds
and levels of a narrower range.
Clips are float64 [n] on the int16 scale; every draw comes from the generator that is passed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE

Sound = NDArray[np.float64]

VOICES = 6
"""In a babble: no single one can be followed."""

TEMPO = (80.0, 150.0)  # beats a minute
LOWEST_NOTE = 110.0  # Hz
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 5, 9), (0, 4, 7, 10))  # semitones above the root
HARMONICS = 8
VIBRATO = 5.5  # Hz
PERIOD = 4096  # samples of a tone's table

DIRECT_TO_REVERBERANT = 0.0  # dB
GAP = 0.002  # seconds between the direct sound and the first reflection


def rms(sound: Sound) -> float:
    """The root of the mean square; 0 of nothing."""
    return float(np.sqrt(np.mean(sound**2))) if len(sound) else 0.0


def decibels(value: float) -> float:
    """As a factor of amplitude."""
    return float(10.0 ** (value / 20.0))


def mix(clip: Sound, noise: Sound, snr: float) -> Sound:
    """``clip`` with ``noise`` of the same length, ``snr`` dB below it, both taken over the whole clip."""
    level = rms(noise)
    return clip + noise * (rms(clip) / level * decibels(-snr)) if level else clip.copy()


def babble(n: int, voices: Sequence[NDArray[np.int16]], rng: np.random.Generator) -> Sound:
    """``n`` samples of up to ``VOICES`` of ``voices`` at once, drawn, equally loud, each turned round in time."""
    total = np.zeros(n)
    for index in rng.permutation(len(voices))[:VOICES]:
        voice = np.resize(voices[index].astype(np.float64), n)
        total += np.roll(voice, int(rng.integers(n))) / max(rms(voice), 1.0)
    return total


def music(n: int, rng: np.random.Generator) -> Sound:
    """``n`` samples of something like music: a chord a beat, a melody of half beats, a drum; RMS about 1."""
    beat = round(60.0 / rng.uniform(*TEMPO) * SAMPLE_RATE)
    # Enough beats before the first sample that the piece has no beginning in the clip.
    start = int(rng.integers(beat, 2 * beat))
    sound = np.zeros(start + n)
    root = int(rng.integers(12))
    for at in range(0, len(sound), beat):
        chord = CHORDS[int(rng.integers(len(CHORDS)))]
        step = int(rng.choice([0, 5, 7, 9]))
        for note in chord:
            _strike(sound, at, 0.3, root + step + note, 0.6, rng)
        for half in (0, beat // 2):
            _strike(sound, at + half, 0.5, 12 + root + step + int(rng.choice(chord)), 0.25, rng)
        _drum(sound, at, rng)
    sound = sound[start:]
    return sound / max(rms(sound), 1e-9)


def _strike(sound: Sound, at: int, level: float, semitones: int, decay: float, rng: np.random.Generator) -> None:
    """Adds a plucked note from sample ``at``, ``decay`` seconds to a third of its level."""
    count = min(len(sound) - at, round(3.0 * decay * SAMPLE_RATE))
    if count <= 0:
        return
    time = np.arange(count) / SAMPLE_RATE
    pitch = LOWEST_NOTE * 2.0 ** (semitones / 12.0)
    # In periods, with a vibrato of a third of a per cent.
    phase = pitch * (time + 0.003 / (2 * np.pi * VIBRATO) * np.sin(2 * np.pi * VIBRATO * time)) + rng.uniform()
    period = _period(min(HARMONICS, int(SAMPLE_RATE / 2 / pitch)))
    wave = period[(phase * PERIOD).astype(np.int64) % PERIOD]
    sound[at : at + count] += level * wave * np.exp(-time / decay) * np.minimum(1.0, time / 0.005)


@functools.cache
def _period(harmonics: int) -> Sound:
    """``PERIOD`` samples of one period of a tone whose harmonics fall as 1 / k."""
    turn = 2 * np.pi * np.arange(PERIOD) / PERIOD
    return np.sum([np.sin(k * turn) / k for k in range(1, harmonics + 1)], axis=0)


def _drum(sound: Sound, at: int, rng: np.random.Generator) -> None:
    count = min(len(sound) - at, SAMPLE_RATE // 8)
    time = np.arange(count) / SAMPLE_RATE
    sound[at : at + count] += rng.standard_normal(count) * np.exp(-time / 0.03)


def reverberate(clip: Sound, seconds: float, rng: np.random.Generator) -> Sound:
    """``clip`` in a room whose sound falls by 60 dB in ``seconds``, cut to the same length, as loud as it was.

    The impulse response is the direct sound and, after a gap, Gaussian noise under an exponential envelope (Polack's
    model), as strong as the direct sound: some two metres from a speaker in a living room.
    """
    count = max(1, round(seconds * SAMPLE_RATE))
    tail = rng.standard_normal(count) * 10.0 ** (-3.0 * np.arange(count) / count)
    tail[: round(GAP * SAMPLE_RATE)] = 0.0
    tail *= decibels(-DIRECT_TO_REVERBERANT) / max(float(np.sqrt(np.sum(tail**2))), 1e-9)
    tail[0] = 1.0
    size = 1 << (len(clip) + count - 1).bit_length()
    wet: Sound = np.fft.irfft(np.fft.rfft(clip, size) * np.fft.rfft(tail, size), size)[: len(clip)]
    level = rms(wet)
    return wet * (rms(clip) / level) if level else wet


def change_speed(clip: Sound, factor: float) -> Sound:
    """``clip`` played ``factor`` times as fast, pitch and all, its middle kept in the middle of as many samples."""
    played = soxr.resample(clip, factor * SAMPLE_RATE, SAMPLE_RATE, quality="HQ")
    result = np.zeros(len(clip))
    n, surplus = min(len(played), len(clip)), len(played) - len(clip)
    source, target = max(0, surplus // 2), max(0, -surplus // 2)
    result[target : target + n] = played[source : source + n]
    return result


def overdrive(clip: Sound, gain: float) -> Sound:
    """``clip`` as a converter leaves it whose limit lies ``gain`` dB below the peak, with the peak as it was."""
    peak = float(np.max(np.abs(clip), initial=0.0))
    limit = peak * decibels(-gain)
    return np.clip(clip, -limit, limit) * decibels(gain)
