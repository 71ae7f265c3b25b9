"""BiFSMN's block (Qin et al., IJCAI 2022): a depthwise filter of five taps over time, a memory of what was,
``mixed(x) = PReLU(BN(memory(sign(x - t))))``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws_training.blocks.interface import Block
from kws_training.layers import KERNEL, BinaryMemory, Slope, Switched
from kws_training.topology import Topology


class MemoryBlock(Block):
    """The block of the module."""

    def add_mixer(self, topology: Topology, deltas: list[int]) -> None:
        self.memory_input = nn.Parameter(torch.zeros(self.channels))
        self.memory = BinaryMemory(topology, self.channels)
        self.memory_norm = Switched(self.channels, deltas)
        self.memory_prelu = Slope(self.channels)

    def mix(self, x: Tensor, delta: int) -> Tensor:
        return x + self.memory_prelu(self.memory_norm(self.memory(x - self.memory_input), delta))

    def mixer_macs(self, steps: int) -> int:
        return steps * self.channels * KERNEL

    def stream_slopes(self) -> list[nn.Parameter]:
        return [self.memory_prelu.slope, *super().stream_slopes()]
