"""The C engine in Python: the same code, and the same bits, as on a device.

    engine = Engine(kws.model.load())
    logits = engine.classify(pcm)                # one window, int16 [engine.window_samples]

    stream = engine.stream()                     # sound as it comes
    for chunk in chunks:                         # int16, any length
        for event in stream.feed(chunk):
            print(event.word, event.time)

Threads: an ``Engine`` and a ``Stream`` each hold a lock around their C state, so sharing one is safe but gains nothing:
to use several cores, give every thread its own. The lock of Python itself is released while C runs.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.engine import library, structs
from kws.errors import KwsError
from kws.model.folded import MAX_SMOOTHING, FoldedModel

ISA_VARIABLE = "KWS_ISA"
"""Environment variable: which implementation of the operators runs, where the code names none."""

ISAS = ("portable", "neon", "avx2", "avx512")
"""Every name that some build has."""

FEED_SAMPLES = 65536
"""Samples passed to C at once; bounds the event buffer of a long feed."""

_STATUS = {
    -1: "an argument is out of range",
    -2: "the model is for another engine version; export it again with this kws",
    -3: "the model has shapes that this engine does not run",
    -4: "its memory is too small or not aligned",
    -5: "there is no room for the events",
}


@dataclass(frozen=True)
class Event:
    """A word heard.

    Attributes:
        word: its class name.
        time: seconds from the stream's first sample to the end of the window that decided.
        score: smoothed probability, 0..1.
        depth: delta of the network that decided.
    """

    word: str
    time: float
    score: float
    depth: int


class _State:
    """A kws_state_t, the memory behind it, and a lock around its use."""

    def __init__(self, view: structs.ModelView, model: FoldedModel, isa: str | None) -> None:
        self.view = view
        self.model = model
        self.c = library.load()
        self.lock = threading.Lock()
        size = self.c.kws_state_size(view.struct)
        if size == 0:
            raise KwsError(f"The model '{model.name}' has shapes that the C engine does not run; train it with others.")
        self._memory = structs.aligned_bytes(size)
        self.pointer = ctypes.c_void_p()
        address = ctypes.c_void_p(self._memory.ctypes.data)
        self.check(self.c.kws_init(address, size, view.struct, self.pointer))
        if isa is not None:
            self._set_isa(isa)

    def _set_isa(self, name: str) -> None:
        if self.c.kws_set_isa(self.pointer, name.encode()) < 0:
            known = ", ".join(isa for isa in ISAS if self.c.kws_set_isa(self.pointer, isa.encode()) == 0)
            raise KwsError(
                f"This engine and processor have no '{name}'; choose one of {known}, or none for the fastest."
            )

    @property
    def isa(self) -> str:
        name: bytes = self.c.kws_isa(self.pointer)
        return name.decode()

    def check(self, status: int) -> int:
        if status < 0:
            raise KwsError(f"The C engine refused the model '{self.model.name}': {_STATUS.get(status, status)}.")
        return status

    def set_depth(self, delta: int) -> None:
        if delta not in self.model.deltas:
            known = ", ".join(map(str, self.model.deltas))
            raise KwsError(f"The model '{self.model.name}' has no depth {delta!r}; choose one of {known}.")
        self.check(self.c.kws_set_depth(self.pointer, delta))


class Engine:
    """One model in the C engine.

    Attributes:
        model: the folded model.
        class_names: list of str [n_classes], words first.
        n_words: classes below this index are words.
        deltas: depths, deepest first.
        preset: features.
        window_samples: samples that one window spans.
        isa: implementation of the operators that runs, one of ``ISAS``.
    """

    def __init__(self, model: FoldedModel, isa: str | None = None) -> None:
        """Packs ``model`` for the engine.

        Args:
            model: to run.
            isa: which implementation of the operators runs, one of ``ISAS``; all give the same bits. None takes the
                one that the environment variable KWS_ISA names, else the fastest.

        Raises:
            KwsError: an invalid model, no engine library, or one that has no such implementation for this processor.
        """
        model.validate()
        self.model = model
        self.class_names = list(model.class_names)
        self.n_words = model.n_words
        self.deltas = model.deltas
        self.preset = model.preset
        self.window_samples = model.preset.window_samples
        self._view = structs.ModelView(model)
        self._state = _State(self._view, model, isa or os.environ.get(ISA_VARIABLE) or None)
        self.isa = self._state.isa

    def features(self, pcm: NDArray[np.int16]) -> NDArray[np.float32]:
        """Log-mel map of one window.

        Args:
            pcm: int16 [window_samples].

        Returns:
            float32 [n_mels, frames], dB.
        """
        pcm = _checked(pcm, np.int16, (self.window_samples,), "pcm")
        out = np.empty((self.preset.frames, self.preset.n_mels), np.float32)
        state = self._state
        with state.lock:
            state.check(state.c.kws_features(state.pointer, _pointer(pcm), _pointer(out)))
        return np.ascontiguousarray(out.T)

    def network(self, features: NDArray[np.float32], delta: int = 1) -> NDArray[np.float32]:
        """Logits, float32 [n_classes], of a log-mel map, float32 [n_mels, frames] in dB, at depth ``delta``."""
        frames_first = self._frames_first(features)
        logits = np.empty(len(self.class_names), np.float32)
        state = self._state
        with state.lock:
            state.set_depth(delta)
            state.check(state.c.kws_network(state.pointer, _pointer(frames_first), _pointer(logits)))
        return logits

    def network_traced(
        self, features: NDArray[np.float32], delta: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """``network``, and every integer accumulator in the order in which it is computed.

        Returns:
            Logits, float32 [n_classes], and int16 accumulators, flat: convolution [T, M, 32], linear [T, C], then per
            pass memory [T, C], expansion [T, H], projection [T, C].
        """
        frames_first = self._frames_first(features)
        logits = np.empty(len(self.class_names), np.float32)
        state = self._state
        with state.lock:
            state.set_depth(delta)
            trace = np.empty(state.c.kws_trace_size(self._view.struct, delta), np.int16)
            state.check(
                state.c.kws_network_traced(state.pointer, _pointer(frames_first), _pointer(logits), _pointer(trace))
            )
        return logits, trace

    def classify(self, pcm: NDArray[np.int16], delta: int = 1) -> NDArray[np.float32]:
        """Logits, float32 [n_classes], of one window, int16 [window_samples], at depth ``delta``."""
        pcm = _checked(pcm, np.int16, (self.window_samples,), "pcm")
        logits: NDArray[np.float32] = self.classify_batch(pcm[None], delta)[0]
        return logits

    def classify_batch(self, pcm: NDArray[np.int16], delta: int = 1) -> NDArray[np.float32]:
        """Logits, float32 [N, n_classes], of N windows, int16 [N, window_samples], at depth ``delta``."""
        pcm = _checked(pcm, np.int16, (-1, self.window_samples), "pcm")
        logits = np.empty((len(pcm), len(self.class_names)), np.float32)
        state = self._state
        with state.lock:
            state.set_depth(delta)
            for window, row in zip(pcm, logits, strict=True):
                state.check(state.c.kws_classify(state.pointer, _pointer(window), _pointer(row)))
        return logits

    def softmax(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities in the engine's own arithmetic, float32 [n], of logits, float32 [n]."""
        logits = _checked(logits, np.float32, (-1,), "logits")
        probabilities = np.empty_like(logits)
        self._state.c.kws_softmax(_pointer(logits), len(logits), _pointer(probabilities))
        return probabilities

    def stream(self, delta: int | None = None, thresholds: Mapping[str, float] | None = None) -> Stream:
        """A stream with the model's settings.

        Args:
            delta: depth of every window; as the model says, which may be adaptive, if None.
            thresholds: by word, in place of the model's.
        """
        return Stream(self, delta, thresholds)

    def _frames_first(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        features = _checked(features, np.float32, (self.preset.n_mels, self.preset.frames), "features")
        return np.ascontiguousarray(features.T)


class Stream:
    """Sound as it comes, and the words heard in it. Made by ``Engine.stream``."""

    def __init__(self, engine: Engine, delta: int | None = None, thresholds: Mapping[str, float] | None = None) -> None:
        """Starts as after endless digital silence.

        Raises:
            KwsError: the model has no such depth or word, or a threshold is not a number of at least 0.
        """
        self._engine = engine
        self._state = _State(engine._view, engine.model, engine.isa)
        self._events = (structs.Event * (FEED_SAMPLES // structs.SAMPLES_PER_EVENT + 1))()
        if delta is not None:
            self.set_depth(delta)
        for word, threshold in (thresholds or {}).items():
            self.set_threshold(word, threshold)

    def feed(self, pcm: NDArray[np.int16]) -> list[Event]:
        """Feeds samples and returns the words heard in them.

        However a stream is cut into chunks, the same events come out. There is none before as many windows have been
        heard as the scores are smoothed over.

        Args:
            pcm: int16 [n] at the preset's rate; n may be 0.

        Raises:
            KwsError: not a one-dimensional int16 array.
        """
        if not (type(pcm) is np.ndarray and pcm.ndim == 1 and pcm.dtype == _INT16 and pcm.flags.c_contiguous):
            pcm = _checked(pcm, np.int16, (-1,), "pcm")  # for most chunks the shorter question is enough
        with self._state.lock:
            if len(pcm) <= FEED_SAMPLES:
                return self._feed(pcm) if len(pcm) else []
            events: list[Event] = []
            for start in range(0, len(pcm), FEED_SAMPLES):
                events += self._feed(pcm[start : start + FEED_SAMPLES])
        return events

    def _feed(self, pcm: NDArray[np.int16]) -> list[Event]:
        state, engine = self._state, self._engine
        # By address: _pointer would take as long as the engine takes for a short chunk.
        samples = ctypes.byref(ctypes.c_int16.from_address(pcm.__array_interface__["data"][0]))
        count = state.check(state.c.kws_feed(state.pointer, samples, len(pcm), self._events, len(self._events)))
        if count == 0:
            return []
        rate = engine.preset.sample_rate
        return [
            Event(engine.class_names[event.word], event.sample / rate, event.score, event.delta)
            for event in self._events[:count]
        ]

    @property
    def scores(self) -> NDArray[np.float32]:
        """Smoothed probabilities after the newest window, float32 [n_classes]; a gated window counts with zeros."""
        return self._copy(self._state.c.kws_scores, len(self._engine.class_names))

    @property
    def last_frame(self) -> NDArray[np.float32]:
        """The newest log-mel frame, float32 [n_mels], dB."""
        return self._copy(self._state.c.kws_last_frame, self._engine.preset.n_mels)

    @property
    def level(self) -> float:
        """What the gate goes by: RMS of the loudest hop in the newest window, dBFS, at least -100."""
        with self._state.lock:
            return float(self._state.c.kws_level(self._state.pointer))

    @property
    def classified(self) -> dict[int, int]:
        """Windows since the start: by depth those classified at it, and under 0 those that none classified."""
        state = self._state
        with state.lock:
            return {delta: state.c.kws_classified(state.pointer, delta) for delta in (0, *state.model.deltas)}

    def threshold(self, word: str) -> float:
        """The smoothed score that makes an event of ``word`` now: at this depth, with this sensitivity."""
        index = self._word(word)
        with self._state.lock:
            return float(self._state.c.kws_threshold(self._state.pointer, index))

    def reset(self) -> None:
        """Back to the start of a stream; every setting stays."""
        with self._state.lock:
            self._state.c.kws_reset(self._state.pointer)

    def set_depth(self, delta: int) -> None:
        """Runs every window at depth ``delta`` from the next one on."""
        with self._state.lock:
            self._state.set_depth(delta)

    def set_adaptive(self, listen: int | None = None, confirm: int | None = None) -> None:
        """Runs windows at depth ``listen``, and again at ``confirm`` where the probability of a word that may make an
        event reaches the wake threshold; then the mean of both answers counts, three to one for the second. Where none
        does, the next window is left out. The thinnest and the deepest depth if None.

        Raises:
            KwsError: a depth that the model has not, or a listening one that is not thinner.
        """
        deltas = self._engine.deltas
        listen, confirm = listen or deltas[-1], confirm or deltas[0]
        if listen not in deltas or confirm not in deltas or listen <= confirm:
            known = ", ".join(map(str, deltas))
            raise KwsError(
                f"Depth {listen} cannot listen for depth {confirm}: the model '{self._engine.model.name}' has {known}, "
                "and a thinner one (a larger number) listens for a deeper one."
            )
        self._set("kws_set_adaptive", listen, confirm)

    def set_threshold(self, word: str, threshold: float) -> None:
        """Sets the smoothed score, at least 0, that makes an event of ``word``, at every depth; above 1 none does."""
        index = self._word(word)
        _within(f"threshold of '{word}'", threshold, 0.0)
        self._set("kws_set_threshold", index, threshold)

    def set_wake(self, wake: float) -> None:
        """Sets the probability of a word, at least 0, at which the listening depth wakes the confirming one."""
        _within("wake threshold", wake, 0.0)
        self._set("kws_set_wake", wake)

    def set_sensitivity(self, sensitivity: float, word: str | None = None) -> None:
        """Moves thresholds: their logits fall by 8 times what ``sensitivity``, 0..1, is above 1/2.

        Args:
            sensitivity: 1/2 leaves thresholds as they are, more hears more.
            word: whose thresholds alone; those of every word, and the wake threshold, if None.
        """
        _within("sensitivity", sensitivity, 0.0, 1.0)
        if word is None:
            self._set("kws_set_sensitivity", sensitivity)
        else:
            self._set("kws_set_word_sensitivity", self._word(word), sensitivity)

    def set_smoothing(self, windows: int) -> None:
        """Averages the scores of so many windows, 1 to 16; what has been heard already counts."""
        if windows not in range(1, MAX_SMOOTHING + 1):
            raise KwsError(f"The smoothing is {windows}, not a whole number in 1..{MAX_SMOOTHING}; choose one.")
        self._set("kws_set_smoothing", int(windows))

    def set_refractory(self, seconds: float, word: str | None = None) -> None:
        """Sets the time after an event of a word in which that word cannot fire again, at least 0.

        Args:
            seconds: rounded to samples.
            word: that it is set for; every word if None.
        """
        _within("refractory time", seconds, 0.0, _INT32_MAX / self._engine.preset.sample_rate)
        samples = round(seconds * self._engine.preset.sample_rate)
        if word is None:
            self._set("kws_set_refractory", samples)
        else:
            self._set("kws_set_word_refractory", self._word(word), samples)

    def set_release(self, fraction: float) -> None:
        """Arms a word again once its score is below ``fraction``, 0..1, of its threshold."""
        _within("release", fraction, 0.0, 1.0)
        self._set("kws_set_release", fraction)

    def set_gate(self, dbfs: float) -> None:
        """Takes windows whose loudest hop is below ``dbfs`` for silence, unclassified; -100 or less: none."""
        _within("gate", dbfs, -1000.0, 1000.0)
        self._set("kws_set_gate", dbfs)

    def _word(self, word: str) -> int:
        engine = self._engine
        words = engine.class_names[: engine.n_words]
        if word not in words:
            raise KwsError(f"The model '{engine.model.name}' knows no word '{word}'; it knows {', '.join(words)}.")
        return words.index(word)

    def _set(self, function: str, *values: float) -> None:
        with self._state.lock:
            self._state.check(getattr(self._state.c, function)(self._state.pointer, *values))

    def _copy(self, function: Any, count: int) -> NDArray[np.float32]:
        with self._state.lock:
            return np.ctypeslib.as_array(function(self._state.pointer), (count,)).copy()


def _checked(value: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """``value`` made contiguous; -1 in ``shape`` stands for any length."""
    array = np.asarray(value)
    fits = array.ndim == len(shape) and all(want in (-1, have) for want, have in zip(shape, array.shape, strict=True))
    if array.dtype != np.dtype(dtype) or not fits:
        wanted = ", ".join("n" if size < 0 else str(size) for size in shape)
        raise KwsError(
            f"{name} is {array.dtype} of shape {list(array.shape)}; give {np.dtype(dtype)} of shape [{wanted}]."
        )
    return np.ascontiguousarray(array)


def _within(what: str, value: float, low: float, high: float = np.inf) -> None:
    if not (low <= value <= high and np.isfinite(value)):
        limits = f"of at least {low:g}" if high == np.inf else f"in {low:g}..{high:g}"
        raise KwsError(f"The {what} is {value}, not a number {limits}; choose one.")


_INT16 = np.dtype(np.int16)
_INT32_MAX = 2**31 - 1
_C_TYPES: dict[np.dtype[Any], Any] = {np.dtype(np.int16): ctypes.c_int16, np.dtype(np.float32): ctypes.c_float}


def _pointer(array: NDArray[Any]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(_C_TYPES[array.dtype]))
