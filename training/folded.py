"""A folded model in torch: the engine's integers, operation by operation, as the truth that the C is held to.

Products of small whole numbers are summed in floats where the sum stays below what those hold exactly, which is
quick and exact in any order; everything else is int64.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from kws.model.folded import (
    CLASS_SHIFT,
    CONV1_CHANNELS,
    CONV2_CHANNELS,
    INT16_MAX,
    KERNEL,
    FoldedDepth,
    FoldedModel,
    FoldedPass,
    full_count,
)
from kws_training.features import LogMel

PAD = KERNEL // 2


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


def _whole(array: NDArray) -> Tensor:
    return _tensor(array).long()


def _bits(condition: Tensor) -> Tensor:
    return torch.where(condition, 1.0, -1.0)


def _levels(passed: Tensor) -> Tensor:
    """What a layer multiplies, from the edges that its input has passed, bool [E, ...]: +-1; or +-1 and +-3."""
    first = _bits(passed[0])
    return first if len(passed) == 1 else 2.0 * first + torch.where(passed[0], _bits(passed[1]), _bits(passed[2]))


def saturate(x: Tensor) -> Tensor:
    """int64, cut to what 16 bits hold."""
    return x.clamp(-INT16_MAX - 1, INT16_MAX)


def mulr(a: Tensor, b: Tensor) -> Tensor:
    """The rounding product of two Q15 numbers, int64 in and out."""
    return saturate((a * b + (1 << 14)) >> 15)


def quantize(features: Tensor, offset: float, steps_per_db: float) -> Tensor:
    """The network's 8-bit input from float32 decibels, as int64; -128 for NaN."""
    steps = (features - offset) * steps_per_db
    steps = torch.where(steps > 127.0, 127.0, steps)
    steps = torch.where(steps >= -128.0, steps, -128.0)
    return (steps + 128.5).long() - 128


def residual(accumulator: Tensor, inputs: int, scale: NDArray, bias: NDArray, slope: NDArray) -> Tensor:
    """What a binary layer adds to the stream: batch norm and PReLU of its accumulators, ``inputs - 2 d``, int64.

    ``inputs``: as ``full_count`` counts them.
    """
    shift = 15 - (inputs - 1).bit_length()
    lifted = (torch.div(inputs - accumulator, 2, rounding_mode="floor") << shift).clamp_max(INT16_MAX)
    value = saturate(_whole(bias) - mulr(lifted, _whole(scale)))
    return torch.maximum(value, mulr(value, _whole(slope)))


def _convolutions(model: FoldedModel, features: Tensor, trace: Trace) -> Tensor:
    """[batch, n_mels, frames] in dB to the linear layer's inputs [batch, T, 32 * M]."""
    x = quantize(features, model.preset.offset, model.preset.steps_per_db).float().transpose(1, 2).unsqueeze(1)
    weight = _tensor(model.conv1_weight).float().T.reshape(CONV1_CHANNELS, 1, KERNEL, KERNEL)
    total = F.conv2d(x, weight, stride=2, padding=PAD)  # below 2**17
    levels = _levels(total >= _tensor(model.conv1_threshold).float()[:, None, :, None, None])
    weight = _tensor(model.conv2_weight).float().transpose(1, 2)
    weight = weight.reshape(CONV2_CHANNELS, CONV1_CHANNELS, KERNEL, KERNEL)
    full = full_count(1, model.planes)
    total = F.conv2d(F.pad(levels, (PAD, PAD, PAD, PAD), value=-full), weight, stride=2)
    accumulator = total.permute(0, 2, 3, 1).long()
    trace.add(accumulator)
    differing = torch.div(full * KERNEL * KERNEL * CONV1_CHANNELS - accumulator, 2, rounding_mode="floor")
    return _levels(differing < _whole(model.conv2_below)[:, None, None, None]).flatten(2)


def _matmul(levels: Tensor, weight: NDArray, trace: Trace) -> Tensor:
    accumulator = F.linear(levels, _tensor(weight).float()).long()
    trace.add(accumulator)
    return accumulator


def _block(model: FoldedModel, one: FoldedPass, x: Tensor, trace: Trace) -> Tensor:
    block, steps = model.blocks[one.block], x.shape[1]
    full = full_count(1, model.planes)
    levels = F.pad(_levels(x >= _whole(block.memory_input)[:, None, None]), (0, 0, PAD, PAD), value=-full)
    taps = _tensor(block.memory_weight).float()
    accumulator = torch.stack([levels[:, k : k + steps] * taps[k] for k in range(KERNEL)]).sum(0).long()
    trace.add(accumulator)
    x = saturate(x + residual(accumulator, full * KERNEL, one.memory_scale, one.memory_bias, block.memory_slope))

    accumulator = _matmul(_levels(x >= _whole(block.expand_input)[:, None, None]), block.expand_weight, trace)
    differing = torch.div(full * model.channels - accumulator, 2, rounding_mode="floor")
    levels = _levels((differing < _whole(one.expand_below)[:, None, None]) ^ _tensor(one.expand_flip))
    accumulator = _matmul(levels, block.project_weight, trace)
    inputs = full * model.hidden
    return saturate(x + residual(accumulator, inputs, one.project_scale, one.project_bias, block.project_slope))


def _classify(model: FoldedModel, x: Tensor, depth: FoldedDepth) -> Tensor:
    narrow = torch.floor(x.flatten(1).double() * 2.0**-CLASS_SHIFT + 0.5).clamp(-128, 127)
    total = F.linear(narrow, _tensor(model.class_weight).flatten(1).double())  # below 2**31
    return _tensor(depth.class_scale) * total.float() + _tensor(depth.class_bias)


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
    levels = _convolutions(model, features, trace)
    accumulator = _matmul(levels, model.linear_weight, trace)
    inputs = full_count(levels.shape[2], model.planes)
    x = residual(accumulator, inputs, model.linear_scale, model.linear_bias, model.linear_slope)
    for one in depth.passes:
        x = _block(model, one, x, trace)
    return _classify(model, x, depth), trace.joined()


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
