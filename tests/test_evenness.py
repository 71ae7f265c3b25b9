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
from kws_training.evenness import draws_of, even_out, put_back
from kws_training.finetune import settings_from, start_of
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
    names, draws = ["a", "b", "c", "_unknown_", "_silence_"], {"a": 4, "b": 1, "c": 10}
    with torch.no_grad():
        before = {delta: out[0].softmax(1).numpy() for delta, out in network(features).items()}
        even_out(network, names, draws)
        after = {delta: out[0].softmax(1).numpy() for delta, out in network(features).items()}
        put_back(network, names, draws)
        back = {delta: out[0].softmax(1).numpy() for delta, out in network(features).items()}
    # The prior of a word was its share; now it is the mean word's. The last two classes keep theirs.
    factor = np.array([5 / 4, 5 / 1, 5 / 10, 1.0, 1.0])
    for delta in topology.deltas:
        wanted = before[delta] * factor
        assert np.allclose(after[delta], wanted / wanted.sum(1, keepdims=True), atol=1e-6)
        assert np.allclose(back[delta], before[delta], atol=1e-6)


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


def test_without_being_asked_for_it_changes_nothing(uneven, tmp_path):
    data = TrainingData(scan(uneven), TASK, PRESETS["bifsmn"], 0, 0.5, plain)  # noqa: F811
    model = train_on(data, tmp_path / "run", BRIEF, Watcher(), name="tones")
    trained = checkpoint.load(tmp_path / "run" / "student.pt")["network"]
    assert "evened_draws" not in model.provenance
    for depth in model.depths:
        assert np.array_equal(depth.class_bias, trained[f"class_bias.{depth.delta}"].numpy())


def test_what_is_trained_on_from_a_model_starts_as_it_was_trained(uneven, tmp_path):
    out = tmp_path / "run"
    model = train(Inputs(uneven, name="tones"), out, BRIEF, Watcher(), plain)
    trained = checkpoint.load(out / "student.pt")["network"]
    data = TrainingData(scan(uneven), TASK, PRESETS["bifsmn"], 0, 0.5, plain)  # noqa: F811
    start = start_of(model, settings_from(model, TASK), data)
    for delta in model.deltas:
        assert torch.allclose(start[f"class_bias.{delta}"], trained[f"class_bias.{delta}"], atol=1e-5)


@pytest.mark.parametrize("draws", [None, 3, {"low": 0}, {"low": "many"}, {"low": 1.5, "high": 2}])
def test_a_provenance_that_says_nothing_usable_is_passed_over(uneven, tmp_path, draws):
    model = train(Inputs(uneven, name="tones"), tmp_path / "run", BRIEF, Watcher(), plain)
    assert draws_of(model) == model.provenance["evened_draws"]
    assert draws_of(replace(model, provenance={"evened_draws": draws})) == {}
