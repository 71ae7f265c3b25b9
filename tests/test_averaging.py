"""Averages of weights, and batch norms measured anew, against sums written out."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_training import SETTINGS, StopAfter, corpus, data  # noqa: F401  fixtures
from torch import nn

from kws_training import checkpoint
from kws_training.averaging import Average, measure_norms
from kws_training.config import StageSettings
from kws_training.curves import draw_curves
from kws_training.loop import CHECKPOINT, Run, Watcher, load_state
from kws_training.run import resumed_settings

AVERAGED = replace(
    SETTINGS,
    stages=(
        StageSettings("teacher", 1, 3e-3, 1e-2),
        StageSettings("activations", 1, 2e-3, 0.0),
        StageSettings("binary", 3, 2e-3, 0.0, average=2.0),
    ),
)


@given(
    values=st.lists(st.floats(-10, 10), min_size=1, max_size=30),
    power=st.floats(0, 20),
)
def test_a_step_counts_as_its_number_to_the_power(values, power):
    line = nn.Linear(1, 1, bias=False)
    average = Average(line, power)
    for value in values:
        line.weight.data.fill_(value)
        average.add(line)
    average.put_into(line)
    # The integral of t ** power over each step, in place of its value at the step's end.
    ends = np.arange(len(values) + 1) ** (power + 1)
    assert line.weight.item() == pytest.approx(np.dot(np.diff(ends / ends[-1]), values), abs=1e-4)


def test_buffers_are_not_averaged():
    norm = nn.BatchNorm1d(2)
    average = Average(norm, 1.0)
    average.add(norm)
    norm.running_mean.fill_(5.0)
    average.put_into(norm)
    assert norm.running_mean.tolist() == [5.0, 5.0]


class Two(nn.Module):
    """A norm for each depth, as the blocks have."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleDict({"1": nn.BatchNorm1d(3), "2": nn.BatchNorm1d(3)})

    def forward(self, x, deltas):
        return [self.norms[str(delta)](x) for delta in deltas]


def test_norms_are_measured_where_they_run_and_stay_elsewhere():
    torch.manual_seed(0)
    network = Two()
    for norm in network.norms.values():
        norm.running_mean.fill_(7.0)
    batches = [torch.randn(16, 3) * 3 + 1 for _ in range(5)]
    measure_norms(network, iter(batches), (1,))
    seen, other = network.norms["1"], network.norms["2"]
    assert torch.allclose(seen.running_mean, torch.stack([x.mean(0) for x in batches]).mean(0), atol=1e-5)
    assert torch.allclose(seen.running_var, torch.stack([x.var(0) for x in batches]).mean(0), atol=1e-4)
    assert other.running_mean.tolist() == [7.0] * 3
    assert seen.momentum == other.momentum == 0.1


class Steps(Watcher):
    """Sums the weights of the last stage's steps as they count, in float64."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.count, self.sums = 0, {}
        self.figures = None

    def stage(self, settings, steps):
        self.count, self.sums = 0, {}

    def step(self, loss):
        self.count += 1
        weight = self.count**3 - (self.count - 1) ** 3
        for name, value in self.run.network.named_parameters():
            self.sums[name] = self.sums.get(name, 0.0) + weight * value.detach().double()

    def changed(self, what, figures):
        self.figures = figures


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):  # noqa: F811
    watcher = Steps()
    run = watcher.run = Run(tmp_path_factory.mktemp("averaged"), AVERAGED, data, watcher)
    run.train()
    return run, watcher


def test_a_run_ends_as_the_average_of_its_last_stage(whole):
    run, watcher = whole
    student = checkpoint.load(run.folder / "student.pt")["network"]
    for name, total in watcher.sums.items():
        assert torch.allclose(student[name].double(), total / watcher.count**3, atol=1e-5), name
    record = json.loads((run.folder / "record.json").read_text())
    assert record["epochs"][-1]["averaged"] == watcher.figures
    assert not any("averaged" in row for row in record["epochs"][:-1])


def test_the_norms_of_the_end_are_those_of_the_average(whole, data):  # noqa: F811
    run, _ = whole
    network = run.network
    batches = list(data.epoch(2, 3, AVERAGED.batch, 0.2, AVERAGED.stages[-1].augmentation))
    norm, seen = network.linear_norm.norms["1"], []
    hook = norm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].mean(0)))
    network.eval()
    with torch.no_grad():
        for features, _, _ in batches:
            network.front(features)
    hook.remove()
    # The layers before it normalise by the batch in training and by the mean of all batches here.
    spread = torch.sqrt(norm.running_var)
    assert ((torch.stack(seen).mean(0) - norm.running_mean).abs() < 0.2 * spread).all()


class StopBeforeTheEnd(Watcher):
    def changed(self, what, figures):
        raise KeyboardInterrupt


@pytest.mark.parametrize("stop", ["in a stage", "while averaging"])
def test_an_interrupted_run_ends_with_the_same_average(data, whole, tmp_path, stop):  # noqa: F811
    steps = data.steps(SETTINGS.batch, 0.2)
    watcher = StopBeforeTheEnd() if stop == "while averaging" else StopAfter(round(4.5 * steps))
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, AVERAGED, data, watcher).train()
    state = load_state(tmp_path)
    resumed = Run(tmp_path, resumed_settings(state), data, Watcher(), state).train().state_dict()
    for key, value in whole[0].network.state_dict().items():
        assert torch.equal(resumed[key], value), key


def test_a_checkpoint_from_before_averages_still_goes_on(data, tmp_path):  # noqa: F811
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, SETTINGS, data, StopAfter(2 * data.steps(SETTINGS.batch, 0.2))).train()
    state = load_state(tmp_path)
    del state["average"]
    settings = json.loads(state["settings"])
    for stage in settings["stages"]:
        del stage["average"]
    state["settings"] = json.dumps(settings)
    checkpoint.save(tmp_path / CHECKPOINT, state)
    state = load_state(tmp_path)
    run = Run(tmp_path, resumed_settings(state), data, Watcher(), state)
    run.train()
    assert len(run.history) == sum(stage.epochs for stage in SETTINGS.stages)


def test_curves_show_the_average(whole, tmp_path):
    plain = [{k: v for k, v in row.items() if k != "averaged"} for row in whole[0].history]
    draw_curves(plain, tmp_path / "plain.png")
    draw_curves(whole[0].history, tmp_path / "averaged.png")
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "averaged.png").read_bytes()
