"""The sign and the rounding that every method shares; the backward pass is an argument."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kws_training.binarizers import sign


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return sign(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return grads[0] * slope, None


def sign_with_slope(x: Tensor, slope: Tensor) -> Tensor:
    """sign(x), +1 for zero; backward: the gradient times ``slope``, a tensor of the shape of ``x`` or a scalar."""
    return _Sign.apply(x, slope.detach())


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x + 0.5).floor()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


def round_half_up(x: Tensor) -> Tensor:
    """The nearest whole number, the greater of two; backward: the gradient as it is.

    Half up and not to even, so that the one-bit case gives +1 for zero, as the sign does.
    """
    return _Round.apply(x)


def tanh_slope(x: Tensor, sharpness: Tensor | float, height: Tensor | float) -> Tensor:
    """``height * t (1 - tanh(t x)^2)``, the derivative of ``height * tanh(t x)``."""
    return height * sharpness * (1.0 - torch.tanh(sharpness * x).square())
