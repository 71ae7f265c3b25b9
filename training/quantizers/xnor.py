"""XNOR-Net: Rastegari, Ordonez, Redmon and Farhadi, ECCV 2016.

Inputs: as BNN.
Weights: ``s sign(w)`` with s the mean magnitude of the n weights of an output, the best least-squares fit (section
3.1); backward with respect to w_i: the gradient of ``s sign(w_i)`` times ``1/n + s [|w_i| <= 1]``.

Learns nothing beside the weights. Maps to the engine. Deviations: the input's scales K, one per position of every map,
are left out: the engine's scale is one per output. The gradient is the paper's, which counts of s only each weight's
share in its own product. Inputs are divided by their spread (``interface.SignInput``).
"""

from __future__ import annotations

from torch import Tensor

from kws_training.binarizers import weight_scale
from kws_training.quantizers.interface import SMALLEST, WeightQuantizer
from kws_training.quantizers.surrogate import sign_with_slope


class XnorWeight(WeightQuantizer):
    """See the module."""

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        scale = weight_scale(weight)
        # The layer multiplies by s after the sum, so the gradient of a value already holds the factor s.
        share = 1.0 / (weight[0].numel() * scale.clamp_min(SMALLEST))
        share = share.view(-1, *[1] * (weight.ndim - 1))
        return sign_with_slope(weight, share + (weight.abs() <= 1.0)), scale
