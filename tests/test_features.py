"""The torch features against librosa, and against the definition in float64."""

import librosa
import numpy as np
import pytest
import torch
from random_model import random_model
from signals import SIGNALS, noise_floor, reference_db

from kws.engine import Engine
from kws.features import PRESETS, mel_filterbank, place_clip, tables
from kws_training.features import LogMel

PRESET = PRESETS["bifsmn"]


def torch_features(pcm: np.ndarray) -> np.ndarray:
    return LogMel(PRESET)(torch.from_numpy(pcm[None]).float())[0].numpy()


def test_filterbank_is_librosas():
    expected = librosa.filters.mel(sr=16000, n_fft=2048, n_mels=32, fmin=0, fmax=8000, htk=True, norm=None)
    assert np.abs(mel_filterbank(PRESET) - expected).max() < 1e-6


def test_the_sparse_filterbank_is_the_dense_one():
    table, at = tables(PRESET), 0
    dense = np.zeros((PRESET.n_mels, PRESET.n_fft // 2 + 1), np.float32)
    for row, first, count in zip(dense, table.mel_first, table.mel_count, strict=True):
        row[first : first + count] = table.mel_weight[at : at + count]
        at += count
    assert at == len(table.mel_weight)
    assert np.array_equal(dense, mel_filterbank(PRESET).astype(np.float32))


@pytest.mark.parametrize("name", SIGNALS)
def test_torch_is_librosa_within_a_hundredth_of_a_decibel(name):
    pcm = SIGNALS[name]
    mel = librosa.feature.melspectrogram(
        y=pcm.astype(np.float64) / 32768,
        sr=16000,
        n_fft=2048,
        hop_length=512,
        window="hann",
        center=False,
        power=2.0,
        n_mels=32,
        fmin=0,
        fmax=8000,
        htk=True,
        norm=None,
    ) / np.sum(librosa.filters.get_window("hann", 2048) ** 2)
    expected = 10 * np.log10(np.maximum(mel, 1e-10))
    features = torch_features(pcm)
    assert features.shape == expected.shape == (32, 32)
    above = noise_floor(expected)
    assert np.abs(features - expected)[above].max() < 1e-2


@pytest.mark.parametrize("name", SIGNALS)
def test_torch_is_the_definition(name):
    expected = reference_db(SIGNALS[name], PRESET)
    above = noise_floor(expected)
    assert above.mean() > 0.5
    assert np.abs(torch_features(SIGNALS[name]) - expected)[above].max() < 1e-3


def test_a_clip_lies_where_a_centred_spectrogram_would_start_it():
    clip = np.arange(1, 16001, dtype=np.int16)
    window = place_clip(clip, PRESET)
    assert len(window) == PRESET.window_samples == 17920
    assert np.array_equal(window[1024:17024], clip)
    assert not window[:1024].any() and not window[17024:].any()
    assert np.array_equal(place_clip(np.ones(40000, np.int16), PRESET)[1024:], np.ones(16896, np.int16))


@pytest.mark.parametrize("name", SIGNALS)
def test_c_is_torch_within_a_thousandth_of_a_decibel(name):
    in_c, in_torch = Engine(random_model(0)).features(SIGNALS[name]), torch_features(SIGNALS[name])
    assert np.abs(in_c - in_torch)[noise_floor(in_torch)].max() < 1e-3
