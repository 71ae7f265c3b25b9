"""Epochs of augmented clips kept on the disk, for networks that are to see the same ones.

To mix and transform a batch takes longer than a small network takes to learn from it. Where many are trained on the
same draws, as by ``kws compare``, the first makes them and the others read them: the same numbers, to the bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

VERSION = 1
"""Part of every file's name: to be raised where the same settings come to make other clips."""

Batch = tuple[Tensor, Tensor, Tensor]
"""Features float32 [batch, n_mels, frames] in dB; labels and words' numbers, int64 [batch]."""


def _row(mels: int, frames: int) -> np.dtype:
    """A clip as a file has it."""
    return np.dtype([("features", "<f4", (mels, frames)), ("label", "<i8"), ("word", "<i8")])


class KeptEpochs:
    """A folder of epochs, a file each.

    Args:
        folder: made where there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def epoch(
        self, key: dict[str, Any], batch: int, steps: int, shape: tuple[int, int], made: Iterable[Batch]
    ) -> Iterator[Batch]:
        """The batches of ``made``: from the disk if it has them all, and else kept there once all have been drawn.

        Where the folder cannot be written to or the disk is full, they are drawn as if nothing were kept.

        Args:
            key: JSON-able, everything that the batches depend on but the versions of torch and numpy.
            batch: clips a batch.
            steps: batches.
            shape: mels and frames.
            made: drawn only where the disk does not have them.
        """
        whole = json.dumps([VERSION, torch.__version__, np.__version__, key], sort_keys=True)
        path = self.folder / f"{hashlib.sha256(whole.encode()).hexdigest()[:32]}.epoch"
        row = _row(*shape)
        if path.is_file() and path.stat().st_size == steps * batch * row.itemsize:
            yield from _read(path, batch, row)
        else:
            yield from self._kept(path, row, made)

    def _kept(self, path: Path, row: np.dtype, made: Iterable[Batch]) -> Iterator[Batch]:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = temporary.open("wb", buffering=0)
        except OSError:
            yield from made
            return
        try:
            for batch in made:
                if not file.closed and not _wrote(file, batch, row):
                    # The room is others' now, such as the checkpoint's.
                    file.close()
                    temporary.unlink()
                yield batch
            if not file.closed:
                with contextlib.suppress(OSError):
                    os.fsync(file.fileno())
                    os.replace(temporary, path)
        finally:
            file.close()
            temporary.unlink(missing_ok=True)


def _wrote(file: FileIO, batch: Batch, row: np.dtype) -> bool:
    """Appends a batch; whether there was room for all of it."""
    rows = np.empty(len(batch[0]), row)
    for name, values in zip(row.names or (), batch, strict=True):
        rows[name] = values.numpy()
    try:
        return file.write(rows.tobytes()) == rows.nbytes
    except OSError:
        return False


def _read(path: Path, batch: int, row: np.dtype) -> Iterator[Batch]:
    rows = np.memmap(path, row, "r")
    for start in range(0, len(rows), batch):
        features, labels, words = (
            torch.from_numpy(rows[name][start : start + batch].copy()) for name in row.names or ()
        )
        yield features, labels, words
