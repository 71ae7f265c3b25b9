"""Fine-tuning: the loop, records and resuming of every training run, from an unfolded model on.

A model file has no teacher, so the labels alone are learned, at every depth at once; but a float network that starts as
the unfolded model soon knows more than it, and can be its teacher: see ``with_teacher``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kws.data.tasks import Task
from kws.errors import KwsError
from kws.features import PRESETS
from kws.model import FoldedModel
from kws_training.augment import GENTLE, NOISY, Augmentation
from kws_training.config import LISTENING, TEACHER, Settings, StageSettings, checked_epochs, checked_unknown
from kws_training.dataset import TrainingData
from kws_training.distillation import ANSWERS_ALONE
from kws_training.evenness import draws_of, put_back
from kws_training.loop import NOTHING, Given, Run, Watcher
from kws_training.networks import BiFSMN
from kws_training.topology import Topology
from kws_training.unfold import keep_classes, measure, require_features, topology_of, unfold

BATCH = 128
RATE, LATENT_RATE = 2e-3, 5e-4
"""Peak rates of AdamW: of norms, thresholds, slopes and the classifier, and of the weights behind the signs."""
DECAY = 1e-2
"""Of the classifier."""
WARMUP = 1.0

EPOCHS = 12
"""Of a training run on clips."""
LISTENING_EPOCHS = 50
"""Of teacher and student each on composed windows, whose epochs are of one length whatever the corpus."""
TEACHER_RATE, TEACHER_DECAY = 3e-3, 5e-2
MEASURED_BATCHES = 4


@dataclass(frozen=True)
class Drawing:
    """How a training run on clips draws them; see ``StageSettings`` and ``Settings.temper``."""

    augmentation: Augmentation
    unknown: float
    temper: float


RECIPES = {
    "standard": Drawing(GENTLE, unknown=0.3, temper=0.25),
    "noise": Drawing(NOISY, unknown=0.45, temper=0.1),
}
"""What ``kws train --base MODEL --recipe`` names, beside ``LISTENING``."""


class FineTuning(Run):
    """One run in a folder; see ``kws_training.loop.Run``.

    Args:
        start: state of a network from ``unfold`` and ``measure``, which student and teacher start as; ignored where
            ``state`` is of a complete epoch.
    """

    remedy = "; remove the folder and try another seed."

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        data: Any,
        watcher: Watcher,
        start: dict[str, Tensor],
        state: dict[str, Any] | None = None,
        given: Given = NOTHING,
        inputs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(folder, settings, data, watcher, state, replace(given, student=start), inputs)
        if not self.history:
            self.network.load_state_dict(start)
        self.network.set_stage("binary")

    def _begin(self, stage: StageSettings) -> tuple[tuple[int, ...], BiFSMN | None]:
        if stage.name == TEACHER or self.teacher_state is not None:
            return super()._begin(stage)
        return self.settings.topology.deltas, None

    def _optimizer(self, stage: StageSettings) -> torch.optim.Optimizer:
        if stage.name == TEACHER:
            return super()._optimizer(stage)
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

    def _batch_loss(
        self,
        features: Tensor,
        labels: Tensor,
        words: Tensor,
        stage: StageSettings,
        epochs: float,
        deltas: tuple[int, ...],
        teacher: BiFSMN | None,
    ) -> Tensor:
        if stage.name == TEACHER or teacher is not None:
            return super()._batch_loss(features, labels, words, stage, epochs, deltas, teacher)
        self.network.progress(self._student_progress(epochs))
        results = self.network(features, deltas)
        return torch.stack([F.cross_entropy(results[delta][0], labels) for delta in deltas]).mean()


class HardTuning(FineTuning):
    """Fine-tuning on composed windows (``ComposedData``), with hard examples sought before every epoch."""

    def _prepare_epoch(self, epoch: int, deltas: tuple[int, ...]) -> None:
        self.data.seek_hard(self.network, deltas, epoch)


def settings_of(
    words: tuple[str, ...],
    topology: Topology,
    epochs: int,
    seed: int,
    fillers: bool = True,
    stage: str = "binary",
    **drawn: Any,
) -> Settings:
    """Settings of a fine-tuning run, as its record keeps them; ``drawn``: ``StageSettings`` of how clips are drawn."""
    stage_settings = StageSettings(stage, epochs, RATE, DECAY, **drawn)
    return Settings(words, fillers, topology, (stage_settings,), batch=BATCH, seed=seed, warmup=WARMUP)


def with_teacher(settings: Settings) -> Settings:
    """``settings`` of one stage, with a float teacher trained before it, in as many epochs, for its answers."""
    (student,) = settings.stages
    return replace(
        settings,
        stages=(StageSettings(TEACHER, student.epochs, TEACHER_RATE, TEACHER_DECAY), student),
        distillation=ANSWERS_ALONE,
        depth_weights=(1.0,) * len(settings.topology.deltas),
    )


def settings_from(
    base: FoldedModel,
    task: Task,
    epochs: int | None = None,
    seed: int = 0,
    unknown: float | None = None,
    recipe: str = "standard",
) -> Settings:
    """Settings of a fine-tuning run on a corpus of clips.

    Args:
        base: model to start from.
        task: classes.
        epochs: None for the usual number.
        unknown: clips of other words drawn, as a share of the word clips; None as the recipe says.
        recipe: key of ``RECIPES``, or ``LISTENING``.

    Raises:
        KwsError: a base of other features, no such recipe, a share that is none or that the recipe has no use for, a
            task without ``_unknown_`` to learn to listen for, or fewer than one epoch.
    """
    if recipe not in (*RECIPES, LISTENING):
        raise KwsError(f"'{recipe}' is no recipe of a --base; choose {', '.join(RECIPES)} or {LISTENING}.")
    if base.preset.name not in PRESETS:
        raise KwsError(f"The model '{base.name}' hears features that have no name here; start from a shipped one.")
    require_features(base, base.preset.name)
    topology = topology_of(base, base.preset.name, len(task.class_names))
    if recipe == LISTENING:
        if unknown is not None:
            raise KwsError(
                f"--unknown beside --recipe {LISTENING} of a --base: it has shares of its own; leave it out."
            )
        if not task.fillers:
            raise KwsError(
                f"--recipe {LISTENING} trains _unknown_, and this task has no such class; choose another --task."
            )
        epochs = LISTENING_EPOCHS if epochs is None else checked_epochs(epochs)
        return with_teacher(settings_of(task.words, topology, epochs, seed, stage=LISTENING))
    drawing = RECIPES[recipe]
    epochs = EPOCHS if epochs is None else checked_epochs(epochs)
    unknown = drawing.unknown if unknown is None else checked_unknown(unknown)
    settings = settings_of(
        task.words, topology, epochs, seed, task.fillers, augmentation=drawing.augmentation, unknown=unknown
    )
    return replace(settings, temper=drawing.temper)


def start_of(base: FoldedModel, settings: Settings, data: TrainingData) -> dict[str, Tensor]:
    """What ``FineTuning`` starts from: ``base`` unfolded, the classes that stay, norms measured on training clips."""
    network = unfold(base, settings.topology.preset, settings.topology.n_classes)
    keep_classes(network, base, data.task.class_names)
    put_back(network, data.task.class_names, draws_of(base))
    stage = settings.stages[0]
    batches = data.epoch(0, 0, settings.batch, stage.unknown, stage.augmentation)
    measure(network, (features for features, _, _ in islice(batches, MEASURED_BATCHES)))
    return network.state_dict()
