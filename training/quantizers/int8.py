"""Plain int8: symmetric, as TensorFlow Lite's kernels take weights and as the engine's own classifier does; Jacob et
al., CVPR 2018, and Krishnamoorthi, arXiv 1806.08342, 2018.

``q = clip(round(x / S), -127, 127)`` stands for ``S q``. Weights: ``S = max |w| / 127`` of each output. Inputs:
``S = max |x| / 127`` of the whole layer, a running mean. Backward: the identity where ``|x| <= 127 S``,
else 0.

Learns nothing beside the weights. A baseline: what a microcontroller runs without any of this project's arithmetic.
Does not map to the engine, whose binary layers' inputs and weights have two values.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kws_training.quantizers.interface import SMALLEST, WeightQuantizer
from kws_training.quantizers.levels import RangedInput
from kws_training.quantizers.surrogate import round_half_up

MOST = 127.0


class Int8Input(RangedInput):
    """See the module."""

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.range(x)
        step = torch.maximum(-low, high) / MOST
        return round_half_up((x / step).clamp(-MOST, MOST)) * step


class Int8Weight(WeightQuantizer):
    """See the module: the values are whole, the scale is the step."""

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        step = (weight.detach().abs().flatten(1).amax(1) / MOST).clamp_min(SMALLEST)
        whole = (weight / step.view(-1, *[1] * (weight.ndim - 1))).clamp(-MOST, MOST)
        return round_half_up(whole), step
