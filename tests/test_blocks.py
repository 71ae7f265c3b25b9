"""Blocks of other papers against their formulas: bi-attention (BiBERT) and the shrinkable block (BiMatting)."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_training import SETTINGS, TASK, corpus, data  # noqa: F401  (fixtures)

from kws.bench.graph import Shape
from kws.errors import KwsError
from kws_training.blocks import BLOCKS, obstacle
from kws_training.blocks.attention import HEAD, bi_attention, boolean
from kws_training.blocks.shrinkable import ShrinkableBlock
from kws_training.layers import BinaryLayer
from kws_training.loop import Watcher
from kws_training.networks import BiFSMN
from kws_training.quantizers import BINARIZERS
from kws_training.run import load_teacher, new_settings, train_on
from kws_training.topology import ATTENTION, MEMORY, NETWORKS, SHRINKABLE, Topology, float_network, network_name

TOPOLOGY = Topology(channels=128, hidden=256, n_blocks=4)
OTHERS = (ATTENTION, SHRINKABLE)


def block(kind: str, stage: str = "binary", deltas: tuple[int, ...] = (1,)) -> torch.nn.Module:
    """A block in double precision whose norms, slopes and thresholds are those of no new one."""
    torch.manual_seed(1)
    made = BLOCKS[kind](replace(TOPOLOGY, block=kind), list(deltas)).double().eval()
    with torch.no_grad():
        for name, value in made.named_parameters():
            if value.ndim == 1 and "quantize" not in name:
                value.add_(0.2 * torch.randn_like(value))
        for name, value in made.named_buffers():
            if name.endswith("running_mean"):
                value.normal_()
            elif name.endswith("running_var"):
                value.uniform_(0.5, 20.0)
    for layer in made.modules():
        if isinstance(layer, BinaryLayer):
            layer.stage = stage
    return made


def norm(switched: torch.nn.Module, x: np.ndarray, delta: int = 1) -> np.ndarray:
    one = switched.norms[str(delta)]
    mean, var, gain, bias = (v.detach().numpy() for v in (one.running_mean, one.running_var, one.weight, one.bias))
    return (x - mean) / np.sqrt(var + one.eps) * gain + bias


def prelu(slope: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, x, x * slope.slope.detach().numpy())


def signed(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, 1.0, -1.0)


def multiply(layer: BinaryLayer, x: np.ndarray) -> np.ndarray:
    """A binary layer by its definition: signs times signs times the mean magnitude of each output's weights."""
    weight = layer.weight.detach().numpy()
    return signed(x) @ signed(weight).T * np.abs(weight).mean(1)


def remembered(made: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """The stream with its memory: five taps over time, -1 around it."""
    bits = np.pad(signed(x - value(made.memory_input)), ((0, 0), (2, 2), (0, 0)), constant_values=-1.0)
    weight = made.memory.weight.detach().numpy()
    taps = sum(bits[:, k : k + x.shape[1]] * signed(weight[:, k]) for k in range(5)) * np.abs(weight).mean(1)
    return x + prelu(made.memory_prelu, norm(made.memory_norm, taps))


def value(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().numpy()


# --- bi-attention -----------------------------------------------------------------------------------------------------


def test_bool_is_one_for_zero_and_passes_the_gradient_where_the_score_is_small():
    x = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.01], requires_grad=True)
    result = boolean(x)
    assert result.tolist() == [0, 0, 0, 1, 1, 1, 1]
    upstream = torch.arange(1.0, 8.0)
    (result * upstream).sum().backward()
    assert x.grad.tolist() == [0, 2, 3, 4, 5, 6, 0]


