"""Training a rival: the loop, draws, augmentation, schedule, optimizer, records and resuming of BiFSMN's own teacher.

A rival learns what a teacher learns: the labels, smoothed, and as a second task the name of every word. It has no
teacher of its own. A run folder holds ``checkpoint.pt``, ``float.pt`` and, after an "int8" stage, ``int8.pt``,
``record.json`` and TensorBoard logs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kws.errors import KwsError
from kws_training import checkpoint
from kws_training.config import StageSettings
from kws_training.dataset import TrainingData
from kws_training.loop import Run, Watcher
from kws_training.rivals.interface import DEPTHS, Rival
from kws_training.rivals.settings import RivalSettings
from kws_training.rivals.table import build


class RivalRun(Run):
    """One training run in a folder; see ``kws_training.loop.Run``.

    Args:
        start: weights of a float run's end, which take the place of the "float" stages.
    """

    settings: RivalSettings
    network: Rival

    def __init__(
        self,
        folder: Path,
        settings: RivalSettings,
        data: TrainingData,
        watcher: Watcher,
        state: dict[str, Any] | None = None,
        start: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__(folder, settings, data, watcher, state)
        if start is not None and not self.history:
            self.network.load_state_dict(start)
            self.stage_index = sum(stage.name == "float" for stage in settings.stages)

    def _build(self) -> Rival:
        return build(self.settings.topology)

    def _begin(self, stage: StageSettings) -> tuple[tuple[int, ...], None]:
        return DEPTHS, None

    def _train_epoch(self, stage: StageSettings, epoch: int, *others: Any) -> float:
        # Dropout draws from torch's own generator: what it draws must not depend on where a run was interrupted.
        seed = np.random.SeedSequence([self.settings.seed, self.stage_index, epoch]).generate_state(1, np.uint64)
        torch.manual_seed(int(seed[0] >> 1))
        return super()._train_epoch(stage, epoch, *others)

    def train(self) -> Rival:
        """Runs every stage that is not done and returns the network in its last stage's arithmetic."""
        stages = self.settings.stages
        while self.stage_index < len(stages):
            name = stages[self.stage_index].name
            self._train_stage(stages[self.stage_index])
            self.stage_index += 1
            self.next_epoch, self.optimizer_state = 0, None
            checkpoint.save(self.folder / f"{name}.pt", self._portable(self.network.state_dict()))
            self._save(None)
        self.network.set_stage(stages[-1].name)
        self.network.eval()
        return self.network


def load_rival(path: Path) -> Rival:
    """The network of ``float.pt`` or ``int8.pt``, ready to classify in the arithmetic that its name says.

    Raises:
        KwsError: not a checkpoint of a rival.
    """
    content = checkpoint.load(path)
    settings = RivalSettings.from_dict(json.loads(content["settings"]))
    network = build(settings.topology)
    try:
        network.load_state_dict(content["network"])
    except RuntimeError as error:
        raise KwsError(f"{path}: weights of another version of the network; train it again.") from error
    network.set_stage(path.stem)
    network.eval()
    return network
