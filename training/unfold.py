"""Unfolding: a model file becomes a network that trains on.

A model file holds no batch norms and no latent weights, only what folding left of them: signs, limits of counts, and
whole numbers. But each of these stands for a function, and for each function there are batch norms, thresholds and
weights that compute it: ``unfold`` chooses some. In the "binary" stage the network then answers as the engine does, but
for the 16 bits of the engine's stream.

What a chosen batch norm cannot know is the statistics of what it sees; ``measure`` takes them from data and changes no
answer by it. Latent weights get one magnitude, ``LATENT``: how sure training once was of each sign is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kws.errors import KwsError
from kws.features import INPUT_STEPS, PRESETS
from kws.model.folded import CLASS_SHIFT, CONV1_CHANNELS, CONV2_CHANNELS, KERNEL, FoldedModel, full_count
from kws_training.averaging import NORMS
from kws_training.layers import Switched
from kws_training.networks import BiFSMN
from kws_training.topology import Topology

LATENT = 0.05
"""Magnitude of every latent weight: with Adam, about ``LATENT / rate`` steps of one mind turn a sign."""

SLOPE = 0.25
"""Of the PReLUs that only a sign reads: any positive one computes the same."""

EPSILON = 1e-5

Array = NDArray[np.float64]


def unfold(model: FoldedModel, preset: str, n_classes: int) -> BiFSMN:
    """A network in the "binary" stage that computes what ``model`` does, up to its classifier, which is new: zeros.

    Args:
        model: with the default binarizer's kind of inputs, one plane or two of signs, as every model file has.
        preset: key of ``kws.features.PRESETS``; may have more frames than the model's own, and nothing else of its own.
        n_classes: of the new classifier.

    Raises:
        KwsError: features other than the model's.
    """
    require_features(model, preset)
    network = BiFSMN(topology_of(model, preset, n_classes))
    network.set_stage("binary")
    with torch.no_grad():
        _convolutions(network, model)
        _blocks(network, model)
        network.classifier.weight.zero_()
    network.constrain()
    return network.eval()


@torch.no_grad()
def keep_classes(network: BiFSMN, model: FoldedModel, class_names: Sequence[str]) -> None:
    """Gives the classes of ``network`` that ``model`` has too, by name, the weights that they have there.

    Args:
        network: from ``unfold``, with windows of the model's length.
        class_names: of its classifier, in output order.
    """
    # The engine's classifier reads whole numbers, this one what they stand for.
    unit = 2.0 ** (model.stream_bits - CLASS_SHIFT)
    for new, name in enumerate(class_names):
        if name not in model.class_names:
            continue
        old = model.class_names.index(name)
        deepest = float(model.depths[0].class_scale[old])
        network.classifier.weight[new] = _tensor(model.class_weight[old].reshape(-1) * (deepest * unit))
        for depth in model.depths:
            network.class_gain[str(depth.delta)][new] = float(depth.class_scale[old]) / deepest
            network.class_bias[str(depth.delta)][new] = float(depth.class_bias[old])


def topology_of(model: FoldedModel, preset: str, n_classes: int) -> Topology:
    """The shape of ``unfold``'s network."""
    return Topology(
        preset=preset,
        n_classes=n_classes,
        channels=model.channels,
        hidden=model.hidden,
        n_blocks=len(model.blocks),
        deltas=tuple(model.deltas),
        planes=model.planes,
    )


def require_features(model: FoldedModel, preset: str) -> None:
    """Raises KwsError where ``model`` hears other features than those of ``preset``, the length of windows apart."""
    own, wanted = vars(model.preset), vars(PRESETS[preset])
    differing = [key for key in own if key not in ("name", "frames") and own[key] != wanted[key]]
    if differing:
        raise KwsError(
            f"The model '{model.name}' hears other features than '{preset}' ({', '.join(differing)}); "
            "start from one that hears the same, such as a shipped one."
        )


