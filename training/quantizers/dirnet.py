"""DIR-Net: Qin et al., "Distribution-sensitive Information Retention for Accurate Binary Neural Network", IJCV 2023
(arXiv 2109.12338).

Weights, IMB: balanced and standardized as IR-Net's Libra-PB, ``2^s sign(z)``.
Backward of both, DTE: the derivative ``k t (1 - tanh(t x)^2)`` of ``k tanh(t x)``, k = max(1 / t, 1), whose sharpness
follows IR-Net's schedule in a first stage but never so far that fewer than a share ``UPDATED`` of the layer's values
keep a gradient worth the name: ``t = min(t_schedule, atanh(sqrt(1 - WORTH)) / Q)``, with Q the quantile ``UPDATED`` of
|x| in the layer at hand. What a share Q of the values can do is thus kept up by the distribution, not by a clock. From
where the bound holds, the second stage, the surrogate follows the sign as closely as it lets it.

Learns nothing beside the weights. Maps to the engine. Deviations: the paper names the two stages and their purpose, to
keep a lower limit of the ability to update and then to approach the sign; the measure of a gradient worth the name and
both constants are this implementation's reading. The paper's third part, distillation of representations, is a loss and
none of a binarizer's business. Q is found on at most ``SAMPLE`` values. Inputs are divided by their spread
(``interface.SignInput``).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kws_training.quantizers.interface import SMALLEST
from kws_training.quantizers.irnet import EdeInput, LibraWeight
from kws_training.quantizers.surrogate import sign_with_slope, tanh_slope

UPDATED, WORTH = 0.1, 0.1
"""At least this share of values keeps at least this part of the greatest slope."""
SAMPLE = 4096


def bounded_slope(x: Tensor, scheduled: float) -> Tensor:
    """The derivative of the module at ``x``; ``scheduled``: the sharpness that the schedule asks for."""
    values = x.detach().abs().flatten()
    values = values[:: max(1, values.numel() // SAMPLE)]
    near = torch.quantile(values, UPDATED).clamp_min(SMALLEST)
    t = (math.atanh(math.sqrt(1.0 - WORTH)) / near).clamp_max(scheduled)
    return tanh_slope(x, t, (1.0 / t).clamp_min(1.0))


class DteInput(EdeInput):
    """See the module."""

    def surrogate(self, x: Tensor) -> Tensor:
        return sign_with_slope(x, bounded_slope(x.detach(), self.sharpness))


class DirWeight(LibraWeight):
    """See the module."""

    def slope(self, z: Tensor) -> Tensor:
        return bounded_slope(z, self.sharpness)
