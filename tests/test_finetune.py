"""``kws train --base``: a model file trained further on other words."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from random_model import random_model
from typer.testing import CliRunner

from kws.cli import application
from kws.data.tasks import BACKGROUND
from kws.features import PRESETS, Preset
from kws.model import load, save
from kws_training import checkpoint


def tone(frequency: float, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(16000) / 16000
    wave = np.sin(2 * np.pi * frequency * rng.uniform(0.95, 1.05) * time) * np.exp(-(((time - 0.5) / 0.15) ** 2))
    return (wave * 8000 + rng.normal(0, 30, len(time))).astype(np.int16)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root, rng = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0)
    for word, frequency in {"low": 300, "high": 1500, "other": 700}.items():
        (root / word).mkdir()
        for speaker in range(30):
            soundfile.write(root / word / f"s{speaker}_nohash_0.wav", tone(frequency, rng), 16000)
    (root / BACKGROUND).mkdir()
    soundfile.write(root / BACKGROUND / "hiss.wav", rng.normal(0, 200, 16000 * 15).astype(np.int16), 16000)
    return root


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.kws"
    save(random_model(5, n_blocks=2, channels=64, hidden=128, planes=2, preset=PRESETS["bifsmn"]), path)
    return path


def train(*arguments: object):
    torch.set_num_threads(1)
    return CliRunner().invoke(application(), ["train", *map(str, arguments)])


@pytest.fixture(scope="module")
def run(corpus, base, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / "further"
    result = train("--data", corpus, "--words", "low,high", "--base", base, "--epochs", 2, "--out", out)
    assert result.exit_code == 0, result.output
    return out


def test_the_base_gives_shape_and_start(run, base):
    start, made = load(base), load(run)
    assert made.class_names == ["low", "high", "_unknown_", "_silence_"]
    assert (made.channels, made.planes, made.deltas) == (start.channels, start.planes, start.deltas)
    assert made.provenance["recipe"]["base"] == start.name
    assert made.provenance["base_sha256"] == start.checkpoint_sha256
    # Two epochs of a few steps turn few signs: those of a network that began elsewhere would agree in half.
    for one, other in zip(made.blocks, start.blocks, strict=True):
        assert np.mean(one.expand_weight == other.expand_weight) > 0.9


def test_an_interrupted_run_ends_with_the_same_weights(corpus, base, run, tmp_path):
    from kws_training import loop

    class Stop(Exception):
        pass

    whole, write = loop.Run.write_record, []

    def once(self) -> None:
        whole(self)
        write.append(1)
        if len(write) == 1:
            raise Stop

    out = tmp_path / "cut"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Run, "write_record", once)
        result = train("--data", corpus, "--words", "low,high", "--base", base, "--epochs", 2, "--out", out)
    assert isinstance(result.exception, Stop)
    result = train("--out", out, "--resume")
    assert result.exit_code == 0, result.output
    one, other = (checkpoint.load(folder / "student.pt")["network"] for folder in (run, out))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--channels", "128"), "--channels beside --base"),
        (("--teacher", "x"), "--teacher beside --base"),
        (("--epochs", "0"), "--epochs 0: give at least 1"),
        (("--unknown", "0"), "--unknown 0: give a share"),
    ],
)
def test_what_does_not_go_with_a_base_is_one_sentence(corpus, base, tmp_path, arguments, sentence):
    result = train("--data", corpus, "--words", "low,high", "--base", base, "--out", tmp_path / "x", *arguments)
    assert result.exit_code != 0 and sentence in str(result.exception)


def test_a_base_of_other_features_or_none_is_refused(corpus, tmp_path):
    other = tmp_path / "other.kws"
    save(random_model(5, n_blocks=1, preset=Preset("other", n_fft=512, hop=160, n_mels=16, frames=16)), other)
    for path, sentence in ((other, "features"), (tmp_path / "none.kws", "no such model")):
        result = train("--data", corpus, "--words", "low,high", "--base", path, "--out", tmp_path / "x")
        assert sentence in str(result.exception)
