"""BC-ResNet: Kim et al., "Broadcasted Residual Learning for Efficient Keyword Spotting", Interspeech 2021, section 2.

A block passes a map through a depthwise convolution over frequency with a sub-spectral norm, averages it over
frequency, passes that through a depthwise dilated convolution over time and a pointwise one, and adds the result back
to every frequency: most work is one-dimensional. Widths grow with tau.

As published but for what the smaller map of this project (32 mels instead of 40, 32 frames instead of 101) needs:
frequency has 16, 8 and 4 rows where it had 20, 10 and 5, so that sub-spectral norms split it into four bands instead of
five, and the last depthwise convolution, which spans all rows that are left, is 4x5 instead of 5x5. Built for 40 mels,
it is the published network. The features come normalised by the preset.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from kws.features import Preset
from kws_training.rivals.int8 import ConvNorm, Quantize
from kws_training.rivals.interface import Rival

WIDTH = 8
"""Channels of the narrowest stage at tau 1."""

REPEATS = (2, 2, 4, 4)
STRIDES = (1, 2, 2, 1)
"""Over frequency, of each stage's first block."""

FREQUENCY_STRIDE = 8
"""Of the whole network; what is left of 40 mels are the five bands of the paper's norms."""

DROPOUT = 0.1


class Block(nn.Module):
    """BC-ResBlock; a transition where the width changes, which has one more convolution and no identity.

    [batch, inputs, rows, time] to [batch, outputs, rows / stride, time].
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int, bands: int) -> None:
        super().__init__()
        self.is_transition = inputs != outputs
        if self.is_transition:
            self.widen, self.widened = ConvNorm(inputs, outputs, 1), Quantize()
        self.over_frequency = ConvNorm(
            outputs, outputs, (3, 1), bands, stride=(stride, 1), padding=(1, 0), groups=outputs
        )
        self.over_time = ConvNorm(
            outputs, outputs, (1, 3), padding=(0, dilation), dilation=(1, dilation), groups=outputs
        )
        self.pointwise = ConvNorm(outputs, outputs, 1, bands=0)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.spread, self.averaged, self.timed, self.swished, self.mixed, self.out = (Quantize() for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        if self.is_transition:
            x = self.widened(F.relu(self.widen(x)))
        x = self.spread(self.over_frequency(x))
        line = self.averaged(x.mean(2, keepdim=True))
        line = self.swished(F.silu(self.timed(self.over_time(line))))
        x = x + self.dropout(self.mixed(self.pointwise(line)))
        return self.out(F.relu(x if self.is_transition else x + identity))


class BCResNet(Rival):
    """The network.

    Args:
        tau: width; 1, 1.5, 2 and 3 are those compared here, any multiple of 0.25 works.
        n_classes: outputs.
        preset: features; a multiple of 8 mels.
    """

    def __init__(self, tau: float, n_classes: int, preset: Preset) -> None:
        base = int(tau * WIDTH)
        widths = [2 * base, base, int(1.5 * base), 2 * base, int(2.5 * base)]
        super().__init__(4 * base, n_classes, preset)
        rows = preset.n_mels // FREQUENCY_STRIDE
        self.head, self.headed = ConvNorm(1, widths[0], 5, stride=(2, 1), padding=2), Quantize()
        blocks = []
        for stage, (repeats, stride) in enumerate(zip(REPEATS, STRIDES, strict=True)):
            for index in range(repeats):
                inputs = widths[stage + (index > 0)]
                blocks.append(Block(inputs, widths[stage + 1], stride if index == 0 else 1, 2**stage, bands=rows))
        self.blocks = nn.Sequential(*blocks)
        last = widths[-1]
        self.gather, self.gathered = ConvNorm(last, last, (rows, 5), bands=0, padding=(0, 2), groups=last), Quantize()
        self.tail, self.tailed = ConvNorm(last, 4 * base, 1), Quantize()

    def embed(self, x: Tensor) -> Tensor:
        x = self.blocks(self.headed(F.relu(self.head(x))))
        x = self.tailed(F.relu(self.tail(self.gathered(self.gather(x)))))
        return x.mean((2, 3))
