"""Writes an image to a card and reads it back."""

from __future__ import annotations

import os
from collections.abc import Callable
from mmap import mmap
from pathlib import Path

from kws.board.disks import Disk, Machine
from kws.errors import KwsError

CHUNK = 1 << 20
"""Bytes written at once; the first chunk holds the partition table and is written last."""

Progress = Callable[[str, int, int], None]
"""Called with the stage ("writing", "checking"), bytes done, and bytes in all."""


def choose(machine: Machine, name: str, needed: int) -> Disk:
    """The disk called ``name`` ("sdb" or "/dev/sdb"), if ``needed`` bytes may be written to it.

    Raises:
        KwsError: there is no such disk, or it must not be written to.
    """
    disks = machine.disks()
    for disk in disks:
        if disk.name == name.removeprefix("/dev/"):
            refusal = disk.refusal(needed)
            if refusal is not None:
                raise KwsError(f"{disk.name} ({disk.model}) {refusal}.")
            return disk
    names = ", ".join(disk.name for disk in disks if disk.removable) or "no card"
    raise KwsError(f"{name}: there is no such disk; this machine has {names}.")


def write(machine: Machine, disk: Disk, image: bytes | mmap, progress: Progress) -> None:
    """Writes ``image`` to ``disk`` and compares what the card then gives.

    The partition table goes last: what an interruption leaves is an empty card and not half a system.

    Raises:
        KwsError: the disk is another one by now or must not be written to, the card went away or fails, or it gives
            back other bytes.
    """
    if choose(machine, disk.name, len(image)) != disk:
        raise KwsError(f"{disk.name} is another disk than the one that was chosen; run the command again.")
    path = machine.dev / disk.name
    try:
        handle = os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)  # refused by the kernel while it is mounted
    except OSError as error:
        remedy = "run the command as root" if isinstance(error, PermissionError) else "plug the card in again"
        raise KwsError(f"{path}: cannot be opened ({error.strerror}); {remedy}.") from error
    try:
        _write(handle, image, progress)
        _check(handle, path, image, progress)
    except OSError as error:
        raise KwsError(
            f"{path}: the card went away or failed ({error.strerror}); it holds no complete system. "
            "Plug it in again, or take another, and run the command again."
        ) from error
    finally:
        os.close(handle)


def _write(handle: int, image: bytes | mmap, progress: Progress) -> None:
    starts = [*range(CHUNK, len(image), CHUNK), 0]
    _put(handle, bytes(min(CHUNK, len(image))), 0)
    os.fsync(handle)
    for done, start in enumerate(starts):
        progress("writing", done * CHUNK, len(image))
        if start == 0:
            os.fsync(handle)
        _put(handle, image[start : start + CHUNK], start)
    os.fsync(handle)
    progress("writing", len(image), len(image))


def _put(handle: int, data: bytes, start: int) -> None:
    while data:
        written = os.pwrite(handle, data, start)
        data, start = data[written:], start + written


def _check(handle: int, path: Path, image: bytes | mmap, progress: Progress) -> None:
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)  # from the card and not from memory
    for start in range(0, len(image), CHUNK):
        progress("checking", start, len(image))
        if os.pread(handle, CHUNK, start)[: len(image) - start] != image[start : start + CHUNK]:
            raise KwsError(f"{path}: gives back other bytes than were written near {start:,}; the card is worn out.")
    progress("checking", len(image), len(image))
