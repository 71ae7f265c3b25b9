"""What a binarizer is made of: a quantizer of a layer's inputs, one of its weights, and a line about both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SMALLEST = 1e-6
"""No spread or step is taken to be less, so that a constant map divides by something."""


class InputQuantizer(nn.Module):
    """Quantizes the inputs of one layer; any float shape in, the same shape out.

    Parameters have one dimension, which is how the optimizer knows not to decay them.

    Args:
        channels: of the input. An axis that is a multiple as long holds them over and over, as the per-frame linear
            layer's does (index ``channels * mel + channel``).
        axis: where the channels are, 1 or -1.
        shifted: whether a learned threshold has already been subtracted, so that another would be the same again.
    """

    padding = -1.0
    """What surrounds a map, a value that the quantizer gives."""

    def __init__(self, channels: int, axis: int = -1, shifted: bool = False) -> None:
        super().__init__()
        self.channels, self.axis, self.shifted = channels, axis, shifted
        self.threshold: nn.Parameter | None = None

    def learn_threshold(self) -> None:
        """Adds ``threshold`` [channels], in the input's units, from zero; nothing where the network has one already."""
        if not self.shifted:
            self.threshold = nn.Parameter(torch.zeros(self.channels))

    def shift(self, x: Tensor) -> Tensor:
        """``x`` less its channel's threshold."""
        if self.threshold is None:
            return x
        threshold = self.threshold.repeat(x.shape[self.axis] // self.channels)
        return x - (threshold[:, None, None] if self.axis == 1 else threshold)

    def progress(self, fraction: float) -> None:
        """Called before every step of the student's training with the part that is done, 0..1; for schedules."""

    def constrain(self) -> None:
        """Called after every optimizer step, without gradient."""


class SignInput(InputQuantizer):
    """sign((x - threshold) / spread), exactly +-1 and +1 for zero; a subclass gives the surrogate gradient.

    Dividing by the spread, the root mean square of all that comes in, leaves every sign as it is and lets a surrogate
    of fixed width reach as far as the values do: a residual stream grows from block to block. The papers put a batch
    norm there instead. The spread is taken as a constant in the backward pass.
    """

    def forward(self, x: Tensor) -> Tensor:
        x = self.shift(x)
        spread = torch.linalg.vector_norm(x.detach()) / x.numel() ** 0.5
        return self.surrogate(x / spread.clamp_min(SMALLEST))

    def surrogate(self, x: Tensor) -> Tensor:
        """sign(x) with a gradient."""
        raise NotImplementedError


class WeightQuantizer(nn.Module):
    """Quantizes the latent weights of one layer, [out, ...].

    ``forward`` returns the values to multiply with, of the same shape, and the scale [out] of the sums. Of a method
    that the engine runs, every value is exactly +-1. Parameters have one dimension.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def start(self, weight: Tensor) -> None:
        """Sets what is learned to fit ``weight``: at first, and where a stage begins that other weights led to."""

    def progress(self, fraction: float) -> None:
        """As of ``InputQuantizer``."""

    def constrain(self, weight: Tensor) -> None:
        """Called after every optimizer step, without gradient; may change ``weight`` in place."""


@dataclass(frozen=True)
class Binarizer:
    """A method, as ``kws train --binarizer`` offers it.

    Attributes:
        paper: name, authors, venue and year.
        inputs: makes the quantizer of a layer's inputs from channels, axis and whether they are shifted.
        weights: makes the quantizer of a layer's weights from the number of outputs.
        learns: what it learns beside the weights, or what its schedule changes; empty for nothing.
        obstacle: why the engine cannot run it; empty where it can.
    """

    paper: str
    inputs: Callable[[int, int, bool], InputQuantizer]
    weights: Callable[[int], WeightQuantizer]
    learns: str = ""
    obstacle: str = ""

    @property
    def maps_to_engine(self) -> bool:
        """Whether a network trained with it exports to a model file: inputs +-1, weights +-s per output."""
        return not self.obstacle
