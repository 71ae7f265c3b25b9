"""Composed windows against clips whose samples are known, and the noise of voices."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws_training.augment import BUSY, GENTLE
from kws_training.running import GAP, LATE, NEIGHBOUR_DB, VISIBLE, RunningSpeech
from kws_training.voices import LEVEL, SECONDS, make_voices

WINDOW = 17920
STILL = replace(BUSY, speed=0.0)
SPEECH = (5120, 9600)  # frames of 20 ms, so that the extent found is the one made


def burst(amplitude: float, seed: int) -> np.ndarray:
    """A clip of noise between two known samples and nothing around it."""
    clip = np.zeros(16000, np.int16)
    first, last = SPEECH
    clip[first:last] = np.clip(np.random.default_rng(seed).normal(0, amplitude, last - first), -30000, 30000)
    return clip


CLIPS = np.stack([burst(1000, 0), burst(4000, 1), burst(250, 2)])
WORD = CLIPS[0, SPEECH[0] : SPEECH[1]].astype(float)
LENGTH = len(WORD)


def shown(window: np.ndarray) -> tuple[int, float]:
    """Where the word ends in a window that may show it in part, and the part of its energy that is there."""
    correlation = np.convolve(window, WORD[::-1])  # index LENGTH - 1 + begin
    return int(correlation.argmax()) + 1, float((window**2).sum() / (WORD**2).sum())


@given(st.integers(0, 10**6))
def test_a_whole_word_ends_within_half_a_second_of_the_window_and_a_cut_one_shows_less_than_half(seed):
    alone = RunningSpeech(CLIPS, np.zeros(0, np.int64), WINDOW)
    window, whole = alone.compose(0, True, STILL, np.random.default_rng(seed))
    end, part = shown(window.astype(float))
    if whole:
        assert WINDOW - LATE * 16000 <= end <= WINDOW
        assert np.array_equal(window[end - LENGTH : end], WORD) and part == pytest.approx(1.0)
    else:
        assert end < LENGTH or end > WINDOW
        visible = min(end, LENGTH, WINDOW - end + LENGTH)
        assert int(VISIBLE[0] * LENGTH) <= visible <= int(VISIBLE[1] * LENGTH)
        assert part < 0.65


def test_a_word_is_cut_only_where_it_may_be():
    alone = RunningSpeech(CLIPS, np.zeros(0, np.int64), WINDOW)
    rng = np.random.default_rng(0)
    assert all(alone.compose(0, False, STILL, rng)[1] for _ in range(50))
    cut = sum(not alone.compose(0, True, STILL, rng)[1] for _ in range(400))
    assert 90 <= cut <= 150


@given(st.integers(0, 10**6))
def test_other_words_stand_beside_the_word_and_never_over_it(seed):
    speech = RunningSpeech(CLIPS, np.array([1, 2]), WINDOW)
    window, whole = speech.compose(0, False, STILL, np.random.default_rng(seed))
    end = shown(window.astype(float))[0]
    assert whole and np.array_equal(window[end - LENGTH : end], WORD)
    silence = int(GAP[0] * 16000) - 1
    assert not window[max(0, end - LENGTH - silence) : end - LENGTH].any() and not window[end : end + silence].any()
    for side in (window[: end - LENGTH], window[end:]):
        spoken = side[side != 0.0]
        if len(spoken) > 1000:
            level = 20 * np.log10(np.sqrt(np.mean(spoken**2)) / np.sqrt(np.mean(WORD**2)))
            assert NEIGHBOUR_DB[0] - 0.7 <= level <= NEIGHBOUR_DB[1] + 0.7


def test_most_windows_of_running_speech_hold_more_than_the_word():
    speech = RunningSpeech(CLIPS, np.array([1, 2]), WINDOW)
    rng = np.random.default_rng(1)
    more = sum(np.count_nonzero(speech.compose(0, False, STILL, rng)[0]) > 1.1 * LENGTH for _ in range(300))
    assert more > 150


def test_a_clip_keeps_its_speech_at_another_speed():
    alone = RunningSpeech(CLIPS, np.zeros(0, np.int64), WINDOW)
    rng = np.random.default_rng(2)
    lengths = {np.count_nonzero(alone.compose(0, False, replace(BUSY, speed=0.2), rng)[0]) for _ in range(60)}
    assert 0.8 * LENGTH <= min(lengths) < 0.9 * LENGTH and 1.1 * LENGTH < max(lengths) <= 1.26 * LENGTH


def test_voices_are_babble_and_tones_of_one_level():
    voices = make_voices(CLIPS, np.random.default_rng(0)).astype(float)
    half = SECONDS * 16000
    assert len(voices) == 2 * half
    assert np.array_equal(voices, make_voices(CLIPS, np.random.default_rng(0)))
    for part in (voices[:half], voices[half:]):
        assert np.sqrt(np.mean(part**2)) == pytest.approx(LEVEL, rel=0.05)

    def flatness(sound: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(sound[: half // 16000 * 16000].reshape(-1, 16000))) ** 2 + 1e-3
        return float(np.median(np.exp(np.log(power).mean(1)) / power.mean(1)))

    # These clips are of white noise: their babble is flat, where tones are lines.
    assert flatness(voices[:half]) > 0.3 and flatness(voices[half:]) < 0.01


def test_gentle_draws_no_voice_and_composes_nothing():
    assert GENTLE.running == GENTLE.voices == 0.0
    assert 0.0 < BUSY.running < 1.0 and 0.0 < BUSY.voices < 1.0
