"""From recordings to a model file: what ``kws train`` calls."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kws.data.tasks import Task, scan, with_extra
from kws.errors import KwsError
from kws.features import PRESETS
from kws.model import RUN_MODEL, load, save
from kws.model.fold import fold
from kws.model.folded import MAX_BLOCKS, MAX_CHANNELS, MAX_HIDDEN, FoldedModel, require_names
from kws_training import checkpoint
from kws_training.blocks import obstacle
from kws_training.config import LISTENING, SETTLING_WARMUP, TEACHER, Settings, checked_unknown, recipe
from kws_training.curves import draw_curves
from kws_training.dataset import Progress, TrainingData, read_negatives
from kws_training.distillation import ENHANCED, HIDDEN_LOSSES
from kws_training.evenness import EVENED, even_out
from kws_training.finetune import FineTuning, HardTuning, start_of
from kws_training.inputs import Inputs
from kws_training.listening import ListeningData
from kws_training.loop import NOTHING, STUDENT_FILE, TEACHER_FILE, Given, Run, Watcher, accuracy, refuse_run
from kws_training.networks import BiFSMN
from kws_training.quantizers import DEFAULT, find
from kws_training.topology import NETWORKS, Topology, deltas_of, network_name


def new_settings(
    task: Task,
    recipe_name: str = "standard",
    preset: str = "bifsmn",
    epochs: int | None = None,
    seed: int = 0,
    binarizer: str = DEFAULT,
    network: str = "bifsmn",
    channels: int = 128,
    hidden: int | None = None,
    blocks: int = 8,
    distillation: str = ENHANCED,
    unknown: float | None = None,
) -> Settings:
    """Settings of a new run.

    Args:
        channels: width of the residual stream, a multiple of 64.
        hidden: width inside a block, a multiple of 64; twice ``channels`` if None.
        unknown: clips of other words drawn in every stage, as a share of the word clips; None as the recipe says.
        blocks: at full depth; thinner depths run every second and every fourth, where those divide it.

    Raises:
        KwsError: no such recipe, preset, binarizer, network, distillation, width or number of blocks, or fewer than one
            epoch.
    """
    find(binarizer)
    if network not in NETWORKS:
        raise KwsError(f"'{network}' is no network; choose {', '.join(NETWORKS)}.")
    if distillation not in HIDDEN_LOSSES:
        raise KwsError(f"'{distillation}' is no distillation; choose {' or '.join(HIDDEN_LOSSES)}.")
    if preset not in PRESETS:
        raise KwsError(f"'{preset}' is no preset; choose {' or '.join(PRESETS)}.")
    if channels % 64 or not 64 <= channels <= MAX_CHANNELS:
        raise KwsError(f"--channels {channels}: give 64, 128, 192 or {MAX_CHANNELS}.")
    hidden = 2 * channels if hidden is None else hidden
    if hidden % 64 or not 64 <= hidden <= MAX_HIDDEN:
        raise KwsError(f"--hidden {hidden}: give a multiple of 64 up to {MAX_HIDDEN}.")
    if not 1 <= blocks <= MAX_BLOCKS:
        raise KwsError(f"--blocks {blocks}: give 1 to {MAX_BLOCKS}.")
    topology = Topology(
        preset=preset,
        n_classes=len(task.class_names),
        channels=channels,
        hidden=hidden,
        n_blocks=blocks,
        deltas=deltas_of(blocks),
        binarizer=binarizer,
        **vars(NETWORKS[network]),
    )
    weights = (1.0,) * len(topology.deltas)
    stages = recipe(recipe_name, epochs)
    if unknown is not None:
        stages = tuple(replace(stage, unknown=checked_unknown(unknown)) for stage in stages)
    return Settings(
        task.words, task.fillers, topology, stages, seed=seed, distillation=distillation, depth_weights=weights
    )


def settled(settings: Settings, student: Path, unknown: float | None = None) -> Settings:
    """Settings of the recipe ``SETTLING``, with the draws of the student's own last stage, at a quarter of its rate.

    Args:
        settings: from ``new_settings``.
        student: folder of a finished run.
        unknown: as of ``new_settings``, in place of the student's.

    Raises:
        KwsError: no folder of a finished run, or one of another kind.
    """
    made, _ = _student_of(student)
    last, (stage,) = made.stages[-1], settings.stages
    if last.name != stage.name:
        raise KwsError(f"{student}: its last stage is '{last.name}'; settling goes on from a '{stage.name}' one.")
    unknown = last.unknown if unknown is None else unknown
    settling = replace(last, epochs=stage.epochs, rate=last.rate / 4.0, unknown=unknown)
    return replace(settings, stages=(settling,), warmup=SETTLING_WARMUP)


def resumed_settings(state: dict[str, Any]) -> Settings:
    """The settings of a run. Raises KwsError for those of another version of kws."""
    return Settings.from_dict(json.loads(state["settings"]))


def resumed_inputs(state: dict[str, Any]) -> Inputs:
    """What a run is made from. Raises KwsError for a run that was not begun by ``train``."""
    return Inputs.from_dict(json.loads(state.get("inputs", "{}")))


def load_teacher(path: Path, settings: Settings) -> dict[str, torch.Tensor]:
    """The weights of a teacher that an earlier run left (its folder, or its ``teacher.pt``).

    Whatever that run's binarizer and planes were: a teacher is float.

    Raises:
        KwsError: not a checkpoint of a teacher, or a teacher of other words or another shape.
    """
    file = path / TEACHER_FILE if path.is_dir() else path
    content = checkpoint.load(file)
    # Earlier versions of kws did not write whose weights they are.
    if content.get("kind", "teacher" if file.name == TEACHER_FILE else "") != "teacher":
        raise KwsError(f"{file}: holds no teacher; give a run folder, or the {TEACHER_FILE} in it.")
    made = Settings.from_dict(json.loads(content["settings"]))
    shape = replace(made.topology, binarizer=settings.topology.binarizer, planes=settings.topology.planes)
    if made.words != settings.words or shape != settings.topology:
        raise KwsError(
            f"{path}: a teacher of {', '.join(made.words)} or of another shape; give one of the same, or none."
        )
    return content["network"]


def load_student(path: Path, settings: Settings) -> dict[str, torch.Tensor]:
    """The weights of the student that an earlier run left in its folder.

    Raises:
        KwsError: no folder of a finished run, or a student of other words, binarizer or shape.
    """
    made, network = _student_of(path)
    if made.words != settings.words or made.topology != settings.topology:
        raise KwsError(
            f"{path}: a student of {', '.join(made.words)}, or of another --network, --preset or --binarizer; "
            "give one of the same."
        )
    return network


def _student_of(path: Path) -> tuple[Settings, dict[str, torch.Tensor]]:
    """How the student that an earlier run left in its folder was made, and its weights."""
    if path.is_file():
        raise KwsError(f"{path}: a file; give the run folder, whose teacher goes with its student.")
    content = checkpoint.load(path / STUDENT_FILE)
    return Settings.from_dict(json.loads(content["settings"])), content["network"]


def to_model(
    network: BiFSMN, settings: Settings, name: str, threshold: float, sha256: str, provenance: dict
) -> FoldedModel:
    """The trained student as the engine runs it."""
    task = Task(name, settings.words, settings.fillers)
    return fold(
        {key: value.cpu().numpy() for key, value in network.engine_state().items()},
        name=name,
        preset=PRESETS[settings.topology.preset],
        class_names=list(task.class_names),
        n_words=len(task.words),
        deltas=settings.topology.deltas,
        word_threshold=threshold,
        checkpoint_sha256=sha256,
        provenance=provenance,
    )


def train(
    inputs: Inputs,
    out: Path,
    settings: Settings,
    watcher: Watcher,
    progress: Progress,
    state: dict[str, Any] | None = None,
) -> FoldedModel | None:
    """Trains teacher and student and writes ``out/model.kws``, if the engine can run what the binarizer makes.

    Args:
        inputs: recordings, earlier runs and names.
        out: run folder.
        settings: from ``new_settings`` or ``resumed_settings``.
        watcher: told of progress.
        progress: wraps an iterable, its length and a title with a progress bar.
        state: from ``kws_training.loop.load_state``, to go on with the run that ``out`` holds.

    Returns:
        The model, or None where there is none to write.

    Raises:
        KwsError: names, data, settings or state that cannot be used, or a folder that holds a run of which no state is
            given.
    """
    if state is None:
        refuse_run(out)
    if inputs.negatives and not settings.fillers:
        raise KwsError("--negatives trains _unknown_, and this task has no such class; leave it out.")
    task = Task(inputs.name or out.name, settings.words, settings.fillers)
    require_names(task.name, task.class_names)
    base = load(inputs.base) if inputs.base else None
    given = _given(inputs, settings) if state is None else NOTHING
    corpus = scan(inputs.data)
    if inputs.extra:
        corpus = with_extra(corpus, scan(inputs.extra))
    negatives, skipped = read_negatives(inputs.negatives, progress) if inputs.negatives else ([], [])
    preset = PRESETS[settings.topology.preset]
    data = TrainingData(corpus, task, preset, settings.seed, settings.temper, progress, negatives)
    data.skipped += skipped
    for sentence in data.skipped:
        watcher.warn(f"Skipped {sentence}")
    if _listens(settings):
        data = ListeningData(data, negatives)
    return train_on(
        data, out, settings, watcher, state, given, task.name, inputs.threshold, inputs.as_dict(), base, even=True
    )


def _listens(settings: Settings) -> bool:
    return settings.stages[-1].name == LISTENING


def _given(inputs: Inputs, settings: Settings) -> Given:
    """The weights of earlier runs."""
    found = inputs.teacher or inputs.student
    return Given(
        load_teacher(found, settings) if found else None,
        load_student(inputs.student, settings) if inputs.student else None,
        tune_teacher=inputs.teacher is None and inputs.student is not None and settings.stages[0].name == TEACHER,
    )


def train_on(
    data: TrainingData,
    out: Path,
    settings: Settings,
    watcher: Watcher,
    state: dict[str, Any] | None = None,
    given: Given = NOTHING,
    name: str = "",
    threshold: float = 0.5,
    inputs: dict[str, Any] | None = None,
    base: FoldedModel | None = None,
    even: bool = False,
) -> FoldedModel | None:
    """As ``train``, on clips in memory and with the weights themselves of earlier runs.

    Args:
        name: of the model.
        inputs: for the record.
        base: model to train further, with settings from ``kws_training.finetune.settings_from``.
        even: whether the model, not the weights of the run, counts words alike that were not drawn alike
            (``kws_training.evenness``).
    """
    reason = obstacle(settings.topology.binarizer, network_name(settings.topology))
    if reason:
        watcher.warn(reason)
    if base is None:
        run = Run(out, settings, data, watcher, state, given, inputs)
    else:
        start = start_of(base, settings, data) if state is None else {}
        tuning = HardTuning if _listens(settings) else FineTuning
        run = tuning(out, settings, data, watcher, start, state, given, inputs)
    network = run.train()
    draw_curves(run.history, out / "curves.png")
    if reason:
        return None
    last = run.history[-1]
    figures = last.get("averaged", last["validation"])
    draws = dict(zip(settings.words, data.word_draws(), strict=True))
    is_evened = even and len(set(draws.values())) > 1
    if is_evened:
        even_out(network, settings.words, draws)
        figures = accuracy(network, data, settings.topology.deltas, run.device)
        watcher.changed("words counted alike", figures)
    provenance = {
        "recipe": {
            "stages": [f"{stage.name} {stage.epochs} epochs" for stage in settings.stages],
            "seed": settings.seed,
            "network": network_name(settings.topology),
            "binarizer": settings.topology.binarizer,
            **({"distillation": settings.distillation} if base is None else {"base": base.name}),
        },
        **({"base_sha256": base.checkpoint_sha256} if base else {}),
        "data_sha256": data.hash,
        "training_clips": data.counts(),
        **({EVENED: draws} if is_evened else {}),
        "validation": {
            "clips": len(data.validation_labels),
            "balanced_accuracy": {delta: round(figure["balanced_accuracy"], 4) for delta, figure in figures.items()},
        },
    }
    model = to_model(network, settings, name or out.name, threshold, checkpoint.digest(out / STUDENT_FILE), provenance)
    save(model, out / RUN_MODEL)
    return model
