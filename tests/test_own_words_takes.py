"""Cutting a take out of running sound, and judging it: bursts of known place and level in noise of known level."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kws.own_words.takes import FRAME, Take, frames_of, take_of

RATE = 16000
ROOM_DBFS = -65.0


def hiss(seconds: float, dbfs: float = ROOM_DBFS, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return np.rint(32768 * 10 ** (dbfs / 20) * noise).astype(np.int16)


def with_tone(sound: np.ndarray, start: float, seconds: float, peak: float = 8000) -> np.ndarray:
    first, count = round(start * RATE), round(seconds * RATE)
    tone = peak * np.sin(2 * np.pi * 440 * np.arange(count) / RATE)
    result = sound.astype(np.float64)
    result[first : first + count] += tone
    return np.clip(result, -32768, 32767).astype(np.int16)


def take(sound: np.ndarray, size: int = 1000) -> Take:
    return take_of(frames_of(sound[at : at + size] for at in range(0, len(sound), size)), ROOM_DBFS)


@settings(max_examples=25)
@given(st.floats(0.3, 3.0), st.floats(0.2, 2.2), st.integers(40, 5000))
def test_the_word_is_found_whole_with_a_margin_however_the_sound_is_cut(start, seconds, size):
    sound = with_tone(hiss(start + seconds + 1.0), start, seconds)
    found = take(sound, size)
    assert found.fault == ""
    assert found.seconds == pytest.approx(seconds, abs=0.06)
    loud = np.flatnonzero(np.abs(found.pcm.astype(int)) > 2000)
    assert (loud[-1] - loud[0]) / RATE == pytest.approx(seconds, abs=0.002)
    assert loud[0] >= 0.1 * RATE and len(found.pcm) - loud[-1] >= 0.1 * RATE
    # What is kept is a stretch of the sound itself, neither scaled nor mended, and at least a second of it.
    places = range(round(start * RATE) - loud[0], round(start * RATE) - loud[0] + 16)
    assert any(np.array_equal(sound[at : at + len(found.pcm)], found.pcm) for at in places)
    assert len(found.pcm) >= RATE


def test_a_short_word_lies_in_the_middle_of_its_second():
    found = take(with_tone(hiss(4.0), 2.0, 0.4))
    loud = np.flatnonzero(np.abs(found.pcm.astype(int)) > 2000)
    assert len(found.pcm) == pytest.approx(RATE, abs=FRAME)
    assert (loud[0] + loud[-1]) / 2 == pytest.approx(RATE / 2, abs=2 * FRAME)


@pytest.mark.parametrize(
    ("sound", "fault"),
    [
        (hiss(10.0), "Nothing was heard"),
        (np.zeros(10 * RATE, np.int16), "Nothing was heard"),
        (with_tone(hiss(4.0), 1.0, 0.5, peak=60000), "clips"),
        (with_tone(hiss(4.0), 1.0, 0.5, peak=130), "Too quiet"),
        (with_tone(hiss(8.0), 1.0, 3.0), "took 3.0 s"),
        (with_tone(hiss(4.0), 0.0, 0.5), "before the recording"),
        (with_tone(hiss(30.0), 1.0, 29.0), "something else"),
    ],
)
def test_a_bad_take_says_what_is_wrong(sound, fault):
    assert fault in take(sound).fault


def test_a_click_is_not_a_word_and_the_word_after_it_is():
    sound = with_tone(with_tone(hiss(6.0), 1.0, 0.08), 2.5, 0.6)
    found = take(sound)
    assert found.fault == ""
    assert found.seconds == pytest.approx(0.6, abs=0.05)


def test_a_pause_between_the_words_of_a_phrase_ends_nothing():
    sound = with_tone(with_tone(hiss(5.0), 1.0, 0.4), 1.7, 0.4)
    assert take(sound).seconds == pytest.approx(1.1, abs=0.05)


def test_what_follows_a_take_is_left_for_the_next():
    sound = with_tone(with_tone(hiss(6.0), 1.0, 0.5), 3.0, 0.3)

    def chunks() -> Iterator[np.ndarray]:
        yield from (sound[at : at + 777] for at in range(0, len(sound), 777))

    frames = frames_of(chunks())
    assert take_of(frames, ROOM_DBFS).seconds == pytest.approx(0.5, abs=0.05)
    assert take_of(frames, ROOM_DBFS).seconds == pytest.approx(0.3, abs=0.05)
