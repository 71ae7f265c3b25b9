"""What of a project's clips its model finds, each laid into quiet: takes that were held out, voices, near words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kws.data.audio import SAMPLE_RATE
from kws.data.tasks import Clip
from kws.engine import Engine
from kws.errors import KwsError
from kws.model import FoldedModel
from kws.own_words.material import Material

MOST_CLIPS = 200
"""Of a kind, for each word: more would say little more, and take longer."""

QUIET_SECONDS, QUIET_DBFS = 1.5, -75.0


@dataclass(frozen=True)
class Share:
    """``found`` of ``count`` clips."""

    found: int
    count: int

    def __str__(self) -> str:
        return f"{self.found} of {self.count}"


@dataclass(frozen=True)
class Recall:
    """Of one word, at the model's own thresholds.

    Attributes:
        held_out: takes that training has not seen.
        takes: takes that it has: flattering, and a warning where they are missed all the same.
        voices: synthesised or other people's, of speakers that training has not heard.
        near: what is almost the word and was taken for it: better few.
    """

    held_out: Share
    takes: Share
    voices: Share
    near: Share

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def recall(model: FoldedModel, material: Material) -> dict[str, Recall]:
    """Feeds the clips of every kind through the C engine, each in a stream of its own.

    Args:
        model: whose words are the classes of ``material``.
        material: of a project; clips that cannot be read are left out.
    """
    engine = Engine(model)
    near = _heard(engine, [clip for clip in material.near if clip.split == "validation"])
    result = {}
    for word in material.voices:
        takes, voices = material.takes[word], material.voices[word]
        result[word] = Recall(
            _share(_heard(engine, [clip for clip in takes if clip.split == "validation"]), word),
            _share(_heard(engine, [clip for clip in takes if clip.split == "training"]), word),
            _share(_heard(engine, [clip for clip in voices if clip.split == "validation"]), word),
            _share(near, word),
        )
    return result


def _share(heard: Iterable[set[str]], word: str) -> Share:
    words = [word in one for one in heard]
    return Share(sum(words), len(words))


def _heard(engine: Engine, clips: list[Clip]) -> list[set[str]]:
    """The words detected in each clip."""
    stream, rng = engine.stream(), np.random.default_rng(0)
    count = round(QUIET_SECONDS * SAMPLE_RATE)
    found = []
    for clip in clips[:MOST_CLIPS]:
        try:
            pcm = clip.read()
        except KwsError:
            continue
        sound = 32768.0 * 10.0 ** (QUIET_DBFS / 20.0) * rng.standard_normal(len(pcm) + 2 * count)
        sound[count : count + len(pcm)] += pcm
        stream.reset()
        found.append({event.word for event in stream.feed(np.clip(np.rint(sound), -32768, 32767).astype(np.int16))})
    return found
