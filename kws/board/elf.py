"""What a program file is for: enough of an ELF header to refuse one that the device cannot run."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from kws.errors import KwsError

MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
"""Processor by ELF's ``e_machine``, as ``uname -m`` calls it."""

_PT_INTERP = 3


@dataclass(frozen=True)
class Program:
    """A Linux program.

    Attributes:
        machine: processor, as ``uname -m`` calls it.
        static: needs no loader and no library of the device.
    """

    machine: str
    static: bool


def read(path: Path) -> tuple[bytes, Program]:
    """The program in a file, and what it is for.

    Raises:
        KwsError: the file cannot be read, or as ``inspect`` does.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise KwsError(f"{path}: cannot be read ({error.strerror}); give a listener that kws build made.") from error
    return data, inspect(data, str(path))


def inspect(data: bytes, name: str) -> Program:
    """What the file ``data``, called ``name`` in messages, is for.

    Raises:
        KwsError: not a little-endian ELF program.
    """
    try:
        if data[:4] != b"\x7fELF" or data[4] not in (1, 2) or data[5] != 1:
            raise KwsError(f"{name}: is not a Linux program; build one with `kws build`.")
        wide = data[4] == 2
        machine = struct.unpack_from("<H", data, 18)[0]
        (offset,) = struct.unpack_from("<Q" if wide else "<I", data, 32 if wide else 28)
        size, count = struct.unpack_from("<HH", data, 54 if wide else 42)
        kinds = [struct.unpack_from("<I", data, offset + i * size)[0] for i in range(count)]
    except (struct.error, IndexError) as error:
        raise KwsError(f"{name}: is cut short; build it again with `kws build`.") from error
    return Program(MACHINES.get(machine, f"machine {machine}"), _PT_INTERP not in kinds)
