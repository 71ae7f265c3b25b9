"""Writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from kws.errors import KwsError


def write_atomically(path: Path, data: bytes) -> None:
    """Writes ``data`` to ``path`` through a temporary file in the same folder, so that no reader sees half of it.

    Raises:
        KwsError: the folder is missing or cannot be written, or the disk is full; a previous file is then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise KwsError(f"{path}: cannot be written ({error.strerror}); choose another place.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise KwsError(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another place."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
