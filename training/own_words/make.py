"""From a project to its model: speak, gather, fine-tune, calibrate, measure, export. What ``kws new`` calls.

Every step leaves its result in the project's folder, and a second call does what is missing or out of date: an
interrupted training goes on after its last complete epoch, and new recordings start it anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from kws.data import neural
from kws.data.audio import SAMPLE_RATE
from kws.data.stream import Mix
from kws.data.tasks import Task
from kws.errors import KwsError
from kws.evaluate import sounds
from kws.evaluate.calibrate import SMOOTHINGS, Calibration, calibrate
from kws.evaluate.stream import modes_of
from kws.features import PRESETS, Preset
from kws.files import write_atomically
from kws.model import FoldedModel, save
from kws.model import load as load_model
from kws.model.file import to_bytes
from kws.model.header import export
from kws.own_words.material import Material, gather, require_inputs
from kws.own_words.project import Project
from kws.own_words.recall import Recall, recall
from kws.own_words.spoken import is_outdated, speak_project
from kws_training import checkpoint
from kws_training.composed.data import Composition
from kws_training.composed.pieces import Pieces
from kws_training.composed.scenes import Manner
from kws_training.config import Settings
from kws_training.finetune import HardTuning, settings_of
from kws_training.loop import CHECKPOINT, STUDENT_FILE, Watcher, composition_of, load_state
from kws_training.own_words.data import SceneData
from kws_training.own_words.pieces import Progress, read_pieces
from kws_training.run import to_model
from kws_training.unfold import measure, require_features, topology_of, unfold

MEASURED_WINDOWS = 512
WINDOWS = ("bifsmn", "bifsmn_48", "bifsmn_64")
"""Presets to choose from, by the length of their windows."""

SLACK_SECONDS = 0.3
"""How much longer than a word the window must be: then the word is whole in three windows in a row, 0.26 s from first
to last.
"""
TAKES_SMOOTHINGS = (1, 2, 3)
"""Windows to average, of which calibration chooses where there are people's takes: no more than hold the whole word. It
hears the takes that the network has learned by heart, whose scores outlast longer averages; those of other takes would
reach a threshold late, or not at all. Held-out voices are nothing that it has learned, and choose among more.
"""

COMPOSITION = Composition(runs=1024, manner=Manner(joined=0.5))
"""Where people's takes say every word."""
SYNTHESISED = Composition(heard=0)
"""Elsewhere. Of synthesised voices alone a network might learn from hard examples, which are mostly people, that people
never say the words; runs without pauses were tried with takes alone.
"""

START = "start.txt"
"""In the run's folder: what its training started from, and how it goes."""
RECIPE = 3
"""Raised where the same recordings, settings and base are trained on in other ways: 1 drew no hard examples, 2 none
of runs of other speech, which all had pauses.
"""

LEAST_THRESHOLD = 0.5
"""A word that nothing in the calibration's speech is like would get one so low that other speech reaches it."""

STREAM_MINUTES = 120.0
STREAM_SNR = (5.0, 20.0)


@dataclass(frozen=True)
class Made:
    """What a project came to.

    Attributes:
        model: calibrated, as written.
        calibration: how its thresholds were chosen.
        recall: by word, what of clips laid into quiet was found at those thresholds.
        voices: names of the neural voices that spoke.
        written: files, the model first.
    """

    model: FoldedModel
    calibration: Calibration
    recall: dict[str, Recall]
    voices: list[str]
    written: list[Path]


class MakeWatcher(Watcher):
    """What ``make`` tells beside what training tells. Every method may be overridden."""

    def settings_known(self, settings: Settings) -> None:
        """Training is about to begin with these."""

    def part(self, title: str) -> None:
        """A part of the work begins."""

    def material(self, material: Material, preset: Preset) -> None:
        """What there is to learn from, and the window it goes into."""

    def heard(self, seconds: float) -> None:
        """So much has been listened to for the calibration."""


def make(
    project: Project, watcher: MakeWatcher, reading: Progress, speaking: Callable[[str, int, int], None] | None = None
) -> Made:
    """Brings the model of ``project`` up to date.

    Args:
        project: saved before.
        watcher: told of progress.
        reading: wraps an iterable, its length and a title with a progress bar.
        speaking: told of every clip that is synthesised.

    Raises:
        KwsError: recordings or voices that cannot be used, no synthesiser, a base model that does not fit, a word that
            takes longer than the longest window, or a disk that cannot be written.
    """
    require_inputs(project)
    base = base_model(project)
    voices = neural.voices(project.language, project.voices)
    if is_outdated(project, voices):
        said_by = ", ".join(["eSpeak NG", *(voice.name for voice in voices)])
        watcher.warn(f"What is to be spoken, or by whom, has changed: speaking anew, by {said_by}.")
    watcher.part("Speaking")
    speak_project(project, speaking)
    material = gather(project)
    training = read_pieces(material, project.classes, "training", reading)
    validation = read_pieces(material, project.classes, "validation", reading)
    # What cannot be read now cannot be read later, either, when thresholds are chosen and words counted.
    material = material.without(training.skipped.keys() | validation.skipped.keys())
    preset = window_for(project, training)
    watcher.material(material, preset)
    raw = _train(project, base, preset, training, validation, watcher)
    watcher.part("Choosing thresholds")
    result = _calibrated(project, raw, material, watcher)
    found = recall(result.model, material)
    names = [voice.name for voice in voices]
    save(result.model, project.model)
    header = export(result.model, project.header, project.c_name, True)
    write_atomically(
        project.report, (json.dumps(_report(project, material, result, found, names), indent=1) + "\n").encode()
    )
    return Made(result.model, result, found, names, [project.model, *header, project.report])


