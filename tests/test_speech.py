"""Windows of speech without the words: a recording that counts its samples tells where each was cut, and how fast."""

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from kws.errors import KwsError
from kws_training.dataset import read_negatives
from kws_training.speech import SPEED, STEP, Speech

WINDOW = 1000


def plain(items, total, title):
    return items


RAMP = np.arange(1, 8001).astype(np.int16)


@given(st.integers(0, 2**31))
def test_a_window_is_a_stretch_of_one_recording_at_one_speed(seed):
    speech = Speech([RAMP, -RAMP], WINDOW)
    windows = speech.draw(5, torch.Generator().manual_seed(seed)).numpy()
    assert windows.shape == (5, WINDOW) and windows.dtype == np.float32
    for window in np.abs(windows).astype(float):
        speed = (window[-1] - window[0]) / (WINDOW - 1)
        assert 1.0 - SPEED <= speed <= 1.0 + SPEED
        assert window == pytest.approx(window[0] + speed * np.arange(WINDOW), abs=0.02)
        assert (window[0] - 1) % STEP == pytest.approx(0.0)
    assert (np.sign(windows) == np.sign(windows[:, :1])).all()


def test_pauses_are_left_out_and_every_place_where_somebody_speaks_is_drawn():
    rng = np.random.default_rng(0)
    pause = rng.normal(0, 20, 16000).astype(np.int16)
    talk = rng.normal(0, 2000, 16000).astype(np.int16)
    speech = Speech([np.concatenate([pause, talk, pause])], WINDOW)
    windows = speech.draw(3000, torch.Generator().manual_seed(1))
    level = windows.square().mean(1).sqrt()
    assert level.min() > 0.8 * 2000 * 10 ** (-12 / 20)
    assert 0.02 < (level < 1500).float().mean() < 0.2  # at both edges, partly pause


def test_a_recording_shorter_than_a_window_is_padded_with_silence():
    window = Speech([np.full(300, 1000, np.int16)], WINDOW).draw(1, torch.Generator().manual_seed(0))[0]
    heard = int((window == 1000).sum())
    assert 300 / (1 + SPEED) - 2 <= heard <= 300 / (1 - SPEED) + 2 and not window[heard + 1 :].any()


def test_bad_negatives_are_one_sentence(tmp_path):
    with pytest.raises(KwsError, match="hold no sound; give recordings of people who speak"):
        Speech([np.zeros(5000, np.int16)], WINDOW)
    with pytest.raises(KwsError, match="no such folder; give one of recordings in which none"):
        read_negatives(tmp_path / "none", plain)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(KwsError, match="no readable recording directly in it; give a folder of them"):
        read_negatives(tmp_path, plain)
    soundfile.write(tmp_path / "whole.wav", np.full(8000, 0.5), 16000)
    pcm, skipped = read_negatives(tmp_path, plain)
    assert len(pcm) == 1 and len(skipped) == 1 and "broken.wav: not a readable recording" in skipped[0]


def test_a_quiet_speaker_after_a_loud_one_is_drawn_too_and_hiss_of_one_step_never():
    rng = np.random.default_rng(0)
    loud, quiet = (rng.normal(0, level, 16000 * 20).astype(np.int16) for level in (6000, 250))
    hiss = rng.integers(-1, 2, 16000 * 20).astype(np.int16)
    starts = Speech([np.concatenate([loud, hiss, quiet])], WINDOW).starts.numpy() / 16000
    shares = [np.mean((starts > first) & (starts < first + 20)) for first in (0, 20, 40)]
    assert shares[0] == pytest.approx(0.5, abs=0.02) and shares[2] == pytest.approx(0.5, abs=0.02)
    assert shares[1] < 0.01


def test_negatives_of_any_rate_are_read_at_16_khz_in_order(tmp_path):
    soundfile.write(tmp_path / "b.wav", np.full((48000, 2), 0.25), 48000)
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.5), 16000)
    (first, second), skipped = read_negatives(tmp_path, plain)
    assert not skipped
    assert len(first) == 8000 and len(second) == 16000 and first.dtype == np.int16
    assert first[4000] == 16384 and second[8000] == pytest.approx(8192, abs=2)
