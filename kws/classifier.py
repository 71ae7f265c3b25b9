"""A model that says what a clip is: the short way from an array to a word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws import model as models
from kws.data.audio import SAMPLE_RATE, to_mono_16k
from kws.engine import Engine, Stream
from kws.errors import KwsError
from kws.features import place_clip

LOUDEST = 4.0
"""What floats may reach: a little above 1 is clipped, as a converter would; far above it they are on another scale."""


@dataclass(frozen=True)
class Classification:
    """What a clip is.

    Attributes:
        word: the likeliest class; a word, or one of the rest such as "_unknown_" and "_silence_".
        score: its probability, 0..1.
        scores: probability of every class by name; they sum to 1.
    """

    word: str
    score: float
    scores: dict[str, float]


class Model:
    """A model ready to use.

        model = kws.Model.load("kws12")
        answer = model.classify(clip)
        print(answer.word, answer.score)

    Attributes:
        engine: the C engine with it, for logits, features and batches.
        name: what it is called.
        words: what it listens for.
        classes: the words, and what else it tells apart from them.
        depths: deltas of its networks, deepest first.
        seconds: length of the window that it sees at once.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name = engine.model.name
        self.words = tuple(engine.class_names[: engine.n_words])
        self.classes = tuple(engine.class_names)
        self.depths = tuple(engine.deltas)
        self.seconds = engine.window_samples / engine.preset.sample_rate

    @classmethod
    def load(cls, model: str | Path | None = None) -> Model:
        """Reads a model.

        Args:
            model: a ``.kws`` file, a training run's folder or a shipped model's name; ``kws12`` if None.

        Raises:
            KwsError: no such model, a file that is not a good one, or no engine library.
        """
        return cls(Engine(models.load(model)))

    def classify(self, pcm: NDArray[Any], rate: int = SAMPLE_RATE, depth: int = 1) -> Classification:
        """What one clip is, as `kws eval` would classify it.

        Args:
            pcm: one clip: int16 [n], or floating [n] in -1..1. It is padded with silence to the window.
            rate: samples a second of ``pcm``.
            depth: delta of the network, one of ``depths``.

        Raises:
            KwsError: not such an array, samples that are not numbers, no such depth, or a clip longer than the window:
                those are for ``stream`` or ``kws.Listener``. Floats above ``LOUDEST``, too: they are on another scale.
        """
        clip = _as_int16(np.asarray(pcm), rate)
        preset = self.engine.preset
        room = preset.window_samples - preset.n_fft // 2
        if len(clip) > room:
            raise KwsError(
                f"The clip lasts {len(clip) / SAMPLE_RATE:.2f} s and the model hears {room / SAMPLE_RATE:.2f} s at "
                "once; cut it, or listen to it with kws.Listener."
            )
        probabilities = self.engine.softmax(self.engine.classify(place_clip(clip, preset), depth))
        scores = dict(zip(self.classes, map(float, probabilities), strict=True))
        word = max(scores, key=lambda name: scores[name])
        return Classification(word, scores[word], scores)

    def stream(self) -> Stream:
        """A stream with the model's settings, to be fed with int16 samples at 16 kHz as they come."""
        return self.engine.stream()


def _as_int16(pcm: NDArray[Any], rate: int) -> NDArray[np.int16]:
    if pcm.ndim != 1 or not (pcm.dtype == np.int16 or np.issubdtype(pcm.dtype, np.floating)):
        raise KwsError(f"A clip is {pcm.dtype} of shape {list(pcm.shape)}; give int16 [n], or floats [n] from -1 to 1.")
    if rate <= 0:
        raise KwsError(f"A rate of {rate} Hz cannot be; give the samples a second of the clip.")
    if pcm.dtype == np.int16:
        if rate == SAMPLE_RATE:
            return pcm
        pcm = pcm / np.float32(32768.0)
    if not np.isfinite(pcm).all():
        raise KwsError("The clip holds samples that are not numbers (NaN or infinite); leave them out.")
    loudest = float(np.abs(pcm).max(initial=0.0))
    if loudest > LOUDEST:
        raise KwsError(f"The clip's floats reach {loudest:.3g}, and full scale is 1; divide them by what it is there.")
    return to_mono_16k(pcm.astype(np.float32), rate)
