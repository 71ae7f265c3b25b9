from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kws.data.noise import KINDS, noise
from kws.data.stream import RUNNING, Mix, make_stream, speech_extent
from kws.data.tasks import BACKGROUND, Corpus, scan
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


# --- hours of it ------------------------------------------------------------------------------------------------------


def burst(seed: int, before: int, speech: int, after: int) -> np.ndarray:
    """A clip: near silence, a loud stretch, near silence."""
    rng = np.random.default_rng(seed)
    loud = 3000 * rng.standard_normal(speech)
    parts = [2 * rng.standard_normal(before), loud, 2 * rng.standard_normal(after)]
    return np.clip(np.rint(np.concatenate(parts)), -32768, 32767).astype(np.int16)


def test_the_extent_of_speech_is_where_it_is_loud() -> None:
    first, last, level = speech_extent(burst(1, 4800, 6400, 4800))
    assert (first, last) == (4800, 11200)
    assert level == pytest.approx(20 * np.log10(3000 / 32768), abs=0.3)
    assert speech_extent(np.zeros(1000, np.int16)) == (0, 1000, -100.0)
    assert speech_extent(np.full(5, 1000, np.int16))[:2] == (0, 5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    root = tmp_path_factory.mktemp("mix")
    for number, word in enumerate(("yes", "no", "other", BACKGROUND)):
        (root / word).mkdir()
        for take in range(3):
            soundfile.write(root / word / f"{take}.wav", burst(10 * number + take, 4800, 6400, 4800), 16000)
    return scan(root)


def mixed(corpus: Corpus, **changes) -> tuple[np.ndarray, list]:
    settings = {"minutes": 2.0, "snr": (math.inf, math.inf), "split": "all", "seed": 3} | changes
    sections = list(Mix(corpus, ["yes", "no", "absent"], **settings).sections())
    return np.concatenate([one.pcm for one in sections]), [label for one in sections for label in one.labels]


def test_a_mix_is_words_amid_pauses_between_runs_of_others(corpus) -> None:
    pcm, labels = mixed(corpus)
    assert len(pcm) == 2 * 60 * 16000
    words = [label.word for label in labels]
    assert abs(words.count("yes") - words.count("no")) <= 1 and words.count("yes") > 5 and "absent" not in words
    power = np.abs(pcm.astype(np.float64))
    inside = np.zeros(len(pcm), bool)
    for label in labels:
        assert label.end - label.start == 6400
        inside[label.start : label.end] = True
        assert power[label.start : label.end].mean() > 20 * power[label.start - 400 : label.start].mean()
    assert power[~inside].max() < 0.05 * power.max()
    for before, label, after in zip(labels, labels[1:], labels[2:], strict=False):
        if label.word != "other" and label.start - before.end < 10 * 16000 > after.start - label.end:
            assert label.start - before.end >= 8000 <= after.start - label.end
        if before.word == label.word == "other":
            assert 800 <= label.start - before.end <= 4800 or label.start // 960000 != before.start // 960000


def test_a_run_of_other_words_never_says_a_phrase_that_is_to_be_found(corpus) -> None:
    yes, no, other = (corpus.clips[word] for word in ("yes", "no", "other"))
    joined = [replace(clip, word="yes_no") for clip in other]
    mix = Mix(Corpus(corpus.root, {"yes_no": joined, "rest": [*yes, *no]}, []), ["yes_no"], 5.0, split="all")
    said = [label for section in mix.sections() for label in section.labels]
    assert {label.word for label in said} == {"yes", "no", "yes_no"}
    in_runs = [
        (one.word, next_one.word) for one, next_one in itertools.pairwise(said) if next_one.start - one.end < 4801
    ]
    assert ("no", "yes") in in_runs and ("no", "no") in in_runs and ("yes", "no") not in in_runs


def test_a_mix_keeps_its_distance_from_the_background(corpus) -> None:
    clean, labels = mixed(corpus)
    noisy, same = mixed(corpus, snr=(12.0, 12.0))
    assert [label.word for label in same] == [label.word for label in labels]
    for at in (0, 60 * 16000):
        gaps = np.ones(60 * 16000, bool)
        own = [label for label in same if at <= label.start < at + len(gaps)]
        for label in own:
            gaps[label.start - at - 5000 : label.end - at + 5000] = False
        minute = noisy[at : at + len(gaps)].astype(np.float64)
        noise = np.sqrt(np.mean(minute[gaps] ** 2))
        speech = np.median([np.sqrt(np.mean(minute[one.start - at : one.end - at] ** 2)) for one in own])
        assert 20 * np.log10(speech / noise) == pytest.approx(12.0, abs=1.5)
    assert not np.array_equal(clean, noisy)


def test_a_mix_repeats_for_its_recipe_alone(corpus) -> None:
    first, second = mixed(corpus, snr=(0.0, 20.0)), mixed(corpus, snr=(0.0, 20.0))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]
    assert not np.array_equal(first[0], mixed(corpus, snr=(0.0, 20.0), seed=4)[0])


def test_a_longer_mix_begins_like_a_shorter_one(corpus) -> None:
    np.testing.assert_array_equal(mixed(corpus)[0][: 60 * 16000], mixed(corpus, minutes=0.1)[0])


def test_a_mix_without_a_word_is_one_sentence(corpus) -> None:
    with pytest.raises(KwsError, match="no testing clip of yes, no"):
        next(Mix(replace(corpus, clips={"other": corpus.clips["other"]}), ["yes", "no"], 1, split="testing").sections())


@pytest.fixture(scope="module")
def talk(tmp_path_factory) -> list[Path]:
    """Running speech: a long recording that nowhere repeats, a short one at another rate, and a pause."""
    folder = tmp_path_factory.mktemp("talk")
    soundfile.write(folder / "long.wav", burst(4, 0, 30 * 16000, 0), 16000)
    soundfile.write(folder / "short.wav", burst(5, 0, 24000, 0), 24000)
    soundfile.write(folder / "pause.wav", np.full(60000, 3, np.int16), 16000)
    return sorted(folder.iterdir())


def test_words_of_a_mix_may_stand_amid_running_speech(corpus, talk) -> None:
    pcm, labels = mixed(corpus, speech=talk, minutes=4.0)
    said = [label for label in labels if label.word == RUNNING]
    assert {label.word for label in labels} == {"yes", "no", RUNNING}
    assert {label.clip.name for label in said} == {"long.wav", "short.wav"}  # a pause is not made louder
    # Words and stretches come by turns, but for pauses.
    words = [label.word == RUNNING for label in labels]
    assert 0.5 < sum(words) / (len(words) - sum(words)) < 1.0
    whole = soundfile.read(next(path for path in talk if path.name == "long.wav"), dtype="int16")[0].astype(np.float64)
    places = set()
    for label in said:
        seconds = (label.end - label.start) / 16000
        assert seconds <= 6.0
        if label.clip.name == "short.wav":
            assert seconds == pytest.approx(1.0, abs=0.05)
            continue
        assert seconds >= 1.4
        # It is a stretch of the recording, by one gain.
        part = pcm[label.start + 400 : label.start + 900].astype(np.float64)
        at = int(np.argmax(np.correlate(whole, part, "valid")))
        assert np.corrcoef(whole[at : at + 500], part)[0, 1] > 0.999
        places.add(at)
    assert len(places) > 5
    np.testing.assert_array_equal(pcm, mixed(corpus, speech=talk, minutes=4.0)[0])
