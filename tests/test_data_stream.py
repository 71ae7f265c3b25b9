from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.data.noise import KINDS, noise
from kws.data.stream import make_stream
from kws.errors import KwsError


def clip(seed: int, samples: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, samples).astype(np.int16)


@given(
    takes=st.lists(st.lists(st.integers(1, 20000), min_size=1, max_size=3), min_size=1, max_size=4),
    seconds=st.floats(4.0, 20.0),
    seed=st.integers(0, 2**32),
)
def test_the_labels_say_where_every_sample_comes_from(takes, seconds, seed):
    clips = {
        f"word{w}": [clip(10 * w + t, length) for t, length in enumerate(lengths)] for w, lengths in enumerate(takes)
    }
    stream, labels = make_stream(clips, np.zeros(0, np.int16), seconds, seed)
    assert stream.dtype == np.int16
    assert len(stream) == round(16000 * seconds)
    # Without noise, what the labels name is one of the word's clips, and all else is silence.
    rest = stream.copy()
    for label in labels:
        piece = stream[label.start : label.end]
        assert any(np.array_equal(piece, take) for take in clips[label.word])
        rest[label.start : label.end] = 0
    assert not rest.any()
    edges = [0, *(edge for label in labels for edge in (label.start, label.end)), len(stream)]
    assert all(end - start >= 16000 for start, end in zip(edges[::2], edges[1::2], strict=True))


def test_every_word_comes_equally_often():
    clips = {word: [clip(seed, 12000)] for seed, word in enumerate(("yes", "no", "up"))}
    _, labels = make_stream(clips, np.zeros(0, np.int16), 100, 1)
    counts = [sum(label.word == word for label in labels) for word in clips]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) > 30


def test_noise_lies_at_its_level_under_the_words():
    quiet = clip(1, 50000)
    clips = {"yes": [clip(2, 16000)]}
    bare, labels = make_stream(clips, np.zeros(0, np.int16), 30, 5, noise_db=-40.0)
    noisy, noisy_labels = make_stream(clips, quiet, 30, 5, noise_db=-40.0)
    again, _ = make_stream(clips, quiet, 30, 5, noise_db=-40.0)
    assert [label.word for label in noisy_labels] == [label.word for label in labels]
    np.testing.assert_array_equal(noisy, again)
    silent = np.ones(len(noisy), bool)
    for label in noisy_labels:
        silent[label.start : label.end] = False
    level = 20 * np.log10(np.sqrt(np.mean((noisy[silent] / 32768.0) ** 2)))
    assert level == pytest.approx(-40.0, abs=0.2)
    assert not bare[: labels[0].start].any()


def test_loud_words_saturate_instead_of_wrapping():
    loud = np.full(16000, 32767, np.int16)
    stream, labels = make_stream({"yes": [loud]}, clip(1, 16000), 5, 0, noise_db=-10.0)
    piece = stream[labels[0].start : labels[0].end]
    assert piece.min() > 0 and piece.max() == 32767


def test_times_are_seconds():
    _, labels = make_stream({"yes": [clip(1, 8000)]}, np.zeros(0, np.int16), 5, 0)
    assert labels[0].time == labels[0].start / 16000


@pytest.mark.parametrize(
    ("clips", "seconds"),
    [({"yes": [clip(1, 16000)]}, 2.0), ({}, 9.0), ({"yes": []}, 9.0), ({"yes": [clip(1, 0)]}, 9.0)],
)
def test_what_cannot_be_a_stream_is_one_sentence(clips, seconds):
    with pytest.raises(KwsError, match=r"\.$"):
        make_stream(clips, np.zeros(0, np.int16), seconds, 0)


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_noise_falls_as_its_colour_says(kind, slope):
    samples = noise(kind, 20.0, 3) / 32768.0
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.1, rel=0.01)
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / 16000)
    octaves = [
        10 * np.log10(power[(frequency >= low) & (frequency < 2 * low)].mean()) for low in (250, 500, 1000, 2000)
    ]
    # The mean over an octave is that of its power density.
    assert np.diff(octaves).mean() == pytest.approx(slope, abs=0.2)


def test_hum_sits_on_the_harmonics_of_the_mains():
    samples = noise("hum", 10.0, 3) / 32768.0
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequency = np.fft.rfftfreq(len(samples), 0.1 / 1600)
    near = np.abs(frequency - 50 * np.rint(frequency / 50)) < 2
    assert power[near & (frequency > 40) & (frequency < 620)].sum() > 0.9 * power.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_noise_repeats_for_its_seed_alone(kind):
    np.testing.assert_array_equal(noise(kind, 1.0, 7), noise(kind, 1.0, 7))
    assert not np.array_equal(noise(kind, 1.0, 7), noise(kind, 1.0, 8))
    assert len(noise(kind, 1.5)) == 24000


@pytest.mark.parametrize(("kind", "seconds"), [("green", 1.0), ("white", 0.0)])
def test_noise_that_is_none(kind, seconds):
    with pytest.raises(KwsError):
        noise(kind, seconds)
