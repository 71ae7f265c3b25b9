"""Uniform quantization of k bits with scale and zero point: Jacob et al., "Quantization and Training of Neural Networks
for Efficient Integer-Arithmetic-Only Inference", CVPR 2018; weights per output as Krishnamoorthi, arXiv 1806.08342,
2018.

``q = clip(round(x / S) + Z, 0, 2^k - 1)`` stands for ``S (q - Z)``, with ``S = (high - low) / (2^k - 1)`` and the whole
zero point ``Z = round(-low / S)``, so that zero is exact; low <= 0 <= high. Backward: the identity where ``x / S + Z``
lies within 0..2^k - 1, else 0. Inputs: running means of the whole layer's low and high. Weights: of each
output.

Learns nothing beside the weights. A baseline; does not map to the engine, whose inputs and weights have two values.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kws_training.quantizers.interface import SMALLEST, WeightQuantizer
from kws_training.quantizers.levels import RangedInput
from kws_training.quantizers.surrogate import round_half_up


def affine_levels(x: Tensor, low: Tensor, high: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """``q - Z`` and ``S`` of the module; ``low`` and ``high`` of shapes that broadcast to that of ``x``."""
    most = 2.0**bits - 1.0
    step = ((high - low) / most).clamp_min(SMALLEST)
    zero = (-low / step).round()
    # Clipped before it is rounded: the gradient then passes where and only where the value is in range.
    return round_half_up((x / step + zero).clamp(0.0, most)) - zero, step


class UniformInput(RangedInput):
    """See the module."""

    def __init__(self, bits: int, channels: int, axis: int = -1, shifted: bool = False) -> None:
        super().__init__(channels, axis, shifted)
        self.bits = bits

    def forward(self, x: Tensor) -> Tensor:
        whole, step = affine_levels(x, *self.range(x), self.bits)
        return whole * step


class UniformWeight(WeightQuantizer):
    """See the module: the values are whole, the scale is the step."""

    def __init__(self, bits: int, outputs: int) -> None:
        super().__init__(outputs)
        self.bits = bits

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        rows = weight.detach().flatten(1)
        shape = (-1, *[1] * (weight.ndim - 1))
        low, high = rows.amin(1).clamp_max(0.0).view(shape), rows.amax(1).clamp_min(0.0).view(shape)
        whole, step = affine_levels(weight, low, high, self.bits)
        return whole, torch.flatten(step)
