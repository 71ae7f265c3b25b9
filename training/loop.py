"""The training loop: stages, depths, schedule, resuming, records.

A run folder holds ``checkpoint.pt`` (state after the last complete epoch, from which ``--resume`` goes on),
``teacher.pt``, ``student.pt``, ``record.json`` (every setting, the data's hash, the figures of every epoch) and
TensorBoard logs.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kws.errors import KwsError
from kws.evaluate import metrics
from kws.files import write_atomically
from kws_training import checkpoint
from kws_training.averaging import MEASURED_BATCHES, Average, measure_norms
from kws_training.config import LISTENING, TEACHER, Settings, StageSettings
from kws_training.dataset import TrainingData
from kws_training.distillation import HIDDEN_LOSSES, answer_loss
from kws_training.memory import keep_freed_memory
from kws_training.networks import BiFSMN

CHECKPOINT, TEACHER_FILE, STUDENT_FILE = "checkpoint.pt", "teacher.pt", "student.pt"
TEACHER_DELTAS = (1,)
ARITHMETIC = {TEACHER: "float", LISTENING: "binary"}
"""What a stage's network computes in, where that is not the stage's name."""


@dataclass(frozen=True)
class Given:
    """What a run has of earlier ones.

    Attributes:
        teacher: its state; without ``tune_teacher`` the teacher stages are left out.
        student: its state, to be trained further; None starts the student as the teacher.
        tune_teacher: whether the teacher is trained further, before it teaches.
    """

    teacher: dict[str, Tensor] | None = None
    student: dict[str, Tensor] | None = None
    tune_teacher: bool = False


NOTHING = Given()


class Watcher:
    """What a run tells while it goes; the command line shows it. Every method may be overridden."""

    def warn(self, sentence: str) -> None:
        """Something the user should know and that does not stop the run."""

    def stage(self, settings: StageSettings, steps: int) -> None:
        """A stage begins, with ``steps`` batches an epoch."""

    def step(self, loss: float) -> None:
        """A batch is done."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is done; ``row`` is what the record keeps of it."""

    def changed(self, what: str, figures: dict[str, dict]) -> None:
        """The network was changed without training; ``figures`` is what ``accuracy`` says of it now."""


def learning_rate(settings: StageSettings, warmup: float, progress: float) -> float:
    """The rate at ``progress`` epochs: linear warm-up, then a cosine to zero at the stage's end."""
    warmup = min(warmup, settings.epochs / 4)
    if progress < warmup:
        return settings.rate * (progress + 1e-3) / warmup
    return settings.rate * 0.5 * (1.0 + math.cos(math.pi * (progress - warmup) / (settings.epochs - warmup)))


def accuracy(network: BiFSMN, data: TrainingData, deltas: tuple[int, ...], device: torch.device) -> dict[str, dict]:
    """Validation figures by depth: accuracy, balanced accuracy and recall by class, each 0..1."""
    network.eval()
    answers: dict[int, list[Tensor]] = {delta: [] for delta in deltas}
    with torch.no_grad():
        for features in data.validation_features.split(512):
            for delta, (logits, _) in network(features.to(device), deltas).items():
                answers[delta].append(logits.argmax(1).cpu())
    names, labels = data.task.class_names, data.validation_labels.tolist()
    figures = {}
    for delta in deltas:
        matrix = metrics.confusion_matrix(labels, torch.cat(answers[delta]).tolist(), len(names))
        scores = zip(names, metrics.class_scores(matrix), strict=True)
        figures[str(delta)] = {
            "accuracy": metrics.accuracy(matrix),
            "balanced_accuracy": metrics.balanced_accuracy(matrix),
            "recall": {name: score.recall for name, score in scores if score.count},
        }
    return figures


def refuse_run(folder: Path) -> None:
    """Raises KwsError where ``folder`` holds a run already."""
    if (folder / CHECKPOINT).exists():
        raise KwsError(f"{folder}: holds a run already; add --resume to go on with it, or choose another --out.")


def load_state(folder: Path) -> dict[str, Any]:
    """The state of the run in ``folder`` after its last complete epoch, to go on from.

    Raises:
        KwsError: the folder holds no usable checkpoint.
    """
    if not (folder / CHECKPOINT).exists():
        raise KwsError(f"{folder}: holds no complete epoch to go on after; give the run's folder, or begin it anew.")
    return checkpoint.load(folder / CHECKPOINT)


def composition_of(data: Any) -> str:
    """How ``data`` composes its windows, in JSON: null where they are clips."""
    return json.dumps(data.composition and asdict(data.composition))


