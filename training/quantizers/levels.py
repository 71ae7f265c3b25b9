"""Evenly spaced levels for inputs of k bits, and the ranges that they need at inference: shared by several methods."""

from __future__ import annotations

import torch
from torch import Tensor

from kws_training.quantizers.interface import SMALLEST, InputQuantizer

MOMENTUM = 0.1
"""Weight of a batch in a running range, as of a batch norm's statistics."""


def follow(running: Tensor, batch: Tensor, training: bool) -> Tensor:
    """The range to use: ``running``, first moved in place towards the ``batch``'s own if ``training``.

    All zeros in ``running`` mean that nothing has been seen: the batch is then the first. Of one shape, no gradient.
    """
    if not running.any():
        if not training:
            return batch
        running.copy_(batch)
    elif training:
        running.lerp_(batch, MOMENTUM)
    return running.clone()


class RangedInput(InputQuantizer):
    """Inputs of known range: ``running`` [2], low and high, in the input's units."""

    padding = 0.0
    running: Tensor

    def __init__(self, channels: int, axis: int = -1, shifted: bool = False) -> None:
        super().__init__(channels, axis, shifted)
        self.register_buffer("running", torch.zeros(2))

    def range(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Low <= 0 and high >= 0, scalars without gradient; at least a little apart."""
        ends = torch.stack([x.detach().amin().clamp_max(0.0), x.detach().amax().clamp_min(SMALLEST)])
        low, high = follow(self.running, ends, self.training)
        return low, high
