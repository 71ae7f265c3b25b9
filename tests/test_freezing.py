"""Oscillating weights are frozen, others are not: on made-up weights, and in runs that are interrupted."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import SETTINGS, TASK, StopAfter, corpus, data  # noqa: F401  fixtures

from kws_training.config import StageSettings
from kws_training.freezing import FIRST, MOMENTUM, SMALLEST, Freezer
from kws_training.layers import BinaryLinear
from kws_training.loop import Run, Watcher, load_state
from kws_training.networks import BiFSMN
from kws_training.run import new_settings, resumed_settings
from kws_training.topology import Topology

SETTLED = replace(
    SETTINGS,
    stages=(
        StageSettings("teacher", 1, 3e-3, 1e-2),
        StageSettings("activations", 1, 2e-3, 0.0),
        StageSettings("binary", 4, 2e-2, 0.0, freezing=0.002),
    ),
)


def layer_of(weights: list[float]) -> BinaryLinear:
    layer = BinaryLinear(Topology(n_classes=4), len(weights), 1)
    layer.weight.data = torch.tensor([weights])
    return layer


def test_what_changes_often_is_frozen_at_the_sign_it_mostly_had():
    layer = layer_of([0.5, 0.1, -0.2, 1e-6])
    freezer = Freezer(layer, last=0.02, steps=1000)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        with torch.no_grad():
            # The first moves and keeps its sign, the second changes at every step, the third is mostly negative, and
            # the fourth, next to zero, mostly positive.
            layer.weight[0, 0] += 0.001
            layer.weight[0, 1] *= -1.0
            layer.weight[0, 2] = 0.2 if rng.random() < 0.1 else -0.2
            layer.weight[0, 3] = -1e-6 if rng.random() < 0.1 else 1e-6
        freezer.step()
    assert freezer.layers[""].frozen.tolist() == [[False, True, True, True]] and freezer.frozen() == 0.75
    free, fast, negative, tiny = layer.weight[0].tolist()
    assert free == pytest.approx(1.5, rel=1e-4) and abs(fast) == pytest.approx(0.1)
    assert negative == pytest.approx(-0.2) and tiny == pytest.approx(SMALLEST)


def test_the_threshold_falls_from_fifteen_times_to_the_last_by_a_cosine():
    """A weight that changes at every step passes a threshold t when 1 - (1 - m) ** n does."""
    steps, last = 200, 0.05
    layer = layer_of([1.0])
    freezer, taken = Freezer(layer, last, steps), 0
    while not freezer.frozen():
        layer.weight.data *= -1.0
        freezer.step()
        taken += 1

    def passes(n: int) -> bool:
        return 1 - (1 - MOMENTUM) ** n > last + (FIRST - 1) * last * (1 + np.cos(np.pi * n / steps)) / 2

    assert taken == next(n for n in range(1, steps) if passes(n))


def test_frozen_weights_keep_still_and_the_bits_are_theirs(data, tmp_path):  # noqa: F811
    seen = []

    class Look(Watcher):
        def epoch(self, row):
            if run.freezer:
                layers = run.freezer.layers
                seen.append({name: (layer.frozen.clone(), layer.held.clone()) for name, layer in layers.items()})

    run = Run(tmp_path, SETTLED, data, Look())
    network = run.train()
    assert run.freezer is None and len(seen) == 4
    assert sum(int(frozen.sum()) for frozen, _ in seen[0].values()) > 0
    for earlier in seen:
        for name, layer in network.named_modules():
            if name in earlier:
                frozen, held = earlier[name]
                assert torch.equal(layer.weight[frozen], held[frozen])
                bits = layer.engine_weight()[frozen].sign()
                assert torch.equal(bits, held[frozen].sign())


@pytest.mark.parametrize("epochs", [2.5, 4.5])
def test_an_interrupted_run_freezes_the_same_weights(data, tmp_path, epochs):  # noqa: F811
    whole = Run(tmp_path / "whole", SETTLED, data, Watcher()).train().state_dict()
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path / "part", SETTLED, data, StopAfter(round(epochs * data.steps(16, 0.2)))).train()
    state = load_state(tmp_path / "part")
    resumed = Run(tmp_path / "part", resumed_settings(state), data, Watcher(), state).train().state_dict()
    assert all(torch.equal(resumed[key], value) for key, value in whole.items())


def test_float_networks_have_nothing_to_freeze():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    assert not Freezer(network, 0.01, 10).layers
    assert Freezer(BiFSMN(Topology(n_classes=4)), 0.01, 10).layers


def test_settling_freezes():
    (stage,) = new_settings(TASK, "settling").stages
    assert stage.freezing > 0
