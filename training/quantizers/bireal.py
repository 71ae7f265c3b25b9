"""Bi-Real Net: Liu et al., "Bi-Real Net: Enhancing the Performance of 1-bit CNNs", ECCV 2018. The default.

Inputs: sign(x); backward the derivative of a parabola on either side of zero, ``max(0, 2 - 2|x|)`` (eq. 7).
Weights: ``s sign(w)`` with s the mean magnitude of the output's latent weights; backward ``s`` where ``|w| <= 1``, else
0: the magnitude-aware gradient, whose s the loss does not see.

Learns nothing beside the weights. Maps to the engine as it is. Deviation: inputs are first divided by their spread (see
``interface.SignInput``), and s stays in the deployed network, where the paper drops it: a batch norm follows either
way.
"""

from __future__ import annotations

from torch import Tensor

from kws_training.binarizers import clipped_identity, polynomial, weight_scale
from kws_training.quantizers.interface import SignInput, WeightQuantizer


class BiRealInput(SignInput):
    """See the module."""

    def surrogate(self, x: Tensor) -> Tensor:
        return polynomial(x)


class BiRealWeight(WeightQuantizer):
    """See the module."""

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return clipped_identity(weight), weight_scale(weight)
