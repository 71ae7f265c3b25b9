"""What a trained cell is worth and what it costs, as one JSON-able result."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kws.data.tasks import Corpus
from kws.evaluate import metrics
from kws.evaluate.robustness import CLEAN, FAMILIES, Robustness, scores
from kws.evaluate.robustness import measure as degrade
from kws.evaluate.run import Classifier
from kws.features import PRESETS, Preset
from kws.model import RUN_MODEL, load
from kws.model.info import bytes_by_part
from kws.model.info import macs as engine_macs
from kws_training.compare import host, instructions
from kws_training.compare.cell import has_model, load_network
from kws_training.compare.grid import FLOAT_BITS, INT8_BITS, Cell, Grid
from kws_training.dataset import filler_shares
from kws_training.features import LogMel
from kws_training.layers import Slope, Switched
from kws_training.networks import BiFSMN
from kws_training.rivals.counting import deployed_bytes, macs

INT8_UNCOUNTED = (
    "no lean int8 library for AArch64 takes these networks from here; ONNX Runtime's own quantization leaves so much "
    "unfused that its int8 retires more than its float32 of BC-ResNet. Take the float row as what int8 should beat."
)


def torch_classifier(network: Any, preset: Preset) -> Classifier:
    """Windows to logits by a network in torch."""
    log_mel = LogMel(preset)

    def compute(windows: NDArray[np.int16], delta: int) -> NDArray[np.float32]:
        with torch.no_grad():
            features = log_mel(torch.from_numpy(windows).float())
            return network(features, (delta,))[delta][0].numpy()

    return compute


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        robustness: classify degraded clips too.
        seconds: for a cell's timing, about.
        peers: folder for what counting others' instructions downloads; None leaves that out.
    """

    robustness: bool = True
    seconds: float = 2.0
    peers: Path | None = None

    @property
    def asked(self) -> dict[str, bool]:
        """What is measured of all that may be left out; kept with a result."""
        return {"robustness": self.robustness, "peers": self.peers is not None}

    def lacking(self, result: dict[str, Any]) -> set[str]:
        """What is asked for and was left out of ``result``."""
        return {what for what, is_wanted in self.asked.items() if is_wanted and not result["asked"][what]}

    def satisfied_by(self, result: dict[str, Any] | None) -> bool:
        """Whether a result holds all that is asked for."""
        return result is not None and not self.lacking(result)


