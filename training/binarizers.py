"""What binarizers are made of: the sign with the two oldest surrogate gradients, scales, and 8-bit weights.

sign(0) is +1 everywhere, so that a bit has two values and not three. The methods themselves are in ``quantizers``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kws.model.folded import CLASS_GROUP_SUM, CONV1_HALF, CONV1_ROUNDED


def sign(x: Tensor) -> Tensor:
    """+1 where ``x >= 0``, else -1; the dtype and shape of ``x``, no gradient."""
    return (x >= 0).to(x.dtype).mul_(2.0).sub_(1.0)


class _Sign(torch.autograd.Function):
    """The forward pass; a subclass gives the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)


class _ClippedIdentity(_Sign):
    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * (x.abs() <= 1.0)


class _Polynomial(_Sign):
    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * (2.0 - 2.0 * x.abs()).clamp_min(0.0)


def clipped_identity(x: Tensor) -> Tensor:
    """sign(x); backward: the gradient where ``|x| <= 1``, else 0 (Courbariaux et al., BNN, 2016, eq. 4)."""
    return _ClippedIdentity.apply(x)


def polynomial(x: Tensor) -> Tensor:
    """sign(x); backward: the gradient times ``max(0, 2 - 2|x|)`` (Liu et al., Bi-Real Net, ECCV 2018, eq. 7)."""
    return _Polynomial.apply(x)


def weight_scale(weight: Tensor) -> Tensor:
    """One scale per output channel, the mean magnitude of its latent weights (XNOR-Net, ECCV 2016, section 3.1).

    ``weight``: [out, ...]. Returns [out], without gradient: a batch norm follows every layer and learns the gain.
    """
    return weight.detach().abs().flatten(1).mean(1)


class _RoundPassThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


def int8_scale(weight: Tensor) -> Tensor:
    """Step of the classifier's weights [classes, T * C], as ``kws.model.fold.class_step``; [classes], no gradient."""
    magnitude = weight.detach().abs()
    groups = magnitude.view(len(weight), -1, 4, 2).sum(2).amax((1, 2))
    return torch.maximum(magnitude.amax(1) / 127.0, groups / (CLASS_GROUP_SUM - 2)).clamp_min(1e-12)


def conv1_scale(weight: Tensor) -> Tensor:
    """Step of the first convolution's weights [out, 1, mel, time], as ``kws.model.fold.conv1_step``; no gradient."""
    magnitude = weight.detach()[:, 0].transpose(1, 2).flatten(1).abs()
    halves = torch.maximum(magnitude[:, :CONV1_HALF].sum(1), magnitude[:, CONV1_HALF:].sum(1))
    return torch.maximum(magnitude.amax(1) / 127.0, halves / CONV1_ROUNDED).clamp_min(1e-12)


def int8_weight(weight: Tensor, scale: Tensor) -> Tensor:
    """``weight / scale`` rounded to -127..127, as float; backward: the identity times ``1 / scale``."""
    return _RoundPassThrough.apply(weight / scale[:, None])
