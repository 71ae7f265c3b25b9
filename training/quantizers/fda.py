"""FDA-BNN: Xu et al., "Learning Frequency Domain Approximation for Binary Neural Networks", NeurIPS 2021.

Inputs: sign(x), taken as the square wave whose Fourier series is ``4/pi sum_i sin((2i+1) w x) / (2i+1)``; backward the
derivative of its first n + 1 terms, ``4 w / pi sum_i cos((2i+1) w x)``, where ``|x| <= 1``, else 0. The sum has the
closed form ``sin(2 (n+1) w x) / (2 sin(w x))``.
Weights: ``s sign(w)``, s as Bi-Real; backward the same series.

With ``w = 0.1`` n grows from 9 to 18 over training, as BiBench (Qin et al., ICML 2023) trains it. Learns nothing beside
the weights. Maps to the engine. Deviation: the noise adaptation module, two small layers that add a correction to every
binary value during training and fade out, is left out: with it the network trained on would not be the one deployed,
and its size is that of the layer it serves. Inputs are divided by their spread (``interface.SignInput``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kws_training.binarizers import weight_scale
from kws_training.quantizers.interface import SignInput, WeightQuantizer
from kws_training.quantizers.surrogate import sign_with_slope

OMEGA = 0.1
FIRST, LAST = 9, 18


def last_term(fraction: float) -> int:
    """The last term n at the part ``fraction``, 0..1, of training."""
    return FIRST + int(fraction * (LAST - FIRST))


def fourier_slope(x: Tensor, n: int) -> Tensor:
    """The derivative of the module at ``x``."""
    angle = OMEGA * x
    # Near zero the quotient loses digits; its limit is exact to second order there.
    small = angle.abs() < 1e-4
    safe = torch.where(small, 1.0, angle)
    terms = torch.where(small, float(n + 1), torch.sin(2.0 * (n + 1) * safe) / (2.0 * torch.sin(safe)))
    return (4.0 * OMEGA / math.pi) * terms * (x.abs() <= 1.0)


class FourierInput(SignInput):
    """See the module."""

    n = FIRST

    def progress(self, fraction: float) -> None:
        self.n = last_term(fraction)

    def surrogate(self, x: Tensor) -> Tensor:
        return sign_with_slope(x, fourier_slope(x.detach(), self.n))


class FourierWeight(WeightQuantizer):
    """See the module."""

    n = FIRST

    def progress(self, fraction: float) -> None:
        self.n = last_term(fraction)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return sign_with_slope(weight, fourier_slope(weight.detach(), self.n)), weight_scale(weight)
