"""The layers that networks are made of: binary in the stages that say so, and float in a teacher's.

Every binary weight is +-s with one s per output channel, every binary input is exactly +-1 (or one of a second plane's
four levels), and padding is -1, never 0.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws_training.binarizers import sign, weight_scale
from kws_training.quantizers import find
from kws_training.topology import Topology

KERNEL = 5
"""Of the convolutions in both directions, and taps of a memory."""


class Switched(nn.Module):
    """Batch norms over the last axis, one per depth that uses the layer."""

    def __init__(self, width: int, deltas: list[int]) -> None:
        super().__init__()
        self.norms = nn.ModuleDict({str(delta): nn.BatchNorm1d(width) for delta in deltas})

    def forward(self, x: Tensor, delta: int) -> Tensor:
        return self.norms[str(delta)](x.reshape(-1, x.shape[-1])).reshape(x.shape)


class _Prelu(torch.autograd.Function):
    """PReLU over the last axis: torch's own takes ten times as long backwards on a CPU, a sixth of a training step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        negative = x.clamp_max(0.0)
        ctx.save_for_backward(negative, x >= 0, slope)
        return x.clamp_min(0.0).add_(negative * slope)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        negative, is_positive, slope = ctx.saved_tensors
        factor = is_positive.to(slope.dtype).mul_(1.0 - slope).add_(slope)
        return grads[0] * factor, (grads[0] * negative).flatten(0, -2).sum(0)


class Slope(nn.Module):
    """PReLU over the last axis, one slope a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.full((width,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return _Prelu.apply(x, self.slope)


class BinaryLayer(nn.Module):
    """Shared by the layers whose weights and inputs are binary in the "binary" stage.

    ``stage`` is "float" (a plain layer, for the teacher), "activations" (binary inputs, float weights) or "binary".

    Args:
        topology: names the binarizer.
        shape: of the weights, [out, ...].
        fan_in: of an output.
        channels: of the input, at ``axis``.
        axis: 1 or -1.
        shifted: whether the input comes less a learned threshold.
    """

    def __init__(
        self,
        topology: Topology,
        shape: tuple[int, ...],
        fan_in: int,
        channels: int,
        axis: int = -1,
        shifted: bool = False,
    ) -> None:
        super().__init__()
        self.stage = "float"
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-1.0, 1.0) * (3.0 / fan_in) ** 0.5)
        binarizer = find(topology.binarizer)
        self.quantize_input = binarizer.inputs(channels, axis, shifted)
        if topology.planes == 2:
            self.quantize_input.add_plane()
        self.quantize_weight = binarizer.weights(shape[0])
        self.quantize_weight.start(self.weight)

    def effective(self) -> tuple[Tensor, Tensor | None]:
        """The weight to multiply with and, when it is binary, the scale [out] of the products' sums."""
        if self.stage != "binary":
            return self.weight, None
        return self.quantize_weight(self.weight)

    def binarize_input(self, x: Tensor) -> Tensor:
        """``x`` itself in the float stage, else what the binarizer makes of it, which is its sign if one bit."""
        return x if self.stage == "float" else self.quantize_input(x)

    @property
    def padding(self) -> float:
        return 0.0 if self.stage == "float" else self.quantize_input.padding

    def engine_weight(self) -> Tensor:
        """A weight whose signs and mean magnitudes are those that the layer computes with, as the fold expects.

        The latent weight itself where the fold would come to the same, so that nothing is rounded twice.
        """
        weight = self.weight.detach()
        values, scale = (part.detach() for part in self.quantize_weight(weight))
        if torch.equal(values, sign(weight)) and torch.equal(scale, weight_scale(weight)):
            return weight
        return values * scale.view(-1, *[1] * (weight.ndim - 1))


class BinaryConv(BinaryLayer):
    """5x5 stride-2 convolution. [batch, in, mel, time] to [batch, out, mel/2, time/2]."""

    def __init__(self, topology: Topology, inputs: int, outputs: int) -> None:
        super().__init__(topology, (outputs, inputs, KERNEL, KERNEL), inputs * KERNEL * KERNEL, inputs, axis=1)

    def forward(self, x: Tensor) -> Tensor:
        weight, scale = self.effective()
        pad = KERNEL // 2
        x = F.pad(self.binarize_input(x), (pad, pad, pad, pad), value=self.padding)
        out = F.conv2d(x, weight, stride=2)
        return out if scale is None else out * scale[:, None, None]


class BinaryLinear(BinaryLayer):
    """Linear layer over the last axis, without bias. [..., in] to [..., out].

    ``channels``: of the input, where that is one channel after another, mel after mel; by default each is its own.
    """

    def __init__(
        self, topology: Topology, inputs: int, outputs: int, channels: int | None = None, shifted: bool = False
    ) -> None:
        super().__init__(topology, (outputs, inputs), inputs, channels or inputs, shifted=shifted)

    def forward(self, x: Tensor) -> Tensor:
        weight, scale = self.effective()
        out = F.linear(self.binarize_input(x), weight)
        return out if scale is None else out * scale


class BinaryMemory(BinaryLayer):
    """Depthwise 5-tap filter over time, oldest frame first. [batch, time, channels], shifted, to the same shape."""

    def __init__(self, topology: Topology, channels: int) -> None:
        super().__init__(topology, (channels, KERNEL), KERNEL, channels, shifted=True)

    def forward(self, x: Tensor) -> Tensor:
        weight, scale = self.effective()
        steps, pad = x.shape[1], KERNEL // 2
        x = F.pad(self.binarize_input(x), (0, 0, pad, pad), value=self.padding)
        taps = weight.T.contiguous()
        out = sum(x[:, k : k + steps] * taps[k] for k in range(KERNEL))
        return out if scale is None else out * scale
