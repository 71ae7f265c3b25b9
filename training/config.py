"""Every setting of a training run, as data: what the record file holds and what a resumed run must agree with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from kws.errors import KwsError
from kws_training.augment import BUSY, BUSY_STRONG, GENTLE, LIVELY, MODERATE, STRONG, Augmentation
from kws_training.distillation import ENHANCED
from kws_training.topology import Topology

TEACHER = "teacher"
SETTLING = "settling"
LISTENING = "listening"
"""A stage like "binary" whose windows are composed as a stream has them (``kws_training.listening``)."""


@dataclass(frozen=True)
class StageSettings:
    """One stage of training.

    Attributes:
        name: ``TEACHER``, "activations" or "binary"; ``LISTENING``; "float" or "int8" of a rival
            (``kws_training.rivals``).
        epochs: passes over the training set.
        rate: peak learning rate of AdamW.
        decay: weight decay.
        augmentation: ranges of the draws.
        unknown: clips of other words drawn, as a share of the word clips.
        identity: weight of a second task, for a teacher alone: to tell every word of the corpus from every other, those
            of ``_unknown_`` too. Most recordings of a corpus are of other words, and their names are free knowledge.
        smoothing: of the labels (Szegedy et al., 2016), for a teacher alone.
        average: at the end the weights become the average of all steps, step t counted as t to this power
            (``kws_training.averaging``); None leaves them as the last step left them.
    """

    name: str
    epochs: int
    rate: float
    decay: float
    augmentation: Augmentation = MODERATE
    unknown: float = 0.2
    identity: float = 0.0
    smoothing: float = 0.0
    average: float | None = None

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> StageSettings:
        """What ``dataclasses.asdict`` made, also after a trip through JSON. Raises TypeError where it is another's."""
        ranges = {k: tuple(v) if isinstance(v, list) else v for k, v in content["augmentation"].items()}
        return cls(**{**content, "augmentation": Augmentation(**ranges)})


