"""A folded model in torch: the C engine's arithmetic, operation by operation, as the truth that the C is held to.

Sums of +-1 are exact in float32 in any order; every other operation is written so that it rounds where the C rounds:
one multiplication or addition at a time, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from kws.model.folded import CONV1_CHANNELS, CONV2_CHANNELS, KERNEL, FoldedModel, FoldedPass
from kws_training.features import LogMel

PAD = KERNEL // 2
LANES = 16


@dataclass
class Trace:
    """Integer accumulators in the order of ``kws_network_traced``; each int16 [batch, values of that layer]."""

    layers: list[Tensor] = field(default_factory=list)

    def add(self, accumulator: Tensor) -> None:
        self.layers.append(accumulator.flatten(1).to(torch.int16))

    def joined(self) -> Tensor:
        """All accumulators, int16 [batch, kws_trace_size]."""
        return torch.cat(self.layers, 1)


def _tensor(array: NDArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _bits(condition: Tensor) -> Tensor:
    return torch.where(condition, 1.0, -1.0)


def _prelu(x: Tensor, slope: NDArray) -> Tensor:
    return torch.where(x >= 0, x, _tensor(slope) * x)


def _affine(accumulator: Tensor, scale: NDArray, bias: NDArray) -> Tensor:
    return _tensor(scale) * accumulator + _tensor(bias)


def _threshold(accumulator: Tensor, limit: NDArray, flip: NDArray) -> Tensor:
    return _bits((accumulator >= _tensor(limit).float()) ^ _tensor(flip))


def _convolutions(model: FoldedModel, features: Tensor, trace: Trace) -> Tensor:
    """[batch, n_mels, frames] in dB to the linear layer's +-1 inputs [batch, T, 32 * M]."""
    x = (features - model.preset.offset) * model.preset.scale
    padded = F.pad(x, (PAD, PAD, PAD, PAD))
    rows, columns = features.shape[1] // 2, features.shape[2] // 2
    out = _tensor(model.conv1_bias)[:, None, None].expand(len(x), CONV1_CHANNELS, rows, columns)
    for tap in range(KERNEL * KERNEL):
        mel, time = divmod(tap, KERNEL)
        window = padded[:, None, mel : mel + 2 * rows : 2, time : time + 2 * columns : 2]
        out = out + _tensor(model.conv1_weight[tap])[:, None, None] * window
    bits = F.pad(_bits(out >= 0), (PAD, PAD, PAD, PAD), value=-1.0)
    weight = _tensor(model.conv2_weight).float().transpose(1, 2)
    weight = weight.reshape(CONV2_CHANNELS, CONV1_CHANNELS, KERNEL, KERNEL)
    accumulator = F.conv2d(bits, weight, stride=2).permute(0, 2, 3, 1)
    trace.add(accumulator)
    bits = _threshold(accumulator, model.conv2_threshold, model.conv2_flip)
    return bits.transpose(1, 2).flatten(2)


def _block(model: FoldedModel, one: FoldedPass, x: Tensor, trace: Trace) -> Tensor:
    block, steps = model.blocks[one.block], x.shape[1]
    bits = F.pad(_bits(x >= _tensor(block.memory_input)), (0, 0, PAD, PAD), value=-1.0)
    taps = _tensor(block.memory_weight).float()
    accumulator = torch.stack([bits[:, k : k + steps] * taps[k] for k in range(KERNEL)]).sum(0)
    trace.add(accumulator)
    m = x + _prelu(_affine(accumulator, one.memory_scale, one.memory_bias), block.memory_slope)
    accumulator = F.linear(_bits(m >= _tensor(block.expand_input)), _tensor(block.expand_weight).float())
    trace.add(accumulator)
    bits = _threshold(accumulator, one.expand_threshold, one.expand_flip)
    accumulator = F.linear(bits, _tensor(block.project_weight).float())
    trace.add(accumulator)
    return m + _prelu(_affine(accumulator, one.project_scale, one.project_bias), block.project_slope)


def _classify(model: FoldedModel, x: Tensor, scale: NDArray, bias: NDArray) -> Tensor:
    """Sixteen partial sums by position, then a tree: the order that every kernel keeps."""
    products = x.flatten(1)[:, None, :] * _tensor(model.class_weight).float()
    products = products.reshape(len(x), model.n_classes, -1, LANES)
    lanes = torch.zeros(len(x), model.n_classes, LANES)
    for index in range(products.shape[2]):
        lanes = lanes + products[:, :, index]
    width = LANES
    while width > 1:
        width //= 2
        lanes = lanes[..., :width] + lanes[..., width : 2 * width]
    return _affine(lanes[..., 0], scale, bias)


def network(model: FoldedModel, features: Tensor, delta: int) -> tuple[Tensor, Tensor]:
    """Runs the folded network.

    Args:
        features: float32 [batch, n_mels, frames] in dB.
        delta: one of ``model.deltas``.

    Returns:
        Logits float32 [batch, n_classes], and every integer accumulator, int16 [batch, kws_trace_size].
    """
    depth = next(depth for depth in model.depths if depth.delta == delta)
    trace = Trace()
    bits = _convolutions(model, features, trace)
    accumulator = F.linear(bits, _tensor(model.linear_weight).float())
    trace.add(accumulator)
    x = _prelu(_affine(accumulator, model.linear_scale, model.linear_bias), model.linear_slope)
    for one in depth.passes:
        x = _block(model, one, x, trace)
    return _classify(model, x, depth.class_scale, depth.class_bias), trace.joined()


def logits(model: FoldedModel, pcm: NDArray[np.int16], delta: int) -> NDArray[np.float32]:
    """Windows of samples to logits, all in torch.

    Args:
        pcm: int16 [n, window_samples].

    Returns:
        float32 [n, n_classes].
    """
    with torch.no_grad():
        features = LogMel(model.preset)(torch.from_numpy(pcm).float())
        return network(model, features, delta)[0].numpy()