@torch.no_grad()
def measure(network: BiFSMN, features: Iterable[Tensor]) -> None:
    """Gives every batch norm the statistics of what it sees, and lets it compute the same as before.

    Norms before a sign get a unit gain too, with the sign's steps to match: what trains on then starts where a newly
    initialised norm does.

    Args:
        network: from ``unfold``, in eval mode.
        features: float32 [batch, n_mels, frames] in dB, a few hundred maps in all.
    """
    seen: dict[nn.Module, _Moments] = {}

    def watch(norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        x = inputs[0]
        seen.setdefault(norm, _Moments()).add(x.transpose(0, 1).flatten(1) if x.ndim == 4 else x.T)

    hooks = [norm.register_forward_hook(watch) for norm in network.modules() if isinstance(norm, NORMS)]
    for batch in features:
        network(batch)
    for hook in hooks:
        hook.remove()
    for norm, moments in seen.items():
        _rebase(norm, *moments.result())
    _unit_gains(network)


class _Moments:
    """Mean and variance of what comes in pieces, float64."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, torch.zeros(1), torch.zeros(1)

    def add(self, x: Tensor) -> None:
        """``x``: [channels, n]."""
        x = x.double()
        self.count += x.shape[1]
        self.total, self.squares = self.total + x.sum(1), self.squares + x.square().sum(1)

    def result(self) -> tuple[Tensor, Tensor]:
        mean = self.total / self.count
        return mean, (self.squares / self.count - mean.square()).clamp_min(1e-6)


def _rebase(norm: Any, mean: Tensor, variance: Tensor) -> None:
    gain = norm.weight.double() / (norm.running_var.double() + EPSILON).sqrt()
    bias = norm.bias.double() - norm.running_mean.double() * gain
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(gain * (variance + EPSILON).sqrt())
    norm.bias.copy_(bias + mean * gain)


def _unit_gains(network: BiFSMN) -> None:
    for norm, layer in ((network.conv1_norm, network.conv2), (network.conv2_norm, network.linear)):
        _scale(layer, [norm], 1.0 / norm.weight.abs().clamp_min(EPSILON))
    for block in network.blocks:
        norms = list(block.expand_norm.norms.values())
        _scale(block.project, norms, 1.0 / norms[0].weight.abs().clamp_min(EPSILON))


def _scale(layer: Any, norms: list[Any], factor: Tensor) -> None:
    """Multiplies a channel's values, before a sign, and the sign's steps by the same: no bit changes."""
    for norm in norms:
        norm.weight.mul_(factor)
        norm.bias.mul_(factor)
    for step in (layer.quantize_input.above, layer.quantize_input.below):
        if step is not None:
            step.mul_(factor)


# --- where only a sign is left ---------------------------------------------------------------------------------------


@dataclass
class _Edges:
    """Where the planes of an input turn, in a layer's accumulators: ``middle`` [channels], steps [channels] or None."""

    middle: Array
    above: Array | None
    below: Array | None


def _edges_of_counts(limits: NDArray[np.int16], inputs: int) -> _Edges:
    """Of limits [E, channels] of ``d < limit``, for accumulators ``inputs - 2 d``; steps have the limits' sign."""
    limits = limits.astype(np.float64)
    middle = inputs - 2.0 * limits[0] + 1.0
    if len(limits) == 1:
        return _Edges(middle, None, None)
    return _Edges(middle, 2.0 * (limits[0] - limits[1]), 2.0 * (limits[2] - limits[0]))


def _set_steps(layer: Any, above: Array | None, below: Array | None, slope: float = 1.0) -> None:
    """The second plane's steps; ``slope``: of the PReLU between, which shrinks what is below zero."""
    if above is None or below is None:
        return
    layer.quantize_input.above.copy_(_tensor(above))
    layer.quantize_input.below.copy_(_tensor(below * slope))


def _set_norm(norm: Any, gain: Array, bias: Array) -> None:
    """A batch norm that computes ``gain * x + bias``."""
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0 - EPSILON)
    norm.weight.copy_(_tensor(gain))
    norm.bias.copy_(_tensor(bias))


def _convolutions(network: BiFSMN, model: FoldedModel) -> None:
    planes, limit = model.planes, model.conv1_threshold.astype(np.float64)
    whole = model.conv1_weight.astype(np.float64).T.reshape(CONV1_CHANNELS, 1, KERNEL, KERNEL).transpose(0, 1, 3, 2)
    step = 1.0 / 127.0
    network.conv1.weight.copy_(_tensor(step * whole))
    gain = np.full(CONV1_CHANNELS, INPUT_STEPS / step)
    _set_norm(network.conv1_norm, gain, 0.5 - limit[0])
    network.conv1_prelu.weight.fill_(SLOPE)
    if planes == 2:
        _set_steps(network.conv2, limit[1] - limit[0], limit[0] - limit[2], SLOPE)

    signs = model.conv2_weight.reshape(CONV2_CHANNELS, KERNEL, KERNEL, CONV1_CHANNELS).transpose(0, 3, 2, 1)
    network.conv2.weight.copy_(_latent(signs))
    edges = _edges_of_counts(model.conv2_below, full_count(signs[0].size, planes))
    _set_norm(network.conv2_norm, np.full(CONV2_CHANNELS, full_count(1, planes) / LATENT), -edges.middle)
    network.conv2_prelu.weight.fill_(SLOPE)
    _set_steps(network.linear, edges.above, edges.below, SLOPE)

    network.linear.weight.copy_(_latent(model.linear_weight))
    gain, bias = _value(model.linear_scale, model.linear_bias, model.linear_weight.shape[1], model)
    _set_norm(network.linear_norm.norms["1"], gain, bias)
    network.linear_prelu.slope.copy_(_slope(model.linear_slope))


