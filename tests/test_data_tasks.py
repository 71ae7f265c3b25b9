"""Splits, tasks and reading, against the official rules written out."""

import hashlib
import re

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kws.data.audio import read_audio
from kws.data.splits import hash_split
from kws.data.tasks import (
    BACKGROUND,
    SILENCE,
    TASKS,
    UNKNOWN,
    Task,
    evaluation_set,
    scan,
    task_of_words,
    with_extra,
)
from kws.errors import KwsError


def official_split(filename: str) -> str:
    """The rule of the data set's README."""
    name = re.sub(r"_nohash_.*$", "", filename)
    percentage = (int(hashlib.sha1(name.encode()).hexdigest(), 16) % (2**27)) * (100.0 / (2**27 - 1))
    return "validation" if percentage < 10 else "testing" if percentage < 20 else "training"


@given(st.from_regex(r"[0-9a-f]{8}", fullmatch=True), st.integers(0, 9))
def test_split_is_the_official_rule_and_keeps_a_speaker_on_one_side(speaker, take):
    assert hash_split(f"{speaker}_nohash_{take}.wav") == official_split(f"{speaker}_nohash_{take}.wav")
    assert hash_split(f"{speaker}_nohash_{take}.wav") == hash_split(f"{speaker}_nohash_{take + 1}.flac")


def write(path, samples, rate=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


@pytest.fixture
def corpus(tmp_path):
    rng = np.random.default_rng(0)
    for word in ("yes", "no", "cat", "dog"):
        for speaker in range(120):
            write(tmp_path / word / f"{speaker:08x}_nohash_0.wav", rng.integers(-9, 9, 160).astype(np.int16))
    write(tmp_path / BACKGROUND / "ramp.wav", np.arange(16000 * 12).astype(np.int16))
    return tmp_path


def test_the_official_protocol(corpus):
    task = Task("t", ("yes", "no"))
    items = evaluation_set(scan(corpus), task, "training")
    by_class = [[clip for clip, label in items if label == index] for index in range(4)]
    words = len(by_class[0]) + len(by_class[1])
    assert words == sum(official_split(f"{s:08x}_nohash_0.wav") == "training" for s in range(120)) * 2
    assert len(by_class[2]) == len(by_class[3]) == -(-words // 10)
    assert {clip.word for clip in by_class[2]} == {"cat", "dog"}
    assert len({clip.path for clip in by_class[2]}) == len(by_class[2])
    assert items == evaluation_set(scan(corpus), task, "training")
    assert items != evaluation_set(scan(corpus), task, "training", seed=1)


def test_extra_recordings_are_for_training_alone(corpus, tmp_path_factory):
    more = tmp_path_factory.mktemp("more")
    for word in ("yes", "robot"):
        for speaker in range(30):
            write(more / word / f"{speaker:08x}_nohash_0.wav", np.ones(160, np.int16))
    write(more / BACKGROUND / "hum.wav", np.arange(16000 * 12).astype(np.int16))
    task = Task("t", ("yes", "no"))
    plain, rich = scan(corpus), with_extra(scan(corpus), scan(more))
    assert len(rich.select("yes", "training")) == len(plain.select("yes", "training")) + 30
    assert len(rich.others(task, "training")) == len(plain.others(task, "training")) + 30
    for split in ("validation", "testing"):
        assert evaluation_set(rich, task, split) == evaluation_set(plain, task, split)
    write(more / UNKNOWN / "a_nohash_0.wav", np.ones(160, np.int16))
    with pytest.raises(KwsError, match="_unknown_: extra recordings need words"):
        with_extra(plain, scan(more))
    alien = tmp_path_factory.mktemp("alien")
    write(alien / "robot" / "a_nohash_0.wav", np.ones(160, np.int16))
    with pytest.raises(KwsError, match="none of its folders"):
        with_extra(plain, scan(alien))


def test_silence_of_the_splits_comes_from_stretches_that_do_not_meet(corpus):
    found = {}
    for split in ("training", "validation", "testing"):
        cuts = [clip for clip, label in evaluation_set(scan(corpus), Task("t", ("yes",)), split) if label == 2]
        found[split] = [(clip.start, clip.start + 16000) for clip in cuts]
        for clip in cuts:
            assert np.array_equal(clip.read(), np.arange(16000 * 12).astype(np.int16)[clip.start : clip.start + 16000])
    assert max(end for _, end in found["training"]) <= 0.8 * 16000 * 12
    # A tenth of twelve seconds is 1.2 s: room for a one-second cut each.
    assert min(start for start, _ in found["validation"]) >= 0.8 * 16000 * 12
    assert max(end for _, end in found["validation"]) <= 0.9 * 16000 * 12 <= min(start for start, _ in found["testing"])


def test_list_files_decide_for_the_clips_they_name(corpus):
    (corpus / "validation_list.txt").write_text("yes/00000001_nohash_0.wav\n")
    (corpus / "testing_list.txt").write_text("yes/00000002_nohash_0.wav\n")
    splits = {clip.path.name: clip.split for clip in scan(corpus).clips["yes"]}
    assert splits.pop("00000001_nohash_0.wav") == "validation"
    assert splits.pop("00000002_nohash_0.wav") == "testing"
    assert splits == {name: official_split(name) for name in splits}


def test_own_unknown_and_silence_folders_are_used_as_they_are(corpus):
    for index in range(3):
        write(corpus / UNKNOWN / f"u{index}.wav", np.ones(160, np.int16))
        write(corpus / SILENCE / f"s{index}.wav", np.ones(160, np.int16))
    items = evaluation_set(scan(corpus), Task("t", ("yes", "no")), "all")
    assert sum(label == 3 for _, label in items) == 3
    assert {clip.word for clip, label in items if label == 2} == {"cat", "dog", UNKNOWN}


def test_the_tasks_are_the_published_ones():
    assert [len(TASKS[name].class_names) for name in ("12", "22", "35")] == [12, 22, 35]
    assert TASKS["12"].class_names[-2:] == (UNKNOWN, SILENCE) == TASKS["22"].class_names[-2:]
    assert UNKNOWN not in TASKS["35"].class_names and len(set(TASKS["35"].words)) == 35


@pytest.mark.parametrize("words", [[], ["yes", "yes"], [""], ["a/b"], ["_unknown_"], [" yes"]])
def test_words_that_cannot_be_are_refused(words):
    with pytest.raises(KwsError):
        task_of_words(words)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 2), (44100, 1), (48000, 2)])
def test_any_rate_and_channels_are_read_and_a_stretch_is_the_same_as_a_slice(tmp_path, rate, channels):
    time = np.arange(2 * rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time)
    soundfile.write(tmp_path / "t.flac", np.stack([tone] * channels, 1), rate)
    pcm = read_audio(tmp_path / "t.flac")
    expected = 0.5 * 32768 * np.sin(2 * np.pi * 1000 * np.arange(len(pcm)) / 16000)
    assert abs(len(pcm) - 32000) <= 1
    inner = slice(2000, 30000)
    assert np.abs(pcm[inner] - expected[inner]).max() < 30
    assert np.array_equal(read_audio(tmp_path / "t.flac", 5000, 7000), pcm[5000:12000])
    assert np.array_equal(read_audio(tmp_path / "t.flac", 30000, 7000), pcm[30000:])
