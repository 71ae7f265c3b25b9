"""ReCU: Xu et al., "ReCU: Reviving the Dead Weights in Binary Neural Networks", ICCV 2021.

Inputs: as Bi-Real.
Weights: ``z = 2 sqrt(2) (w - mean) / deviation`` over each output, then the rectified clamp ``v = max(min(z, Q), -Q)``,
then ``s sign(v)`` with s learned. Of Laplace distributed weights of mean magnitude b the quantile tau is
``Q = -b ln(2 - 2 tau)``, and ``tau = tau_0 + (tau_1 - tau_0) (e^f - 1) / (e - 1)`` from 0.85 to 0.99 at the part f of
training. Backward: the identity from v to the sign, so 1 where ``|z| <= Q``, else 0, times s, exact from z to w:
weights in the tails, which an ordinary gradient would hardly ever turn, are pulled towards the rest by the
standardization alone.

Learns one scale per output, from 1. Maps to the engine: the signs are those of z. Deviations: the scale starts at 1 and
not at a random number, as a batch norm follows; inputs are divided by their spread (``interface.SignInput``) where the
paper divides by each clip's deviation in training.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from kws_training.quantizers.interface import WeightQuantizer
from kws_training.quantizers.irnet import standardized
from kws_training.quantizers.surrogate import sign_with_slope

FIRST, LAST = 0.85, 0.99


def quantile_of(fraction: float) -> float:
    """The quantile tau at the part ``fraction``, 0..1, of training."""
    return FIRST + (LAST - FIRST) * (math.exp(fraction) - 1.0) / (math.e - 1.0)


class RecuWeight(WeightQuantizer):
    """See the module. ``scale``: [out]."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.scale = nn.Parameter(torch.ones(outputs))
        self.progress(0.0)

    def progress(self, fraction: float) -> None:
        self.tau = quantile_of(fraction)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        z = 2.0 * math.sqrt(2.0) * standardized(weight)
        edge = -math.log(2.0 - 2.0 * self.tau) * z.detach().abs().mean()
        clamped = torch.maximum(torch.minimum(z, edge), -edge)
        return sign_with_slope(clamped, weight.new_ones(())), self.scale