@dataclass(frozen=True)
class Settings:
    """A run: teacher (float), then the student with binary activations, then with binary weights too.

    The stages follow "two-stage" binarization (Bulat et al., 2019; ReActNet, ECCV 2020, section 5): the student starts
    as the teacher's weights, first learns to live with one-bit inputs, then with one-bit weights.

    Attributes:
        words: in class order.
        fillers: whether ``_unknown_`` and ``_silence_`` follow the words.
        topology: of teacher and student.
        stages: in order.
        batch: clips a step.
        temper: a word with n clips is drawn in proportion to ``n ** temper``: at 1 as it comes, at 0 as often as any.
        seed: of every draw and of the initial weights.
        warmup: epochs over which the learning rate rises; then it follows a cosine to zero.
        answers: weight of the distilled answers.
        hidden: weight of the distilled hidden maps (gamma).
        distillation: of the hidden maps, a key of ``kws_training.distillation.HIDDEN_LOSSES``.
        temperature: of the distilled answers.
        depth_weights: weight of each depth's loss, in the order of ``topology.deltas``.
    """

    words: tuple[str, ...]
    fillers: bool
    topology: Topology
    stages: tuple[StageSettings, ...]
    batch: int = 128
    temper: float = 0.25
    seed: int = 0
    warmup: float = 2.0
    answers: float = 1.0
    hidden: float = 1.0
    distillation: str = ENHANCED
    temperature: float = 1.0
    depth_weights: tuple[float, ...] = (1.0, 1.0, 1.0)

    def as_dict(self) -> dict:
        """JSON-able; ``from_dict`` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Settings:
        """What ``as_dict`` wrote, also after a trip through JSON.

        Raises:
            KwsError: settings of another version of kws.
        """
        try:
            return cls._from_dict(dict(content))
        except (KeyError, TypeError) as error:
            raise KwsError(
                f"These settings are those of another version of kws ({error}); use that version, or train again."
            ) from error

    @classmethod
    def _from_dict(cls, content: dict[str, Any]) -> Settings:
        topology = dict(content.pop("topology"))
        topology["deltas"] = tuple(topology["deltas"])
        # Before binarizers had names, settings told the surrogates of inputs and weights; one pair was ever used.
        surrogates = topology.pop("activation", "polynomial"), topology.pop("weight", "clipped")
        if surrogates != ("polynomial", "clipped"):
            raise KeyError("surrogates " + " and ".join(surrogates))
        stages = [StageSettings.from_dict(stage) for stage in content.pop("stages")]
        content["words"] = tuple(content["words"])
        content["depth_weights"] = tuple(content["depth_weights"])
        return cls(topology=Topology(**topology), stages=tuple(stages), **content)


MOST_UNKNOWN = 20.0


def checked_epochs(epochs: int) -> int:
    """A number of epochs as a user gives it. Raises KwsError where it is none."""
    if epochs < 1:
        raise KwsError(f"--epochs {epochs}: give at least 1.")
    return epochs


def checked_unknown(unknown: float) -> float:
    """A share of clips of other words as a user gives it. Raises KwsError where it is none."""
    if not 0.0 < unknown <= MOST_UNKNOWN:
        raise KwsError(f"--unknown {unknown:g}: give a share of the word clips, above 0 and up to {MOST_UNKNOWN:g}.")
    return unknown


RECIPES: dict[str, tuple[StageSettings, ...]] = {
    "standard": (
        StageSettings(TEACHER, 50, 3e-3, 5e-2, STRONG, unknown=0.6, identity=0.5, smoothing=0.1),
        StageSettings(TEACHER, 12, 1e-3, 5e-2, STRONG, unknown=0.2, identity=0.5, smoothing=0.1),
        StageSettings("activations", 4, 2e-3, 1e-4, GENTLE, unknown=0.3),
        StageSettings("binary", 46, 2e-3, 0.0, GENTLE, unknown=0.3),
    ),
    "listening": (
        StageSettings(TEACHER, 28, 3e-3, 5e-2, STRONG, unknown=0.6, identity=0.5, smoothing=0.1),
        StageSettings(TEACHER, 8, 1e-3, 5e-2, BUSY_STRONG, unknown=0.6, identity=0.5),
        StageSettings("activations", 4, 2e-3, 1e-4, LIVELY, unknown=0.5),
        StageSettings("binary", 30, 2e-3, 0.0, LIVELY, unknown=0.5),
    ),
    "running": (
        StageSettings(TEACHER, 10, 1e-3, 5e-2, BUSY_STRONG, unknown=0.6, identity=0.5),
        StageSettings("binary", 24, 1e-3, 0.0, BUSY, unknown=0.6),
    ),
    # For its epochs: the rest is the student's own (``kws_training.run.settled``).
    SETTLING: (StageSettings("binary", 24, 5e-4, 0.0, GENTLE, unknown=0.3),),
    "quick": (
        StageSettings(TEACHER, 8, 3e-3, 1e-2),
        StageSettings("activations", 3, 2e-3, 1e-4, GENTLE),
        StageSettings("binary", 8, 2e-3, 0.0, GENTLE),
    ),
}


OF_A_STUDENT = ("running", SETTLING)
"""Recipes that train a finished run further."""

SETTLING_WARMUP = 1.0
"""Epochs: the network is trained already, and its rate a quarter of what it was."""


def recipe(name: str, epochs: int | None = None) -> tuple[StageSettings, ...]:
    """The stages of a named recipe; ``epochs`` sets the last stage's and scales the others in proportion.

    Raises:
        KwsError: no such recipe, or fewer than one epoch.
    """
    if name not in RECIPES:
        raise KwsError(f"'{name}' is no recipe without a --base; choose {' or '.join(RECIPES)}.")
    stages = RECIPES[name]
    if epochs is None:
        return stages
    checked_epochs(epochs)
    return tuple(replace(s, epochs=max(1, round(s.epochs * epochs / stages[-1].epochs))) for s in stages)
