"""The rivals: the published networks at the published input, int8 arithmetic against integers, and exact resuming."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_training import TASK, StopAfter, corpus, data  # noqa: F401  (fixtures)

from kws.errors import KwsError
from kws.features import PRESETS, Preset
from kws_training.config import StageSettings
from kws_training.loop import Run, Watcher, load_state
from kws_training.rivals import NETWORKS, RivalTopology, build
from kws_training.rivals.bcresnet import BCResNet
from kws_training.rivals.counting import deployed_bytes, macs, parameters
from kws_training.rivals.dscnn import DSCNN, same_padding
from kws_training.rivals.int8 import ConvNorm, Dense, Quantize, SubSpectralNorm
from kws_training.rivals.loop import RivalRun, load_rival
from kws_training.rivals.settings import RivalSettings

SMALL = Preset("small", n_fft=256, hop=512, n_mels=16, frames=16)

# Kim et al., 2021, table 1: parameters and multiplications, thousands and millions.
PUBLISHED = {1: (9.2, 3.1), 1.5: (17.2, 5.5), 2: (27.3, 8.5), 3: (54.2, 16.2), 6: (188, 53.1), 8: (321, 89.1)}


def published_input(tau: float) -> BCResNet:
    return BCResNet(tau, 12, replace(PRESETS["bifsmn"], n_mels=40, frames=101))


@pytest.mark.parametrize("tau", PUBLISHED)
def test_bc_resnet_has_the_published_parameters(tau):
    found = parameters(published_input(tau)) / 1000
    assert found == pytest.approx(PUBLISHED[tau][0], abs=0.05 if tau <= 3 else 0.5)


@pytest.mark.parametrize("tau", PUBLISHED)
def test_bc_resnet_does_the_published_work(tau):
    """The paper counts the norms' multiplications too; with one for every value that a norm sees, it agrees to 4 %."""
    network = published_input(tau).eval()
    normed = []
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(lambda layer, inputs, output: normed.append(output.numel()))
    network(torch.zeros(1, 40, 101))
    convolutions = macs(network, 40, 101)
    assert convolutions < 1e6 * PUBLISHED[tau][1]
    assert (convolutions + sum(normed)) / 1e6 == pytest.approx(PUBLISHED[tau][1], rel=0.04)


def test_ds_cnn_is_the_reference_of_mlperf_tiny():
    """The reference (Keras) has 23,756 trainable numbers, 576 of them biases that its batch norms cancel."""
    network = DSCNN(12, replace(PRESETS["bifsmn"], n_mels=10, frames=49))
    assert parameters(network) == 23756 - 9 * 64
    separable = 25 * 5 * 64 * (9 + 64)
    assert macs(network, 10, 49) == 25 * 5 * 64 * 40 + 4 * separable + 64 * 12 == 2656768


def test_same_padding_is_tensorflows():
    assert same_padding(49, 10, 2) == (4, 5)
    assert same_padding(10, 4, 2) == same_padding(32, 4, 2) == (1, 1)
    assert same_padding(32, 10, 2) == (4, 4)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_rival_answers_in_both_arithmetics(name):
    torch.manual_seed(0)
    network = build(RivalTopology(name, n_classes=5))
    features = -40 + 20 * torch.randn(6, 32, 32)
    network(features)  # statistics
    answers = {}
    for stage in ("float", "int8"):
        network.set_stage(stage)
        network.train()
        network(features)  # ranges
        network.eval()
        with torch.no_grad():
            logits, outputs = network(features)[1]
        assert logits.shape == (6, 5) and outputs[0].shape == (6, network.classifier.in_features)
        assert torch.isfinite(logits).all()
        answers[stage] = logits
    assert not torch.equal(answers["float"], answers["int8"])
    spread = answers["float"].std()
    assert (answers["float"] - answers["int8"]).square().mean().sqrt() < 0.5 * spread


