"""The picture of a recording: what is drawn, read back from the figure, and that a file comes out."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile
from random_model import random_model
from typer.testing import CliRunner

from kws.cli import application
from kws.engine import Engine
from kws.errors import KwsError
from kws.listen import plot
from kws.listen.listener import Listener
from kws.listen.plot import Plot
from kws.model import save


@pytest.fixture(scope="module")
def engine():
    model = random_model(1)
    model.word_threshold[:] = 0.05
    return Engine(model)


SOUND = np.random.default_rng(1).integers(-9000, 9000, 50000).astype(np.int16)


def collected(engine, sound):
    drawing, events = Plot(engine), []
    for heard in Listener([sound], engine).heard(drawing.each_hop):
        drawing.push(heard)
        events += heard.events
    return drawing, events


def test_what_is_drawn_is_what_was_heard(engine, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    kept = []
    monkeypatch.setattr(plot, "save_figure", lambda figure, path, option: kept.append(figure))
    drawing, events = collected(engine, SOUND)
    drawing.draw(tmp_path / "a.png", "a.wav")
    wave, mel, scores = kept[0].axes
    assert wave.get_title() == "a.wav" and scores.get_xlim() == (0.0, 3.125)
    assert [(text.get_text(), text.xy[0]) for text in wave.texts] == [(event.word, event.time) for event in events]
    low, high = wave.collections[0].get_paths()[0].vertices[:, 1].min(), wave.get_ylim()[1]
    assert low == SOUND.min() / 32768.0 and high == 1.0
    # The mel picture is the engine's own features of each stretch of sound, drawn around its middle.
    preset = engine.preset
    drawn = mel.images[0].get_array()
    assert drawn.shape == (preset.n_mels, len(SOUND) // preset.hop)
    window = SOUND[: engine.window_samples]
    features = engine.features(window)
    first = preset.n_fft // preset.hop - 1  # the first frame that lies wholly in the sound
    np.testing.assert_array_equal(drawn[:, first : first + preset.frames], features)
    left, right, _, _ = mel.images[0].get_extent()
    frame = (right - left) / drawn.shape[1]
    assert left + (first + 0.5) * frame == pytest.approx(preset.n_fft / 2 / 16000)
    dots = {(float(x), float(y)) for line in scores.lines for x, y in zip(*line.get_data(), strict=True)}
    assert events and {(event.time, event.score) for event in events} <= dots


def test_a_recording_too_short_to_draw_is_one_sentence(engine, tmp_path):
    drawing, _ = collected(engine, SOUND[:10])
    with pytest.raises(KwsError, match="too short"):
        drawing.draw(tmp_path / "a.png", "a.wav")


@pytest.fixture
def invoke(engine, tmp_path):
    save(engine.model, tmp_path / "model.kws")
    soundfile.write(tmp_path / "a.wav", SOUND, 16000)
    return lambda *options: CliRunner().invoke(
        application(), ["listen", str(tmp_path / "a.wav"), "--model", str(tmp_path / "model.kws"), *options]
    )


def test_the_command_writes_a_picture_and_prints_the_same_words(invoke, tmp_path):
    pytest.importorskip("matplotlib")
    plain = invoke("--json")
    result = invoke("--json", "--plot", str(tmp_path / "new" / "a.png"))
    assert result.exit_code == 0, result.output
    assert result.stdout == plain.stdout != ""
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    assert f"Drawn: {tmp_path / 'new' / 'a.png'}" in result.stderr


def test_a_picture_that_cannot_be_written_is_one_sentence(invoke, tmp_path):
    pytest.importorskip("matplotlib")
    result = invoke("--plot", str(tmp_path / "a.wav" / "a.png"))
    assert isinstance(result.exception, KwsError) and "choose another place for --plot" in str(result.exception)


def test_without_matplotlib_the_extra_is_named(invoke, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    result = invoke("--plot", str(tmp_path / "a.png"))
    assert isinstance(result.exception, KwsError)
    assert "--plot needs matplotlib" in str(result.exception) and "kws[train]" in str(result.exception)
