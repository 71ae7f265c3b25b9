"""Augmentation of a batch, in torch, on the int16 scale; every draw comes from one generator."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from kws.features import Preset


@dataclass(frozen=True)
class Augmentation:
    """Ranges of what is drawn for each clip.

    Attributes:
        shift: largest displacement, samples.
        speed: largest relative change of speed (and pitch).
        noise_share: share of clips that get background noise.
        snr: dB, lowest and highest.
        gain: dB, lowest and highest.
        mel_mask: widest masked band of mels.
        time_mask: widest masked run of frames.
        running: share of the clips that are put into running speech; see ``kws_training.running``.
        voices: share of the noise that is babble and tones (``kws_training.voices``) and no background recording.
    """

    shift: int = 1600
    speed: float = 0.08
    noise_share: float = 0.5
    snr: tuple[float, float] = (0.0, 30.0)
    gain: tuple[float, float] = (-10.0, 6.0)
    mel_mask: int = 3
    time_mask: int = 4
    running: float = 0.0
    voices: float = 0.0


MODERATE = Augmentation()
STRONG = Augmentation(speed=0.12, noise_share=0.7, gain=(-14.0, 6.0), mel_mask=6, time_mask=6)
"""For the float teacher, which would otherwise learn its training clips by heart."""

GENTLE = Augmentation(speed=0.05, noise_share=0.3, snr=(5.0, 30.0), mel_mask=2, time_mask=2)
"""For a network that has no capacity to spare: the binary student fits even its plain training clips only just."""

NOISY = replace(GENTLE, noise_share=0.5, snr=(0.0, 30.0), voices=0.5)
"""A room with other voices and music, for a student that has learned its words."""

BUSY_STRONG = replace(STRONG, speed=0.08, noise_share=0.8, mel_mask=3, time_mask=3, running=0.5, voices=0.4)
"""A room where people talk, for the teacher."""

BUSY = replace(GENTLE, noise_share=0.6, snr=(0.0, 30.0), running=0.5, voices=0.4)
"""The same for the student."""

LIVELY = replace(GENTLE, noise_share=0.4, snr=(0.0, 30.0), running=0.3, voices=0.4)
"""Half way, for a student that is to learn it from the start."""


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low


def _decibel(value: Tensor) -> Tensor:
    return 10.0 ** (value / 20.0)


def place(clips: Tensor, preset: Preset, settings: Augmentation, generator: Generator) -> Tensor:
    """Puts each clip at a drawn place and speed into a window of zeros, by linear interpolation.

    Args:
        clips: float32 [batch, n].

    Returns:
        float32 [batch, window_samples].
    """
    batch, n = clips.shape
    speed = 1.0 + _uniform((batch, 1), -settings.speed, settings.speed, generator)
    shift = _uniform((batch, 1), -settings.shift, settings.shift, generator)
    centre = preset.n_fft // 2 + n / 2 + shift
    position = (torch.arange(preset.window_samples) - centre) * speed + n / 2
    padded = torch.nn.functional.pad(clips, (1, 2))
    position = (position + 1.0).clamp_(0.0, n + 1.0)
    index = position.to(torch.int64)
    fraction = position - index
    left, right = padded.gather(1, index), padded.gather(1, index + 1)
    return left + (right - left) * fraction


def add_noise(clips: Tensor, noise: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """Adds ``noise`` to the drawn share of the clips at a drawn signal-to-noise ratio. Both float32 [batch, n]."""
    batch = len(clips)
    used = torch.rand((batch, 1), generator=generator) < settings.noise_share
    ratio = _decibel(-_uniform((batch, 1), *settings.snr, generator))
    level = clips.square().mean(1, keepdim=True).sqrt() / noise.square().mean(1, keepdim=True).sqrt().clamp_min(1.0)
    return clips + noise * level * ratio * used


def apply_gain(clips: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """A drawn gain, then rounding and saturation as a 16-bit converter does. float32 [batch, n]."""
    gain = _decibel(_uniform((len(clips), 1), *settings.gain, generator))
    return (clips * gain).round_().clamp_(-32768.0, 32767.0)


def _bands(batch: int, size: int, widest: int, generator: Generator) -> Tensor:
    width = (torch.rand((batch, 1), generator=generator) * (widest + 1)).floor()
    start = (torch.rand((batch, 1), generator=generator) * (size - width)).floor()
    place = torch.arange(size)
    return (place >= start) & (place < start + width)


def mask_spectrum(features: Tensor, settings: Augmentation, generator: Generator) -> Tensor:
    """SpecAugment (Park et al., 2019): one band of mels and one run of frames set to the clip's mean.

    ``features``: float32 [batch, n_mels, frames]. Returns the same shape.
    """
    batch, mels, frames = features.shape
    rows = _bands(batch, mels, settings.mel_mask, generator)[:, :, None]
    columns = _bands(batch, frames, settings.time_mask, generator)[:, None, :]
    return torch.where(rows | columns, features.mean((1, 2), keepdim=True), features)
