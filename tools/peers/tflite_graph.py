"""Runs inside the emulator, where LiteRT's schema is: writes the topology as a TFLite file, with random weights.

    tflite_graph.py FILE matmul|conv N_MELS FRAMES CHANNELS HIDDEN BLOCKS CLASSES

What it stands for is in kws/bench/graph.py. The layout is TFLite's, channels last: [1, time, mel, channels]. Its
convolutions are padded by its own rule, which shifts the first two by a sample and costs the same.
"""

import sys

import ai_edge_litert.schema_py_generated as schema
import flatbuffers
import numpy as np

KERNEL, CONV1, CONV2 = 5, 16, 32
KIND, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions


class Writer:
    """A model with one graph, to which tensors and operators are added; methods return indices of tensors."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.subgraphs, self.model.operatorCodes, self.model.buffers = [self.graph], [], [schema.BufferT()]
        self.codes = {}

    def tensor(self, shape, data=None, kind=schema.TensorType.FLOAT32):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), kind, 0
        tensor.name = f"t{len(self.graph.tensors)}".encode()
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def weight(self, fan_in, *shape):
        return self.tensor(shape, (self.rng.uniform(-1.0, 1.0, shape) * (3.0 / fan_in) ** 0.5).astype(np.float32))

    def operator(self, kind, inputs, shape, options=None, options_kind=0, version=1):
        if kind not in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), version
            self.codes[kind] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs = self.codes[kind], inputs
        operator.outputs = [self.tensor(shape)]
        operator.builtinOptions, operator.builtinOptionsType = options, options_kind
        self.graph.operators.append(operator)
        return operator.outputs[0]

    def conv(self, x, shape, inputs, outputs, kernel, stride):
        options = schema.Conv2DOptionsT()
        options.padding, options.strideW, options.strideH = schema.Padding.SAME, stride, stride
        options.dilationWFactor = options.dilationHFactor = 1
        weight = self.weight(inputs * kernel * kernel, outputs, kernel, kernel, inputs)
        return self.operator(
            KIND.CONV_2D, [x, weight, self.weight(100, outputs)], shape, options, OPTIONS.Conv2DOptions
        )

    def depthwise(self, x, shape):
        options = schema.DepthwiseConv2DOptionsT()
        options.padding, options.strideW, options.strideH = schema.Padding.SAME, 1, 1
        options.depthMultiplier = options.dilationWFactor = options.dilationHFactor = 1
        weight, bias = self.weight(KERNEL, 1, KERNEL, 1, shape[-1]), self.weight(100, shape[-1])
        return self.operator(KIND.DEPTHWISE_CONV_2D, [x, weight, bias], shape, options, OPTIONS.DepthwiseConv2DOptions)

    def dense(self, x, shape, inputs, outputs):
        options = schema.FullyConnectedOptionsT()
        options.keepNumDims = len(shape) > 2
        operands = [x, self.weight(inputs, outputs, inputs), self.weight(100, outputs)]
        return self.operator(KIND.FULLY_CONNECTED, operands, shape, options, OPTIONS.FullyConnectedOptions, 5)

    def prelu(self, x, shape):
        slopes = self.rng.uniform(0.1, 0.4, shape[-1]).astype(np.float32)
        return self.operator(KIND.PRELU, [x, self.tensor([1] * (len(shape) - 2) + [shape[-1]], slopes)], shape)

    def add(self, a, b, shape):
        return self.operator(KIND.ADD, [a, b], shape, schema.AddOptionsT(), OPTIONS.AddOptions)

    def reshape(self, x, shape):
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        target = self.tensor([len(shape)], np.array(shape, np.int32), schema.TensorType.INT32)
        return self.operator(KIND.RESHAPE, [x, target], shape, options, OPTIONS.ReshapeOptions)

    def content(self, entry, result):
        self.graph.inputs, self.graph.outputs = [entry], [result]
        builder = flatbuffers.Builder(1 << 22)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def topology(layout, n_mels, frames, channels, hidden, blocks, classes):
    """The file's content."""
    net, steps, mels = Writer(), frames // 4, n_mels // 4

    def pointwise(x, shape, inputs, outputs):
        return net.dense(x, shape, inputs, outputs) if layout == "matmul" else net.conv(x, shape, inputs, outputs, 1, 1)

    entry = net.tensor([1, frames, n_mels, 1])
    first, second = [1, frames // 2, n_mels // 2, CONV1], [1, steps, mels, CONV2]
    x = net.prelu(net.conv(entry, first, 1, CONV1, KERNEL, 2), first)
    x = net.prelu(net.conv(x, second, CONV1, CONV2, KERNEL, 2), second)
    x = net.reshape(x, [1, steps, 1, CONV2 * mels])
    narrow, wide = [1, steps, 1, channels], [1, steps, 1, hidden]
    x = net.prelu(pointwise(x, narrow, CONV2 * mels, channels), narrow)
    for _ in range(blocks):
        x = net.add(x, net.prelu(net.depthwise(x, narrow), narrow), narrow)
        expanded = net.prelu(pointwise(x, wide, channels, hidden), wide)
        x = net.add(x, net.prelu(pointwise(expanded, narrow, hidden, channels), narrow), narrow)
    x = net.dense(net.reshape(x, [1, steps * channels]), [1, classes], steps * channels, classes)
    return net.content(entry, x)


with open(sys.argv[1], "wb") as out:
    out.write(topology(sys.argv[2], *map(int, sys.argv[3:])))
