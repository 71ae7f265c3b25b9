"""Augmentation: what it may change and what it must not."""

import numpy as np
import torch

from kws.features import PRESETS
from kws_training.augment import Augmentation, add_noise, apply_gain, mask_spectrum, place

PRESET = PRESETS["bifsmn"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def decibel(x: torch.Tensor) -> torch.Tensor:
    return 10 * torch.log10(x)


def test_without_shift_and_speed_a_clip_lies_as_in_evaluation():
    clips = torch.randn(3, 16000).round()
    windows = place(clips, PRESET, Augmentation(shift=0, speed=0.0), generator())
    assert torch.equal(windows[:, 1024:17024], clips)
    assert not windows[:, :1024].any() and not windows[:, 17024:].any()


def test_speed_changes_the_pitch_by_the_drawn_ratio_and_shift_the_place_within_bounds():
    time = torch.arange(16000) / 16000
    clips = (torch.sin(2 * np.pi * 1000 * time) * torch.exp(-(((time - 0.5) / 0.05) ** 2)))[None].repeat(64, 1)
    settings = Augmentation(shift=2000, speed=0.12)
    windows = place(clips, PRESET, settings, generator())
    peak = torch.fft.rfft(windows).abs().argmax(1) * 16000 / PRESET.window_samples
    assert peak.min() >= 1000 * 0.87 and peak.max() <= 1000 * 1.13 and peak.std() > 30
    energy = windows.square()
    centre = (energy * torch.arange(PRESET.window_samples)).sum(1) / energy.sum(1)
    assert (centre - (1024 + 8000)).abs().max() <= 2100 and centre.std() > 500


def test_noise_comes_at_the_drawn_ratio_to_the_drawn_share():
    clips, noise = torch.randn(400, 4000) * 1000, torch.randn(400, 4000) * 7
    settings = Augmentation(noise_share=0.5, snr=(5.0, 15.0))
    added = add_noise(clips, noise, settings, generator()) - clips
    touched = added.abs().amax(1) > 0
    assert 0.4 < touched.float().mean() < 0.6
    ratio = decibel(clips.square().mean(1) / added.square().mean(1).clamp_min(1e-9))[touched]
    assert ratio.min() >= 4.9 and ratio.max() <= 15.1 and ratio.std() > 2


def test_gain_lies_in_range_and_saturates_like_a_converter():
    clips = torch.full((300, 100), 1000.0)
    out = apply_gain(clips, Augmentation(gain=(-14.0, 6.0)), generator())
    gain = decibel((out[:, 0] / 1000).square())
    assert gain.min() >= -14.1 and gain.max() <= 6.1
    assert torch.equal(out, out.round())
    loud = apply_gain(torch.full((50, 10), 32000.0), Augmentation(gain=(6.0, 6.0)), generator())
    assert loud.max() == 32767


def test_masks_are_one_band_and_one_run_at_the_mean():
    features = torch.randn(200, 32, 32)
    out = mask_spectrum(features, Augmentation(mel_mask=5, time_mask=6), generator())
    changed = out != features
    rows, columns = changed.all(2).sum(1), changed.all(1).sum(1)
    assert rows.max() == 5 and columns.max() == 6 and rows.min() == 0
    for index in range(200):
        band = changed[index].all(1).nonzero()[:, 0]
        assert len(band) == 0 or band.max() - band.min() == len(band) - 1
        values = out[index][changed[index]]
        assert len(values) == 0 or torch.allclose(values, features[index].mean().expand_as(values))
