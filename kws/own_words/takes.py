"""One take out of running sound: where the word begins and ends, what of it to keep, and whether it is any good."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, level_dbfs
from kws.data.check import CLIPPED_SHARE

FRAME = SAMPLE_RATE // 50
"""Samples of a level: 20 ms."""

QUIET_SECONDS = 0.5
"""Quiet that ends a take; a pause between the words of a phrase is shorter."""

WAIT_SECONDS = 8.0
"""How long a person may take to begin."""

LONGEST_SECONDS = 2.5
SHORTEST_SECONDS = 0.15
"""A sound as short as this is a click and no word."""

EARLY_SECONDS = 0.15
"""Speech that is there from the first moment on has begun before the recording did."""

MARGIN_SECONDS = 0.15
"""Kept around the word; more where the whole would be shorter than a second."""

ONSET_DB, END_DB = 12.0, 8.0
"""Above the room's level: where a take begins, and below what it is quiet again."""

LEAST_ABOVE_ROOM_DB = 18.0
QUIETEST_DBFS = -48.0
_ONSET_FRAMES = 3

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Take:
    """What was recorded.

    Attributes:
        pcm: int16 [n] at 16 kHz: the word and what is around it, a second at least; empty where nothing was heard.
        seconds: length of the word itself.
        level: RMS of its loudest tenth of a second, dBFS.
        fault: what is wrong, as a sentence to the speaker; empty for a good take.
    """

    pcm: Samples
    seconds: float
    level: float
    fault: str


def frames_of(chunks: Iterator[Samples]) -> Iterator[Samples]:
    """The same sound in pieces of ``FRAME`` samples, whatever the chunks; an incomplete last one is left out."""
    left = np.zeros(0, np.int16)
    for chunk in chunks:
        left = np.concatenate([left, chunk])
        whole = len(left) // FRAME * FRAME
        yield from left[:whole].reshape(-1, FRAME)
        left = left[whole:]


def take_of(frames: Iterator[Samples], room: float) -> Take:
    """Waits for speech in ``frames`` and returns it once it is over.

    Args:
        frames: from ``frames_of``; what is not needed stays in it.
        room: level of the quiet room, dBFS.
    """
    onset, end = max(room, -80.0) + ONSET_DB, max(room, -80.0) + END_DB
    heard: list[Samples] = []
    first: int | None = None
    loud = quiet = 0
    for frame in frames:
        heard.append(frame)
        level = level_dbfs(frame)
        if first is None:
            loud = loud + 1 if level >= onset else 0
            if loud >= _ONSET_FRAMES:
                first, quiet = len(heard) - loud, 0
            elif len(heard) * FRAME > WAIT_SECONDS * SAMPLE_RATE:
                break
            continue
        quiet = quiet + 1 if level < end else 0
        length = len(heard) - quiet - first
        if quiet * FRAME >= QUIET_SECONDS * SAMPLE_RATE:
            if length * FRAME >= SHORTEST_SECONDS * SAMPLE_RATE:
                break
            first = None  # a click: wait on
            loud = 0
        elif length * FRAME > 2 * LONGEST_SECONDS * SAMPLE_RATE:
            break
    if first is None:
        return Take(np.zeros(0, np.int16), 0.0, -100.0, "Nothing was heard. Is it the right microphone, and not muted?")
    return _judged(np.concatenate(heard), first * FRAME, (len(heard) - quiet) * FRAME, room)


def _judged(sound: Samples, first: int, last: int, room: float) -> Take:
    word = sound[first:last]
    tenths = [word[start : start + SAMPLE_RATE // 10] for start in range(0, len(word), SAMPLE_RATE // 10)]
    level = max(level_dbfs(tenth) for tenth in tenths)
    seconds = len(word) / SAMPLE_RATE
    clipped = float(np.mean(np.abs(word.astype(np.int32)) >= 32767))
    fault = ""
    if first < EARLY_SECONDS * SAMPLE_RATE:
        fault = "That had begun before the recording did. Wait for the prompt."
    elif seconds > LONGEST_SECONDS:
        fault = f"That took {seconds:.1f} s, or something else was heard. Say the word alone, then be quiet."
    elif clipped >= CLIPPED_SHARE:
        fault = "Too loud: the microphone clips. Move away from it, or turn its level down."
    elif level < QUIETEST_DBFS or level < room + LEAST_ABOVE_ROOM_DB:
        fault = f"Too quiet ({level:.0f} dBFS, the room {room:.0f}). Speak up, or come closer."
    return Take(_kept(sound, first, last), seconds, level, fault)


def _kept(sound: Samples, first: int, last: int) -> Samples:
    """The word with a margin; where that is less than a second, a second with the word in its middle if there is so
    much sound around it.
    """
    margin = round(MARGIN_SECONDS * SAMPLE_RATE)
    margin = max(margin, math.ceil((SAMPLE_RATE - (last - first)) / 2))
    start, end = max(0, first - margin), min(len(sound), last + margin)
    # At an end of the sound the other side gives what is missing.
    if end - start < SAMPLE_RATE:
        start, end = max(0, end - SAMPLE_RATE), min(len(sound), start + SAMPLE_RATE)
    return sound[start:end].copy()
