"""XNOR-Net++: Bulat and Tzimiropoulos, "XNOR-Net++: Improved Binary Neural Networks", BMVC 2019.

Inputs: as BNN.
Weights: ``s sign(w)`` where s is learned through the loss; backward with respect to w: ``s`` where ``|w| <= 1``, else
0; with respect to s: the sum that it multiplies.

Learns one scale per output, from the mean magnitude of the weights that training starts from. Maps to the engine.
Deviation: of the paper's four shapes of s this is the first, one per output; the others vary over the positions of a
map and would cost the engine a multiplication each. Inputs are divided by their spread (``interface.SignInput``).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws_training.binarizers import clipped_identity, weight_scale
from kws_training.quantizers.interface import WeightQuantizer


class LearnedScaleWeight(WeightQuantizer):
    """See the module. ``scale``: [out]."""

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs)
        self.scale = nn.Parameter(torch.ones(outputs))

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return clipped_identity(weight), self.scale

    def start(self, weight: Tensor) -> None:
        with torch.no_grad():
            self.scale.copy_(weight_scale(weight))
