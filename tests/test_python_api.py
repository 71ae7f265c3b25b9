"""`kws.Model` and `kws.Listener`, and that every example of docs/python.md runs and says what it says."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from fake_sounddevice import FakeSounddevice, device
from random_model import random_model
from reference import liven, stimulus

import kws
from kws.engine import Engine
from kws.features import place_clip
from kws.model import save

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/python.md"
RECORDINGS = ROOT / "tests/recordings"


@pytest.fixture(scope="module")
def model():
    """A random model that hears many words."""
    model = random_model(1)
    liven(model, 1)
    model.word_threshold[:] = 0.3
    return model


NOISE = stimulus(1, 16000 * 10)


@pytest.mark.parametrize("depth", [1, 4])
def test_a_clip_is_what_the_engine_says(model, depth):
    engine = Engine(model)
    clip = NOISE[:9000]
    answer = kws.Model(engine).classify(clip, depth=depth)
    wanted = engine.softmax(engine.classify(place_clip(clip, engine.preset), depth))
    assert list(answer.scores) == engine.class_names
    np.testing.assert_array_equal(np.array(list(answer.scores.values()), np.float32), wanted)
    assert answer.word == engine.class_names[wanted.argmax()] and answer.score == wanted.max()


def test_floats_on_another_scale_are_refused_and_a_little_above_full_scale_is_clipped(model):
    one = kws.Model(Engine(model))
    clip = NOISE[:8000]
    with pytest.raises(kws.KwsError, match="full scale is 1; divide them"):
        one.classify(clip.astype(np.float32))
    loud = clip * (1.5 / np.abs(clip).max())
    assert one.classify(loud) == one.classify(np.clip(loud, -1.0, 1.0))


def test_a_clip_may_be_float_or_of_another_rate(model):
    one = kws.Model(Engine(model))
    clip = NOISE[:8000]
    assert one.classify(clip / 32768.0) == one.classify((clip / 32768.0).astype(np.float32)) == one.classify(clip)
    fast = soxr.resample((clip / 32768.0).astype(np.float32), 16000, 48000, quality="HQ")
    back = soxr.resample(fast, 48000, 16000, quality="HQ")
    assert one.classify(fast, 48000) == one.classify(back)
    assert one.classify(np.zeros(0, np.int16)) == one.classify(np.zeros(100, np.int16))


@pytest.mark.parametrize(
    ("clip", "options", "sentence"),
    [
        (np.zeros((10, 2), np.int16), {}, r"int16 of shape \[10, 2\]"),
        (np.zeros(10, np.int32), {}, r"int32 of shape \[10\]"),
        ([1, 2, 3], {}, "give int16"),
        (np.array([0.0, np.nan]), {}, "not numbers"),
        (np.zeros(40000, np.int16), {}, "lasts 2.50 s .* kws.Listener"),
        (np.zeros(10, np.int16), {"rate": 0}, "rate of 0 Hz"),
        (np.zeros(10, np.int16), {"depth": 3}, "no depth 3"),
    ],
)
def test_what_is_no_clip_is_one_sentence(model, clip, options, sentence):
    with pytest.raises(kws.KwsError, match=sentence):
        kws.Model(Engine(model)).classify(clip, **options)


def test_load_takes_what_the_commands_take(model, tmp_path):
    save(model, tmp_path / "mine.kws")
    one = kws.Model.load(tmp_path / "mine.kws")
    assert (one.words, one.depths) == (tuple(model.class_names[: model.n_words]), tuple(model.deltas))
    assert one.classes == tuple(model.class_names) and one.seconds == pytest.approx(1.12, abs=0.2)
    assert one.stream().feed(NOISE) == Engine(model).stream().feed(NOISE)
    with pytest.raises(kws.KwsError, match="no such model"):
        kws.Model.load("nothing")


def test_a_listener_hears_arrays_files_and_microphones_alike(model, tmp_path, monkeypatch):
    engine = Engine(model)
    tail = np.zeros(16000, np.int16)
    wanted = engine.stream(2).feed(np.concatenate([NOISE, tail]))
    assert wanted
    assert list(kws.Listener([*np.split(NOISE, [1, 77, 30000]), tail], engine, depth=2)) == wanted
    soundfile.write(tmp_path / "a.wav", NOISE, 16000)
    listener = kws.Listener(tmp_path / "a.wav", engine, depth=2)
    assert list(listener) == wanted
    assert list(listener) == wanted  # and again from the start
    sound = np.concatenate([NOISE, tail]) / np.float32(32768.0)
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSounddevice(sound[:, None], [device("mic", 1, 16000.0)]))
    monkeypatch.setattr("kws.listen.microphone.MOST_WAITING_SECONDS", np.inf)
    heard = []
    with pytest.raises(kws.KwsError, match="stopped"):
        heard.extend(kws.Listener("default", engine, depth=2, reconnect=False))
    assert heard == wanted
    assert list(islice(kws.Listener("mic", engine, depth=2), len(wanted))) == wanted


def test_leaving_the_loop_closes_the_microphone(model, monkeypatch):
    sound = (NOISE / np.float32(32768.0))[:, None]
    fake = FakeSounddevice(sound, [device("mic", 1, 16000.0)])
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    for _ in kws.Listener(model=Engine(model)):
        break
    assert (len(fake.opened), fake.closed) == (1, 1)


def test_settings_reach_the_stream_and_may_change_in_the_loop(model):
    engine = Engine(model)
    chunks = np.split(NOISE, 40)
    listener = kws.Listener(chunks, engine, threshold=0.2, sensitivity=0.4, gate=-90.0)
    stream = engine.stream()
    for word in engine.class_names[: engine.n_words]:
        stream.set_threshold(word, 0.2)
    stream.set_sensitivity(0.4)
    assert listener.stream.threshold(engine.class_names[0]) == stream.threshold(engine.class_names[0])
    events = list(listener)
    assert len(events) > 1
    for number, _ in enumerate(listener):
        listener.stream.set_gate(0.0)  # from now on all is silence
        assert number == 0


@pytest.mark.parametrize("source", [0, "0", "mic"])
def test_a_device_is_named_by_its_number_or_its_name(model, monkeypatch, source):
    sound = (NOISE / np.float32(32768.0))[:, None]
    fake = FakeSounddevice(sound, [device("mic", 1, 16000.0)])
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    for _ in kws.Listener(source, Engine(model)):
        break
    assert len(fake.opened) == 1


def test_importing_kws_loads_nothing_until_a_name_is_used():
    code = "import sys, kws; assert 'numpy' not in sys.modules; kws.Listener; print('sounddevice' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    assert {"Listener", "Model", "load", "KwsError"} <= set(kws.__all__)
    for name in kws.__all__:
        assert getattr(kws, name) is not None


EXAMPLES = re.findall(r"^```python\n(.*?)^```(?:\n+^```text\n(.*?)^```)?", PAGE.read_text(), re.M | re.S)


def test_the_page_has_examples():
    assert len(EXAMPLES) >= 5 and sum(bool(output) for _, output in EXAMPLES) >= 3


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """The page's ``words.wav`` in the working folder, and a microphone that plays it and is then unplugged for good."""
    clips = {name: soundfile.read(RECORDINGS / f"{name}.flac", dtype="int16")[0] for name in ("yes", "stop")}
    rng = np.random.default_rng(7)
    parts = []
    for name in ("yes", "stop"):
        parts += [rng.normal(0, 30, 16000), clips[name].astype(np.float64)]
    sound = np.concatenate([*parts, rng.normal(0, 30, 16000)]).astype(np.int16)
    monkeypatch.chdir(tmp_path)
    soundfile.write("words.wav", sound, 16000)
    soundfile.write("yes.wav", clips["yes"], 16000)
    fake = FakeSounddevice((sound / np.float32(32768.0))[:, None], [device("USB mic", 1, 16000.0)])
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr("kws.listen.microphone.MOST_WAITING_SECONDS", np.inf)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_the_page_says_what_it_says(recording, number):
    code, output = EXAMPLES[number]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, f"{PAGE.name}, example {number + 1}", "exec"), {"__name__": "example"})
    if output:
        assert printed.getvalue() == output
