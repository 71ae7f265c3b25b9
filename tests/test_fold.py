"""Folding against the network it folds, and the threshold form against the affine map it stands for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kws.errors import KwsError
from kws.features import PRESETS
from kws.model.fold import fold, threshold
from kws_training import folded
from kws_training.networks import BiFSMN, Topology

NAMES = ["yes", "no", "_unknown_", "_silence_"]


def network(seed: int, topology: Topology) -> BiFSMN:
    """A network whose every parameter and running statistic differs from its initial value."""
    torch.manual_seed(seed)
    net = BiFSMN(topology)
    net.set_stage("binary")
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
        net.constrain()
        net.train()
        for _ in range(4):
            net(torch.randn(16, 32, 32) * 20 - 40)
    return net.eval()


def folded_model(net: BiFSMN):
    state = {key: value.numpy() for key, value in net.state_dict().items()}
    return fold(state, name="t", preset=PRESETS["bifsmn"], class_names=NAMES, n_words=2, deltas=net.topology.deltas)


@pytest.mark.parametrize(("channels", "hidden", "blocks"), [(64, 128, 4), (128, 256, 8), (192, 64, 4)])
def test_the_folded_model_answers_as_the_network_does(channels, hidden, blocks):
    net = network(channels, Topology(n_classes=4, channels=channels, hidden=hidden, n_blocks=blocks))
    model = folded_model(net)
    features = torch.randn(200, 32, 32) * 20 - 40
    with torch.no_grad():
        expected = net(features)
        for delta in net.topology.deltas:
            logits, _ = folded.network(model, features, delta)
            difference = (logits - expected[delta][0]).abs().amax(1)
            # A bit may fall the other way where a value lies within rounding of its threshold; hardly ever may it.
            assert (difference < 1e-4).float().mean() >= 0.99
            assert expected[delta][0].std() > 0.05


def test_gains_of_either_sign_fold_into_thresholds():
    net = network(1, Topology(n_classes=4, channels=64, hidden=64, n_blocks=4))
    with torch.no_grad():
        net.conv2_norm.weight[::2] *= -1
        net.blocks[3].expand_norm.norms["1"].weight[::3] *= -1
        net.blocks[3].expand_norm.norms["1"].weight[1] = 0.0
    model = folded_model(net)
    assert model.conv2_flip.any() and not model.conv2_flip.all()
    features = torch.randn(50, 32, 32) * 20 - 40
    with torch.no_grad():
        logits, _ = folded.network(model, features, 1)
        assert (logits - net(features)[1][0]).abs().max() < 1e-4


@given(
    gain=st.floats(-10, 10).filter(lambda g: g == 0 or abs(g) > 1e-6),
    bias=st.floats(-1e4, 1e4),
    limit=st.sampled_from([5, 128, 400]),
)
def test_threshold_stands_for_the_affine_map(gain, bias, limit):
    value, flip = threshold(np.array([gain]), np.array([bias]), limit)
    accumulators = np.arange(-limit, limit + 1)
    exact = gain * accumulators + bias
    clear = np.abs(exact) > 1e-9 * (1 + np.abs(bias))
    answer = (accumulators >= value[0]) ^ flip[0]
    assert np.array_equal(answer[clear], (exact >= 0)[clear])


def test_a_slope_without_a_threshold_form_is_refused():
    net = network(2, Topology(n_classes=4, channels=64, hidden=64, n_blocks=4))
    with torch.no_grad():
        net.blocks[0].expand_prelu.slope[5] = -0.1
    with pytest.raises(KwsError, match="expand_prelu"):
        folded_model(net)
