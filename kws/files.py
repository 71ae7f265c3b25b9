"""Writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kws.errors import KwsError


def write_atomically(path: Path, data: bytes) -> None:
    """Writes ``data`` to ``path`` through a temporary file in the same folder, so that no reader sees half of it.

    Raises:
        KwsError: the folder is missing or cannot be written, or the disk is full; a previous file is then unchanged.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file beside ``path``, to be filled; it takes the place of ``path`` where nothing is raised.

    Raises:
        KwsError: the folder is missing or cannot be written, or the disk is full; a previous file is then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        raise KwsError(f"{path}: cannot be written ({error.strerror}); choose another place.") from error
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise KwsError(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another place."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