# --- where the value counts ------------------------------------------------------------------------------------------


def _value(scale: NDArray[Any], bias: NDArray[Any], fan_in: int, model: FoldedModel) -> tuple[Array, Array]:
    """Gain and bias of a batch norm after a layer of latent weights, from the engine's whole numbers.

    The inverse of ``kws.model.fold.StreamLayer.integers``.
    """
    unit, inputs = 2.0**model.stream_bits, full_count(fan_in, model.planes)
    shift = 15 - (inputs - 1).bit_length()
    per_count = scale.astype(np.float64) / (2.0 * unit * 2.0 ** (15 - shift))
    return per_count * full_count(1, model.planes) / LATENT, bias / unit - inputs * per_count


def _blocks(network: BiFSMN, model: FoldedModel) -> None:
    unit = 2.0**model.stream_bits
    for block, folded in zip(network.blocks, model.blocks, strict=True):
        block.memory.weight.copy_(_latent(folded.memory_weight.T))
        block.expand.weight.copy_(_latent(folded.expand_weight))
        block.project.weight.copy_(_latent(folded.project_weight))
        for threshold, layer, edges in (
            (block.memory_input, block.memory, folded.memory_input.astype(np.float64)),
            (block.expand_input, block.expand, folded.expand_input.astype(np.float64)),
        ):
            # Half a unit lower: the engine's stream is whole, this one is not.
            threshold.copy_(_tensor((edges[0] - 0.5) / unit))
            if len(edges) == 3:
                _set_steps(layer, (edges[1] - edges[0]) / unit, (edges[0] - edges[2]) / unit)
        block.memory_prelu.slope.copy_(_slope(folded.memory_slope))
        block.project_prelu.slope.copy_(_slope(folded.project_slope))
        block.expand_prelu.slope.fill_(SLOPE)
    for depth in model.depths:
        for one in depth.passes:
            block, delta = network.blocks[one.block], str(depth.delta)
            for norm, scale, bias, fan_in in (
                (block.memory_norm, one.memory_scale, one.memory_bias, KERNEL),
                (block.project_norm, one.project_scale, one.project_bias, model.hidden),
            ):
                _set_norm(norm.norms[delta], *_value(scale, bias, fan_in, model))
            _expand(block, delta, one.expand_below, one.expand_flip, model)


def _expand(block: Any, delta: str, limits: NDArray[np.int16], flip: NDArray[np.bool_], model: FoldedModel) -> None:
    """The norm of an expansion at one depth. The second plane's steps are shared by the depths: the first sets them,
    and the others' gains are such that their steps have the same width, as near as whole numbers tell.
    """
    edges = _edges_of_counts(limits, full_count(model.channels, model.planes))
    sign, gain = np.where(flip, -1.0, 1.0), np.ones(model.hidden)
    norms: Switched = block.expand_norm
    if edges.above is not None and edges.below is not None:
        above, below = sign * edges.above, sign * edges.below
        if delta == next(iter(norms.norms)):
            _set_steps(block.project, above, below, SLOPE)
        shared = block.project.quantize_input
        width = shared.above.double().numpy() + shared.below.double().numpy() / SLOPE
        gain = width / np.maximum(above + below, 1.0)
    gain = sign * gain
    _set_norm(norms.norms[delta], gain * full_count(1, model.planes) / LATENT, -gain * edges.middle)


def _latent(signs: NDArray[np.int8]) -> Tensor:
    return _tensor(LATENT * signs.astype(np.float64))


def _slope(whole: NDArray[np.int16]) -> Tensor:
    return _tensor(whole / 2.0**15)


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))
