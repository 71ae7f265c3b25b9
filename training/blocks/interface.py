"""What a block is: time steps mixed, then a layer on each step alone, both around the residual stream.

    m = x + mixed(x),   y = m + PReLU(BN(project(sign(PReLU(BN(expand(sign(m - u))))))))

A batch norm exists once for each depth that runs the block.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws_training.layers import BinaryLinear, Slope, Switched
from kws_training.topology import Topology


class Block(nn.Module):
    """[batch, time, channels] to the same shape. A subclass mixes the time steps.

    Args:
        topology: shape.
        deltas: depths that run the block.
    """

    obstacle = ""
    """Why the engine cannot run it, as the end of a sentence; empty where it can."""

    has_project_input = False
    """Whether ``project`` reads values less a threshold of the block's own, as the other layers do."""

    def __init__(self, topology: Topology, deltas: list[int]) -> None:
        super().__init__()
        channels, hidden = topology.channels, topology.hidden
        self.channels, self.hidden = channels, hidden
        self.add_mixer(topology, deltas)
        self.expand_input = nn.Parameter(torch.zeros(channels))
        self.expand = BinaryLinear(topology, channels, hidden, shifted=True)
        self.expand_norm = Switched(hidden, deltas)
        self.expand_prelu = Slope(hidden)
        self.project = BinaryLinear(topology, hidden, channels, shifted=self.has_project_input)
        self.project_norm = Switched(channels, deltas)
        self.project_prelu = Slope(channels)

    def add_mixer(self, topology: Topology, deltas: list[int]) -> None:
        """Makes what ``mix`` needs."""
        raise NotImplementedError

    def mix(self, x: Tensor, delta: int) -> Tensor:
        """The stream [batch, time, channels] with what its time steps say to each other."""
        raise NotImplementedError

    def mixer_macs(self, steps: int) -> int:
        """Multiply-accumulates of ``mix``, of one bit by one bit in the binary stage."""
        raise NotImplementedError

    def macs(self, steps: int) -> int:
        """Multiply-accumulates of a window of ``steps`` time steps."""
        return self.mixer_macs(steps) + 2 * steps * self.channels * self.hidden

    def forward(self, x: Tensor, delta: int) -> Tensor:
        m = self.mix(x, delta)
        hidden = self.expand_prelu(self.expand_norm(self.expand(m - self.expand_input), delta))
        return m + self.project_prelu(self.project_norm(self.project(hidden), delta))

    def sign_slopes(self) -> list[nn.Parameter]:
        """Slopes of the PReLUs that only a sign reads."""
        return [self.expand_prelu.slope]

    def stream_slopes(self) -> list[nn.Parameter]:
        """Slopes of the PReLUs whose values are added to something."""
        return [self.project_prelu.slope]
