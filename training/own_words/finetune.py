"""Fine-tuning: the loop, records and resuming of every training run, from an unfolded model on, on composed windows.

No teacher: a model file has none. The labels alone are learned, at every depth at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kws_training.config import Settings, StageSettings
from kws_training.loop import Run, Watcher, learning_rate
from kws_training.networks import BiFSMN
from kws_training.own_words.data import SceneData

BATCH = 128
RATE, LATENT_RATE = 2e-3, 5e-4
"""Peak rates of AdamW: of norms, thresholds, slopes and the classifier, and of the weights behind the signs."""
DECAY = 1e-2
"""Of the classifier."""
WARMUP = 1.0


def stages(epochs: int) -> tuple[StageSettings, ...]:
    """The one stage: signs of weights and inputs, as the model has them."""
    return (StageSettings("binary", epochs, RATE, DECAY),)


class FineTuning(Run):
    """One run in a folder; see ``kws_training.loop.Run``.

    Args:
        start: state of a network from ``unfold`` and ``measure``; ignored where ``state`` is of a complete epoch.
    """

    data: SceneData

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        data: SceneData,
        watcher: Watcher,
        start: dict[str, Tensor],
        state: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(folder, settings, data, watcher, state)
        if not self.history:
            self.network.load_state_dict(start)
        self.network.set_stage("binary")

    def _begin(self, stage: StageSettings) -> tuple[tuple[int, ...], BiFSMN | None]:
        return self.settings.topology.deltas, None

    def _optimizer(self, stage: StageSettings) -> torch.optim.Optimizer:
        network = self.network
        latent = [layer.weight for layer in network.binary_layers()]
        chosen = {id(weight) for weight in latent} | {id(network.classifier.weight)}
        others = [weight for weight in network.parameters() if id(weight) not in chosen]
        groups = [
            {"params": latent, "weight_decay": 0.0, "share": LATENT_RATE / RATE},
            {"params": [network.classifier.weight], "weight_decay": stage.decay, "share": 1.0},
            {"params": others, "weight_decay": 0.0, "share": 1.0},
        ]
        return torch.optim.AdamW(groups, lr=stage.rate)

    def _train_epoch(
        self,
        stage: StageSettings,
        epoch: int,
        steps: int,
        deltas: tuple[int, ...],
        teacher: BiFSMN | None,
        optimizer: torch.optim.Optimizer,
    ) -> float:
        self.network.train()
        total = 0.0
        for step, (features, labels) in enumerate(self.data.epoch(epoch, self.settings.batch)):
            rate = learning_rate(stage, self.settings.warmup, epoch + step / steps)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            self.network.progress((epoch + step / steps) / stage.epochs)
            results = self.network(features.to(self.device), deltas)
            labels = labels.to(self.device)
            loss = torch.stack([F.cross_entropy(results[delta][0], labels) for delta in deltas]).mean()
            total += self._descend(loss, optimizer, "; remove the folder and try another seed.")
        return total / steps


def settings_of(words: tuple[str, ...], topology: Any, epochs: int, seed: int) -> Settings:
    """Settings of a fine-tuning run, as its record keeps them."""
    return Settings(words, True, topology, stages(epochs), batch=BATCH, seed=seed, warmup=WARMUP)
