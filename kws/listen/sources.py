"""Where sound comes from: a microphone that may be unplugged and come back, a recording, or arrays."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, read_audio
from kws.errors import KwsError
from kws.listen import microphone

CHUNK = SAMPLE_RATE // 10
"""Samples of a file that are fed at once; the detections do not depend on it."""

TAIL_SECONDS = 1.0
"""Silence that follows a file, so that a word spoken at its very end leaves the window and is decided."""

RETRY_SECONDS = 1.0
"""How often a missing microphone is looked for."""

_TICK_SECONDS = 0.2


@dataclass(frozen=True)
class Sound:
    """What a source delivers.

    Attributes:
        pcm: int16 [n] at 16 kHz; n is 0 while there is nothing.
        at: where it lies in the session, in samples, if sound before it is missing; None where it follows on.
        note: a sentence for people about the source; mostly empty.
    """

    pcm: NDArray[np.int16]
    at: int | None = None
    note: str = ""


_NOTHING = np.zeros(0, np.int16)


def file_chunks(path: str | Path) -> Iterator[NDArray[np.int16]]:
    """The recording at ``path`` as a microphone would deliver it: int16 chunks at 16 kHz, then a second of silence.

    The file is read before the first chunk. Raises KwsError as ``read_audio`` does.
    """
    tail = np.zeros(int(TAIL_SECONDS * SAMPLE_RATE), np.int16)
    pcm = np.concatenate([read_audio(path), tail])
    return (pcm[start : start + CHUNK] for start in range(0, len(pcm), CHUNK))


def sounds(chunks: Iterable[NDArray[np.int16]]) -> Generator[Sound]:
    """Chunks that follow one another, int16 [n] at 16 kHz."""
    for chunk in chunks:
        yield Sound(chunk)


class Microphone:
    """An input device whose sound goes on after it was unplugged and plugged in again.

    Time goes on while it is away. Within a stretch it is counted in samples, so that nothing drifts; at each return the
    clock says where the next stretch lies.

    Attributes:
        device: the one that is used now, or was last.
        losses: what was lost, live.
    """

    def __init__(self, wanted: str | None = None, reconnect: bool = True) -> None:
        """Chooses the device.

        Args:
            wanted: see ``microphone.choose``; a number counts now, and the name of what it means afterwards.
            reconnect: wait for a device that went away. Looking for one ends all other sounddevice streams of the
                process.

        Raises:
            KwsError: PortAudio is missing, or no device or several match.
        """
        self.device = microphone.choose(wanted)
        self.losses = microphone.Losses()
        self._any = wanted is None or wanted.lower() == microphone.DEFAULT
        self._reconnect = reconnect

    def sounds(self) -> Generator[Sound]:
        """The sound, without end; empty at least five times a second while the device delivers nothing.

        Raises:
            KwsError: the device cannot be opened at first, or goes away and is not to be waited for.
        """
        began: float | None = None
        position, note = 0, ""
        while True:
            follows = False
            try:
                with closing(microphone.chunks(self.device, self.losses, ticks=True)) as chunks:
                    for pcm in chunks:
                        at = None
                        if len(pcm) and not follows:
                            first = time.monotonic() - len(pcm) / SAMPLE_RATE
                            began = first if began is None else began
                            at = position = max(position, round((first - began) * SAMPLE_RATE))
                            note = f"Listening on {self.device.name}."
                            follows = True
                        position += len(pcm)
                        yield Sound(pcm, at, note)
                        note = ""
            except KwsError as error:
                # One that never delivered is a mistake of who chose it.
                if began is None or not self._reconnect:
                    raise
                # Said once: while it cannot be opened again, for whatever reason, there is nothing new.
                note = f"{error} Waiting for it." if follows else ""
            yield Sound(_NOTHING, note=note)
            note = ""
            yield from self._wait()

    def _wait(self) -> Iterator[Sound]:
        """Empty sounds until the device is listed again."""
        while True:
            deadline = time.monotonic() + RETRY_SECONDS
            while time.monotonic() < deadline:
                time.sleep(_TICK_SECONDS)
                yield Sound(_NOTHING)
            try:
                microphone.rescan()
                self.device = microphone.choose(None) if self._any else microphone.find_again(self.device)
            except KwsError:
                continue
            return
