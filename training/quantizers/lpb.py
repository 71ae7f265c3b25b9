"""LPB, the learning propagation binarizer of BiFSMNv2: Qin et al., "BiFSMNv2: Pushing Binary Neural Networks for
Keyword Spotting to Real-Network Performance", TNNLS 2023.

Inputs: ``sign(a (x - t))`` with a threshold t per channel, which the forward pass sees, and one slope a per layer,
which only the backward pass sees: the surrogate is ``clip(a (x - t), -1, 1)``, so the gradient with respect to x is
``a`` where ``|a (x - t)| <= 1``, else 0, with respect to t the negative of it, and with respect to a ``x - t`` there,
else 0.
Weights: ``s sign(a w)`` with s the mean magnitude of the output's weights and a slope of their own; backward likewise.

Learns a threshold per channel of every layer's input, from zero, and two slopes per layer, from 1. Maps to the engine:
a slope leaves signs alone, and thresholds go where ReActNet's do. Deviations: slopes are kept above ``MIN_SLOPE``, as a
negative one would turn signs round; ``x - t`` is divided by its spread (``interface.SignInput``). The second plane of
inputs, which the paper binarizes from what the first leaves, is the network's (see ``interface``): any binarizer of
signs can have one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws_training.binarizers import clipped_identity, weight_scale
from kws_training.quantizers.interface import SignInput, WeightQuantizer

MIN_SLOPE = 0.05


class LpbInput(SignInput):
    """See the module. ``slope``: [1]."""

    def __init__(self, channels: int, axis: int = -1, shifted: bool = False) -> None:
        super().__init__(channels, axis, shifted)
        self.learn_threshold()
        self.slope = nn.Parameter(torch.ones(1))

    def surrogate(self, x: Tensor) -> Tensor:
        return clipped_identity(self.slope * x)

    def constrain(self) -> None:
        super().constrain()
        self.slope.clamp_(min=MIN_SLOPE)


class LpbWeight(WeightQuantizer):
    """See the module. ``slope``: [1]."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.slope = nn.Parameter(torch.ones(1))

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return clipped_identity(self.slope * weight), weight_scale(weight)

    def constrain(self, weight: Tensor) -> None:
        self.slope.clamp_(min=MIN_SLOPE)
