"""IR-Net: Qin et al., "Forward and Backward Information Retention for Accurate Binary Neural Networks", CVPR 2020.

Inputs: sign(x); backward EDE, the derivative of ``k tanh(t x)``, that is ``k t (1 - tanh(t x)^2)``, with
``t = 10^(-1 + 2 f)`` at the part f of training and ``k = max(1 / t, 1)``: first nearly the identity, then ever closer
to the sign.
Weights, Libra-PB: ``z = (w - mean) / deviation`` over each output, then ``2^s sign(z)`` with s the mean of |z| as the
nearest power of two; backward EDE with respect to z, exact from z to w.

Learns nothing beside the weights; its schedule runs over the student's training. Maps to the engine: the signs are
those of z, the scale a power of two, which the engine does not need to be one. Deviation: inputs are divided by their
spread (``interface.SignInput``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from kws_training.quantizers.interface import SMALLEST, SignInput, WeightQuantizer
from kws_training.quantizers.surrogate import sign_with_slope, tanh_slope

FIRST, LAST = 0.1, 10.0
"""Sharpness t at the beginning and at the end."""


def sharpness(fraction: float) -> tuple[float, float]:
    """``t`` and ``k`` of the module at the part ``fraction``, 0..1, of training."""
    t = FIRST * (LAST / FIRST) ** fraction
    return t, max(1.0 / t, 1.0)


def standardized(weight: Tensor) -> Tensor:
    """Each output's weights less their mean, over their deviation; [out, ...] to the same shape."""
    rows = weight.flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    return (rows / rows.std(1, keepdim=True).clamp_min(SMALLEST)).view_as(weight)


def power_of_two_scale(z: Tensor) -> Tensor:
    """``2^s`` of the module, [out], without gradient."""
    mean = z.detach().abs().flatten(1).mean(1).clamp_min(SMALLEST)
    return torch.exp2(torch.log2(mean).round())


class EdeInput(SignInput):
    """See the module."""

    def __init__(self, channels: int, axis: int = -1, shifted: bool = False) -> None:
        super().__init__(channels, axis, shifted)
        self.progress(0.0)

    def progress(self, fraction: float) -> None:
        self.sharpness, self.height = sharpness(fraction)

    def surrogate(self, x: Tensor) -> Tensor:
        return sign_with_slope(x, tanh_slope(x.detach(), self.sharpness, self.height))


class LibraWeight(WeightQuantizer):
    """See the module."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.progress(0.0)

    def progress(self, fraction: float) -> None:
        self.sharpness, self.height = sharpness(fraction)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        z = standardized(weight)
        return sign_with_slope(z, self.slope(z.detach())), power_of_two_scale(z)

    def slope(self, z: Tensor) -> Tensor:
        """The surrogate's derivative at ``z``."""
        return tanh_slope(z, self.sharpness, self.height)
