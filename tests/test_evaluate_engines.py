"""Evaluation with the real engines: what they answer over folders is what they answer clip by clip."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from random_model import random_model

from kws.data.tasks import evaluation_set, scan
from kws.engine import Engine
from kws.errors import KwsError
from kws.evaluate import run
from kws.features import place_clip


@pytest.fixture
def model():
    model = random_model(7, n_classes=4, channels=64, hidden=64, n_blocks=4)
    model.class_names = ["yes", "no", "_unknown_", "_silence_"]
    return model


@pytest.fixture
def folder(tmp_path):
    """Swells of noise, 8 a word, two of the words known."""
    rng = np.random.default_rng(3)
    for word in ("yes", "no", "cat"):
        (tmp_path / word).mkdir()
        for index in range(8):
            pcm = rng.normal(0, 3000, 12000) * np.hanning(12000) * rng.uniform(0.1, 1)
            soundfile.write(tmp_path / word / f"{index}.wav", pcm.astype(np.int16), 16000)
    return tmp_path


def test_the_c_engine_answers_as_clip_by_clip(model, folder, monkeypatch):
    monkeypatch.setattr(run, "BATCH", 5)
    result = run.evaluate(model, folder, "all")
    engine = Engine(model)
    for delta in model.deltas:
        expected = np.zeros((4, 4), int)
        for clip, label in evaluation_set(scan(folder), run.model_task(model), "all", 0):
            expected[label, engine.classify(place_clip(clip.read(), model.preset), delta).argmax()] += 1
        np.testing.assert_array_equal(result.depths[delta].matrix, expected)


def test_torch_and_c_agree(model, folder):
    pytest.importorskip("torch")
    pytest.importorskip("kws_training.folded")
    in_c, in_torch = (run.evaluate(model, folder, "all", engine=engine) for engine in run.ENGINES)
    for delta in model.deltas:
        np.testing.assert_array_equal(in_torch.depths[delta].matrix, in_c.depths[delta].matrix)


def test_an_unknown_engine_is_one_sentence(model, folder):
    with pytest.raises(KwsError, match="'tpu' is no engine; choose c or torch"):
        run.evaluate(model, folder, "all", engine="tpu")