def test_a_sub_spectral_norm_is_a_batch_norm_for_each_band():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 8, 7) * torch.arange(1, 9)[:, None]
    found = SubSpectralNorm(3, 4).train()(x)
    for channel in range(3):
        for band in range(4):
            part = x[:, channel, 2 * band : 2 * band + 2]
            expected = (part - part.mean()) / (part.var(correction=0) + 1e-5).sqrt()
            assert torch.allclose(found[:, channel, 2 * band : 2 * band + 2], expected, atol=1e-5)


@pytest.mark.parametrize("gain_sign", [1.0, -1.0])
def test_int8_is_what_integers_with_a_folded_batch_norm_give(gain_sign):
    """An integer convolution, an int32 bias and one multiplier an output: what a deployment runs."""
    torch.manual_seed(1)
    layer, entry, out = ConvNorm(3, 4, 3, padding=1), Quantize(), Quantize()
    layer.norm.weight.data = gain_sign * torch.rand(4) + 0.5 * gain_sign
    layer.norm.bias.data = torch.randn(4)
    layer.norm.running_mean, layer.norm.running_var = torch.randn(4), torch.rand(4) + 0.5
    for module in (layer, entry, out):
        module.stage = "int8"
    x = torch.randn(2, 3, 6, 5)
    low, high = -2.0, 3.0
    entry.levels.running[:] = torch.tensor([low, high])
    out.levels.running[:] = torch.tensor([0.0, 4.0])
    for module in (layer, entry, out):
        module.eval()
    with torch.no_grad():
        found = out(F.relu(layer(entry(x)))).double().numpy()

    step, zero = (high - low) / 255, round(-low / ((high - low) / 255))
    whole = np.clip(np.floor(x.double().numpy() / step + zero + 0.5), 0, 255).astype(np.int64) - zero
    gain = (layer.norm.weight / (layer.norm.running_var + layer.norm.eps).sqrt()).detach().double().numpy()
    weight = layer.conv.weight.detach().double().numpy() * gain[:, None, None, None]  # folded before it is rounded
    weight_step = np.abs(weight).reshape(4, -1).max(1) / 127
    integers = np.rint(weight / weight_step[:, None, None, None]).astype(np.int64)
    padded = np.pad(whole, ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    sums = np.einsum("bcyxij,ocij->boyx", views, integers)
    shift = layer.norm.bias.detach().double().numpy() - gain * layer.norm.running_mean.double().numpy()
    bias = np.rint(shift / (step * weight_step)).astype(np.int64)
    real = (sums + bias[:, None, None]) * (step * weight_step)[:, None, None]
    expected = np.clip(np.floor(np.maximum(real, 0) / (4 / 255) + 0.5), 0, 255) * (4 / 255)
    off = np.rint(np.abs(found - expected) / (4 / 255))
    assert off.max() <= 1 and off.mean() < 0.02  # only a tie at the rounding of the bias may move a level
    assert len(np.unique(found)) > 50


def test_bytes_are_those_of_a_deployment():
    network = DSCNN(12, PRESETS["bifsmn"])
    weights = 64 * 40 + 4 * (64 * 9 + 64 * 64) + 64 * 12
    outputs = 9 * 64 + 12
    expected = {"weights": weights, "biases": 4 * outputs, "multipliers": 4 * outputs}
    assert deployed_bytes(network, "int8") == {**expected, "total": weights + 8 * outputs}
    assert deployed_bytes(network, "float")["total"] == 4 * (weights + outputs)
    banded = BCResNet(1, 12, PRESETS["bifsmn"])
    layers = [layer for layer in banded.modules() if isinstance(layer, ConvNorm)]
    spectral = sum(layer.conv.out_channels for layer in layers if layer.bands > 1)
    plain = sum(layer.conv.out_channels for layer in layers if layer.bands == 1)
    assert deployed_bytes(banded, "int8")["biases"] == 4 * (4 * spectral + plain + 12)
    assert sum(isinstance(layer, Dense) for layer in banded.modules()) == 1


STAGES = (
    StageSettings("float", 2, 3e-3, 1e-2, identity=0.5, smoothing=0.1),
    StageSettings("int8", 1, 1e-3, 0.0),
)
SETTINGS = RivalSettings(TASK.words, True, RivalTopology("bc-resnet-1", n_classes=4), STAGES, batch=16, warmup=1.0)


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("whole")
    run = RivalRun(folder, SETTINGS, data, Watcher())
    return folder, {key: value.clone() for key, value in run.train().state_dict().items()}, run.history


@pytest.mark.parametrize("fraction", [0.4, 0.8])
def test_an_interrupted_rival_ends_with_the_same_weights(data, uninterrupted, tmp_path, fraction):  # noqa: F811
    total = data.steps(16, 0.2) * sum(stage.epochs for stage in STAGES)
    with pytest.raises(KeyboardInterrupt):
        RivalRun(tmp_path, SETTINGS, data, StopAfter(round(fraction * total))).train()
    result = RivalRun(tmp_path, SETTINGS, data, Watcher(), load_state(tmp_path)).train().state_dict()
    assert all(torch.equal(result[key], value) for key, value in uninterrupted[1].items())


def test_a_rivals_average_is_the_same_after_an_interruption(data, tmp_path):  # noqa: F811
    class StopAtTheEnd(Watcher):
        def changed(self, what, figures):
            raise KeyboardInterrupt

    settings = replace(SETTINGS, stages=(replace(STAGES[0], average=1.0), STAGES[1]))
    whole = RivalRun(tmp_path / "whole", settings, data, Watcher())
    weights = whole.train().state_dict()
    assert [("averaged" in row) for row in whole.history] == [False, True, False]
    with pytest.raises(KeyboardInterrupt):
        RivalRun(tmp_path / "part", settings, data, StopAtTheEnd()).train()
    resumed = RivalRun(tmp_path / "part", settings, data, Watcher(), load_state(tmp_path / "part")).train().state_dict()
    assert all(torch.equal(resumed[key], value) for key, value in weights.items())


def test_int8_starts_from_the_float_run_of_another_folder(data, uninterrupted, tmp_path):  # noqa: F811
    folder, weights, history = uninterrupted
    start = load_rival(folder / "float.pt").state_dict()
    run = RivalRun(tmp_path, SETTINGS, data, Watcher(), start=start)
    result = run.train().state_dict()
    assert [row["stage"] for row in run.history] == ["int8"]
    # The weights, that is; the second task's layer starts anew.
    assert run.history[0]["loss"] == pytest.approx(history[-1]["loss"], rel=0.05)
    assert result.keys() == weights.keys()
    network = load_rival(tmp_path / "int8.pt")
    assert network.stage == "int8" and not network.training
    assert all(torch.equal(value, result[key]) for key, value in network.state_dict().items())


def test_the_float_run_learns(uninterrupted):
    losses = [row["loss"] for row in uninterrupted[2] if row["stage"] == "float"]
    assert losses[-1] < losses[0]


def test_settings_survive_json_and_others_are_refused(data, uninterrupted):  # noqa: F811
    assert RivalSettings.from_dict(json.loads(json.dumps(SETTINGS.as_dict()))) == SETTINGS
    with pytest.raises(KwsError, match="another version"):
        RivalSettings.from_dict({**SETTINGS.as_dict(), "more": 1})
    with pytest.raises(KwsError, match="other settings"):
        RivalRun(uninterrupted[0], replace(SETTINGS, seed=1), data, Watcher(), load_state(uninterrupted[0]))
    with pytest.raises(KwsError, match="'vgg' is no rival"):
        build(RivalTopology("vgg"))


def test_a_run_of_teacher_stages_alone_leaves_a_teacher(data, tmp_path):  # noqa: F811
    from test_training import SETTINGS as OWN

    settings = replace(OWN, stages=(replace(OWN.stages[0], epochs=1),))
    network = Run(tmp_path, settings, data, Watcher()).train()
    assert network.stage == "float" and (tmp_path / "teacher.pt").is_file() and not (tmp_path / "student.pt").exists()
    again = Run(tmp_path, settings, data, Watcher(), load_state(tmp_path)).train()
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in network.state_dict().items())
