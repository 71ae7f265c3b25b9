"""Other engines that may be installed, running the same topology with random weights on one thread.

A peer is a function from a ``Shape`` to a ``Peer``, and a line in ``PEERS``; it raises ``Missing`` where it cannot run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.bench.graph import LAYOUTS, Shape, build


class Missing(Exception):
    """Why a peer does not run here; a sentence for the user."""


@dataclass(frozen=True)
class Peer:
    """An engine ready to run.

    Attributes:
        version: of the engine.
        runs: by layout of the graph, a function that makes one inference.
    """

    version: str
    runs: dict[str, Callable[[], object]]


def float32(shape: Shape) -> Peer:
    """ONNX Runtime with every optimisation."""
    onnxruntime = _import()
    runs = {layout: _runner(build(shape, layout).SerializeToString(), shape) for layout in LAYOUTS}
    return Peer(f"onnxruntime {onnxruntime.__version__}", runs)


def int8(shape: Shape) -> Peer:
    """ONNX Runtime after its own static quantization: 8-bit weights (a scale a channel) and activations."""
    onnxruntime = _import()
    try:
        from onnxruntime import quantization
    except ImportError as error:
        raise Missing(f"onnxruntime's quantization needs {error.name}, which is not installed.") from error
    runs = {}
    with tempfile.TemporaryDirectory(prefix="kws-bench-") as folder:
        for layout in LAYOUTS:
            source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
            source.write_bytes(build(shape, layout).SerializeToString())
            quantization.quantize_static(
                source,
                target,
                _Calibration(shape),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
            runs[layout] = _runner(target.read_bytes(), shape)
    return Peer(f"onnxruntime {onnxruntime.__version__}", runs)


PEERS: dict[str, Callable[[Shape], Peer]] = {"ONNX Runtime float32": float32, "ONNX Runtime int8": int8}


def _import() -> Any:
    try:
        import onnx  # noqa: F401  (the graph is built with it)
        import onnxruntime
    except ImportError as error:
        raise Missing(f"{error.name} is not installed; run pip install 'kws[bench]'.") from error
    return onnxruntime


def _features(shape: Shape, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((1, 1, shape.n_mels, shape.frames)).astype(np.float32)


def _runner(model: bytes, shape: Shape) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # Bound once: a call copies nothing in or out.
    binding = session.io_binding()
    features = onnxruntime.OrtValue.ortvalue_from_numpy(_features(shape, 0))
    logits = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((1, shape.classes), np.float32))
    binding.bind_ortvalue_input("features", features)
    binding.bind_ortvalue_output("logits", logits)
    return lambda: session.run_with_iobinding(binding)


class _Calibration:
    """What onnxruntime's quantization asks for inputs, one after another until None."""

    def __init__(self, shape: Shape) -> None:
        self.inputs: Iterator[dict[str, Any]] = iter([{"features": _features(shape, seed)} for seed in range(8)])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.inputs, None)
