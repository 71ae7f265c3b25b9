"""Training one cell in its folder, from where it stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from kws_training import checkpoint
from kws_training.blocks import obstacle
from kws_training.compare.grid import FLOAT_BITS, Cell, Grid
from kws_training.config import Settings
from kws_training.dataset import TrainingData
from kws_training.distillation import ENHANCED
from kws_training.loop import CHECKPOINT, STUDENT_FILE, TEACHER_FILE, Given, Run, Watcher, load_state
from kws_training.networks import BiFSMN
from kws_training.quantizers import DEFAULT
from kws_training.rivals import RivalTopology
from kws_training.rivals.loop import RivalRun, load_rival
from kws_training.rivals.settings import RivalSettings
from kws_training.run import load_teacher, train_on
from kws_training.topology import NETWORKS, Topology


def topology(cell: Cell, grid: Grid) -> Topology:
    """Of a BiFSMN cell."""
    return Topology(
        preset=grid.preset,
        n_classes=len(grid.task.class_names),
        channels=cell.channels,
        hidden=2 * cell.channels,
        n_blocks=cell.blocks,
        deltas=cell.deltas if cell.bits != FLOAT_BITS else replace(cell, bits=1).deltas,
        binarizer=cell.binarizer or DEFAULT,
        **vars(NETWORKS[cell.network]),
    )


def settings(cell: Cell, grid: Grid) -> Settings | RivalSettings:
    """Every setting of the cell's training run."""
    schedule, shared = grid.schedule, {"batch": grid.batch, "seed": cell.seed}
    words, fillers = grid.task.words, grid.task.fillers
    if not cell.is_own:
        stages = schedule["float"] + (schedule["int8"] if cell.bits != FLOAT_BITS else ())
        shape = RivalTopology(cell.network, grid.preset, len(grid.task.class_names))
        return RivalSettings(words, fillers, shape, stages, **shared)
    stages = tuple(replace(stage, name="teacher") for stage in schedule["float"])
    if cell.bits != FLOAT_BITS:
        stages += schedule["activations"] + schedule["binary"]
    own = topology(cell, grid)
    distillation = cell.distillation or ENHANCED
    return Settings(
        words, fillers, own, stages, distillation=distillation, depth_weights=(1.0,) * len(own.deltas), **shared
    )


def weights_file(cell: Cell) -> str:
    """Name of the checkpoint that a finished cell leaves."""
    if cell.is_own:
        return TEACHER_FILE if cell.bits == FLOAT_BITS else STUDENT_FILE
    return "float.pt" if cell.bits == FLOAT_BITS else "int8.pt"


def train_cell(cell: Cell, grid: Grid, data: TrainingData, folder: Path, twin: Path, watcher: Watcher) -> None:
    """Trains to the end, from the last complete epoch that ``folder`` holds.

    Leaves ``weights_file(cell)``, ``record.json`` and, where the engine can run it, ``model.kws``.

    Args:
        twin: folder of the float twin, trained; not read by a float cell.
    """
    state = load_state(folder) if (folder / CHECKPOINT).is_file() else None
    own = settings(cell, grid)
    if isinstance(own, RivalSettings):
        start = None if cell.bits == FLOAT_BITS else checkpoint.load(twin / "float.pt")["network"]
        RivalRun(folder, own, data, watcher, state, start).train()
    elif cell.bits == FLOAT_BITS:
        Run(folder, own, data, watcher, state).train()
    else:
        train_on(data, folder, own, watcher, state, Given(load_teacher(twin, own)), cell.title)


def load_network(cell: Cell, grid: Grid, folder: Path) -> Any:
    """The trained network in torch, in the arithmetic that it was trained for, ready to classify."""
    path = folder / weights_file(cell)
    if not cell.is_own:
        return load_rival(path)
    network = BiFSMN(topology(cell, grid))
    network.load_state_dict(checkpoint.load(path)["network"])
    network.set_stage("float" if cell.bits == FLOAT_BITS else "binary")
    network.eval()
    return network


def has_model(cell: Cell) -> bool:
    """Whether the engine runs it: then ``model.kws`` is what is measured."""
    return cell.is_own and cell.bits != FLOAT_BITS and not obstacle(cell.binarizer, cell.network)
