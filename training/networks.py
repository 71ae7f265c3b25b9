"""BiFSMN: a thinnable binary network of deep feed-forward sequential memory blocks.

Qin et al., "BiFSMN: Binary Neural Network for Keyword Spotting", IJCAI 2022, section 3. The topology is the paper's;
the arithmetic is one that a device can run: every binary weight is +-s with one s per output channel, every binary
input is exactly +-1, and padding is -1, never 0. The one layer of other numbers, the first convolution, sees its input
and its weights in 8 bits.

A log-mel map [n_mels, frames] passes two 5x5 stride-2 convolutions (16 channels from float input, then 32 binary) and a
per-frame binary linear layer to ``channels``; then blocks over frames/4 time steps (``kws_training.blocks``); then a
linear classifier over all time steps. Depth ``delta`` runs every ``delta``-th block; batch norms that see other
statistics at another depth exist once per depth.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws.features import INPUT_STEPS, PRESETS
from kws_training.binarizers import conv1_scale, int8_scale, int8_weight
from kws_training.blocks import BLOCKS
from kws_training.layers import KERNEL, BinaryConv, BinaryLayer, BinaryLinear, Slope, Switched
from kws_training.quantizers.interface import InputQuantizer
from kws_training.topology import Topology

CONV1, CONV2 = 16, 32
MIN_SLOPE = 0.01
"""PReLU slopes that only a sign reads stay positive, so that the sign of the output is the sign of the input."""
MAX_SLOPE = 0.999
"""The others stay within one, which is what 16 bits of fraction hold."""


def is_quantizers(key: str) -> bool:
    """Whether an entry of a network's state belongs to a binarizer and not to the network."""
    return ".quantize_" in key


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
            BLOCKS[topology.block](topology, [delta for delta in topology.deltas if index in topology.blocks_at(delta)])
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

    def input_quantizers(self) -> Iterator[InputQuantizer]:
        return (module for module in self.modules() if isinstance(module, InputQuantizer))

    def start_weights(self) -> None:
        """Fits what the binarizer learns of the weights to the weights as they are."""
        for layer in self.binary_layers():
            layer.quantize_weight.start(layer.weight)

    def progress(self, fraction: float) -> None:
        """Called before every step of the student's training with the part of it that is done, 0..1."""
        for quantizer in self.input_quantizers():
            quantizer.progress(fraction)
        for layer in self.binary_layers():
            layer.quantize_weight.progress(fraction)

    def constrain(self) -> None:
        """Called after every optimizer step: keeps every PReLU slope where the engine has a form for it."""
        with torch.no_grad():
            for quantizer in self.input_quantizers():
                quantizer.constrain()
            for layer in self.binary_layers():
                layer.quantize_weight.constrain(layer.weight)
            read_by_signs = [slope for block in self.blocks for slope in block.sign_slopes()]
            for slope in (self.conv1_prelu.weight, self.conv2_prelu.weight, *read_by_signs):
                slope.clamp_(min=MIN_SLOPE)
            added = [slope for block in self.blocks for slope in block.stream_slopes()]
            for slope in (self.linear_prelu.slope, *added):
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

    def macs(self, delta: int) -> dict[str, int]:
        """Multiply-accumulates of a window: ``inner`` are binary in the binary stage, ``outer`` never."""
        channels, cells = self.topology.channels, self.steps * self.linear.weight.shape[1] // CONV2
        first = 4 * cells * self.conv1.weight.numel()
        front = cells * self.conv2.weight.numel() + self.steps * self.linear.weight.numel()
        blocks = sum(self.blocks[index].macs(self.steps) for index in self.topology.blocks_at(delta))
        return {"inner": front + blocks, "outer": first + self.steps * channels * self.topology.n_classes}

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
