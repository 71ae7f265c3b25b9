"""DS-CNN as MLPerf Tiny runs it: Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021 Datasets and Benchmarks; the
network is the small one of Zhang et al., "Hello Edge", arXiv 1711.07128, 2017.

A convolution of 64 filters, ten frames by four bands, stride 2 in both, then four depthwise-separable blocks of 64
channels, an average over the map and a linear layer; batch norm and ReLU after every convolution, dropout after the
first and before the average. Padding as TensorFlow's "same".

The published input is 10 MFCCs of 49 frames. Here it is the preset's log-mel map, so that the map behind the first
convolution has 16x16 places instead of 25x5 and takes twice the work; no layer changes. The reference's average leaves
one of the 25 steps out, since its window is 24 long; here it takes all.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from kws.features import Preset
from kws_training.rivals.int8 import ConvNorm, Quantize
from kws_training.rivals.interface import Rival

FILTERS, BLOCKS = 64, 4
KERNEL, STRIDE = (4, 10), 2
"""Bands and frames."""
DROPOUT_FIRST, DROPOUT_LAST = 0.2, 0.4


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What TensorFlow's "same" puts before and after an axis of ``size``: ceil(size / stride) outputs."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


class DSCNN(Rival):
    """The network; ``preset`` gives the shape of the map."""

    def __init__(self, n_classes: int, preset: Preset) -> None:
        super().__init__(FILTERS, n_classes, preset)
        bands = same_padding(preset.n_mels, KERNEL[0], STRIDE)
        frames = same_padding(preset.frames, KERNEL[1], STRIDE)
        self.margin = (*frames, *bands)
        self.first = ConvNorm(1, FILTERS, KERNEL, stride=STRIDE)
        layers: list[nn.Module] = [nn.ReLU(), Quantize(), nn.Dropout(DROPOUT_FIRST)]
        for _ in range(BLOCKS):
            layers += [ConvNorm(FILTERS, FILTERS, 3, padding=1, groups=FILTERS), nn.ReLU(), Quantize()]
            layers += [ConvNorm(FILTERS, FILTERS, 1), nn.ReLU(), Quantize()]
        self.layers = nn.Sequential(*layers, nn.Dropout(DROPOUT_LAST))

    def embed(self, x: Tensor) -> Tensor:
        return self.layers(self.first(F.pad(x, self.margin))).mean((2, 3))
