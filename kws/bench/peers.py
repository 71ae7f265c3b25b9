"""Other engines that may be installed, running the same topology with random weights on one thread.

A peer is a function from a ``Shape`` to a ``Peer``, and a line in ``PEERS``; it raises ``Missing`` where it cannot run.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    version = onnxruntime_version()
    return Peer(version, {layout: runner(build(shape, layout).SerializeToString()) for layout in LAYOUTS})


def int8(shape: Shape) -> Peer:
    """ONNX Runtime after its own static quantization: 8-bit weights (a scale a channel) and activations."""
    version = onnxruntime_version()
    return Peer(version, {layout: runner(to_int8(build(shape, layout).SerializeToString())) for layout in LAYOUTS})


PEERS: dict[str, Callable[[Shape], Peer]] = {"ONNX Runtime float32": float32, "ONNX Runtime int8": int8}


def onnxruntime_version() -> str:
    """Name and version. Raises Missing where it, or what graphs are made with, is not installed."""
    try:
        import onnx  # noqa: F401  (the graph is built with it)
        import onnxruntime
    except ImportError as error:
        raise Missing(f"{error.name} is not installed; run pip install 'kws[bench]'.") from error
    return f"onnxruntime {onnxruntime.__version__}"


def to_int8(model: bytes) -> bytes:
    """A graph with the input ``features``, quantized on random ones. Raises Missing where something is."""
    try:
        from onnxruntime import quantization
    except ImportError as error:
        raise Missing(f"onnxruntime's quantization needs {error.name}, which is not installed.") from error
    with tempfile.TemporaryDirectory(prefix="kws-bench-") as folder, _quietly():
        source, folded, target = (Path(folder) / f"{name}.onnx" for name in ("float", "folded", "int8"))
        source.write_bytes(model)
        # Symbolic shapes would need sympy; these graphs have none.
        quantization.quant_pre_process(source, folded, skip_symbolic_shape=True)
        quantization.quantize_static(
            folded,
            target,
            _Calibration(_session(model).get_inputs()[0].shape),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return target.read_bytes()


@contextmanager
def _quietly() -> Iterator[None]:
    """Quantization logs a warning for every norm that it leaves as it is."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _features(shape: Sequence[int], seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def runner(model: bytes) -> Callable[[], object]:
    """A function that makes one inference of a graph from ``features`` to ``logits``, on one thread."""
    import onnxruntime

    session = _session(model)
    # Bound once: a call copies nothing in or out.
    binding = session.io_binding()
    features = onnxruntime.OrtValue.ortvalue_from_numpy(_features(session.get_inputs()[0].shape, 0))
    logits = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(session.get_outputs()[0].shape, np.float32))
    binding.bind_ortvalue_input("features", features)
    binding.bind_ortvalue_output("logits", logits)
    return lambda: session.run_with_iobinding(binding)


class _Calibration:
    """What onnxruntime's quantization asks for inputs, one after another until None."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.inputs: Iterator[dict[str, Any]] = iter([{"features": _features(shape, seed)} for seed in range(8)])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.inputs, None)
