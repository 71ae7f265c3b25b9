"""Checkpoints: written whole or not at all, checked before they are believed."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from kws.errors import KwsError
from kws.files import write_atomically

FORMAT, VERSION = "kws-checkpoint", 1


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save(path: Path, content: dict[str, Any]) -> None:
    """Writes ``content``: tensors, numbers, strings, containers of them.

    The file appears under its name only once it is complete and on disk: a full disk or a power cut leaves the previous
    one as it was.

    Raises:
        KwsError: the file cannot be written.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "version": VERSION, **content}, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """Reads what ``save`` wrote; tensors on the CPU, no code is run.

    Raises:
        KwsError: no such file, damaged, not a checkpoint, or of another version.
    """
    if not path.is_file():
        raise KwsError(f"{path}: no such checkpoint; give a run folder or a checkpoint file.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files, none of which names the file
        raise KwsError(
            f"{path}: not a readable checkpoint, truncated or damaged; use another or train again."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise KwsError(f"{path}: not a kws checkpoint; give a file that `kws train` wrote.")
    if content.get("version") != VERSION:
        raise KwsError(
            f"{path}: checkpoint version {content.get('version')}, this kws reads {VERSION}; "
            "use the kws that wrote it or train again."
        )
    return content
