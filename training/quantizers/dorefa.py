"""DoReFa-Net: Zhou et al., "DoReFa-Net: Training Low Bitwidth CNNs with Low Bitwidth Gradients", arXiv 1606.06160,
2016.

With ``q(r) = round((2^k - 1) r) / (2^k - 1)`` for r in 0..1, whose backward pass is the identity:
Weights, 1 bit: ``E|w| sign(w)``, E over the layer; backward ``E|w|`` everywhere. k bits:
``2 q(tanh(w) / (2 max |tanh(w)|) + 1/2) - 1``; backward ``(1 - tanh(w)^2) / max |tanh(w)|``, the maximum taken as a
constant.
Inputs: ``2 q(clip((x / c + 1) / 2, 0, 1)) - 1``: 2^k levels in -1..1; backward ``1 / c`` where ``|x| <= c``, else 0.

Learns nothing beside the weights. One bit maps to the engine; more do not: it multiplies +-1 by +-1. Deviations: the
paper clips to 0..1 behind a ReLU, but these inputs have either sign, so the range is -c..c, which at one bit gives +-1.
A fixed c would cut a residual stream that grows from block to block; c is a running mean of the input's spread, in
training too, times the reach that loses least of a normal distribution (Max, "Quantizing for minimum distortion",
1960). At one bit c is the spread itself (``interface.SignInput``). The quantization of gradients, which serves training
on integer hardware, is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kws_training.quantizers.interface import SMALLEST, InputQuantizer, WeightQuantizer
from kws_training.quantizers.levels import follow
from kws_training.quantizers.surrogate import round_half_up, sign_with_slope

REACH = {2: 1.494, 3: 2.051, 4: 2.514, 5: 2.916, 6: 3.278, 7: 3.611, 8: 3.922}
"""By bits: the outermost of 2^k even levels of least squared error on a standard normal distribution."""


def quantize(r: Tensor, bits: int) -> Tensor:
    """``q`` of the module; ``r`` in 0..1."""
    steps = 2.0**bits - 1.0
    return round_half_up(r * steps) / steps


class DorefaInput(InputQuantizer):
    """2 to 8 bits; see the module. ``running`` [1]: the spread."""

    running: Tensor

    def __init__(self, bits: int, channels: int, axis: int = -1, shifted: bool = False) -> None:
        super().__init__(channels, axis, shifted)
        self.bits = bits
        self.register_buffer("running", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        spread = torch.linalg.vector_norm(x.detach()) / x.numel() ** 0.5
        reach = REACH[self.bits] * follow(self.running, spread.clamp_min(SMALLEST).view(1), self.training)
        return 2.0 * quantize(((x / reach + 1.0) / 2.0).clamp(0.0, 1.0), self.bits) - 1.0


class DorefaWeight(WeightQuantizer):
    """2 to 8 bits; see the module."""

    def __init__(self, bits: int, outputs: int) -> None:
        super().__init__(outputs)
        self.bits = bits

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        bent = torch.tanh(weight)
        most = bent.detach().abs().amax().clamp_min(SMALLEST)
        return 2.0 * quantize(bent / (2.0 * most) + 0.5, self.bits) - 1.0, weight.new_ones(self.outputs)


class DorefaSignWeight(WeightQuantizer):
    """One bit; see the module."""

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        scale = weight.detach().abs().mean().expand(self.outputs)
        return sign_with_slope(weight, weight.new_ones(())), scale
