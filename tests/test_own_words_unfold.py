"""Unfolding against folding, its inverse, and against the integers of the engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_model import random_model

from kws.engine import Engine
from kws.errors import KwsError
from kws.features import PRESETS, Preset
from kws.model import FoldedModel, load
from kws.model.fold import fold
from kws_training.folded import network as folded_network
from kws_training.unfold import keep_classes, measure, unfold

MODELS = {
    "kws12": lambda: load("kws12"),
    "random": lambda: random_model(3, n_blocks=4, channels=64, hidden=128),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request) -> FoldedModel:
    return MODELS[request.param]()


def sounds(count: int) -> torch.Tensor:
    """Maps with the levels and the smoothness of speech, float32 [count, 32, 32] in dB."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn((count, 1, 8, 8), generator=generator) * 14.0 - 45.0
    fine = torch.randn((count, 1, 32, 32), generator=generator) * 3.0
    return (torch.nn.functional.interpolate(coarse, size=32, mode="bilinear") + fine)[:, 0]


def with_classifier_of(model: FoldedModel):
    """The unfolded network with the model's own classifier in place of the new one."""
    network = unfold(model, "bifsmn", model.n_classes)
    keep_classes(network, model, model.class_names)
    return network


def refolded(network, model: FoldedModel) -> FoldedModel:
    return fold(
        {key: value.numpy() for key, value in network.engine_state().items()},
        name="again",
        preset=PRESETS["bifsmn"],
        class_names=model.class_names,
        n_words=model.n_words,
        deltas=tuple(model.deltas),
    )


def test_folding_again_gives_the_same_numbers(model):
    again = refolded(with_classifier_of(model), model)
    assert again.planes == model.planes and again.deltas == model.deltas
    for name in ("conv2_weight", "linear_weight", "class_weight"):
        assert np.array_equal(getattr(again, name), getattr(model, name)), name
    # A limit below or beyond every count is any such; so is a second plane's beyond the first's.
    assert np.array_equal(again.conv2_below[0], model.conv2_below[0])
    assert again.stream_bits >= model.stream_bits
    lift = 2 ** (again.stream_bits - model.stream_bits)
    for one, other in zip(again.blocks, model.blocks, strict=True):
        for name in ("memory_weight", "expand_weight", "project_weight", "memory_slope", "project_slope"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert np.abs(one.memory_input[0] - lift * other.memory_input[0].astype(int)).max() <= lift
        assert np.abs(one.expand_input[0] - lift * other.expand_input[0].astype(int)).max() <= lift
    for one, other in zip(again.depths, model.depths, strict=True):
        for new, old in zip(one.passes, other.passes, strict=True):
            assert new.block == old.block and np.array_equal(new.expand_flip, old.expand_flip)
            assert np.array_equal(new.expand_below[0], old.expand_below[0])
            assert np.abs(new.memory_scale - lift * old.memory_scale.astype(int)).max() <= lift
            assert np.abs(new.project_bias - lift * old.project_bias.astype(int)).max() <= lift


@pytest.mark.parametrize("name", ["kws12", "kws12_lite"])
def test_a_shipped_model_answers_as_its_integers_do(name):
    model = load(name)
    network, features = with_classifier_of(model), sounds(100)
    with torch.no_grad():
        results = network(features)
    for delta in model.deltas:
        wanted, _ = folded_network(model, features, delta)
        logits = results[delta][0]
        # Made-up maps lie far from all words, where answers are close to each other: no test of which one is best.
        assert torch.corrcoef(torch.stack([logits.flatten(), wanted.flatten()]))[0, 1] > 0.9, delta


def test_classes_that_stay_answer_as_before_and_new_ones_start_at_zero(model):
    last = model.n_classes - 1
    names = ["a new one", model.class_names[last], model.class_names[0]]
    network, whole, features = unfold(model, "bifsmn", 3), with_classifier_of(model), sounds(5)
    keep_classes(network, model, names)
    with torch.no_grad():
        found, wanted = network(features), whole(features)
    for delta in model.deltas:
        assert torch.allclose(found[delta][0][:, 1:], wanted[delta][0][:, [last, 0]], atol=1e-4), delta
        assert not found[delta][0][:, 0].any()


def test_a_network_of_new_classes_alone_starts_at_zero(model):
    network = unfold(model, "bifsmn", 2)
    keep_classes(network, model, ["one", "another"])
    assert not network.classifier.weight.any()


def test_measuring_changes_no_answer_and_gives_norms_what_they_see(model):
    network, features = with_classifier_of(model), sounds(96)
    with torch.no_grad():
        before = {delta: logits for delta, (logits, _) in network(features).items()}
        measure(network, features.split(32))
        after = {delta: logits for delta, (logits, _) in network(features).items()}
        for delta in model.deltas:
            # Rounding turns a bit here and there that lies on its limit; the answers stay.
            both = torch.stack([after[delta].flatten(), before[delta].flatten()])
            assert torch.corrcoef(both)[0, 1] > 0.99, delta
        # In training mode a norm sees the batch's own statistics: over the same maps these are the measured ones.
        seen = {}
        norm = network.blocks[-1].project_norm.norms["1"]
        norm.register_forward_hook(lambda _, inputs, output: seen.update(x=inputs[0]))
        network(features)
    assert torch.allclose(seen["x"].mean(0), norm.running_mean, atol=1e-3)
    assert torch.allclose(seen["x"].var(0, unbiased=False), norm.running_var, rtol=0.02, atol=1e-4)
    assert torch.allclose(network.conv2_norm.weight.abs(), torch.ones(32), atol=1e-4)


def test_a_longer_window_keeps_all_but_the_classifier(model):
    short, long = unfold(model, "bifsmn", 3), unfold(model, "bifsmn_64", 3)
    assert long.classifier.weight.shape == (3, 16 * model.channels)
    for key, value in short.state_dict().items():
        if key != "classifier.weight":
            assert torch.equal(long.state_dict()[key], value), key
    # What a short window shows at its beginning, a long one that goes on in the same way shows at its beginning too.
    with torch.no_grad():
        features = sounds(4)
        first = short.front(features)
        second = long.front(torch.cat([features, features], 2))
    assert torch.allclose(first[:, :6], second[:, :6], atol=1e-5)


def test_a_longer_window_runs_in_the_engine():
    model = random_model(3, n_blocks=4, channels=64, hidden=128)
    network = unfold(model, "bifsmn_64", 3)
    with torch.no_grad():
        network.classifier.weight.normal_(generator=torch.Generator().manual_seed(1))
    long = fold(
        {key: value.numpy() for key, value in network.engine_state().items()},
        name="long",
        preset=PRESETS["bifsmn_64"],
        class_names=["a phrase", "_unknown_", "_silence_"],
        n_words=1,
        deltas=tuple(model.deltas),
    )
    engine, features = Engine(long), torch.cat([sounds(6), sounds(6).flip(0)], 2)
    for delta in model.deltas:
        wanted, _ = folded_network(long, features, delta)
        assert np.array_equal(np.stack([engine.network(one.numpy(), delta) for one in features]), wanted.numpy())


def test_other_features_are_refused():
    model = random_model(1, preset=Preset("wide", n_mels=40))
    with pytest.raises(KwsError, match=r"hears other features than 'bifsmn' \(n_mels\)"):
        unfold(model, "bifsmn", 3)
