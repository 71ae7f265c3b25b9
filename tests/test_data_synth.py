from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from kws.data import espeak, synth
from kws.data.espeak import Utterance, speak
from kws.data.synth import synthesise
from kws.data.tasks import scan
from kws.errors import KwsError


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.wav")
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth")
    synthesise(["yes", "hey pi", "no"], out, count=45, seed=3, noises=True)
    return out


def test_the_layout_is_that_of_speech_commands(corpus):
    assert sorted(path.name for path in corpus.iterdir()) == ["_background_noise_", "hey_pi", "no", "yes"]
    for word in ("yes", "hey_pi", "no"):
        files = list((corpus / word).iterdir())
        assert len(files) == 45
        assert all(re.fullmatch(r"[0-9a-f]{8}_nohash_\d+\.wav", file.name) for file in files)


def test_the_files_are_16_khz_mono_16_bit(corpus):
    for path in corpus.rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert info.frames >= 16000


def test_the_word_is_in_the_middle_of_its_second(corpus):
    for path in (corpus / "yes").iterdir():
        samples = soundfile.read(path)[0]
        loud = np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max())
        assert 0.1 < np.abs(samples).max() < 1.0
        assert 0.2 < (loud[0] + loud[-1]) / 2 / 16000 < 0.8
        edges = np.concatenate([samples[:400], samples[-400:]])
        if len(samples) == 16000 and loud[0] > 1600 and loud[-1] < 14400:
            # The room: audible to a microphone, 40 dB and more below the word.
            assert 0 < np.sqrt(np.mean(edges**2)) < 0.01 * np.abs(samples).max() + 1e-3


def test_a_voice_is_in_one_split_and_every_split_has_voices(corpus):
    splits = defaultdict(set)
    data = scan(corpus)
    for word in ("yes", "no", "hey_pi"):
        for clip in data.clips[word]:
            splits[clip.path.name[:8]].add(clip.split)
        assert {clip.split for clip in data.clips[word]} == {"training", "validation", "testing"}
    assert all(len(of_voice) == 1 for of_voice in splits.values())
    assert len(splits) == 45


def test_a_small_corpus_has_every_split_too():
    order = synth.voices_in_turn(synth.VOICES)
    assert sorted(order) == sorted(synth.VOICES)
    assert {synth.hash_split(f"{synth.speaker_id(name)}_nohash_0.wav") for name in order[:12]} == {
        "training",
        "validation",
        "testing",
    }


def test_voices_differ(corpus):
    assert len(set(hashes(corpus / "yes").values())) == 45


def test_the_same_seed_gives_the_same_files_whatever_else_is_said(corpus, tmp_path):
    synthesise(["no", "seven"], tmp_path / "a", count=45, seed=3)
    assert hashes(tmp_path / "a" / "no") == hashes(corpus / "no")
    synthesise(["no"], tmp_path / "b", count=45, seed=4)
    other = hashes(tmp_path / "b" / "no")
    assert other.keys() == hashes(corpus / "no").keys()
    assert not set(other.values()) & set(hashes(corpus / "no").values())


def test_a_long_phrase_keeps_its_length(tmp_path):
    synthesise(["the quick brown fox jumps over the lazy dog"], tmp_path, count=2)
    for path in tmp_path.rglob("*.wav"):
        assert 1.5 < soundfile.info(path).duration < 6.0


def test_background_noise_is_long_enough_for_every_split(corpus):
    names = {path.name: soundfile.info(path).duration for path in (corpus / "_background_noise_").iterdir()}
    assert names == {f"{kind}.wav": 60.0 for kind in ("white", "pink", "brown", "hum")}


def test_other_languages(tmp_path):
    synthesise(["ja", "schön"], tmp_path, count=3, language="de")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ja", "schön"]
    with pytest.raises(KwsError, match="does not speak 'dolphin'"):
        synthesise(["ja"], tmp_path / "k", language="dolphin")
    assert not (tmp_path / "k" / "ja").exists()


