"""BiPointNet: Qin et al., "BiPointNet: Binary Neural Network for Point Clouds", ICLR 2021. Its two parts, each where it
applies.

LSR, layer-wise scale recovery, is the binarizer "lsr". Inputs as BNN. Weights: ``s sign(w)`` with one s per layer,
learned; backward ``s`` where ``|w| <= 1``, else 0, and with respect to s the sum that it multiplies. s starts where
binary sums spread as the float ones do, which for inputs of unit spread without correlation is the root mean square of
the layer's weights; the paper measures it on a first batch instead. Maps to the engine: s for every output.

EMA, entropy-maximizing aggregation: the maximum of n values is nearly always positive, so its sign says nothing. Of
standard normal values it has the median ``m = Phi^-1(2^(-1/n))``; ``max(x) - m`` is positive half of the time, and its
sign carries a whole bit. For a mean m is 0. A part of a network and not of a binarizer: it serves one that pools over
time by maximum before a binary layer, which BiFSMN does not. The engine has no pooling.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws_training.binarizers import clipped_identity
from kws_training.quantizers.interface import WeightQuantizer


class LayerScaleWeight(WeightQuantizer):
    """LSR of the module. ``scale``: [1]."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return clipped_identity(weight), self.scale.expand(self.outputs)

    def start(self, weight: Tensor) -> None:
        with torch.no_grad():
            self.scale.copy_(weight.square().mean().sqrt())


def median_of_maximum(n: int) -> float:
    """Median of the maximum of ``n`` standard normal values."""
    return torch.special.ndtri(torch.tensor(0.5, dtype=torch.float64) ** (1.0 / n)).item()


class EntropyMaximizingMax(nn.Module):
    """EMA of the module. [batch, n, channels], batch-normed, to [batch, channels], positive half of the time."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(1) - median_of_maximum(x.shape[1])
