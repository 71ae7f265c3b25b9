"""Single keys from a terminal, and a terminal that is put back as it was."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

_ARROWS = {"\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down"}


class Keys:
    """A context in which the terminal on stdin delivers each key at once and shows none; elsewhere there are none.

    Ctrl-C works as ever. Ctrl-Z does nothing: it would leave the page's screen to the shell.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._before: Any = None

    def __enter__(self) -> Self:
        try:
            descriptor = sys.stdin.fileno()
            if os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp():
                self._enter(descriptor)
        except (AttributeError, ImportError, OSError, ValueError):
            pass  # no stdin, one without a descriptor, or a system without terminals
        return self

    def _enter(self, descriptor: int) -> None:
        import termios

        before = termios.tcgetattr(descriptor)
        now = termios.tcgetattr(descriptor)
        now[3] &= ~(termios.ICANON | termios.ECHO)
        now[6][termios.VMIN], now[6][termios.VTIME] = 1, 0
        now[6][termios.VSUSP] = os.fpathconf(descriptor, "PC_VDISABLE").to_bytes(1, sys.byteorder)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, now)
        self._descriptor, self._before = descriptor, before

    def __exit__(self, *error: object) -> None:
        if self._descriptor is not None:
            import termios

            # Keys that nobody read would go to the shell.
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._before)
            self._descriptor = None

    def read(self) -> list[str]:
        """Keys pressed since the last call, never waiting: characters, "up" and "down"."""
        if self._descriptor is None or not select.select([self._descriptor], [], [], 0.0)[0]:
            return []
        text = os.read(self._descriptor, 256).decode(errors="ignore")
        if not text:  # the terminal has gone
            self._descriptor = None
        return split(text)


def split(text: str) -> list[str]:
    """The keys in what a terminal sent; other escape sequences are left out."""
    keys, at = [], 0
    while at < len(text):
        if text[at] != "\x1b":
            keys.append(text[at])
            at += 1
            continue
        # CSI and SS3: up to a letter or ~ ; any other escape stands alone or with one character.
        end = at + 1
        if text[end : end + 1] in ("[", "O"):
            end += 1
            while end < len(text) and not (text[end].isalpha() or text[end] == "~"):
                end += 1
        arrow = _ARROWS.get(text[at : end + 1])
        keys += [arrow] if arrow else []
        at = end + 1
    return keys


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP, which would end the process on the spot, leave through every ``finally``."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {}
    try:
        for name in names:
            number = getattr(signal, name)
            # One that is ignored, as nohup does, stays so. Only the main thread may set any.
            if signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, leave)
    except ValueError:
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Sends what the process's C libraries, such as ALSA's, and its children print to nowhere meanwhile."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
