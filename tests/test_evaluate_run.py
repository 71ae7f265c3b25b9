"""Evaluation over folders, with a classifier whose answers the recordings themselves dictate."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import soundfile
import typer
from random_model import random_model
from typer.testing import CliRunner

from kws.cli import eval as eval_command
from kws.errors import KwsError
from kws.evaluate import run
from kws.evaluate.report import to_json

WORDS = ["yes", "no"]
UNKNOWN, SILENCE = 2, 3
CERTAIN = 0.9


def small_model():
    """A model of four classes: yes, no, unknown, silence."""
    model = random_model(7, n_classes=4, channels=64, hidden=64, n_blocks=4)
    model.class_names = [*WORDS, "_unknown_", "_silence_"]
    return model


def dictate(windows, delta):
    """Answers the class that a clip's loudest sample spells: 1000 * (class + 1); deeper thinning always says no."""
    peak = np.abs(windows.astype(np.int32)).max(axis=1)
    said = np.where(peak == 0, SILENCE, peak // 1000 - 1) if delta == 1 else np.ones(len(windows), int)
    other = np.log((1 - CERTAIN) / 3)
    logits = np.full((len(windows), 4), other, np.float32)
    logits[np.arange(len(windows)), said] = np.log(CERTAIN)
    return logits


@pytest.fixture(autouse=True)
def dictated(monkeypatch):
    monkeypatch.setattr(run, "classifier", lambda model, engine: dictate)


def write(path, said, seconds=1.0, rate=16000):
    """A recording that dictates the class index ``said``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pcm = np.zeros(int(seconds * rate), np.int16)
    pcm[len(pcm) // 4 : len(pcm) // 2] = 1000 * (said + 1)
    soundfile.write(path, pcm, rate)
    return path


@pytest.fixture
def folder(tmp_path):
    """yes: 5 of 6 right, one as no; no: 3 right; unknown: 4 of 5 right, one as yes; silence: 2 right."""
    for index in range(6):
        write(tmp_path / "yes" / f"{index}.wav", 1 if index == 3 else 0)
    for index in range(3):
        write(tmp_path / "no" / f"{index}.wav", 1)
    for index in range(4):
        write(tmp_path / "_unknown_" / f"{index}.wav", 2)
    write(tmp_path / "banana" / "0.wav", 0)
    for index in range(2):
        write(tmp_path / "_silence_" / f"{index}.wav", 3)
    return tmp_path


def test_figures_of_plain_class_folders(folder):
    result = to_json(run.evaluate(small_model(), folder, "all"))
    assert result["n"] == 16
    assert result["accuracy"] == pytest.approx(14 / 16)
    assert result["balanced_accuracy"] == pytest.approx((5 / 6 + 1 + 4 / 5 + 1) / 4)
    assert result["per_class"]["yes"] == {
        "precision": 5 / 6,
        "recall": 5 / 6,
        "count": 6,
        "predicted": 6,
        "correct": 5,
    }
    assert result["per_class"]["no"]["precision"] == 3 / 4
    assert result["per_class"]["_unknown_"] == {
        "precision": 1.0,
        "recall": 4 / 5,
        "count": 5,
        "predicted": 4,
        "correct": 4,
    }
    assert result["depths"]["1"]["confusion"] == [[5, 1, 0, 0], [0, 3, 0, 0], [1, 0, 4, 0], [0, 0, 0, 2]]
    assert (result["split"], result["engine"], result["skipped"]) == ("all", "c", [])


def test_every_depth_is_counted_by_itself(folder):
    result = to_json(run.evaluate(small_model(), folder, "all"))
    assert list(result["depths"]) == ["1", "2", "4"]
    for delta in ("2", "4"):
        assert result["depths"][delta]["accuracy"] == pytest.approx(3 / 16)
        assert result["depths"][delta]["balanced_accuracy"] == pytest.approx(1 / 4)
        assert result["depths"][delta]["per_class"]["yes"]["precision"] is None


def test_a_single_depth_makes_the_top_figures(folder):
    result = to_json(run.evaluate(small_model(), folder, "all", deltas=[4]))
    assert list(result["depths"]) == ["4"]
    assert result["accuracy"] == result["depths"]["4"]["accuracy"] == pytest.approx(3 / 16)


def test_wrong_clips_are_named_with_the_probability(folder):
    result = to_json(run.evaluate(small_model(), folder, "all"))["depths"]["1"]
    wrong = {(one["file"], one["truth"], one["predicted"]) for one in result["most_wrong"]}
    assert wrong == {
        (str(folder / "yes" / "3.wav"), "yes", "no"),
        (str(folder / "banana" / "0.wav"), "_unknown_", "yes"),
    }
    assert all(one["probability"] == pytest.approx(CERTAIN, abs=1e-6) for one in result["most_wrong"])


def test_wrong_clips_come_most_confident_first(folder, monkeypatch):
    def by_length(windows, delta):
        logits = np.zeros((len(windows), 4), np.float32)
        logits[:, 0] = np.abs(windows).max(axis=1) / 1000.0
        return logits

    monkeypatch.setattr(run, "classifier", lambda model, engine: by_length)
    wrong = run.evaluate(small_model(), folder, "all").depths[1].wrong
    given = [answer.probability for answer in wrong]
    assert given == sorted(given, reverse=True)
    assert small_model().class_names[wrong[0].truth] == "_silence_"


def test_other_rates_and_channels_are_evaluated(tmp_path):
    for name, rate in (("a", 8000), ("b", 48000), ("c", 44100)):
        path = write(tmp_path / "yes" / f"{name}.wav", 0, rate=rate)
        pcm = soundfile.read(path, dtype="int16")[0]
        # Ringing at the edges must not reach the next class: a slow rise instead of a step.
        smooth = (1500 * np.hanning(len(pcm))).astype(np.int16)
        soundfile.write(path, np.stack([smooth, smooth], axis=1), rate)
    result = run.evaluate(small_model(), tmp_path, "all")
    assert result.depths[1].matrix[0].tolist() == [3, 0, 0, 0]


def test_unreadable_clips_are_skipped_and_named(folder):
    (folder / "yes" / "text.wav").write_text("not sound")
    (folder / "no" / "empty.wav").write_bytes(b"")
    soundfile.write(folder / "no" / "nan.wav", np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    result = run.evaluate(small_model(), folder, "all")
    assert result.depths[1].matrix.sum() == 16
    assert len(result.skipped) == 3
    for name in ("text.wav", "empty.wav", "nan.wav"):
        assert any(name in sentence for sentence in result.skipped)


def test_a_folder_of_unreadable_clips_is_one_sentence(tmp_path):
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "text.wav").write_text("not sound")
    with pytest.raises(KwsError, match=r"none of 1 clips can be read.*text.wav"):
        run.evaluate(small_model(), tmp_path, "all")


def test_clips_longer_than_the_window_are_told(tmp_path):
    write(tmp_path / "yes" / "long.wav", 0, seconds=3.0)
    write(tmp_path / "yes" / "second.wav", 0, seconds=1.0)
    assert run.evaluate(small_model(), tmp_path, "all").shortened == 1


def test_speech_commands_follow_the_official_protocol(tmp_path):
    rng = np.random.default_rng(0)
    validation, testing = [], []
    for word, said in (("yes", 0), ("no", 1), ("bird", 2), ("tree", 2)):
        for index in range(40):
            write(tmp_path / word / f"{index:02}.wav", said)
            (validation if index < 25 else testing).append(f"{word}/{index:02}.wav")
    (tmp_path / "validation_list.txt").write_text("\n".join(validation))
    (tmp_path / "testing_list.txt").write_text("\n".join(testing))
    (tmp_path / "_background_noise_").mkdir()
    noise = rng.integers(-5, 6, 16000 * 20).astype(np.int16)
    noise[::500] = 4000
    soundfile.write(tmp_path / "_background_noise_" / "hum.wav", noise, 16000)
    result = run.evaluate(small_model(), tmp_path)
    assert result.split == "validation"
    assert result.depths[1].matrix.tolist() == [[25, 0, 0, 0], [0, 25, 0, 0], [0, 0, 5, 0], [0, 0, 0, 5]]
    assert result.notes == []


def test_without_validation_clips_all_are_used_and_it_is_said(folder):
    # Lists that put nothing in validation.
    names = [f"{path.parent.name}/{path.name}" for path in folder.glob("*/*.wav")]
    (folder / "testing_list.txt").write_text("\n".join(names))
    result = run.evaluate(small_model(), folder)
    assert result.split == "all"
    assert any("validation" in note for note in result.notes)
    with pytest.raises(KwsError, match="--split all"):
        run.evaluate(small_model(), folder, "validation")


def test_words_without_clips_are_left_out_and_named(tmp_path):
    write(tmp_path / "yes" / "0.wav", 0)
    write(tmp_path / "_unknown_" / "0.wav", 0)
    result = run.evaluate(small_model(), tmp_path, "all")
    assert to_json(result)["balanced_accuracy"] == pytest.approx((1 + 0) / 2)
    assert to_json(result)["per_class"]["no"]["recall"] is None
    assert result.notes == ["No clip of no, _silence_: left out of the balanced accuracy."]


def test_a_folder_of_other_words_is_one_sentence(tmp_path):
    write(tmp_path / "banana" / "0.wav", 0)
    with pytest.raises(KwsError, match=r"no folder for any word of the model \(yes, no\); it holds banana"):
        run.evaluate(small_model(), tmp_path, "all")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"deltas": [3]}, "--depth 3 .* 1, 2, 4"), ({"split": "training"}, "'training' is no split")],
)
def test_bad_options_are_one_sentence(folder, options, sentence):
    with pytest.raises(KwsError, match=sentence):
        run.evaluate(small_model(), folder, **options)


def test_values_that_are_not_numbers_are_an_error(folder, monkeypatch):
    nan = np.float32("nan")
    monkeypatch.setattr(run, "classifier", lambda m, e: lambda windows, delta: np.full((len(windows), 4), nan))
    with pytest.raises(KwsError, match="not numbers at depth 1"):
        run.evaluate(small_model(), folder, "all")


def test_progress_and_batches_cover_every_clip(folder, monkeypatch):
    monkeypatch.setattr(run, "BATCH", 5)
    calls = []
    result = run.evaluate(small_model(), folder, "all", progress=lambda *call: calls.append(call))
    assert calls == [(5, 16), (10, 16), (15, 16), (16, 16)]
    assert result.depths[1].matrix.tolist() == [[5, 1, 0, 0], [0, 3, 0, 0], [1, 0, 4, 0], [0, 0, 0, 2]]


@pytest.fixture
def invoke(monkeypatch):
    """Runs `kws eval` with the small model."""
    monkeypatch.setattr("kws.model.load", lambda model=None: small_model())
    app = typer.Typer()
    eval_command.register(app)
    return lambda *arguments: CliRunner(env={"COLUMNS": "160"}).invoke(app, [str(one) for one in arguments])


def test_json_is_one_object_on_stdout(folder, invoke):
    result = invoke("--data", folder, "--split", "all", "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures == json.loads(json.dumps(to_json(run.evaluate(small_model(), folder, "all"))))
    assert {"accuracy", "balanced_accuracy", "n", "per_class", "depths", "split", "engine", "model", "data"} <= set(
        figures
    )


def test_the_report_shows_figures_counts_warnings_and_mistakes(folder, invoke):
    (folder / "no" / "broken.wav").write_text("not sound")
    result = invoke("--data", folder, "--split", "all", "--depth", "1")
    assert result.exit_code == 0, result.output
    assert "depth 1: accuracy 87.50 %, balanced accuracy 90.83 %, n = 16" in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.startswith("yes*"))
    assert row.count("83.33 %") == 2
    assert " 6 " in row
    assert "yes as no 1" in result.stdout
    assert f"{folder / 'yes' / '3.wav'}: no 0.900, is yes" in result.stdout
    assert "fewer than 30 clips: yes, no, _unknown_, _silence_" in result.stdout
    assert "1 clip was skipped" in result.stdout
    assert "broken.wav" in result.stdout


def test_bad_depth_text_is_one_sentence(folder, invoke):
    result = invoke("--data", folder, "--depth", "deep")
    assert isinstance(result.exception, KwsError)
    assert "--depth deep" in str(result.exception)


def test_plots_are_written(folder, invoke, tmp_path):
    pytest.importorskip("matplotlib")
    result = invoke("--data", folder, "--split", "all", "--plots", tmp_path / "plots")
    assert result.exit_code == 0, result.output
    for delta in (1, 2, 4):
        assert (tmp_path / "plots" / f"confusion_depth{delta}.png").read_bytes().startswith(b"\x89PNG")


def test_plots_without_matplotlib_name_the_extra(folder, invoke, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    result = invoke("--data", folder, "--split", "all", "--plots", tmp_path / "plots")
    assert isinstance(result.exception, KwsError)
    assert "pip install 'kws[train]'" in str(result.exception)


def test_a_plots_folder_that_is_a_file_is_one_sentence(folder, invoke, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "plots").write_text("in the way")
    result = invoke("--data", folder, "--split", "all", "--plots", tmp_path / "plots")
    assert isinstance(result.exception, KwsError)
    assert "cannot be written" in str(result.exception)