class Run:
    """One training run in a folder.

    Args:
        folder: created; holds nothing of another run unless ``state`` is that run's.
        settings: every setting.
        data: clips.
        watcher: told of progress.
        state: from ``load_state``, to go on with the run that the folder holds; None begins one.
        given: what it has of earlier runs.
        inputs: what it is made from, JSON-able, for the record and for resuming.

    Raises:
        KwsError: the folder holds a run and no state of it is given, or one of other settings or other data.
    """

    remedy = " in epoch {}; lower the learning rate."
    """What follows where the loss is no number, with the epoch's number."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        data: TrainingData,
        watcher: Watcher,
        state: dict[str, Any] | None = None,
        given: Given = NOTHING,
        inputs: dict[str, Any] | None = None,
    ) -> None:
        self.folder, self.settings, self.data, self.watcher = folder, settings, data, watcher
        self.inputs = inputs or {}
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.file = folder / CHECKPOINT
        torch.manual_seed(settings.seed)
        self.network = self._build().to(self.device)
        # The second task's layer: it serves a teacher's training and is then thrown away.
        self.identify = nn.Linear(self.network.classifier.in_features, max(1, data.identity_count)).to(self.device)
        self.teacher_state, self.student_state, self.tune_teacher = given.teacher, given.student, given.tune_teacher
        self.stage_index, self.next_epoch = 0, 0
        self.optimizer_state: dict[str, Any] | None = None
        self.average: Average | None = None
        self.average_state: dict[str, Any] | None = None
        self.history: list[dict[str, Any]] = []
        if state is None:
            refuse_run(folder)
        else:
            self._restore(state)
        folder.mkdir(parents=True, exist_ok=True)

    def _build(self) -> Any:
        return BiFSMN(self.settings.topology)

    def _restore(self, state: dict[str, Any]) -> None:
        if type(self.settings).from_dict(json.loads(state["settings"])) != self.settings:
            raise KwsError(
                f"{self.file}: made with other settings; resume with the same ones, or choose another --out."
            )
        if state["data_hash"] != self.data.hash:
            raise KwsError(
                f"{self.file}: made with other recordings; resume with the same --data, --extra and --negatives, "
                "or choose another --out."
            )
        if state.get("composition", "null") != composition_of(self.data):
            raise KwsError(
                f"{self.file}: another version of kws composed its windows; use that version, or choose another --out."
            )
        self.network.load_state_dict(state["network"])
        self.identify.load_state_dict(state["identify"])
        self.teacher_state, self.student_state = state["teacher"], state.get("student")
        self.inputs = self.inputs or json.loads(state["inputs"])
        self.stage_index, self.next_epoch = state["stage"], state["epoch"]
        self.optimizer_state, self.history = state["optimizer"], json.loads(state["history"])
        self.average_state = state.get("average")

    def _save(self, optimizer: torch.optim.Optimizer | None) -> None:
        checkpoint.save(
            self.file,
            {
                "settings": json.dumps(self.settings.as_dict()),
                "inputs": json.dumps(self.inputs),
                "data_hash": self.data.hash,
                "composition": composition_of(self.data),
                "network": self.network.state_dict(),
                "identify": self.identify.state_dict(),
                "teacher": self.teacher_state,
                "student": self.student_state,
                "stage": self.stage_index,
                "epoch": self.next_epoch,
                "optimizer": optimizer.state_dict() if optimizer else None,
                "average": self.average.state() if self.average else None,
                "history": json.dumps(self.history),
            },
        )
        self.write_record()

    def write_record(self) -> None:
        """``record.json``: settings, inputs, data, figures; complete after every epoch."""
        record = {
            "settings": self.settings.as_dict(),
            "inputs": self.inputs,
            "data": {
                "sha256": self.data.hash,
                "training_clips": self.data.counts(),
                "validation_clips": len(self.data.validation_labels),
                "skipped": self.data.skipped,
                "composition": json.loads(composition_of(self.data)),
            },
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "device": self.device.type,
            "epochs": self.history,
        }
        write_atomically(self.folder / "record.json", (json.dumps(record, indent=1) + "\n").encode())

    def train(self) -> BiFSMN:
        """Runs every stage that is not done and returns the student in its last stage's arithmetic.

        Where all stages are a teacher's, that is the teacher, and ``teacher.pt`` all that is left of it.
        """
        stages = self.settings.stages
        if self.stage_index == 0 and self.next_epoch == 0 and self.teacher_state is not None:
            if self.tune_teacher:
                self.network.load_weights(self.teacher_state)
            else:
                self._keep_teacher()
                self._start_student()
                self.stage_index = sum(stage.name == TEACHER for stage in stages)
        while self.stage_index < len(stages):
            self._train_stage(stages[self.stage_index])
            self.stage_index += 1
            is_last = self.stage_index == len(stages)
            if stages[self.stage_index - 1].name == TEACHER and (is_last or stages[self.stage_index].name != TEACHER):
                self.teacher_state = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
                self._keep_teacher()
                self._start_student()
            elif not is_last and stages[self.stage_index].name != stages[self.stage_index - 1].name:
                self.network.start_weights()
            self.next_epoch, self.optimizer_state = 0, None
            self._save(None)
        self.network.set_stage(ARITHMETIC.get(stages[-1].name, stages[-1].name))
        self.network.eval()
        if stages[-1].name == TEACHER:
            return self.network
        checkpoint.save(self.folder / STUDENT_FILE, self._portable(self.network.state_dict()))
        return self.network

    def _keep_teacher(self) -> None:
        assert self.teacher_state is not None
        checkpoint.save(self.folder / TEACHER_FILE, {"kind": "teacher", **self._portable(self.teacher_state)})

    def _portable(self, state: dict[str, Tensor]) -> dict[str, Any]:
        return {
            "settings": json.dumps(self.settings.as_dict()),
            "data_hash": self.data.hash,
            "network": {k: v.cpu() for k, v in state.items()},
        }

    def _start_student(self) -> None:
        """The student starts as the one that is given, or else as the teacher."""
        if self.student_state is None:
            self._adopt_teacher()
        else:
            self.network.load_state_dict(self.student_state)

    def _adopt_teacher(self) -> None:
        """The student starts as the teacher; norms of the depths that the teacher never ran start as those it did."""
        assert self.teacher_state is not None
        state = dict(self.teacher_state)
        for key in state:
            head, dot, tail = key.rpartition(".norms.1.")
            if dot:
                for delta in self.settings.topology.deltas:
                    other = f"{head}.norms.{delta}.{tail}"
                    if other in state:
                        state[other] = state[key].clone()
        for kind in ("class_gain", "class_bias"):
            for delta in self.settings.topology.deltas:
                state[f"{kind}.{delta}"] = state[f"{kind}.1"].clone()
        self.network.load_weights(state)
        self.network.start_weights()

    def _teacher(self) -> BiFSMN:
        assert self.teacher_state is not None
        teacher = BiFSMN(self.settings.topology).to(self.device)
        teacher.load_weights(self.teacher_state)
        teacher.eval().requires_grad_(False)
        return teacher

    def _begin(self, stage: StageSettings) -> tuple[tuple[int, ...], BiFSMN | None]:
        """The depths that ``stage`` trains, and who it learns from beside the labels."""
        if stage.name == TEACHER:
            return TEACHER_DELTAS, None
        return self.settings.topology.deltas, self._teacher()

    def _train_stage(self, stage: StageSettings) -> None:
        from torch.utils.tensorboard import SummaryWriter

        keep_freed_memory()
        deltas, teacher = self._begin(stage)
        self.network.set_stage(ARITHMETIC.get(stage.name, stage.name))
        optimizer = self._optimizer(stage)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
        self._begin_average(stage)
        steps = self.data.steps(self.settings.batch, stage.unknown)
        self.watcher.stage(stage, steps)
        with SummaryWriter(str(self.folder / "tensorboard")) as writer:
            for epoch in range(self.next_epoch, stage.epochs):
                started = time.monotonic()
                self._prepare_epoch(epoch, deltas)
                loss = self._train_epoch(stage, epoch, steps, deltas, teacher, optimizer)
                figures = accuracy(self.network, self.data, deltas, self.device)
                seconds = time.monotonic() - started
                row = {"stage": stage.name, "epoch": epoch + 1, "loss": loss, "seconds": seconds, "validation": figures}
                self.history.append(row)
                self.next_epoch = epoch + 1
                self._save(optimizer)
                self.watcher.epoch(row)
                # Counted over the whole run: two stages may share a name.
                count = len(self.history)
                writer.add_scalar(f"{stage.name}/loss", loss, count)
                for delta, figure in figures.items():
                    writer.add_scalar(f"{stage.name}/balanced_accuracy_{delta}", figure["balanced_accuracy"], count)
        if self.average:
            self._finish_average(stage, deltas, self.average)

    def _begin_average(self, stage: StageSettings) -> None:
        if stage.average is None:
            return
        self.average = Average(self.network, stage.average)
        if self.average_state is not None:
            self.average.restore(self.average_state)
            self.average_state = None

    def _finish_average(self, stage: StageSettings, deltas: tuple[int, ...], average: Average) -> None:
        """The network becomes the average of its steps; its norms are measured on what a further epoch would draw."""
        average.put_into(self.network)
        batches = self.data.epoch(
            self.stage_index, stage.epochs, self.settings.batch, stage.unknown, stage.augmentation
        )
        features = (batch[0].to(self.device) for batch in islice(batches, MEASURED_BATCHES))
        measure_norms(self.network, features, deltas)
        figures = accuracy(self.network, self.data, deltas, self.device)
        self.history[-1]["averaged"] = figures
        self.average = None
        self.watcher.changed("weights averaged", figures)

    def _optimizer(self, stage: StageSettings) -> torch.optim.Optimizer:
        """AdamW; norms, slopes, thresholds and gains are not decayed."""
        parameters = list(self.network.parameters())
        if stage.identity:
            parameters += self.identify.parameters()
        decayed = [p for p in parameters if p.ndim > 1]
        plain = [p for p in parameters if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": stage.decay}, {"params": plain, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=stage.rate)

    def _prepare_epoch(self, epoch: int, deltas: tuple[int, ...]) -> None:
        """What is to be done before an epoch, as often as it is begun: nothing here."""

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
        batches = self.data.epoch(self.stage_index, epoch, self.settings.batch, stage.unknown, stage.augmentation)
        for step, (features, labels, words) in enumerate(batches):
            rate = learning_rate(stage, self.settings.warmup, epoch + step / steps)
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("share", 1.0)
            features, labels, words = (tensor.to(self.device) for tensor in (features, labels, words))
            loss = self._batch_loss(features, labels, words, stage, epoch + step / steps, deltas, teacher)
            total += self._descend(loss, optimizer, self.remedy.format(epoch + 1))
        return total / steps

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
        """The loss of a batch, ``epochs`` into the stage."""
        if teacher is None:
            return self._teacher_loss(features, labels, words, stage)
        self.network.progress(self._student_progress(epochs))
        return self._loss(features, labels, deltas, teacher)

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer, remedy: str) -> float:
        """One step of the optimizer; returns the loss. Raises KwsError, its end ``remedy``, where that is no number."""
        value = loss.item()
        if not math.isfinite(value):
            raise KwsError(f"{self.folder}: the loss became {value}{remedy}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        self.network.constrain()
        if self.average:
            self.average.add(self.network)
        self.watcher.step(value)
        return value

    def _student_progress(self, epochs: float) -> float:
        """The part of the student's epochs that is done, 0..1, ``epochs`` into the stage: for binarizers' schedules.

        A student that is given has been through them.
        """
        if self.student_state is not None:
            return 1.0
        stages = self.settings.stages
        done = sum(stage.epochs for stage in stages[: self.stage_index] if stage.name != TEACHER)
        return (done + epochs) / sum(stage.epochs for stage in stages if stage.name != TEACHER)

    def _teacher_loss(self, features: Tensor, labels: Tensor, words: Tensor, stage: StageSettings) -> Tensor:
        logits, outputs = self.network(features, TEACHER_DELTAS)[1]
        loss = F.cross_entropy(logits, labels, label_smoothing=stage.smoothing)
        if stage.identity:
            names = self.identify(outputs[max(outputs)].flatten(1))
            loss = loss + stage.identity * F.cross_entropy(names, words, ignore_index=-1)
        return loss

    def _loss(self, features: Tensor, labels: Tensor, deltas: tuple[int, ...], teacher: BiFSMN) -> Tensor:
        results = self.network(features, deltas)
        with torch.no_grad():
            answers, hidden = teacher(features, TEACHER_DELTAS)[1]
        settings, losses = self.settings, []
        hidden_loss = HIDDEN_LOSSES[settings.distillation]
        for weight, delta in zip(settings.depth_weights, deltas, strict=True):
            logits, outputs = results[delta]
            loss = F.cross_entropy(logits, labels)
            loss = loss + settings.answers * answer_loss(logits, answers, settings.temperature)
            losses.append(weight * (loss + settings.hidden * hidden_loss(outputs, hidden)))
        return torch.stack(losses).sum() / sum(settings.depth_weights)
