"""Layers that are float or int8: quantization-aware training as Jacob et al., CVPR 2018, section 3, and Krishnamoorthi,
arXiv 1806.08342, 2018, describe it.

Weights: symmetric int8, one step an output channel. Maps: uint8 with a zero point, one step a map, ranges followed as
running means. Batch norms are folded without being touched: a symmetric step an output channel absorbs any gain, so the
integers of a folded weight are those of the plain one (with the sign of the gain), and the gain goes into the
multiplier that every int8 kernel requantizes its sums with, the shift into the int32 bias. Only the order changes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from kws_training.quantizers.int8 import Int8Weight
from kws_training.quantizers.uniform import UniformInput

STAGES = ("float", "int8")
BITS = 8


class SubSpectralNorm(nn.Module):
    """A batch norm for each of ``bands`` equal parts of the frequency axis (Chang et al., ICASSP 2021).

    [batch, channels, frequency, time] to the same shape; frequency is a multiple of ``bands``.
    """

    def __init__(self, channels: int, bands: int) -> None:
        super().__init__()
        self.bands = bands
        self.norm = nn.BatchNorm2d(channels * bands)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, rows, steps = x.shape
        return self.norm(x.reshape(batch, channels * self.bands, rows // self.bands, steps)).reshape(x.shape)


class ConvNorm(nn.Module):
    """A convolution and the norm that folds into it; ``stage`` is "float" or "int8".

    Args:
        inputs, outputs, kernel: of the convolution.
        bands: of the norm; 1 for a plain batch norm, 0 for none.
        others: of ``nn.Conv2d``, such as stride or groups.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int], bands: int = 1, **others) -> None:
        super().__init__()
        self.stage, self.bands = "float", bands
        self.conv = nn.Conv2d(inputs, outputs, kernel, bias=False, **others)
        self.norm: nn.Module = nn.Identity()
        if bands:
            self.norm = nn.BatchNorm2d(outputs) if bands == 1 else SubSpectralNorm(outputs, bands)
        self.quantize_weight = Int8Weight(outputs)

    def forward(self, x: Tensor) -> Tensor:
        conv, weight = self.conv, self.conv.weight
        if self.stage == "int8":
            values, step = self.quantize_weight(weight)
            weight = values * step[:, None, None, None]
        return self.norm(F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups))


class Dense(nn.Linear):
    """A linear layer with bias; ``stage`` as of ``ConvNorm``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.stage = "float"
        self.quantize_weight = Int8Weight(outputs)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight
        if self.stage == "int8":
            values, step = self.quantize_weight(weight)
            weight = values * step[:, None]
        return F.linear(x, weight, self.bias)


class Quantize(nn.Module):
    """Where an int8 deployment keeps a map in memory: 8 bits in the "int8" stage, nothing in the float one."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = "float"
        self.levels = UniformInput(BITS, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x if self.stage == "float" else self.levels(x)
