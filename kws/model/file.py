"""The model file (``.kws``): a folded model, packed as the engine reads it. docs/model-file.md describes the format.

Reading trusts nothing: magic, versions, sizes, hash, the table of arrays, and finally every field of the model are
checked, and whatever is wrong becomes one sentence.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.errors import KwsError
from kws.features import Preset
from kws.files import write_atomically
from kws.model.folded import MAX_BLOCKS, MAX_CLASSES, MAX_PLANES, FoldedModel
from kws.model.pack import ALIGN, ENGINE_VERSION, Shapes, Slot, packed_arrays, padded, slots, unpack

MAGIC = b"KWSMODEL"
FORMAT_VERSION = 4
MAX_BYTES = 64 * 2**20
"""Larger files are refused unread; a model for a thousand classes takes about 1 MB."""

_HEAD = struct.Struct("<8sIIQ")  # magic, format version, engine version, bytes of JSON
_HASH_BYTES = 32
_STREAM = ("hop_frames", "smoothing", "refractory", "release", "gate", "wake", "listen_delta")
_SETTINGS = ("name", "class_names", "n_words", "planes", "channels", "hidden", *_STREAM)
_NOTES = ("stream_bits", "checkpoint_sha256", "provenance")


def save(model: FoldedModel, path: str | Path) -> None:
    """Writes ``model`` to ``path``, whole or not at all: a failure leaves a previous file as it was.

    Raises:
        KwsError: an invalid model, a file there that is no model, or a folder that cannot be written (missing,
            read-only, disk full).
    """
    path, content = Path(path), to_bytes(model)
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(MAGIC)) not in (MAGIC, b""):
                raise KwsError(f"{path}: holds something that is no model; choose another name, or remove it.")
    write_atomically(path, content)


def load(path: str | Path) -> FoldedModel:
    """Reads and checks a model file.

    Raises:
        KwsError: missing, unreadable, not a model, another version, or damaged.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise KwsError(f"{path}: is larger than any model ({MAX_BYTES // 2**20} MB); give a .kws model file.")
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise KwsError(f"{path}: is a folder; give the .kws model file in it.") from error
    except OSError as error:
        raise KwsError(f"{path}: cannot be read ({error.strerror}); give a .kws model file.") from error
    return from_bytes(data, str(path))


def to_bytes(model: FoldedModel) -> bytes:
    """The file's content; the same model always gives the same bytes. Raises KwsError for an invalid model."""
    model.validate()
    table, offset, chunks = [], 0, []
    for slot, array in zip(slots(Shapes.of(model)), packed_arrays(model).values(), strict=True):
        table.append({"name": slot.name, "dtype": slot.dtype.name, "shape": list(array.shape), "offset": offset})
        chunk = array.astype(array.dtype.newbyteorder("<")).tobytes()
        chunks.append(chunk.ljust(slot.padded_nbytes, b"\0"))
        offset += slot.padded_nbytes
    meta = {
        **{key: getattr(model, key) for key in _SETTINGS},
        "preset": asdict(model.preset),
        "n_blocks": len(model.blocks),
        "depths": [{"delta": depth.delta, "blocks": [one.block for one in depth.passes]} for depth in model.depths],
        **{key: getattr(model, key) for key in _NOTES},
        "arrays": table,
    }
    text = json.dumps(meta, allow_nan=False).encode()
    head = _HEAD.pack(MAGIC, FORMAT_VERSION, ENGINE_VERSION, len(text)) + text
    body = head.ljust(padded(len(head)), b"\0") + b"".join(chunks)
    return body + hashlib.sha256(body).digest()


def from_bytes(data: bytes, name: str) -> FoldedModel:
    """The model in a file's content; ``name`` stands for the file in messages.

    Raises:
        KwsError: not a model, another version, or damaged.
    """
    if len(data) < _HEAD.size + _HASH_BYTES or not data.startswith(MAGIC):
        fault = "is empty" if not data else "is not a kws model"
        raise KwsError(f"{name}: {fault}; give a .kws file that `kws train` wrote.")
    _, format_version, engine_version, text_bytes = _HEAD.unpack_from(data)
    if (format_version, engine_version) != (FORMAT_VERSION, ENGINE_VERSION):
        raise KwsError(
            f"{name}: was made for engine {engine_version} (file format {format_version}) but this kws has engine "
            f"{ENGINE_VERSION} (file format {FORMAT_VERSION}); train it again with `kws train`, or use the kws that "
            "wrote it."
        )
    body = memoryview(data)[:-_HASH_BYTES]
    if hashlib.sha256(body).digest() != data[-_HASH_BYTES:]:
        raise KwsError(f"{name}: is damaged (its SHA-256 does not match); copy or export it again.")
    try:
        return _decode(body, text_bytes)
    except _Malformed as error:
        raise KwsError(f"{name}: is malformed ({error}); export it again.") from error
    except KwsError as error:
        raise KwsError(f"{name}: {error}") from error


