"""The network's topology in float32, with random weights, as an ONNX graph: what other engines are measured with.

Batch norms are folded away, as any engine would get the network. What an instruction or a second costs does not depend
on the weights, so they are random; every layer keeps values of order one, so that no engine meets denormals.

A library may like one way of writing the same arithmetic better than another, so there are two, ``LAYOUTS``: the peers
are measured with both and judged by the better one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KERNEL, CONV1, CONV2 = 5, 16, 32
LAYOUTS = ("matmul", "conv")
"""matmul: blocks are matrix products over [time, channels]; conv: 1x1 convolutions over [channels, time]."""

OPSET, IR_VERSION = 17, 8
"""Old enough for every release of the engines that are worth measuring."""


@dataclass(frozen=True)
class Shape:
    """What the cost of an inference depends on."""

    n_mels: int = 32
    frames: int = 32
    channels: int = 128
    hidden: int = 256
    blocks: int = 8
    classes: int = 12

    @property
    def steps(self) -> int:
        return self.frames // 4

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        conv1 = self.n_mels * self.frames // 4 * KERNEL * KERNEL * CONV1
        conv2 = self.n_mels * self.frames // 16 * KERNEL * KERNEL * CONV1 * CONV2
        linear = self.steps * CONV2 * self.n_mels // 4 * self.channels
        block = self.steps * self.channels * (KERNEL + 2 * self.hidden)
        return conv1 + conv2 + linear + self.blocks * block + self.steps * self.channels * self.classes


def build(shape: Shape, layout: str = "matmul", seed: int = 0) -> Any:
    """The graph: input ``features`` float32 [1, 1, n_mels, frames], output ``logits`` [1, classes].

    Args:
        shape: sizes.
        layout: one of ``LAYOUTS``.
        seed: of the weights.

    Returns:
        an ``onnx.ModelProto`` (the package onnx is needed).
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = _Graph(seed)
    x = graph.conv("features", 1, CONV1, [KERNEL, KERNEL], strides=[2, 2], pads=[2, 2, 2, 2])
    x = graph.prelu(x, CONV1, 2)
    x = graph.conv(x, CONV1, CONV2, [KERNEL, KERNEL], strides=[2, 2], pads=[2, 2, 2, 2])
    x = graph.prelu(x, CONV2, 2)
    rows = _matmul_blocks(graph, x, shape) if layout == "matmul" else _conv_blocks(graph, x, shape)
    graph.dense(rows, shape.steps * shape.channels, shape.classes, output="logits")
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(operator, inputs, [output], **more) for operator, inputs, output, more in graph.nodes],
            "topology",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 1, shape.n_mels, shape.frames])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, shape.classes])],
            [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _matmul_blocks(graph: _Graph, x: str, shape: Shape) -> str:
    """[1, 32, mels, steps] through the linear layer and the blocks as matrix products, to [1, steps * channels]."""
    channels, hidden = shape.channels, shape.hidden
    inputs = CONV2 * shape.n_mels // 4
    x = graph.node("Transpose", [x], perm=[0, 3, 2, 1])
    x = graph.reshape(x, [shape.steps, inputs])
    x = graph.prelu(graph.dense(x, inputs, channels), channels, 0)
    for _ in range(shape.blocks):
        over_time = graph.reshape(graph.node("Transpose", [x], perm=[1, 0]), [1, channels, shape.steps])
        memory = graph.conv(over_time, channels, channels, [KERNEL], group=channels, pads=[2, 2])
        memory = graph.node("Transpose", [graph.reshape(memory, [channels, shape.steps])], perm=[1, 0])
        x = graph.node("Add", [x, graph.prelu(memory, channels, 0)])
        wide = graph.prelu(graph.dense(x, channels, hidden), hidden, 0)
        x = graph.node("Add", [x, graph.prelu(graph.dense(wide, hidden, channels), channels, 0)])
    return graph.reshape(x, [1, shape.steps * channels])


def _conv_blocks(graph: _Graph, x: str, shape: Shape) -> str:
    """The same as convolutions over [1, channels, 1, steps]."""
    channels, hidden = shape.channels, shape.hidden
    inputs = CONV2 * shape.n_mels // 4
    x = graph.reshape(x, [1, inputs, 1, shape.steps])
    x = graph.prelu(graph.conv(x, inputs, channels, [1, 1]), channels, 2)
    for _ in range(shape.blocks):
        memory = graph.conv(x, channels, channels, [1, KERNEL], group=channels, pads=[0, 2, 0, 2])
        x = graph.node("Add", [x, graph.prelu(memory, channels, 2)])
        wide = graph.prelu(graph.conv(x, channels, hidden, [1, 1]), hidden, 2)
        x = graph.node("Add", [x, graph.prelu(graph.conv(wide, hidden, channels, [1, 1]), channels, 2)])
    return graph.reshape(x, [1, channels * shape.steps])


class _Graph:
    """Nodes and constants as they are added; every method returns the name of its output."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def node(self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or f"v{len(self.nodes)}"
        self.nodes.append((operator, inputs, output, attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def weight(self, fan_in: int, *shape: int) -> str:
        value = self.rng.uniform(-1.0, 1.0, shape) * (3.0 / fan_in) ** 0.5
        return self.constant(value.astype(np.float32))

    def reshape(self, x: str, shape: list[int]) -> str:
        return self.node("Reshape", [x, self.constant(np.array(shape, np.int64))])

    def conv(self, x: str, inputs: int, outputs: int, kernel: list[int], group: int = 1, **attributes: Any) -> str:
        fan_in = inputs // group * int(np.prod(kernel))
        weight = self.weight(fan_in, outputs, inputs // group, *kernel)
        bias = self.weight(100, outputs)
        return self.node("Conv", [x, weight, bias], kernel_shape=kernel, group=group, **attributes)

    def dense(self, x: str, inputs: int, outputs: int, output: str | None = None) -> str:
        return self.node("Gemm", [x, self.weight(inputs, inputs, outputs), self.weight(100, outputs)], output)

    def prelu(self, x: str, channels: int, axes_after: int) -> str:
        slope = self.rng.uniform(0.1, 0.4, (channels, *[1] * axes_after)).astype(np.float32)
        return self.node("PRelu", [x, self.constant(slope)])
