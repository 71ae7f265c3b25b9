"""Everything that a decision can depend on, recorded window by window from the C engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kws.engine import Engine
from kws.model import FoldedModel


@dataclass(frozen=True)
class Track:
    """The engine's answers to a stream.

    Attributes:
        step: samples between windows; window k ends at sample (k + 1) * step.
        rate: samples a second.
        n_words: classes below it are words.
        samples: of the whole stream.
        probabilities: by delta, float32 [n, n_classes], before smoothing.
        levels: float32 [n], dBFS, what the gate goes by.
    """

    step: int
    rate: int
    n_words: int
    samples: int
    probabilities: dict[int, NDArray[np.float32]]
    levels: NDArray[np.float32]

    @property
    def hours(self) -> float:
        return self.samples / self.rate / 3600

    def times(self, windows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Where ``windows`` end, seconds: the time of an event at them."""
        ends: NDArray[np.float64] = (windows + 1) * float(self.step) / self.rate
        return ends


def record(model: FoldedModel, chunks: Iterable[NDArray[np.int16]], deltas: list[int] | None = None) -> Track:
    """Runs the C engine over a stream once for each depth.

    Args:
        model: its own thresholds, gate and adaptive depth play no part.
        chunks: int16, of any lengths; read once.
        deltas: depths; all of the model's if None.
    """
    # Over a single window, smoothing leaves the probabilities as they are, to the bit.
    engine = Engine(replace(model, smoothing=1, gate=-100.0, listen_delta=0))
    step = model.hop_frames * model.preset.hop
    streams = {delta: engine.stream(delta) for delta in deltas or model.deltas}
    first = next(iter(streams.values()))
    rows: dict[int, list[NDArray[np.float32]]] = {delta: [] for delta in streams}
    levels, samples = [], 0
    for pcm in _blocks(chunks, step):
        samples += len(pcm)
        for delta, stream in streams.items():
            stream.feed(pcm)
            if len(pcm) == step:
                rows[delta].append(stream.scores)
        if len(pcm) == step:
            levels.append(first.level)
    empty = np.zeros((0, model.n_classes), np.float32)
    return Track(
        step,
        model.preset.sample_rate,
        model.n_words,
        samples,
        {delta: np.stack(found) if found else empty for delta, found in rows.items()},
        np.array(levels, np.float32),
    )


def _blocks(chunks: Iterable[NDArray[np.int16]], size: int) -> Iterator[NDArray[np.int16]]:
    """The same samples in blocks of ``size``, the last one shorter."""
    left = np.zeros(0, np.int16)
    for chunk in chunks:
        left = np.concatenate([left, chunk])
        whole = len(left) // size * size
        yield from left[:whole].reshape(-1, size)
        left = left[whole:]
    if len(left):
        yield left
