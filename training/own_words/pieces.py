"""A project's recordings, read into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kws.data.audio import read_audio
from kws.data.tasks import BACKGROUND_STRETCH, Clip
from kws.errors import KwsError
from kws.own_words.material import Material
from kws_training.composed.pieces import Pieces, piece_of

Progress = Callable[[Iterable, int, str], Iterable]
_WORKERS = 4


def read_pieces(material: Material, classes: tuple[str, ...], split: str, progress: Progress) -> Pieces:
    """Reads the clips of ``split``. What cannot be read or holds no sound is left out, with a reason."""
    skipped: dict[Path, str] = {}
    kinds = [material.takes[name] for name in classes] + [material.voices[name] for name in classes]
    kinds += [material.near, material.speech, material.false, material.running]
    chosen = [[clip for clip in clips if clip.split == split] for clips in kinds]
    flat = [clip for clips in chosen for clip in clips]
    with ThreadPoolExecutor(_WORKERS) as pool:
        read = list(progress(pool.map(_try_to_read, flat), len(flat), f"Reading {split} clips"))
    at = iter(read)
    sorted_out: list[list[NDArray[np.int16]]] = []
    for clips in chosen:
        kept = []
        for clip, result in zip(clips, at, strict=False):
            if isinstance(result, str):
                skipped[clip.path] = result
            else:
                kept.append(result)
        sorted_out.append(kept)
    *words, near, speech, false, running = sorted_out
    pieces = [[piece_of(pcm) for pcm in group] for group in (*words, near, speech, false)]
    count = len(classes)
    return Pieces(
        pieces[:count], pieces[count:-3], *pieces[-3:], running, _noise(material.backgrounds, split, skipped), skipped
    )


def _try_to_read(clip: Clip) -> NDArray[np.int16] | str:
    try:
        pcm = clip.read()
    except KwsError as error:
        return str(error)
    return pcm if pcm.any() else f"{clip.path}: digital silence; remove it or record it again."


def _noise(paths: list[Path], split: str, skipped: dict[Path, str]) -> NDArray[np.int16]:
    low, high = BACKGROUND_STRETCH[split]
    parts = []
    for path in paths:
        try:
            pcm = read_audio(path)
        except KwsError as error:
            skipped[path] = str(error)
            continue
        parts.append(pcm[int(low * len(pcm)) : int(high * len(pcm))])
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)
