"""BiFSMN: a thinnable binary network of deep feed-forward sequential memory blocks.

Qin et al., "BiFSMN: Binary Neural Network for Keyword Spotting", IJCAI 2022, section 3. The topology is the paper's;
the arithmetic is one that a device can run: every binary weight is +-s with one s per output channel, every binary
input is exactly +-1, and padding is -1, never 0. The one layer of other numbers, the first convolution, sees its input
and its weights in 8 bits.

A log-mel map [n_mels, frames] passes two 5x5 stride-2 convolutions (16 channels from float input, then 32 binary) and a
per-frame binary linear layer to ``channels``; then blocks over frames/4 time steps,

    m = x + PReLU(BN(memory(sign(x - t)))),   y = m + PReLU(BN(project(sign(PReLU(BN(expand(sign(m - u))))))))

with ``memory`` a 5-tap depthwise convolution over time; then a linear classifier over all time steps. Depth ``delta``
runs every ``delta``-th block; batch norms that see other statistics at another depth exist once per depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws.features import INPUT_STEPS, PRESETS
from kws_training.binarizers import conv1_scale, int8_scale, int8_weight, sign, weight_scale
from kws_training.quantizers import DEFAULT, find

KERNEL, CONV1, CONV2 = 5, 16, 32
STAGES = ("float", "activations", "binary")
MIN_SLOPE = 0.01
"""PReLU slopes that only a sign reads stay positive, so that the sign of the output is the sign of the input."""
MAX_SLOPE = 0.999
"""The others stay within one, which is what 16 bits of fraction hold."""


@dataclass(frozen=True)
class Topology:
    """Shape of a network.

    Attributes:
        preset: feature preset, a key of ``kws.features.PRESETS``.
        n_classes: outputs.
        channels: stream width, a multiple of 64.
        hidden: width inside a block, a multiple of 64.
        n_blocks: a multiple of the largest delta.
        deltas: depths trained at once, deepest (smallest) first.
        binarizer: of inputs and weights, a key of ``quantizers.BINARIZERS``.
        planes: of every binary layer's input, 1 or 2: each a bit an input.
    """

    preset: str = "bifsmn"
    n_classes: int = 12
    channels: int = 128
    hidden: int = 256
    n_blocks: int = 8
    deltas: tuple[int, ...] = (1, 2, 4)
    binarizer: str = DEFAULT
    planes: int = 1

    def blocks_at(self, delta: int) -> list[int]:
        """Indices of the blocks that depth ``delta`` runs: the last of every ``delta``."""
        return list(range(delta - 1, self.n_blocks, delta))

    def as_dict(self) -> dict:
        return asdict(self)


DELTAS = (1, 2, 4)


def deltas_of(n_blocks: int) -> tuple[int, ...]:
    """The depths that a network of ``n_blocks`` is trained at: all of ``DELTAS`` that divide it."""
    return tuple(delta for delta in DELTAS if n_blocks % delta == 0)


NETWORKS: dict[str, int] = {"bifsmn": 1, "bifsmnv2": 2}
"""Planes of the inputs of the networks that ``kws train --network`` names; all else is one topology."""


def network_name(topology: Topology) -> str:
    """What ``kws train --network`` calls it."""
    return next(name for name, planes in NETWORKS.items() if planes == topology.planes)


def is_quantizers(key: str) -> bool:
    """Whether an entry of a network's state belongs to a binarizer and not to the network."""
    return ".quantize_" in key


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


class Block(nn.Module):
    """One memory block with its switched batch norms. [batch, time, channels] to the same shape."""

    def __init__(self, topology: Topology, deltas: list[int]) -> None:
        super().__init__()
        channels, hidden = topology.channels, topology.hidden
        self.memory_input = nn.Parameter(torch.zeros(channels))
        self.memory = BinaryMemory(topology, channels)
        self.memory_norm = Switched(channels, deltas)
        self.memory_prelu = Slope(channels)
        self.expand_input = nn.Parameter(torch.zeros(channels))
        self.expand = BinaryLinear(topology, channels, hidden, shifted=True)
        self.expand_norm = Switched(hidden, deltas)
        self.expand_prelu = Slope(hidden)
        self.project = BinaryLinear(topology, hidden, channels)
        self.project_norm = Switched(channels, deltas)
        self.project_prelu = Slope(channels)

    def forward(self, x: Tensor, delta: int) -> Tensor:
        m = x + self.memory_prelu(self.memory_norm(self.memory(x - self.memory_input), delta))
        hidden = self.expand_prelu(self.expand_norm(self.expand(m - self.expand_input), delta))
        return m + self.project_prelu(self.project_norm(self.project(hidden), delta))


