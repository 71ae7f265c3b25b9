"""Words that were drawn in other shares count alike: against Bayes' rule, and in what training writes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import SETTINGS, TASK, corpus, data, plain  # noqa: F401  fixtures

from kws.data.tasks import scan
from kws.features import PRESETS
from kws.model import load
from kws_training import checkpoint
from kws_training.config import StageSettings
from kws_training.dataset import TrainingData
from kws_training.evenness import even_out
from kws_training.inputs import Inputs
from kws_training.loop import Watcher
from kws_training.networks import BiFSMN
from kws_training.run import train, train_on
from kws_training.topology import Topology

BRIEF = replace(SETTINGS, stages=tuple(StageSettings(s.name, 1, s.rate, 0.0) for s in SETTINGS.stages))


def test_answers_are_those_of_equal_shares_by_bayes_rule():
    torch.manual_seed(0)
    topology = Topology(n_classes=5, channels=64, hidden=64, n_blocks=4)
    network = BiFSMN(topology).eval()
    features = torch.randn(3, 32, 32) * 20 - 45
    draws = np.array([4.0, 1.0, 10.0])
    with torch.no_grad():
        before = {delta: out[0].softmax(1).numpy() for delta, out in network(features).items()}
        even_out(network, draws)
        after = {delta: out[0].softmax(1).numpy() for delta, out in network(features).items()}
    # The prior of a word was its share; now it is the mean word's. The last two classes keep theirs.
    factor = np.array([*(draws.mean() / draws), 1.0, 1.0])
    for delta in topology.deltas:
        wanted = before[delta] * factor
        assert np.allclose(after[delta], wanted / wanted.sum(1, keepdims=True), atol=1e-6)


@pytest.fixture
def uneven(corpus, tmp_path):  # noqa: F811
    """The corpus, with a quarter of one word's recordings."""
    root = tmp_path / "uneven"
    root.mkdir()
    for folder in corpus.iterdir():
        (root / folder.name).mkdir()
        for number, file in enumerate(sorted(folder.iterdir())):
            if folder.name != "low" or number % 4 == 0:
                (root / folder.name / file.name).symlink_to(file)
    return root


def test_training_writes_a_model_that_counts_words_alike(uneven, tmp_path):
    told = []

    class Listener(Watcher):
        def changed(self, what, figures):
            told.append((what, figures))

    torch.set_num_threads(1)
    out = tmp_path / "run"
    model = train(Inputs(uneven, name="tones"), out, BRIEF, Listener(), plain)
    trained = checkpoint.load(out / "student.pt")["network"]
    draws = model.provenance["evened_draws"]
    assert list(draws) == ["low", "high"] and draws["low"] < draws["high"]
    for depth in model.depths:
        moved = trained[f"class_bias.{depth.delta}"].numpy() - depth.class_bias
        assert moved[0] == pytest.approx(np.log(draws["low"] / np.mean(list(draws.values()))), abs=1e-5)
        assert moved[1] == pytest.approx(np.log(draws["high"] / np.mean(list(draws.values()))), abs=1e-5)
        assert moved[2:].tolist() == [0.0, 0.0]
    assert [what for what, _ in told] == ["words counted alike"]
    stated = model.provenance["validation"]["balanced_accuracy"]
    assert stated == {delta: round(figure["balanced_accuracy"], 4) for delta, figure in told[0][1].items()}
    assert load(out).provenance == model.provenance


def test_words_of_as_many_recordings_need_nothing(data, tmp_path):  # noqa: F811
    assert len(set(data.word_draws())) == 1
    model = train_on(data, tmp_path, BRIEF, Watcher(), name="tones", even=True)
    assert "evened_draws" not in model.provenance


def test_a_grid_compares_networks_as_trained(uneven, tmp_path):
    data = TrainingData(scan(uneven), TASK, PRESETS["bifsmn"], 0, 0.5, plain)  # noqa: F811
    model = train_on(data, tmp_path / "run", BRIEF, Watcher(), name="tones")
    trained = checkpoint.load(tmp_path / "run" / "student.pt")["network"]
    assert "evened_draws" not in model.provenance
    for depth in model.depths:
        assert np.array_equal(depth.class_bias, trained[f"class_bias.{depth.delta}"].numpy())
