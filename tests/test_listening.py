"""``kws train --base MODEL --recipe listening``: clips in composed windows, hard examples, validation on the clips."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F
from random_model import random_model
from test_finetune import base, command, ends_the_same_when_interrupted  # noqa: F401  (base: a fixture)
from test_training import TASK, corpus, data, plain  # noqa: F401  (fixtures)

from kws.data.tasks import SILENCE, TASKS, scan
from kws.errors import KwsError
from kws.features import PRESETS
from kws.model import load, save
from kws_training import checkpoint, listening
from kws_training.composed import data as composed_data
from kws_training.composed.scenes import Scenes
from kws_training.dataset import TrainingData
from kws_training.finetune import HardTuning, settings_from, start_of
from kws_training.inputs import Inputs
from kws_training.listening import ListeningData
from kws_training.loop import Given, Watcher
from kws_training.run import train

STEPS = 3


@pytest.fixture(scope="module", autouse=True)
def short():
    """Epochs of three steps of everything that the recipe draws."""
    usual = listening.COMPOSITION
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listening, "COMPOSITION", replace(usual, batches=STEPS, heard=48, runs=16, heard_words=16))
        yield


@pytest.fixture(scope="module")
def run(corpus, base, tmp_path_factory) -> Path:  # noqa: F811
    out = tmp_path_factory.mktemp("run") / "listener"
    result = command(
        *("--data", corpus, "--words", "low,high", "--base", base, "--out", out, "--recipe", "listening"),
        *("--epochs", 2),
    )
    assert result.exit_code == 0, result.output
    return out


def test_it_makes_a_model_of_the_words_and_says_how(run, base):  # noqa: F811
    made = load(run)
    assert made.class_names == ["low", "high", "_unknown_", "_silence_"]
    assert made.provenance["recipe"]["stages"] == ["teacher 2 epochs", "listening 2 epochs"]
    assert made.provenance["base_sha256"] == load(base).checkpoint_sha256
    assert stages_of(run) == ["teacher", "teacher", "listening", "listening"]


def stages_of(run) -> list[str]:
    return [row["stage"] for row in json.loads((run / "record.json").read_text())["epochs"]]


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_an_interrupted_run_ends_with_the_same_weights(corpus, base, run, tmp_path, epochs):  # noqa: F811
    settings = settings_from(load(base), TASK, 2, recipe="listening")
    assert ends_the_same_when_interrupted(corpus, base, run, tmp_path / "cut", settings, epochs * STEPS)


def test_the_teacher_of_an_earlier_run_teaches_the_same(corpus, base, run, tmp_path):  # noqa: F811
    out = tmp_path / "taught"
    result = command(
        *("--data", corpus, "--words", "low,high", "--base", base, "--out", out, "--recipe", "listening"),
        *("--epochs", 2, "--teacher", run),
    )
    assert result.exit_code == 0, result.output
    assert stages_of(out) == ["listening", "listening"]
    one, other = (weights(folder) for folder in (run, out))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_student_starts_as_the_base_and_learns_from_the_teacher(corpus, data, base, run, tmp_path):  # noqa: F811
    model = load(base)
    settings = settings_from(model, TASK, 2, recipe="listening")
    composed, start = ListeningData(data), start_of(model, settings, data)
    teacher = checkpoint.load(run / "teacher.pt")["network"]
    tuning = HardTuning(tmp_path / "x", settings, composed, Watcher(), start, given=Given(teacher))
    tuning._start_student()
    assert all(torch.equal(value, start[key]) for key, value in tuning.network.state_dict().items())
    deltas, taught_by = tuning._begin(settings.stages[-1])
    features, labels, words = next(iter(composed.epoch(0, 0, 16)))
    tuning.network.eval()
    with torch.no_grad():
        loss = tuning._batch_loss(features, labels, words, settings.stages[-1], 0.0, deltas, taught_by)
        targets = taught_by(features, (1,))[1][0].softmax(1)
        logits = [answer for answer, _ in tuning.network(features, deltas).values()]
    expected = [
        F.cross_entropy(one, labels) + (targets * (targets.log() - one.log_softmax(1))).sum(1).mean() for one in logits
    ]
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-5)


def test_a_run_whose_windows_were_composed_otherwise_is_not_resumed(corpus, base, run, monkeypatch):  # noqa: F811
    kept = json.loads((run / "record.json").read_text())["data"]["composition"]
    assert kept["batches"] == STEPS and kept["manner"]["joined"] == listening.COMPOSITION.manner.joined
    other = replace(listening.COMPOSITION, manner=replace(listening.COMPOSITION.manner, joined=0.1))
    monkeypatch.setattr(listening, "COMPOSITION", other)
    result = command("--out", run, "--resume")
    assert "another version of kws composed its windows" in str(result.exception)


def weights(run) -> dict[str, torch.Tensor]:
    return checkpoint.load(run / "student.pt")["network"]


def test_a_teacher_beside_another_recipe_is_refused(corpus, base, run, tmp_path):  # noqa: F811
    result = command(
        *("--data", corpus, "--words", "low,high", "--base", base, "--out", tmp_path / "x", "--teacher", run),
    )
    assert "--teacher beside --base" in str(result.exception)


def test_training_windows_are_composed_and_validation_is_of_the_clips(data):  # noqa: F811
    composed = ListeningData(data)
    assert composed.validation_features is data.validation_features
    assert composed.validation_labels is data.validation_labels
    assert composed.counts() == data.counts() and composed.hash == data.hash
    own = [len(voices) for voices in composed.training.voices]
    assert own == [data.counts()["low"], data.counts()["high"]]
    assert len(composed.training.speech) == data.counts()["_unknown_"]
    batches = list(composed.epoch(0, 0, 32))
    assert len(batches) == STEPS == composed.steps(32)
    preset = PRESETS["bifsmn"]
    assert all(features.shape == (32, preset.n_mels, preset.frames) for features, _, _ in batches)
    assert set(torch.cat([labels for _, labels, _ in batches]).tolist()) == {0, 1, 2, 3}


def test_every_word_is_drawn_as_often_however_few_clips_it_has(data):  # noqa: F811
    composed = ListeningData(data)
    del composed.training.voices[1][1:]
    rng = np.random.default_rng(0)
    labels = np.array([composed.scenes.draw(rng)[1] for _ in range(2000)])
    assert (labels == 0).sum() == pytest.approx((labels == 1).sum(), rel=0.2)


def test_every_epoch_draws_what_the_network_then_takes_for_a_word(corpus, base, tmp_path, monkeypatch):  # noqa: F811
    found, drawn = [], []
    seek, draw = composed_data.hard_pieces, Scenes.draw
    monkeypatch.setattr(composed_data, "hard_pieces", lambda *given: found.append(seek(*given)) or found[-1])
    monkeypatch.setattr(Scenes, "draw", lambda scenes, rng: drawn.append(scenes.pieces.hard) or draw(scenes, rng))
    settings = settings_from(load(base), TASK, 2, recipe="listening")
    train(Inputs(corpus, base=base), tmp_path / "run", settings, Watcher(), plain)
    # Two epochs of the teacher, two of the student.
    assert len(found) == 4 and all(found)
    windows = STEPS * settings.batch
    for epoch in range(4):
        assert all(part is found[epoch] for part in drawn[(epoch - 4) * windows :][:windows])


def test_recordings_without_the_words_are_running_speech(corpus, base, tmp_path, monkeypatch):  # noqa: F811
    talk = np.random.default_rng(0).normal(0, 2000, 48000).astype(np.int16)
    (tmp_path / "talk").mkdir()
    soundfile.write(tmp_path / "talk" / "talk.wav", talk, 16000)
    running = []
    draw = Scenes.draw
    monkeypatch.setattr(Scenes, "draw", lambda scenes, rng: running.append(scenes.pieces.running) or draw(scenes, rng))
    result = command(
        *("--data", corpus, "--words", "low,high", "--base", base, "--out", tmp_path / "x", "--recipe", "listening"),
        *("--epochs", 1, "--negatives", tmp_path / "talk"),
    )
    assert result.exit_code == 0, result.output
    assert running and all(len(part) == 1 and np.array_equal(part[0], talk) for part in running)


def test_clips_of_silence_are_noise(data, tmp_path):  # noqa: F811
    assert len(ListeningData(data).training.noise) == len(data.noise)
    hiss = np.random.default_rng(0).normal(0, 50, 16000).astype(np.int16)
    for word in ("low", "high", "other", SILENCE):
        (tmp_path / word).mkdir()
        for number in range(20):
            soundfile.write(tmp_path / word / f"s{number}_nohash_0.wav", hiss, 16000)
    silent = TrainingData(scan(tmp_path), TASK, PRESETS["bifsmn"], 0, 0.5, plain)
    noise = ListeningData(silent).training.noise
    assert len(noise) == len(silent.noise) + 16000 * silent.counts()[SILENCE] and np.array_equal(noise[-16000:], hiss)


def test_a_share_of_unknown_is_refused(corpus, base, tmp_path):  # noqa: F811
    result = command(
        *("--data", corpus, "--words", "low,high", "--base", base, "--out", tmp_path / "x"),
        *("--recipe", "listening", "--unknown", 2),
    )
    assert "--unknown beside --recipe listening" in str(result.exception)


def test_a_task_without_other_words_is_refused(tmp_path):
    path = tmp_path / "base.kws"
    save(random_model(5, n_blocks=2, channels=64, hidden=128, preset=PRESETS["bifsmn"]), path)
    with pytest.raises(KwsError, match="this task has no such class"):
        settings_from(load(path), TASKS["35"], recipe="listening")
