"""Keeps the sound around each detection, for those who want to see what their listener was fooled by."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, write_wav
from kws.errors import KwsError

if TYPE_CHECKING:
    from kws.engine import Event
    from kws.listen.stream import Heard

BEFORE_SECONDS = 1.5
"""Sound kept from before the detection: the window that decided, and what led into it."""

AFTER_SECONDS = 0.5
"""Sound kept from after it: the end of a longer word that the detection was a part of."""


_DRIFT = timedelta(seconds=10)  # more than ever waits in a queue
_AFTER = round(AFTER_SECONDS * SAMPLE_RATE)
_LENGTH = round((BEFORE_SECONDS + AFTER_SECONDS) * SAMPLE_RATE)


@dataclass(frozen=True)
class _Pending:
    event: Event
    moment: datetime
    end: int  # sample of the session up to which its sound is wanted


_Cut = tuple[Path, NDArray[np.int16]]


class Capture:
    """Writes ``<ISO time>_<word>_<score>.wav`` for every detection: 16 kHz, mono, 16 bits.

    The time is that of the detection, UTC, in ISO 8601's basic form, since a file's name can have no colon everywhere.
    """

    def __init__(self, folder: Path) -> None:
        """Makes ``folder`` where it is missing. Raises KwsError where it cannot be made."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KwsError(f"{folder}: cannot be made ({error.strerror}); choose another --capture folder.") from error
        self._folder = folder
        self._recent: deque[NDArray[np.int16]] = deque()
        self._start = 0  # sample of the session at which the recent sound begins
        self._end = 0
        self._pending: deque[_Pending] = deque()
        self._began = datetime.now(UTC)  # of the session, by the clock

    def push(self, heard: Heard) -> list[Path]:
        """Takes the next chunk; returns the files that it completed.

        Raises:
            KwsError: a file cannot be written; its detection is not tried again, and nothing else is lost.
        """
        complete = self._cut_all() if heard.fresh else []
        if heard.fresh or not self._recent:
            self._recent.clear()
            self._start = heard.start
        if len(heard.pcm):
            self._recent.append(heard.pcm)
        self._end = heard.end
        self._follow_clock(heard.fresh)
        for event in heard.events:
            moment = self._began + timedelta(seconds=event.time)
            self._pending.append(_Pending(event, moment, round(event.time * SAMPLE_RATE) + _AFTER))
        while self._pending and self._pending[0].end <= self._end:
            complete.append(self._cut(self._pending.popleft()))
        # The next detection lies behind all that was heard so far.
        needed = (self._pending[0].end if self._pending else self._end + _AFTER) - _LENGTH
        while self._recent and self._start + len(self._recent[0]) <= needed:
            self._start += len(self._recent.popleft())
        return self._write(complete)

    def _follow_clock(self, fresh: bool) -> None:
        """Sound comes late by what waits in queues, which the clock must not follow; but it may be set, or drift."""
        began = datetime.now(UTC) - timedelta(seconds=self._end / SAMPLE_RATE)
        if fresh or abs(began - self._began) > _DRIFT:
            self._began = began

    def flush(self) -> list[Path]:
        """Writes what still waits for sound after it, with what there is: the source ends or has a gap."""
        return self._write(self._cut_all())

    def _cut_all(self) -> list[_Cut]:
        complete = [self._cut(pending) for pending in self._pending]
        self._pending.clear()
        return complete

    def _cut(self, pending: _Pending) -> _Cut:
        sound = np.concatenate([*self._recent, np.zeros(0, np.int16)])
        end = pending.end - self._start
        name = file_name(pending.moment, pending.event.word, pending.event.score)
        return self._folder / name, sound[max(end - _LENGTH, 0) : end]

    @staticmethod
    def _write(cuts: list[_Cut]) -> list[Path]:
        """Writes every one that can be written; only then raises the error of the last that cannot."""
        written, failure = [], None
        for path, sound in cuts:
            try:
                write_wav(path, sound)
            except KwsError as error:
                failure = error
            else:
                written.append(path)
        if failure is not None:
            raise failure
        return written


def file_name(moment: datetime, word: str, score: float) -> str:
    """Such as ``20260131T120000.250Z_yes_0.93.wav``; what no file's name may hold becomes a dash in the word."""
    stamp = moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
    word = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "-", word)
    return f"{stamp}Z_{word}_{score:.2f}.wav"
