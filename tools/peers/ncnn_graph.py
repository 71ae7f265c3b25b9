"""The network's topology in ncnn's own format, with random weights; see kws/bench/graph.py for what it stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.bench.graph import CONV1, CONV2, KERNEL, Shape

MAGIC = 7767517


class _Writer:
    """Layers as they are added; every method returns the name of its output."""

    def __init__(self) -> None:
        self.layers: list[str] = []
        self.weights = bytearray()
        self.rng = np.random.default_rng(0)
        self.blobs = 0

    def layer(self, kind: str, inputs: list[str], parameters: dict[int, int], output: str | None = None) -> str:
        if output is None:
            self.blobs += 1
            output = f"b{self.blobs}"
        self._add(kind, inputs, [output], parameters)
        return output

    def _add(self, kind: str, inputs: list[str], outputs: list[str], parameters: dict[int, int]) -> None:
        names = " ".join([f"l{len(self.layers)}", str(len(inputs)), str(len(outputs)), *inputs, *outputs])
        settings = " ".join(f"{key}={value}" for key, value in parameters.items())
        self.layers.append(f"{kind} {names} {settings}")

    def store(self, value: NDArray[np.float64], is_tagged: bool = False) -> None:
        """Appends float32; weights proper have a tag before them that says so."""
        self.weights += (b"\0\0\0\0" if is_tagged else b"") + value.astype("<f4").tobytes()

    def random(self, fan_in: int, *shape: int) -> NDArray[np.float64]:
        return self.rng.uniform(-1.0, 1.0, shape) * (3.0 / fan_in) ** 0.5

    def conv(
        self,
        x: str,
        inputs: int,
        outputs: int,
        width: int,
        height: int,
        stride: int,
        pads: tuple[int, int],
        group: int = 1,
    ) -> str:
        weight = self.random(inputs // group * width * height, outputs, inputs // group, height, width)
        parameters = {0: outputs, 1: width, 11: height, 3: stride, 4: pads[0], 14: pads[1], 5: 1, 6: weight.size}
        if group > 1:
            parameters[7] = group
        self.store(weight, is_tagged=True)
        self.store(self.random(100, outputs))
        return self.layer("ConvolutionDepthWise" if group > 1 else "Convolution", [x], parameters)

    def prelu(self, x: str, channels: int) -> str:
        self.store(self.rng.uniform(0.1, 0.4, channels))
        return self.layer("PReLU", [x], {0: channels})

    def dense(self, x: str, inputs: int, outputs: int, output: str) -> str:
        weight = self.random(inputs, outputs, inputs)
        self.store(weight, is_tagged=True)
        self.store(self.random(100, outputs))
        return self.layer("InnerProduct", [x], {0: outputs, 1: 1, 2: weight.size}, output)

    def split(self, x: str) -> tuple[str, str]:
        """Ncnn wants a blob that two layers read copied in name."""
        self.blobs += 2
        pair = f"b{self.blobs - 1}", f"b{self.blobs}"
        self._add("Split", [x], list(pair), {})
        return pair

    def write(self, path: Path) -> None:
        blobs = sum(int(line.split()[3]) for line in self.layers)
        text = "\n".join([str(MAGIC), f"{len(self.layers)} {blobs}", *self.layers])
        path.with_suffix(".param").write_text(text + "\n")
        path.with_suffix(".bin").write_bytes(self.weights)


def write(shape: Shape, path: Path) -> None:
    """Writes ``path``.param and ``path``.bin: blocks as convolutions over [channels, 1, steps]."""
    net = _Writer()
    channels, hidden = shape.channels, shape.hidden
    x = net.layer("Input", [], {0: shape.frames, 1: shape.n_mels, 2: 1}, "features")
    x = net.prelu(net.conv(x, 1, CONV1, KERNEL, KERNEL, 2, (2, 2)), CONV1)
    x = net.prelu(net.conv(x, CONV1, CONV2, KERNEL, KERNEL, 2, (2, 2)), CONV2)
    inputs = CONV2 * shape.n_mels // 4
    x = net.layer("Reshape", [x], {0: shape.steps, 1: 1, 2: inputs})
    x = net.prelu(net.conv(x, inputs, channels, 1, 1, 1, (0, 0)), channels)
    for _ in range(shape.blocks):
        kept, x = net.split(x)
        memory = net.conv(x, channels, channels, KERNEL, 1, 1, (2, 0), channels)
        x = net.layer("BinaryOp", [kept, net.prelu(memory, channels)], {0: 0})
        kept, x = net.split(x)
        wide = net.prelu(net.conv(x, channels, hidden, 1, 1, 1, (0, 0)), hidden)
        x = net.layer(
            "BinaryOp", [kept, net.prelu(net.conv(wide, hidden, channels, 1, 1, 1, (0, 0)), channels)], {0: 0}
        )
    x = net.layer("Reshape", [x], {0: -1})
    net.dense(x, shape.steps * channels, shape.classes, "logits")
    net.write(path)