class BiFSMN(nn.Module):
    """The network at every depth; ``set_stage`` chooses float, activations-only or fully binary arithmetic."""

    def __init__(self, topology: Topology) -> None:
        super().__init__()
        self.topology = topology
        preset = PRESETS[topology.preset]
        self.offset, self.scale, self.steps_per_db = preset.offset, preset.scale, preset.steps_per_db
        self.steps, mels = preset.frames // 4, preset.n_mels // 4
        self.conv1 = nn.Conv2d(1, CONV1, KERNEL, stride=2, padding=KERNEL // 2, bias=False)
        self.conv1_norm = nn.BatchNorm2d(CONV1)
        self.conv1_prelu = nn.PReLU(CONV1)
        self.conv2 = BinaryConv(topology, CONV1, CONV2)
        self.conv2_norm = nn.BatchNorm2d(CONV2)
        self.conv2_prelu = nn.PReLU(CONV2)
        self.linear = BinaryLinear(topology, CONV2 * mels, topology.channels, channels=CONV2)
        self.linear_norm = Switched(topology.channels, [1])
        self.linear_prelu = Slope(topology.channels)
        self.blocks = nn.ModuleList(
            Block(topology, [delta for delta in topology.deltas if index in topology.blocks_at(delta)])
            for index in range(topology.n_blocks)
        )
        self.classifier = nn.Linear(self.steps * topology.channels, topology.n_classes, bias=False)
        self.class_gain = nn.ParameterDict(
            {str(d): nn.Parameter(torch.ones(topology.n_classes)) for d in topology.deltas}
        )
        self.class_bias = nn.ParameterDict(
            {str(d): nn.Parameter(torch.zeros(topology.n_classes)) for d in topology.deltas}
        )
        self.set_stage("float")

    def set_stage(self, stage: str) -> None:
        """Switches every layer between "float", "activations" and "binary" arithmetic; weights stay."""
        self.stage = stage
        for layer in self.binary_layers():
            layer.stage = stage

    def binary_layers(self) -> Iterator[BinaryLayer]:
        return (module for module in self.modules() if isinstance(module, BinaryLayer))

    def start_weights(self) -> None:
        """Fits what the binarizer learns of the weights to the weights as they are."""
        for layer in self.binary_layers():
            layer.quantize_weight.start(layer.weight)

    def progress(self, fraction: float) -> None:
        """Called before every step of the student's training with the part of it that is done, 0..1."""
        for layer in self.binary_layers():
            layer.quantize_input.progress(fraction)
            layer.quantize_weight.progress(fraction)

    def constrain(self) -> None:
        """Called after every optimizer step: keeps every PReLU slope where the engine has a form for it."""
        with torch.no_grad():
            for layer in self.binary_layers():
                layer.quantize_input.constrain()
                layer.quantize_weight.constrain(layer.weight)
            for prelu in (
                self.conv1_prelu.weight,
                self.conv2_prelu.weight,
                *(b.expand_prelu.slope for b in self.blocks),
            ):
                prelu.clamp_(min=MIN_SLOPE)
            for slope in (
                self.linear_prelu.slope,
                *(b.memory_prelu.slope for b in self.blocks),
                *(b.project_prelu.slope for b in self.blocks),
            ):
                slope.clamp_(-MAX_SLOPE, MAX_SLOPE)

    def load_weights(self, state: dict[str, Tensor]) -> None:
        """As ``load_state_dict``, but for what binarizers hold, which stays: a teacher's may be of another kind."""
        kept = {key: value for key, value in self.state_dict().items() if is_quantizers(key)}
        self.load_state_dict(kept | {key: value for key, value in state.items() if not is_quantizers(key)})

    def engine_state(self) -> dict[str, Tensor]:
        """The state as ``kws.model.fold`` takes it: no binarizer left, only weights, batch norms and thresholds.

        ``<layer>.edges``, [2 planes - 1, channels], are the thresholds of a layer's input: of the first plane, and of
        the second where the first is 1 and where it is 0; in units of the residual stream where the layer reads that,
        and else of the batch norm before it: what the input's threshold is after the PReLU between, the edge is before.
        """
        state = {key: value.detach().clone() for key, value in self.state_dict().items() if not is_quantizers(key)}
        for name, layer in self.named_modules():
            if isinstance(layer, BinaryLayer):
                state[f"{name}.weight"] = layer.engine_weight()
        for name, layer, slope in self._readers():
            edges = layer.quantize_input.edges().detach().double().to(slope.device)
            state[f"{name}.edges"] = torch.where(edges >= 0.0, edges, edges / slope.detach().double())
        for index, block in enumerate(self.blocks):
            for name, layer, threshold in (
                ("memory", block.memory, block.memory_input),
                ("expand", block.expand, block.expand_input),
            ):
                edges = layer.quantize_input.edges().detach().double().to(threshold.device)
                state[f"blocks.{index}.{name}.edges"] = edges + threshold.detach().double()
        return state

    def _readers(self) -> Iterator[tuple[str, BinaryLayer, Tensor]]:
        """The layers whose input is a PReLU's output, by name, and that PReLU's slopes."""
        yield "conv2", self.conv2, self.conv1_prelu.weight
        yield "linear", self.linear, self.conv2_prelu.weight
        for index, block in enumerate(self.blocks):
            yield f"blocks.{index}.project", block.project, block.expand_prelu.slope

    def quantize(self, features: Tensor) -> Tensor:
        """Features in dB as the engine's first convolution sees them, in units of the normalised feature."""
        steps = ((features - self.offset) * self.steps_per_db).clamp(-128.0, 127.0)
        return ((steps + 128.5).floor() - 128.0) / INPUT_STEPS

    def first_convolution(self, features: Tensor) -> Tensor:
        """Log-mel maps in dB, [batch, n_mels, frames], to [batch, 16, n_mels / 2, frames / 2].

        Of 8-bit input and weights, except in the float stage.
        """
        if self.stage == "float":
            return self.conv1(((features - self.offset) * self.scale).unsqueeze(1))
        step = conv1_scale(self.conv1.weight)[:, None]
        weight = int8_weight(self.conv1.weight.flatten(1), step[:, 0]) * step
        weight = weight.view_as(self.conv1.weight)
        return F.conv2d(self.quantize(features).unsqueeze(1), weight, stride=2, padding=KERNEL // 2)

    def front(self, features: Tensor) -> Tensor:
        """Log-mel maps in dB, [batch, n_mels, frames], to the stream, [batch, time, channels]; equal at every depth."""
        x = self.conv1_prelu(self.conv1_norm(self.first_convolution(features)))
        x = self.conv2_prelu(self.conv2_norm(self.conv2(x)))
        x = x.permute(0, 3, 2, 1).flatten(2)
        return self.linear_prelu(self.linear_norm(self.linear(x), 1))

    def classify(self, x: Tensor, delta: int) -> Tensor:
        """The last block's output to logits [batch, n_classes]; int8 weights except in the float stage."""
        weight = self.classifier.weight
        if self.stage == "float":
            logits = F.linear(x.flatten(1), weight)
        else:
            scale = int8_scale(weight)
            logits = F.linear(x.flatten(1), int8_weight(weight, scale)) * scale
        return logits * self.class_gain[str(delta)] + self.class_bias[str(delta)]

    def forward(
        self, features: Tensor, deltas: tuple[int, ...] | None = None
    ) -> dict[int, tuple[Tensor, dict[int, Tensor]]]:
        """Runs the depths ``deltas`` (default: all).

        Args:
            features: float32 [batch, n_mels, frames] in dB.

        Returns:
            By delta: logits [batch, n_classes], and each run block's output [batch, time, channels] by block index.
        """
        stream = self.front(features)
        results = {}
        for delta in deltas or self.topology.deltas:
            x, outputs = stream, {}
            for index in self.topology.blocks_at(delta):
                x = self.blocks[index](x, delta)
                outputs[index] = x
            results[delta] = self.classify(x, delta), outputs
        return results
