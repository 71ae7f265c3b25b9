"""BiMatting's shrinkable binarized block: Qin et al., "BiMatting: Efficient Video Matting via Binarization", NeurIPS
2023.

Every binary layer gets a shortcut, also where widths differ: a layer that widens adds to as many copies of its input
as fill its output, and one that shrinks to the mean of its input's parts of that width. Here, where the memory has a
shortcut already, that is a hidden layer of values in place of bits alone,

    h = (m, m, ...) + PReLU(BN(expand(sign(m - u)))),   y = mean of h's parts + PReLU(BN(project(sign(h - v))))

Deviations: the paper's block is a convolution's, with a 3x3 where this one has the memory; its PReLU follows the sum,
which here would fold the residual stream of all blocks into its positive half; and it widens by layers side by side,
each with its own batch norm, which comes to one layer with a norm for every output.

The engine keeps a hidden layer as bits: it has no form for this one, whose values are needed a second time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kws.errors import KwsError
from kws_training.blocks.memory import MemoryBlock
from kws_training.topology import Topology


class ShrinkableBlock(MemoryBlock):
    """The block of the module.

    Raises:
        KwsError: the hidden width is no multiple of the stream's.
    """

    obstacle = "its hidden layers hold values, the engine's bits"
    has_project_input = True

    def __init__(self, topology: Topology, deltas: list[int]) -> None:
        super().__init__(topology, deltas)
        self.parts, rest = divmod(self.hidden, self.channels)
        if rest or not self.parts:
            raise KwsError(
                f"A hidden layer of {self.hidden} is no multiple of a stream of {self.channels}, as shortcuts need."
            )
        self.project_input = nn.Parameter(torch.zeros(self.hidden))

    def forward(self, x: Tensor, delta: int) -> Tensor:
        m = self.mix(x, delta)
        added = self.expand_prelu(self.expand_norm(self.expand(m - self.expand_input), delta))
        hidden = m.repeat(1, 1, self.parts) + added
        shrunk = hidden.unflatten(-1, (self.parts, self.channels)).mean(-2)
        projected = self.project_norm(self.project(hidden - self.project_input), delta)
        return shrunk + self.project_prelu(projected)

    def sign_slopes(self) -> list[nn.Parameter]:
        return []

    def stream_slopes(self) -> list[nn.Parameter]:
        return [self.expand_prelu.slope, *super().stream_slopes()]
