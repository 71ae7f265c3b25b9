"""What a binarizer is made of: a quantizer of a layer's inputs, one of its weights, and a line about both.

Inputs have one plane of +-1, or two. Two planes p, q stand for the four levels (2 p + q) / 3: p tells the sign of an
input, and q whether its magnitude is above or below a learned step, as in BiFSMNv2 (TNNLS 2023, section III-A), which
binarizes what a first plane leaves over. There each plane has a scale; here the first counts twice the second, which
costs 1 % of the least squares error of a normal input, and makes one whole number of the two counts of a product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kws.errors import KwsError

SMALLEST = 1e-6
"""No spread or step is taken to be less, so that a constant map divides by something."""

NORMAL_STEP, NORMAL_MEAN = 0.9957, 0.7979
"""Of a normal distribution of unit width: the step of the best four equidistant levels (Max, 1960), and E|x|."""


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
        self.above: nn.Parameter | None = None
        self.below: nn.Parameter | None = None

    def learn_threshold(self) -> None:
        """Adds ``threshold`` [channels], in the input's units, from zero; nothing where the network has one already."""
        if not self.shifted:
            self.threshold = nn.Parameter(torch.zeros(self.channels))

    def add_plane(self) -> None:
        """Learns the second plane's steps ``above`` and ``below`` the threshold, [channels] in the input's units.

        Raises:
            KwsError: inputs that are not signs have no planes.
        """
        raise KwsError(f"{type(self).__name__} has no second plane; choose a binarizer whose inputs are signs.")

    def edges(self) -> Tensor:
        """Thresholds of the planes, in the input's units: [1, channels], or with a second plane [3, channels].

        Of the first plane; of the second where the first is 1; of the second where the first is 0.
        """
        middle = self.threshold
        if middle is None:
            middle = torch.zeros(self.channels) if self.above is None else torch.zeros_like(self.above)
        if self.above is None or self.below is None:
            return middle[None]
        return torch.stack([middle, middle + self.above, middle - self.below])

    def along(self, values: Tensor, x: Tensor) -> Tensor:
        """A number per channel, spread over the axis of ``x`` where the channels are."""
        values = values.repeat(x.shape[self.axis] // self.channels)
        return values[:, None, None] if self.axis == 1 else values

    def shift(self, x: Tensor) -> Tensor:
        """``x`` less its channel's threshold."""
        return x if self.threshold is None else x - self.along(self.threshold, x)

    def progress(self, fraction: float) -> None:
        """Called before every step of the student's training with the part that is done, 0..1; for schedules."""

    def constrain(self) -> None:
        """Called after every optimizer step, without gradient."""


class SignInput(InputQuantizer):
    """sign((x - threshold) / spread), exactly +-1 and +1 for zero; a subclass gives the surrogate gradient.

    Dividing by the spread, the root mean square of all that comes in, leaves every sign as it is and lets a surrogate
    of fixed width reach as far as the values do: a residual stream grows from block to block. The papers put a batch
    norm there instead. The spread is taken as a constant in the backward pass.

    With a second plane, the mean of the signs at the threshold and at a step above and below it: four levels, exactly
    +-1 and +-1/3, with the mean of three surrogates.
    """

    def add_plane(self) -> None:
        self.above = nn.Parameter(torch.zeros(self.channels))
        self.below = nn.Parameter(torch.zeros(self.channels))

    def forward(self, x: Tensor) -> Tensor:
        x = self.shift(x)
        spread = (torch.linalg.vector_norm(x.detach()) / x.numel() ** 0.5).clamp_min(SMALLEST)
        if self.above is None or self.below is None:
            return self.surrogate(x / spread)
        if self.training and not self.above.any():
            self._measure(x.detach(), self.above, self.below)
        higher, lower = x - self.along(self.above, x), x + self.along(self.below, x)
        levels = self.surrogate(higher / spread) + self.surrogate(x / spread) + self.surrogate(lower / spread)
        return levels / 3.0

    @torch.no_grad()
    def _measure(self, x: Tensor, above: Tensor, below: Tensor) -> None:
        """Starts the steps at those that suit a normal distribution best, of each side's own width."""
        step = NORMAL_STEP / NORMAL_MEAN
        above.fill_(step * x[x > 0].mean().nan_to_num(1.0))
        below.fill_(step * -x[x < 0].mean().nan_to_num(-1.0))

    def constrain(self) -> None:
        """Keeps the steps positive, so that of three thresholds the middle one stays in the middle."""
        if self.above is not None and self.below is not None:
            self.above.clamp_(min=SMALLEST)
            self.below.clamp_(min=SMALLEST)

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
