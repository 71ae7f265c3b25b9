"""BNN: Hubara, Courbariaux, Soudry, El-Yaniv and Bengio, "Binarized Neural Networks", NeurIPS 2016.

Inputs: sign(x); backward the derivative of htanh, ``1`` where ``|x| <= 1``, else 0 (eq. 4).
Weights: sign(w), scale 1; backward the same. After every step the latent weights are clipped to -1..1, past which they
would change nothing.

Learns nothing beside the weights. Maps to the engine with s = 1. Deviation: inputs are divided by their spread
(``interface.SignInput``).
"""

from __future__ import annotations

from torch import Tensor

from kws_training.binarizers import clipped_identity
from kws_training.quantizers.interface import SignInput, WeightQuantizer


class ClippedInput(SignInput):
    """See the module."""

    def surrogate(self, x: Tensor) -> Tensor:
        return clipped_identity(x)


class BnnWeight(WeightQuantizer):
    """See the module."""

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return clipped_identity(weight), weight.new_ones(self.outputs)

    def constrain(self, weight: Tensor) -> None:
        weight.clamp_(-1.0, 1.0)
