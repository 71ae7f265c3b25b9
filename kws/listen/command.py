"""A program that runs at every detection: no shell, one at a time, ended when it takes too long.

As ``kws-listener`` runs it on a device, firmware/boards/rpi/exec.c, with the same names in the environment.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from kws.errors import KwsError

if TYPE_CHECKING:
    from kws.engine import Event

LIMIT_SECONDS = 10.0
GRACE_SECONDS = 1.0
"""Between being told to end and being made to."""

_POLL_SECONDS = 0.01
_STDERR = 2


class Command:
    """Runs a command with KWS_WORD, KWS_SCORE, KWS_TIME and KWS_DEPTH in its environment.

    What it prints goes to stderr, so that the detections on stdout stay readable for other programs.
    """

    def __init__(self, line: str, limit_seconds: float = LIMIT_SECONDS) -> None:
        """Splits ``line`` as a shell would, but into words alone: nothing in it is expanded or run.

        Raises:
            KwsError: quotes that do not close, no such program, or a limit that is not a positive number.
        """
        try:
            self._argv = shlex.split(line)
        except ValueError as error:
            raise KwsError(f"--exec {line}: cannot be read ({error}); close every quote.") from error
        if not self._argv or shutil.which(self._argv[0]) is None:
            program = self._argv[0] if self._argv else line
            raise KwsError(f"--exec: there is no program '{program}' that can be run; give its path.")
        if not 0.0 < limit_seconds < float("inf"):
            raise KwsError(f"--exec-seconds {limit_seconds} is out of range; give a number above 0.")
        self._limit = limit_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = 0.0
        self._told = False
        self._out_of_reach = False

    def start(self, event: Event) -> list[str]:
        """Runs the command for ``event``, unless an earlier one still runs; returns what there is to say to people."""
        notes = self.tick()
        name = self._argv[0]
        if self._process is not None:
            return [*notes, f"{name} still runs: '{event.word}' is not passed on."]
        about = {
            "KWS_WORD": event.word,
            "KWS_SCORE": f"{event.score:.4f}",
            "KWS_TIME": f"{event.time:.3f}",
            "KWS_DEPTH": str(event.depth),
        }
        try:
            # In a session of its own: Ctrl-C does not reach it, and whatever it starts ends with it.
            self._process = subprocess.Popen(
                self._argv,
                env=os.environ | about,
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,
                start_new_session=True,
            )
        except OSError as error:
            return [*notes, f"{name} cannot be started: {error.strerror}."]
        self._deadline = time.monotonic() + self._limit
        self._told = self._out_of_reach = False
        return notes

    def tick(self) -> list[str]:
        """Buries the command that ended, or ends the one that takes too long; to be called often."""
        if self._process is None:
            return []
        name, status = self._argv[0], self._process.poll()
        if status is not None:
            self._process = None
            if status == 0 or self._told:
                return []
            how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
            return [f"{name} {how}."]
        if time.monotonic() < self._deadline:
            return []
        if self._out_of_reach:
            return []
        if not self._kill(signal.SIGKILL if self._told else signal.SIGTERM):
            self._told = self._out_of_reach = True
            return [f"{name} takes longer than {self._limit:g} s and runs as another user: it cannot be ended."]
        notes = [] if self._told else [f"{name} takes longer than {self._limit:g} s and is ended."]
        self._told = True
        self._deadline = time.monotonic() + GRACE_SECONDS
        return notes

    def finish(self) -> list[str]:
        """Waits until the last one has ended, no longer than its limit allows; interrupted, ends it at once."""
        notes: list[str] = []
        try:
            while self._process is not None and not self._out_of_reach:
                notes += self.tick()
                time.sleep(_POLL_SECONDS)
        except BaseException:
            self._kill(signal.SIGKILL)
            raise
        return notes

    def _kill(self, number: signal.Signals) -> bool:
        """Whether the command could be sent ``number``, or has ended meanwhile: that one is buried by the next tick."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                try:
                    os.killpg(self._process.pid, number)
                except PermissionError:
                    return False
        return True
