"""The one loop that listens: sound in, detections out, the same for files, microphones and tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE
from kws.listen.sources import Sound

if TYPE_CHECKING:
    from kws.engine import Event, Stream


@dataclass(frozen=True)
class Heard:
    """One chunk and what it brought.

    Attributes:
        pcm: int16 [n] at 16 kHz; n is 0 while the source has nothing.
        events: detections that this chunk completed, in order, with times of the session.
        start: sample of the session at which the chunk begins.
        fresh: sound before it is missing, and the stream began anew with it.
        note: what the source has to say to people; mostly empty.
    """

    pcm: NDArray[np.int16]
    events: list[Event]
    start: int
    fresh: bool = False
    note: str = ""

    @property
    def end(self) -> int:
        """The sample of the session after the last."""
        return self.start + len(self.pcm)


def listen(
    sounds: Iterable[Sound], stream: Stream, hop: int = 0, each_hop: Callable[[Stream], None] | None = None
) -> Iterator[Heard]:
    """Feeds ``sounds`` to ``stream`` and yields every chunk with its detections.

    Args:
        sounds: in order; where one says that sound is missing before it, the stream begins anew there.
        stream: at its start.
        hop: samples between frames, for ``each_hop``.
        each_hop: called after every whole hop, when the stream has its newest frame and scores.
    """
    began = fed = 0
    for sound in sounds:
        fresh = sound.at is not None
        if sound.at is not None:
            stream.reset()
            began, fed = sound.at, 0
        events = []
        for piece in _hops(sound.pcm, fed, hop) if each_hop else (sound.pcm,):
            events += stream.feed(piece)
            fed += len(piece)
            if each_hop and fed % hop == 0 and len(piece):
                each_hop(stream)
        if began:
            events = [replace(event, time=event.time + began / SAMPLE_RATE) for event in events]
        yield Heard(sound.pcm, events, began + fed - len(sound.pcm), fresh, sound.note)


def _hops(pcm: NDArray[np.int16], fed: int, hop: int) -> Iterator[NDArray[np.int16]]:
    """``pcm`` cut where a stream that was fed ``fed`` samples before completes a hop."""
    start = 0
    while start < len(pcm):
        end = start + hop - (fed + start) % hop
        yield pcm[start:end]
        start = end