class _Malformed(Exception):
    """What is wrong with a file whose hash is right: a writer's fault, or malice."""


def _decode(body: memoryview, text_bytes: int) -> FoldedModel:
    if text_bytes > len(body) - _HEAD.size:
        raise _Malformed("its description is longer than the file")
    try:
        meta = json.loads(bytes(body[_HEAD.size : _HEAD.size + text_bytes]).decode())
    except (ValueError, RecursionError) as error:
        raise _Malformed("its description is not JSON") from error
    start = padded(_HEAD.size + text_bytes)
    try:
        shapes = _shapes(meta)
        settings = {key: meta[key] for key in (*_SETTINGS, *_NOTES)}
        table = meta["arrays"]
    except (KeyError, TypeError, AttributeError) as error:
        raise _Malformed(f"its description lacks something: {error}") from error
    arrays = _arrays(body[start:], table, list(slots(shapes)))
    model = FoldedModel(preset=shapes.preset, **settings, **unpack(shapes, arrays))
    model.validate()
    return model


def _shapes(meta: dict[str, Any]) -> Shapes:
    """The model's shapes, with every number bounded before anything is made of it."""
    preset_fields = {field.name for field in fields(Preset)}
    if set(meta["preset"]) != preset_fields:
        raise _Malformed("its preset has other fields than " + ", ".join(sorted(preset_fields)))
    preset = Preset(**meta["preset"])
    if not isinstance(meta["class_names"], list):
        raise _Malformed("its class_names is no list")
    depths = tuple((depth["delta"], tuple(depth["blocks"])) for depth in meta["depths"])
    shapes = Shapes(
        preset,
        meta["planes"],
        meta["channels"],
        meta["hidden"],
        meta["n_blocks"],
        len(meta["class_names"]),
        meta["n_words"],
        depths,
    )
    if type(shapes.planes) is not int or not 1 <= shapes.planes <= MAX_PLANES:
        raise _Malformed("its inputs have neither one plane nor two")
    counts = [shapes.channels, shapes.hidden, preset.n_mels, preset.frames, shapes.n_words, shapes.n_classes]
    for delta, blocks in depths:
        counts += [delta, *(block + 1 if type(block) is int else block for block in blocks)]
    if not all(type(count) is int and 1 <= count <= MAX_CLASSES for count in counts):
        raise _Malformed("a size is not an integer in range")
    if type(shapes.n_blocks) is not int or not 1 <= shapes.n_blocks <= MAX_BLOCKS or len(depths) > MAX_BLOCKS:
        raise _Malformed("it has too many blocks or depths")
    if any(len(blocks) > shapes.n_blocks for _, blocks in depths):
        raise _Malformed("a depth runs more passes than there are blocks")
    if len({delta for delta, _ in depths}) != len(depths):
        raise _Malformed("a depth comes twice")
    if shapes.channels % 64 or shapes.hidden % 64 or preset.n_mels % 8 or preset.frames % 4:
        raise _Malformed("a size is not a multiple of what the engine needs")
    return shapes


def _arrays(blob: memoryview, table: object, expected: list[Slot]) -> dict[str, NDArray[Any]]:
    """The packed arrays by name, after checking that the table describes exactly the ``expected`` ones."""
    if not isinstance(table, list) or not all(isinstance(entry, dict) for entry in table):
        raise _Malformed("its table of arrays is no list of objects")
    if [entry.get("name") for entry in table] != [slot.name for slot in expected]:
        raise _Malformed("its arrays are not those of its shapes")
    arrays, end = {}, 0
    for entry, slot in zip(table, expected, strict=True):
        if entry.get("dtype") != slot.dtype.name or entry.get("shape") != list(slot.packed_shape):
            raise _Malformed(f"{slot.name} is not {slot.dtype.name} of shape {list(slot.packed_shape)}")
        offset = entry.get("offset")
        # In storage order and not before the last one's end: so no two overlap.
        if type(offset) is not int or offset % ALIGN or not end <= offset <= len(blob) - slot.nbytes:
            raise _Malformed(f"{slot.name} lies outside the file, over another array or unaligned")
        stored = np.frombuffer(blob, slot.dtype.newbyteorder("<"), math.prod(slot.packed_shape), offset)
        arrays[slot.name] = stored.astype(slot.dtype)
        end = offset + slot.nbytes
    if len(blob) != padded(end):
        raise _Malformed("it has bytes after its last array")
    return arrays
