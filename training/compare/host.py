"""Time of a window on this machine, features given: our own in the C engine, others in ONNX Runtime."""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from kws.bench import peers
from kws.bench.graph import LAYOUTS, Shape, build
from kws.bench.host import bench, processor
from kws.bench.timing import in_turn
from kws.features import PRESETS, Preset
from kws.model import FoldedModel
from kws_training.compare.cell import topology
from kws_training.compare.grid import FLOAT_BITS, Cell, Grid
from kws_training.topology import MEMORY

OPSET = 17


def engine(model: FoldedModel, seconds: float) -> dict[str, Any]:
    """Microseconds of a window by depth, with the fastest set of kernels here."""
    found = bench(model, seconds, others={})
    timings = found.sets[found.fastest]
    return {
        "us": {str(delta): timings[f"network {delta}"].as_dict()["us"] for delta in found.passes},
        "by": f"C engine, {found.fastest}",
        "processor": processor(),
    }


class _Logits(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> Tensor:
        return self.network(features)[1][0]


def to_onnx(network: nn.Module, preset: Preset) -> bytes:
    """A rival in float as an ONNX graph, ``features`` [1, n_mels, frames] to ``logits`` [1, classes], norms folded."""
    stage, file = network.stage, io.BytesIO()
    network.set_stage("float")
    try:
        with warnings.catch_warnings():
            # The newer exporter needs a package more; what this one does not fold, the engines do.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Logits(network).eval(),
                (torch.zeros(1, preset.n_mels, preset.frames),),
                file,
                dynamo=False,
                opset_version=OPSET,
                input_names=["features"],
                output_names=["logits"],
            )
    finally:
        network.set_stage(stage)
    return file.getvalue()


class _Rest(nn.Module):
    """All of a rival but the normalisation of its input, which ncnn's translation of it trips over."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.classifier(self.network.embed(x))


def to_torchscript(network: nn.Module, preset: Preset) -> bytes:
    """The same as TorchScript, from a normalised map [1, 1, n_mels, frames]."""
    stage, file = network.stage, io.BytesIO()
    network.set_stage("float")
    try:
        with warnings.catch_warnings():
            # pnnx, which reads it, takes nothing newer.
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(_Rest(network).eval(), torch.zeros(1, 1, preset.n_mels, preset.frames))
            torch.jit.save(traced, file)
    finally:
        network.set_stage(stage)
    return file.getvalue()


def graphs(cell: Cell, grid: Grid, network: Any) -> list[bytes] | str:
    """The cell's topology in float as ONNX, in the ways that may suit an engine; or why there is none.

    Time and instructions do not depend on the weights: BiFSMN's are random.
    """
    try:
        import onnx  # noqa: F401
    except ImportError:
        return "onnx is not installed; run pip install 'kws[bench]'."
    preset = PRESETS[grid.preset]
    if not cell.is_own:
        return [to_onnx(network, preset)]
    if cell.bits != FLOAT_BITS:
        return f"no engine here runs {cell.network} of {cell.bits}-bit values."
    own = topology(cell, grid)
    if own.block != MEMORY:
        return f"no graph of {cell.network} is drawn for others' engines."
    shape = Shape(preset.n_mels, preset.frames, own.channels, own.hidden, own.n_blocks, own.n_classes)
    return [build(shape, layout).SerializeToString() for layout in LAYOUTS]


def peer(found: list[bytes] | str, is_int8: bool, seconds: float) -> dict[str, Any] | str:
    """As ``engine``, by ONNX Runtime, the faster of the graphs; or why not."""
    if isinstance(found, str):
        return found
    try:
        version = peers.onnxruntime_version()
        runs = [peers.runner(peers.to_int8(graph) if is_int8 else graph) for graph in found]
    except peers.Missing as missing:
        return str(missing)
    timings = in_turn({str(index): run for index, run in enumerate(runs)}, seconds)
    best = min(timing.median for timing in timings.values())
    kind = "int8" if is_int8 else "float32"
    return {"us": {"1": round(1e6 * best, 3)}, "by": f"{version}, {kind}", "processor": processor()}