def base_model(project: Project) -> FoldedModel:
    """What training starts from. Raises KwsError where there is no such model, or one of other features."""
    base = load_model(project.base)
    require_features(base, WINDOWS[0])
    return base


def window_for(project: Project, pieces: Pieces) -> Preset:
    """The shortest window that leaves room around nearly every take of every word.

    Raises:
        KwsError: a word that is too long for all of them.
    """
    needed = 0.0
    longest = PRESETS[WINDOWS[-1]]
    for word, takes, voices in zip(project.words, pieces.takes, pieces.voices, strict=True):
        # People's takes tell more than synthesised ones, whose rates are drawn.
        lengths = [piece.length / SAMPLE_RATE for piece in takes or voices]
        if not lengths:
            raise KwsError(f"Nothing says '{word}': no take, and no synthesised voice; record it with kws record.")
        needed = max(needed, float(np.percentile(lengths, 90)) + SLACK_SECONDS)
        if needed > longest.window_samples / SAMPLE_RATE:
            most = longest.window_samples / SAMPLE_RATE - SLACK_SECONDS
            raise KwsError(
                f"'{word}' takes {needed - SLACK_SECONDS:.1f} s to say, and the longest window has room for {most:.1f} "
                "s; choose fewer or shorter words."
            )
    return next(PRESETS[name] for name in WINDOWS if PRESETS[name].window_samples / SAMPLE_RATE >= needed)


def _train(
    project: Project, base: FoldedModel, preset: Preset, training: Pieces, validation: Pieces, watcher: MakeWatcher
) -> FoldedModel:
    """The trained model; trains what is left to train."""
    watcher.part("Composing")
    task = Task(project.name, project.classes)
    composition = COMPOSITION if all(training.takes) else SYNTHESISED
    data = SceneData(task, preset, training, validation, project.seed, composition)
    for sentence in data.skipped:
        watcher.warn(f"Skipped {sentence}")
    topology = topology_of(base, preset.name, len(task.class_names))
    settings = settings_of(project.classes, topology, project.epochs, project.seed)
    state = _resumable(project, settings, data, base, watcher)
    start: dict[str, Tensor] = {}
    if state is None:
        shutil.rmtree(project.run, ignore_errors=True)
        project.run.mkdir(parents=True)
        write_atomically(project.run / START, _start(base).encode())
        network = unfold(base, preset.name, len(task.class_names))
        measure(network, data.windows(MEASURED_WINDOWS, 0))
        start = network.state_dict()
    watcher.settings_known(settings)
    trained = HardTuning(project.run, settings, data, watcher, start, state).train()
    provenance = {
        "recipe": {"stages": [f"fine-tuning of {base.name} {project.epochs} epochs"], "seed": project.seed},
        "base_sha256": base.checkpoint_sha256,
        "data_sha256": data.hash,
        "training_clips": data.counts(),
    }
    return to_model(trained, settings, project.name, 0.5, checkpoint.digest(project.run / STUDENT_FILE), provenance)


def _start(base: FoldedModel) -> str:
    """The weights that training starts from, in hex, since a model file need not say which they are; and the recipe."""
    return f"{base.checkpoint_sha256 or hashlib.sha256(to_bytes(base)).hexdigest()} {RECIPE}"


def _resumable(
    project: Project, settings: Settings, data: SceneData, base: FoldedModel, watcher: MakeWatcher
) -> dict[str, Any] | None:
    """The state of the project's run if it is of these settings, recordings and base; says so where it is of others."""
    if not (project.run / CHECKPOINT).is_file():
        return None
    try:
        state = load_state(project.run)
        same = Settings.from_dict(json.loads(state["settings"])) == settings and state["data_hash"] == data.hash
        same = same and (project.run / START).read_text(encoding="utf-8") == _start(base)
        same = same and state["composition"] == composition_of(data)
    except (KwsError, KeyError, ValueError, OSError):
        same = False
    if same:
        return state
    watcher.warn(
        "The recordings, the settings, the base model or kws have changed since the last training: training anew."
    )
    return None


def _calibrated(project: Project, raw: FoldedModel, material: Material, watcher: MakeWatcher) -> Calibration:
    """Thresholds chosen on a stream of validation voices, and on the running speech that training did not see."""
    mix = Mix(
        material.stream_corpus(project.folder),
        project.classes,
        STREAM_MINUTES,
        STREAM_SNR,
        "validation",
        project.seed,
    )
    heard = [sounds.hear_mix(raw, mix, None, watcher.heard)]
    files = [clip.path for clip in material.running if clip.split == "validation"]
    if files:
        heard.append(sounds.hear_files(raw, "negatives", files, None, watcher.heard))
    smoothings = TAKES_SMOOTHINGS if any(material.takes.values()) else SMOOTHINGS
    return calibrate(raw, heard, project.target, LEAST_THRESHOLD, smoothings)


def _report(
    project: Project, material: Material, result: Calibration, found: dict[str, Recall], voices: list[str]
) -> dict[str, Any]:
    """What ``report.json`` holds."""
    return {
        "words": list(project.words),
        "base": project.base,
        "neural_voices": voices,
        "material": material.counts(),
        "window_seconds": round(result.model.preset.window_samples / SAMPLE_RATE, 2),
        "calibration": {
            "target_per_hour": result.target,
            "hours": round(result.hours, 3),
            "measured_on_the_same": {
                mode.name: {
                    "missed": result.measured[mode.name].point.misses,
                    "false_accepts_an_hour": result.measured[mode.name].point.false_accepts
                    - result.measured[mode.name].point.late,
                }
                for mode in modes_of(result.model, result.model.deltas)
            },
        },
        "recall": {word: one.as_dict() for word, one in found.items()},
    }