@given(st.integers(0, 2**32), st.integers(1, 9), st.sampled_from([1, 3, 64]))
def test_attention_adds_the_values_whose_keys_agree(seed, steps, width):
    draw = np.random.default_rng(seed)
    query, key, values = (draw.choice([-1, 1], (steps, width)) for _ in range(3))
    expected = [
        [sum(values[s, c] for s in range(steps) if int(query[t] @ key[s]) >= 0) for c in range(width)]
        for t in range(steps)
    ]
    found = bi_attention(*(torch.from_numpy(part).double() for part in (query, key, values)))
    assert found.tolist() == expected
    # As an engine would: agreement as +-1, an XNOR product, and half of it and of the values' sum.
    agree = np.where(query @ key.T >= 0, 1, -1)
    assert ((agree @ values + values.sum(0)) % 2 == 0).all()
    assert found.tolist() == ((agree @ values + values.sum(0)) // 2).tolist()


def test_the_gradient_of_attention_is_the_formulas():
    """dA where |q k / sqrt(d)| <= 1, through to queries, keys and values, by hand."""
    torch.manual_seed(0)
    steps, width = 5, 16
    parts = [torch.where(torch.randn(steps, width) >= 0, 1.0, -1.0).double().requires_grad_() for _ in range(3)]
    upstream = torch.randn(steps, width, dtype=torch.float64)
    (bi_attention(*parts) * upstream).sum().backward()
    query, key, values = (part.detach().numpy() for part in parts)
    scores, up = query @ key.T / math.sqrt(width), upstream.numpy()
    through = (up @ values.T) * (np.abs(scores) <= 1.0) / math.sqrt(width)
    assert 0 < (np.abs(scores) > 1.0).sum() < scores.size
    assert np.allclose(parts[0].grad, through @ key) and np.allclose(parts[1].grad, through.T @ query)
    assert np.allclose(parts[2].grad, (scores >= 0).T @ up)


def test_a_share_is_about_as_often_one_as_zero():
    """Half of what has no tie, and every tie: C(64, 32) of 2^64."""
    torch.manual_seed(0)
    query, key = (torch.where(torch.randn(2000, 8, HEAD) >= 0, 1.0, -1.0) for _ in range(2))
    shares = boolean(query @ key.transpose(1, 2))
    assert shares.mean().item() == pytest.approx(0.5 + math.comb(HEAD, HEAD // 2) / 2 ** (HEAD + 1), abs=0.01)


def test_attention_needs_signs():
    with pytest.raises(KwsError, match="'uniform-4' gives bi-attention no signs; choose a binarizer of one bit"):
        BiFSMN(replace(TOPOLOGY, block=ATTENTION, binarizer="uniform-4"))


def test_a_shrinkable_blocks_hidden_layer_has_one_threshold():
    made = BLOCKS[SHRINKABLE](replace(TOPOLOGY, block=SHRINKABLE, binarizer="reactnet"), [1])
    assert made.project.quantize_input.threshold is None and made.project_input.requires_grad
    assert BLOCKS[MEMORY](replace(TOPOLOGY, binarizer="reactnet"), [1]).project.quantize_input.threshold is not None


def test_a_binary_attention_block_is_its_formula():
    made = block(ATTENTION)
    x = torch.randn(3, 8, 128, dtype=torch.float64)
    inputs = value(x) - value(made.attention_input)
    query, key, values = (
        signed(norm(getattr(made, f"{name}_norm"), multiply(getattr(made, name), inputs)))
        for name in ("query", "key", "value")
    )
    heard = np.zeros_like(inputs)
    for head in (slice(0, 64), slice(64, 128)):
        scores = query[..., head] @ key[..., head].swapaxes(1, 2)
        heard[..., head] = (scores >= 0) @ values[..., head]
    heard -= value(made.output_input)
    m = value(x) + prelu(made.output_prelu, norm(made.output_norm, multiply(made.output, heard)))
    hidden = prelu(made.expand_prelu, norm(made.expand_norm, multiply(made.expand, m - value(made.expand_input))))
    expected = m + prelu(made.project_prelu, norm(made.project_norm, multiply(made.project, hidden)))
    assert np.allclose(made(x, 1).detach().numpy(), expected, atol=1e-9)
    assert not np.allclose(expected, value(x), atol=0.1)


def test_a_teachers_attention_has_softmax():
    made = block(ATTENTION, "float")
    x = torch.randn(2, 8, 128, dtype=torch.float64)
    inputs = value(x) - value(made.attention_input)
    query, key, values = (
        norm(getattr(made, f"{name}_norm"), inputs @ value(getattr(made, name).weight).T)
        for name in ("query", "key", "value")
    )
    expected = np.zeros_like(inputs)
    for head in (slice(0, 64), slice(64, 128)):
        scores = np.exp(query[..., head] @ key[..., head].swapaxes(1, 2) / 8.0)
        expected[..., head] = scores / scores.sum(-1, keepdims=True) @ values[..., head]
    assert np.allclose(made.attend(x, 1).detach().numpy(), expected, atol=1e-9)


# --- the shrinkable block ---------------------------------------------------------------------------------------------


def test_a_binary_shrinkable_block_is_its_formula():
    made = block(SHRINKABLE)
    x = torch.randn(3, 8, 128, dtype=torch.float64)
    m = remembered(made, value(x))
    hidden = np.concatenate([m, m], -1)
    hidden += prelu(made.expand_prelu, norm(made.expand_norm, multiply(made.expand, m - value(made.expand_input))))
    projected = norm(made.project_norm, multiply(made.project, hidden - value(made.project_input)))
    expected = (hidden[..., :128] + hidden[..., 128:]) / 2 + prelu(made.project_prelu, projected)
    assert np.allclose(made(x, 1).detach().numpy(), expected, atol=1e-9)


def test_every_binary_layer_of_a_shrinkable_block_has_a_shortcut():
    """With layers that add nothing the block is the identity, and so is its gradient; without shortcuts it is not."""
    made = block(SHRINKABLE)
    with torch.no_grad():
        for switched in (made.memory_norm, made.expand_norm, made.project_norm):
            switched.norms["1"].weight.zero_()
            switched.norms["1"].bias.zero_()
    x = torch.randn(2, 8, 128, dtype=torch.float64, requires_grad=True)
    out = made(x, 1)
    assert torch.allclose(out, x)
    upstream = torch.randn_like(out)
    (gradient,) = torch.autograd.grad((out * upstream).sum(), x)
    assert torch.allclose(gradient, upstream)


def test_a_hidden_layer_that_shortcuts_do_not_fit_is_refused():
    with pytest.raises(KwsError, match=r"hidden layer of 192 is no multiple of a stream of 128"):
        ShrinkableBlock(replace(TOPOLOGY, hidden=192), [1])


# --- both, in networks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", BLOCKS)
def test_every_input_of_every_binary_layer_is_plus_or_minus_one(kind, monkeypatch):
    network = BiFSMN(replace(TOPOLOGY, block=kind))
    network.set_stage("binary")
    seen: list[torch.Tensor] = []
    original = BinaryLayer.binarize_input
    monkeypatch.setattr(BinaryLayer, "binarize_input", lambda layer, x: seen.append(original(layer, x)) or seen[-1])
    network(torch.randn(4, 32, 32) * 20 - 40, (1,))
    assert len(seen) == len(list(network.binary_layers()))
    assert all(set(values.unique().tolist()) == {1.0, -1.0} for values in seen)


@pytest.mark.parametrize("kind", OTHERS)
def test_each_depth_has_norms_of_its_own_and_everything_learns(kind):
    torch.manual_seed(0)
    network = BiFSMN(replace(TOPOLOGY, block=kind))
    network.set_stage("binary")
    results = network.train()(torch.randn(16, 32, 32) * 20 - 40)
    assert list(results) == [1, 2, 4]
    sum(logits.square().mean() for logits, _ in results.values()).backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []
    last = network.blocks[3]
    assert set(last.project_norm.norms) == {"1", "2", "4"} and set(network.blocks[0].project_norm.norms) == {"1"}


def test_what_an_attention_learns_and_schedules_of_a_binarizer_is_moved_along():
    network = BiFSMN(replace(TOPOLOGY, block=ATTENTION, binarizer="irnet"))
    moved: list[float] = []
    inner = network.blocks[0].quantize_query
    inner.progress, inner.constrain = moved.append, lambda: moved.append(-1.0)
    network.progress(0.25)
    network.constrain()
    assert moved == [0.25, -1.0]


def test_work_is_that_of_the_layers():
    shape = Shape(channels=128, hidden=256, blocks=4)
    for kind in (MEMORY, SHRINKABLE):
        assert sum(BiFSMN(replace(TOPOLOGY, block=kind)).macs(1).values()) == shape.macs
    attention = BiFSMN(replace(TOPOLOGY, block=ATTENTION))
    # Four linear layers of 128 and two products of eight steps with eight, in place of five taps.
    more = 8 * 4 * 128 * 128 + 2 * 8 * 8 * 128 - 8 * 5 * 128
    assert sum(attention.macs(1).values()) == shape.macs + 4 * more
    assert attention.macs(1)["inner"] - attention.macs(2)["inner"] == 2 * attention.blocks[0].macs(8)


def test_networks_have_names_and_blocks_reasons():
    for name, variant in NETWORKS.items():
        assert network_name(Topology(planes=variant.planes, block=variant.block)) == name
    assert [float_network(name) for name in NETWORKS] == ["bifsmn", "bifsmn", "bifsmn-attention", "bifsmn-shrinkable"]
    for name, method in BINARIZERS.items():
        assert bool(obstacle(name, "bifsmn")) is not method.maps_to_engine
        assert obstacle(name, "bifsmn-attention")
    assert obstacle("bireal", "bifsmn-shrinkable") == (
        "'bifsmn-shrinkable' trains but exports no model: its hidden layers hold values, the engine's bits."
    )


class Teller(Watcher):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


@pytest.mark.parametrize("kind", OTHERS)
def test_a_network_without_a_model_trains_to_its_student_and_says_so(kind, data, tmp_path):  # noqa: F811
    topology = replace(SETTINGS.topology, hidden=128, block=kind)
    settings, teller = replace(SETTINGS, topology=topology), Teller()
    assert train_on(data, tmp_path / "run", settings, teller) is None
    assert teller.warnings == [obstacle("bireal", network_name(topology))]
    assert (tmp_path / "run/student.pt").is_file() and not (tmp_path / "run/model.kws").exists()
    assert set(load_teacher(tmp_path / "run", settings)) == set(BiFSMN(topology).state_dict())
    with pytest.raises(KwsError, match="of another shape"):
        load_teacher(tmp_path / "run", replace(settings, topology=replace(topology, block=MEMORY)))


def test_a_network_that_there_is_not_is_answered_with_those_that_there_are():
    with pytest.raises(KwsError, match="choose bifsmn, bifsmnv2, bifsmn-attention, bifsmn-shrinkable"):
        new_settings(TASK, network="bifsmn-atention")
