"""`kws listen` with the real engine: its lines are what the stream says about the same samples."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import soundfile
from fake_sounddevice import FakeSounddevice, device
from random_model import random_model
from reference import liven, stimulus
from typer.testing import CliRunner

from kws.cli import application
from kws.data.audio import read_audio
from kws.engine import Engine
from kws.errors import KwsError
from kws.listen import microphone
from kws.model import save


@pytest.fixture
def model(tmp_path):
    """A random model that hears something in everything, and its file."""
    model = random_model(1)
    model.word_threshold[:] = 0.05
    save(model, tmp_path / "model.kws")
    return model, tmp_path / "model.kws"


@pytest.fixture
def sound():
    """Bursts of noise of different colours, int16 [n]."""
    rng = np.random.default_rng(4)
    bursts = [np.convolve(rng.normal(0, 4000, 12000), rng.normal(0, 0.4, 8), "same") for _ in range(6)]
    return np.concatenate([part for burst in bursts for part in (burst * np.hanning(12000), np.zeros(8000))]).astype(
        np.int16
    )


def expected(model, samples, depth):
    events = Engine(model).stream(depth).feed(np.concatenate([samples, np.zeros(16000, np.int16)]))
    return [(event.word, round(event.time, 3), round(event.score, 4), event.depth) for event in events]


def found(output):
    lines = [json.loads(line) for line in output.splitlines()]
    return [(one["word"], one["time"], one["score"], one["depth"]) for one in lines]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_files_give_the_stream_s_events(tmp_path, model, sound, depth):
    folded, path = model
    soundfile.write(tmp_path / "a.wav", sound, 16000)
    soundfile.write(tmp_path / "b.flac", np.stack([sound[::-1]] * 2, axis=1), 48000)
    files = [tmp_path / "a.wav", tmp_path / "b.flac"]
    arguments = ["listen", *map(str, files), "--model", str(path), "--depth", str(depth), "--json"]
    result = CliRunner().invoke(application(), arguments)
    assert result.exit_code == 0, result.output
    wanted = [event for file in files for event in expected(folded, read_audio(file), depth)]
    assert wanted
    assert found(result.stdout) == wanted


@pytest.mark.parametrize(
    ("options", "change"),
    [
        (["--depth", "adaptive"], lambda stream: stream.set_adaptive(4, 1)),
        (["--sensitivity", "0.3"], lambda stream: stream.set_sensitivity(0.3)),
        (["--sensitivity", "word0=0.3"], lambda stream: stream.set_sensitivity(0.3, "word0")),
        (
            ["--sensitivity", "word0=0.7", "--sensitivity", "0.3"],
            lambda stream: (stream.set_sensitivity(0.3), stream.set_sensitivity(0.7, "word0")),
        ),
        (["--threshold", "word0=0.9"], lambda stream: stream.set_threshold("word0", 0.9)),
        (["--gate", "-20"], lambda stream: stream.set_gate(-20.0)),
    ],
)
def test_settings_reach_the_stream(tmp_path, model, options, change):
    folded, path = model
    liven(folded, 1)
    folded.wake, folded.word_threshold[:] = 0.4, 0.3
    save(folded, path)
    sound = stimulus(1, 16000 * 20)
    soundfile.write(tmp_path / "a.wav", sound, 16000)
    samples = np.concatenate([sound, np.zeros(16000, np.int16)])
    stream = Engine(folded).stream()
    change(stream)
    wanted = [(one.word, round(one.time, 3), round(one.score, 4), one.depth) for one in stream.feed(samples)]
    result = CliRunner().invoke(
        application(), ["listen", str(tmp_path / "a.wav"), "--model", str(path), "--json", *options]
    )
    assert found(result.stdout) == wanted != expected(folded, sound, 1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--gate", "inf"), "lets no sound through"),
        (("--gate", "60"), "A gate of 60 dBFS lets no sound through"),
        (("--gate", "nan"), "not a number in"),
        (("--threshold", "0"), "A threshold of 0.0 is out of range; give a score from 0.01 to 1"),
        (("--threshold", "word0=0.001"), "A threshold of 0.001 is out of range"),
    ],
)
def test_settings_at_which_nothing_is_ever_heard_are_one_sentence(tmp_path, model, sound, options, sentence):
    soundfile.write(tmp_path / "a.wav", sound, 16000)
    result = CliRunner().invoke(application(), ["listen", str(tmp_path / "a.wav"), "--model", str(model[1]), *options])
    assert isinstance(result.exception, KwsError) and sentence in str(result.exception)


def test_a_16_khz_microphone_gives_the_file_s_events_exactly(tmp_path, model, sound, monkeypatch):
    folded, path = model
    samples = np.concatenate([sound, np.zeros(16000, np.int16)])

    def ctrl_c():
        raise KeyboardInterrupt

    fake = FakeSounddevice((samples / 32768.0).astype(np.float32)[:, None], [device("mic", 1, 16000.0)], at_end=ctrl_c)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    # The fake plays faster than real time.
    monkeypatch.setattr(microphone, "MOST_WAITING_SECONDS", np.inf)
    result = CliRunner().invoke(application(), ["listen", "--model", str(path), "--json"])
    assert result.exit_code == 0, result.output
    assert found(result.stdout) == expected(folded, sound, 1)


def test_a_model_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "bad.kws").write_bytes(b"KWSMODEL and nothing more")
    result = CliRunner().invoke(
        application(), ["listen", str(tmp_path / "a.wav"), "--model", str(tmp_path / "bad.kws")]
    )
    assert isinstance(result.exception, KwsError)
    assert "bad.kws" in str(result.exception)