def measure_cell(
    cell: Cell,
    grid: Grid,
    corpus: Corpus,
    folder: Path,
    twin: Path,
    options: Options,
    progress: Callable[[int, int], None] | None = None,
    known: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measures a trained cell.

    Args:
        corpus: the recordings; their validation split is classified.
        folder: of the cell.
        twin: of its float twin, for the cost of training.
        options: what to measure.
        progress: called with (clips done, clips in all).
        known: an earlier result of the same trained cell: what it holds is kept, and only what it lacks is measured.

    Returns:
        ``depths``: by delta, accuracy, recall by class, work, time and instructions of one window, features given, and
        balanced accuracy by condition; ``bytes``; ``training``; ``runs_in``; ``missing``: why a figure is not there;
        ``asked``: what was measured of all that may be left out.
    """
    network = None if has_model(cell) else load_network(cell, grid, folder)
    model = load(folder) if network is None else None
    lacking = set() if known is None else options.lacking(known)
    if known is None:
        result = {
            "title": cell.title,
            "hash": grid.digest(cell),
            "cell": asdict(cell),
            "depths": {str(delta): _work(cell, grid, network, model, delta) for delta in cell.deltas},
            "bytes": _bytes(cell, network, model),
            "training": _training(grid, folder, twin),
            "missing": {},
            "asked": options.asked,
        }
    else:
        result = copy.deepcopy(known)
        result["asked"].update(dict.fromkeys(lacking, True))
    if known is None or "robustness" in lacking:
        # The clean clips too, also where they are known: a loss is the difference of two figures of one run.
        _hear(result, cell, grid, corpus, network, model, options.robustness, progress)
    if model is not None:
        if known is None:
            _put(result, "host", host.engine(model, options.seconds))
            _put(result, "instructions", instructions.engine(folder / RUN_MODEL))
    elif known is None or "peers" in lacking:
        graphs = host.graphs(cell, grid, network)
        if known is None:
            _put(result, "host", host.peer(graphs, cell.bits == INT8_BITS, options.seconds))
        if cell.bits == INT8_BITS and not cell.is_own:
            _put(result, "instructions", INT8_UNCOUNTED)
        else:
            preset = PRESETS[grid.preset]
            script = None if cell.is_own else host.to_torchscript(network, preset)
            _put(result, "instructions", instructions.peer(graphs, script, preset, options.peers))
    return result


def _hear(
    result: dict[str, Any],
    cell: Cell,
    grid: Grid,
    corpus: Corpus,
    network: Any,
    model: Any,
    robustness: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Puts into ``result`` what comes of classifying clips: accuracy and, of degraded ones, robustness."""
    preset = PRESETS[grid.preset]
    if model is not None:
        from kws.engine import Engine

        compute, runs_in = Engine(model).classify_batch, "the C engine"
    else:
        compute = torch_classifier(network, preset)
        runs_in = "torch, float32" if cell.bits == FLOAT_BITS else f"torch, {cell.bits}-bit arithmetic in float32"
    families = FAMILIES if robustness else {CLEAN: FAMILIES[CLEAN]}
    degraded = degrade(compute, corpus, grid.task, preset, cell.deltas, families=families, progress=progress)
    result.update(
        runs_in=runs_in,
        split=degraded.split,
        validation_clips=int(degraded.matrices[CLEAN][cell.deltas[0]].sum()),
        skipped=degraded.skipped,
        notes=degraded.notes,
    )
    for delta in cell.deltas:
        result["depths"][str(delta)] |= {
            **_accuracy(degraded, delta),
            "robustness": {
                name: scores(matrices[delta], degraded.class_names) for name, matrices in degraded.matrices.items()
            },
        }


COSTS = {"host": ("host", "us", "host_us"), "instructions": ("counted", "window", "instructions")}
"""Of a cost: where a result has what measured it, the name of its figures by depth there, and their name in a depth."""


def _put(result: dict[str, Any], what: str, found: dict[str, Any] | str) -> None:
    """Puts a cost of ``COSTS`` into ``result``, or why it is missing."""
    place, figures, name = COSTS[what]
    result["missing"].pop(what, None)
    if isinstance(found, str):
        result["missing"][what], by_depth = found, dict.fromkeys(result["depths"])
        result[place] = None
    else:
        by_depth = found[figures]
        result[place] = {key: value for key, value in found.items() if key != figures}
    for delta, depth in result["depths"].items():
        depth[name] = by_depth[delta]


def _accuracy(degraded: Robustness, delta: int) -> dict[str, Any]:
    matrix = degraded.matrices[CLEAN][delta]
    return {
        "accuracy": metrics.accuracy(matrix),
        **scores(matrix, degraded.class_names),
        "clips": {name: int(count) for name, count in zip(degraded.class_names, matrix.sum(axis=1), strict=True)},
    }


def _work(cell: Cell, grid: Grid, network: Any, model: Any, delta: int) -> dict[str, int]:
    """Multiply-accumulates of a window, all and those of one bit by one bit."""
    preset = PRESETS[grid.preset]
    if model is not None:
        depth = next(depth for depth in model.depths if depth.delta == delta)
        kinds = engine_macs(model, depth)
        return {
            "macs": sum(sum(parts.values()) for parts in kinds.values()),
            "binary_macs": sum(kinds["binary"].values()),
        }
    if not cell.is_own:
        return {"macs": macs(network, preset.n_mels, preset.frames), "binary_macs": 0}
    work = network.macs(delta)
    return {"macs": sum(work.values()), "binary_macs": work["inner"] if cell.bits == 1 else 0}


def _bytes(cell: Cell, network: Any, model: Any) -> dict[str, Any]:
    if model is not None:
        parts = bytes_by_part(model)
        return {**parts, "total": sum(parts.values()), "is": "arrays of the exported model, all depths"}
    if not cell.is_own:
        return {
            **deployed_bytes(network, "float" if cell.bits == FLOAT_BITS else "int8"),
            "is": "computed: norms folded, as a deployment would hold them",
        }
    return {**_own_bytes(network, cell.bits), "is": "computed: norms folded, one set for each depth"}


def _own_bytes(network: BiFSMN, bits: int) -> dict[str, int]:
    """Of a BiFSMN that the engine does not run: inner weights in ``bits``, the others in 8 (32 if those are float).

    Folded norms and slopes: a float32 bias and slope a channel, and below 32 bits a multiplier an output.
    """
    edge = FLOAT_BITS if bits == FLOAT_BITS else INT8_BITS
    inner = sum(layer.weight.numel() for layer in network.binary_layers())
    outer = network.conv1.weight.numel() + network.classifier.weight.numel()
    deltas = network.topology.deltas if bits != FLOAT_BITS else (1,)
    channels = network.conv1_norm.num_features + network.conv2_norm.num_features
    for module in network.modules():
        if isinstance(module, Switched):
            channels += sum(norm.num_features for delta, norm in module.norms.items() if int(delta) in deltas)
    channels += network.topology.n_classes * len(deltas)
    slopes = sum(module.slope.numel() for module in network.modules() if isinstance(module, Slope))
    slopes += network.conv1_prelu.weight.numel() + network.conv2_prelu.weight.numel()
    parts = {
        "weights": (inner * bits + outer * edge + 7) // 8,
        "biases": 4 * channels,
        "slopes": 4 * slopes,
        "multipliers": 0 if bits == FLOAT_BITS else 4 * channels,
    }
    return {**parts, "total": sum(parts.values())}


def _training(grid: Grid, folder: Path, twin: Path) -> dict[str, Any]:
    """What training took, the float twin's part included."""
    rows, seconds, clips = 0, 0.0, 0
    for place in dict.fromkeys((twin, folder)):
        record = json.loads((place / "record.json").read_text(encoding="utf-8"))
        words = sum(record["data"]["training_clips"][word] for word in grid.task.words)
        stages = iter(record["settings"]["stages"])
        for row in record["epochs"]:
            # Several stages may share a name; a row tells its own by standing where it does. Some have no row: the
            # float twin's in the record of a network that started from it.
            if row["epoch"] == 1:
                stage = next(stage for stage in stages if stage["name"] == row["stage"])
            share = sum(filler_shares(stage["unknown"])) if grid.task.fillers else 0.0
            clips += max(1, int(words * (1.0 + share)) // grid.batch) * grid.batch
            rows, seconds = rows + 1, seconds + row["seconds"]
    return {
        "epochs": rows,
        "clips": clips,
        "seconds": round(seconds, 1),
        "threads": record["threads"],
        "device": record["device"],
        "torch": record["torch"],
        "data_sha256": record["data"]["sha256"],
        "training_clips": record["data"]["training_clips"],
    }
