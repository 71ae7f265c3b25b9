"""``kws train --base``: a model file trained further on other words."""

from pathlib import Path

import numpy as np
import pytest
import torch
from random_model import random_model
from test_training import TASK, StopAfter, corpus, data, plain  # noqa: F401  (fixtures)
from typer.testing import CliRunner

from kws.cli import application
from kws.features import PRESETS, Preset
from kws.model import load, save
from kws_training import checkpoint
from kws_training.finetune import settings_from
from kws_training.inputs import Inputs
from kws_training.run import train


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.kws"
    save(random_model(5, n_blocks=2, channels=64, hidden=128, planes=2, preset=PRESETS["bifsmn"]), path)
    return path


def command(*arguments: object):
    torch.set_num_threads(1)
    return CliRunner().invoke(application(), ["train", *map(str, arguments)])


@pytest.fixture(scope="module")
def run(corpus, base, tmp_path_factory) -> Path:  # noqa: F811
    out = tmp_path_factory.mktemp("run") / "further"
    result = command("--data", corpus, "--words", "low,high", "--base", base, "--epochs", 2, "--out", out)
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


def ends_the_same_when_interrupted(corpus, base, run, out, settings, steps) -> bool:  # noqa: F811
    """Whether a run in ``out`` that is cut off in its second epoch, of ``steps`` batches, ends as ``run`` did."""
    with pytest.raises(KeyboardInterrupt):
        train(Inputs(corpus, base=base), out, settings, StopAfter(steps + 1), plain)
    result = command("--out", out, "--resume")
    assert result.exit_code == 0, result.output
    one, other = (checkpoint.load(folder / "student.pt")["network"] for folder in (run, out))
    return all(torch.equal(one[key], other[key]) for key in one)


def test_an_interrupted_run_ends_with_the_same_weights(corpus, data, base, run, tmp_path):  # noqa: F811
    settings = settings_from(load(base), TASK, 2)
    steps = data.steps(settings.batch, settings.stages[0].unknown)
    assert ends_the_same_when_interrupted(corpus, base, run, tmp_path / "cut", settings, steps)


def test_the_recipe_of_noise_is_louder_and_draws_thin_words_more_often(base):
    quiet, loud = (settings_from(load(base), TASK, recipe=name) for name in ("standard", "noise"))
    assert quiet == settings_from(load(base), TASK)
    assert loud.stages[0].augmentation.voices > quiet.stages[0].augmentation.voices == 0.0
    assert loud.stages[0].augmentation.noise_share > quiet.stages[0].augmentation.noise_share
    assert loud.temper < quiet.temper and loud.stages[0].unknown > quiet.stages[0].unknown
    assert settings_from(load(base), TASK, unknown=2.0, recipe="noise").stages[0].unknown == 2.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--channels", "128"), "--channels beside --base"),
        (("--teacher", "x"), "--teacher beside --base"),
        (("--epochs", "0"), "--epochs 0: give at least 1"),
        (("--unknown", "0"), "--unknown 0: give a share"),
        (("--recipe", "quick"), "'quick' is no recipe of a --base; choose standard, noise or listening"),
    ],
)
def test_what_does_not_go_with_a_base_is_one_sentence(corpus, base, tmp_path, arguments, sentence):  # noqa: F811
    result = command("--data", corpus, "--words", "low,high", "--base", base, "--out", tmp_path / "x", *arguments)
    assert result.exit_code != 0 and sentence in str(result.exception)


def test_a_base_of_other_features_or_none_is_refused(corpus, tmp_path):  # noqa: F811
    other = tmp_path / "other.kws"
    save(random_model(5, n_blocks=1, preset=Preset("other", n_fft=512, hop=160, n_mels=16, frames=16)), other)
    for path, sentence in ((other, "features"), (tmp_path / "none.kws", "no such model")):
        result = command("--data", corpus, "--words", "low,high", "--base", path, "--out", tmp_path / "x")
        assert sentence in str(result.exception)