def test_recordings_are_not_overwritten_unasked(tmp_path):
    own = tmp_path / "yes" / "mine.wav"
    own.parent.mkdir()
    soundfile.write(own, np.zeros(100), 16000)
    with pytest.raises(KwsError, match=r"already holds recordings; .*--replace"):
        synthesise(["yes"], tmp_path, count=2)
    assert own.exists()
    synthesise(["yes"], tmp_path, count=2, replace=True)
    assert not own.exists()
    assert len(list((tmp_path / "yes").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["yes", "yes"], {}),
        (["hey pi", "hey_pi"], {}),
        (["..."], {}),
        (["../up"], {}),
        (["_unknown_"], {}),
        ([""], {}),
        (["a\0b"], {}),
        (["yes"], {"count": 0}),
        (["yes"], {"count": 10001}),
        (["yes"], {"seed": -1}),
    ],
)
def test_what_cannot_be_said_is_one_sentence(tmp_path, words, more):
    with pytest.raises(KwsError) as caught:
        synthesise(words, tmp_path / "out", **more)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_no_half_folder(tmp_path):
    def interrupt(word: str, done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise(["yes"], tmp_path, count=10, progress=interrupt)
    assert not (tmp_path / "yes").exists()
    synthesise(["yes"], tmp_path, count=10)
    assert [path.name for path in tmp_path.iterdir()] == ["yes"]


def test_trim_keeps_the_sound_and_nothing_around_it():
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    trimmed = synth.trim(np.concatenate([np.zeros(3200), tone, np.full(4803, 1e-4)]))
    np.testing.assert_array_equal(trimmed, tone)


def test_pitch_and_rate_reach_the_voice():
    def length(samples) -> int:
        return len(synth.trim(np.asarray(samples, float)))

    def frequency(samples) -> float:
        wave = np.asarray(samples, float)
        middle = wave[len(wave) // 3 : 2 * len(wave) // 3]
        correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
        shortest, longest = rate // 200, rate // 50
        return rate / (shortest + np.argmax(correlation[shortest:longest]))

    rate, (slow, fast, low, high) = speak(
        [
            Utterance("seven", "en-us", rate=100),
            Utterance("seven", "en-us", rate=250),
            Utterance("ah", "en-us", pitch=10, range=0),
            Utterance("ah", "en-us", pitch=90, range=0),
        ]
    )
    assert length(slow) > 1.4 * length(fast)
    assert frequency(high) > 1.2 * frequency(low)


def test_answers_come_in_the_order_of_the_questions():
    _, (short, nothing, long) = speak([Utterance(text, "en") for text in ("no", "", "no no no no")])
    assert not any(nothing)
    assert len(long) > 2 * len(short) > 0


def test_a_word_that_espeak_passes_over_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(espeak, "speak", lambda utterances: (22050, [[0] * 100] * len(utterances)))
    with pytest.raises(KwsError, match="says nothing for 'hm'"):
        synthesise(["hm"], tmp_path, count=1)
    assert not (tmp_path / "hm").exists()


def test_without_espeak_the_remedy_is_named(tmp_path, monkeypatch):
    # The library of neither package nor system can be loaded in the new process.
    (tmp_path / "espeakng_loader.py").write_text("raise ImportError")
    (tmp_path / "sitecustomize.py").write_text("import ctypes\ndef none(*a): raise OSError\nctypes.CDLL = none\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(KwsError, match=r"not installed; install it with: pip install espeakng-loader"):
        espeak.variants()


def test_a_crash_of_the_library_is_one_sentence(tmp_path, monkeypatch):
    crash = "import os, signal\ndef get_library_path(): os.kill(os.getpid(), signal.SIGKILL)\n"
    (tmp_path / "espeakng_loader.py").write_text(crash)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(KwsError, match="status -9"):
        espeak.variants()


def test_data_at_a_long_path_is_found(tmp_path, monkeypatch):
    loader = pytest.importorskip("espeakng_loader")
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(loader.get_data_path())
    (tmp_path / "espeakng_loader.py").write_text(
        f"def get_library_path(): return {loader.get_library_path()!r}\n"
        f"def get_data_path(): return {str(deep / 'espeak-ng-data')!r}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "f1" in espeak.variants()
    assert len(speak([Utterance("yes", "en-us+f1")])[1][0]) > 1000


def test_the_command_and_its_refusal(tmp_path):
    from kws.cli import application

    out = tmp_path / "out"
    done = CliRunner().invoke(application(), ["data", "synth", "yes", "hey pi", "--out", str(out), "--count", "2"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in out.iterdir()) == ["hey_pi", "yes"]
    sentences = ["data", "synth", "yes", "no", "--sentences", "--out", str(tmp_path / "talk"), "--count", "2"]
    done = CliRunner().invoke(application(), sentences)
    assert done.exit_code == 0 and "2 sentences in" in done.output and "none of which says yes, no" in done.output
    assert len(list((tmp_path / "talk").glob("*.wav"))) == 2
    refused = CliRunner().invoke(application(), [*sentences, "--noise"])
    assert isinstance(refused.exception, KwsError) and "--noise goes with words" in str(refused.exception)
    again = subprocess.run(
        [sys.executable, "-m", "kws", "data", "synth", "yes", "--out", str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert again.returncode == 1
    assert again.stderr.strip().splitlines() == [
        f"{out / 'yes'}: already holds recordings; choose another --out, or --replace them."
    ]
