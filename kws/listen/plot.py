"""A recording as the listener saw it: waveform, mel picture, scores and detections over one axis of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE
from kws.errors import KwsError
from kws.figures import new_figure, save_figure

if TYPE_CHECKING:
    from kws.engine import Engine, Event, Stream
    from kws.listen.stream import Heard

OPTION = "--plot"

SUFFIXES = (".png", ".pdf", ".svg")

_ENVELOPE = 3000
"""Most points of the waveform: the lowest and highest sample of each stretch, as many as a picture can show."""

_INCHES_A_SECOND = 0.6
_WIDTH = (8.0, 40.0)


def check_path(path: Path) -> None:
    """Raises KwsError where ``path`` does not end as a picture does, before any work is done."""
    if path.suffix.lower() not in SUFFIXES:
        raise KwsError(f"{path}: not a picture's name; let it end in {', '.join(SUFFIXES)}.")


class Plot:
    """Collects a recording's chunks and hops, then draws them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pcm: list[NDArray[np.int16]] = []
        self._frames: list[NDArray[np.float32]] = []
        self._scores: list[NDArray[np.float32]] = []
        self._events: list[Event] = []
        self._thresholds: dict[str, float] = {}

    def each_hop(self, stream: Stream) -> None:
        """Takes the newest frame and scores; to be called after every hop."""
        if not self._thresholds:
            words = self._engine.class_names[: self._engine.n_words]
            self._thresholds = {word: stream.threshold(word) for word in words}
        self._frames.append(stream.last_frame)
        self._scores.append(stream.scores)

    def push(self, heard: Heard) -> None:
        """Takes a chunk."""
        self._pcm.append(heard.pcm)
        self._events += heard.events

    def draw(self, path: Path, title: str) -> None:
        """Writes the picture.

        Raises:
            KwsError: matplotlib is missing, nothing was heard, or the file cannot be written.
        """
        if not self._frames:
            raise KwsError(f"{title}: too short to draw; give a longer recording.")
        pcm = np.concatenate(self._pcm)
        seconds = len(pcm) / SAMPLE_RATE
        width = min(max(_INCHES_A_SECOND * seconds, _WIDTH[0]), _WIDTH[1])
        figure = new_figure(width, 8.0, OPTION)
        wave, mel, scores = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1.3, 1.3))
        self._draw_wave(wave, pcm)
        self._draw_mel(mel)
        self._draw_scores(scores)
        wave.set_title(title, fontsize=10)
        scores.set_xlim(0.0, seconds)
        scores.set_xlabel("seconds")
        figure.legend(loc="outside lower center", fontsize=8, ncols=12)
        save_figure(figure, path, OPTION)

    def _draw_wave(self, axes: Any, pcm: NDArray[np.int16]) -> None:
        starts = np.arange(0, len(pcm), max(1, len(pcm) // _ENVELOPE))
        low, high = (which.reduceat(pcm, starts) / 32768.0 for which in (np.minimum, np.maximum))
        axes.fill_between(starts / SAMPLE_RATE, low, high, color="tab:blue", linewidth=0.3)
        axes.set_ylim(-1.0, 1.0)
        axes.set_ylabel("waveform")
        for event in self._events:
            axes.axvline(event.time, color="tab:red", linewidth=0.8)
            axes.annotate(
                event.word, (event.time, 0.95), xytext=(-2, 0), textcoords="offset points", rotation=90, fontsize=8,
                ha="right", va="top", color="tab:red",
            )  # fmt: skip

    def _draw_mel(self, axes: Any) -> None:
        preset = self._engine.preset
        frames = np.stack(self._frames, axis=1)
        top = float(frames.max())
        # A frame is drawn around the middle of the samples that it is made of.
        hop, middle = preset.hop / SAMPLE_RATE, (preset.hop - preset.n_fft / 2) / SAMPLE_RATE
        span = (middle - hop / 2, middle + (frames.shape[1] - 0.5) * hop)
        axes.imshow(
            frames, origin="lower", aspect="auto", cmap="inferno", vmin=max(top - 80.0, -100.0), vmax=top,
            extent=(*span, 0, preset.n_mels), interpolation="nearest",
        )  # fmt: skip
        axes.set_ylabel("mel band")

    def _draw_scores(self, axes: Any) -> None:
        values = np.stack(self._scores)
        times = (np.arange(len(values)) + 1) * self._engine.preset.hop / SAMPLE_RATE
        for index, (word, threshold) in enumerate(self._thresholds.items()):
            (line,) = axes.step(times, values[:, index], where="post", linewidth=1.0, label=word)
            if threshold <= 1.0:
                axes.axhline(threshold, color=line.get_color(), linestyle=":", linewidth=0.6)
            own = [event for event in self._events if event.word == word]
            places: Sequence[float] = [event.time for event in own]
            axes.plot(places, [event.score for event in own], "o", markersize=4, color=line.get_color())
        axes.set_ylim(0.0, 1.0)
        axes.set_ylabel("score, threshold dotted")
