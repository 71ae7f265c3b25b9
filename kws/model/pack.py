"""Packing: the one place that turns a folded model into the arrays the C engine reads, and back.

Bits: 1 stands for +1 (or true) and 0 for -1 (or false); bit i of word j is element ``word_bits * j + i`` of the last
axis. The table of slots below lists every array once, in the order in which the header and the model file hold them;
the three writers (header, ctypes, file) all walk it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.features import Preset
from kws.model.folded import (
    CONV1_CHANNELS,
    CONV2_CHANNELS,
    KERNEL,
    TILE,
    FoldedBlock,
    FoldedDepth,
    FoldedModel,
    FoldedPass,
)

ENGINE_VERSION = 4
"""Of the kws.h whose fields these arrays are (KWS_ENGINE_VERSION)."""

ALIGN = 64
"""Bytes; every array starts at a multiple of it (KWS_ALIGN)."""

Array = NDArray[Any]


def padded(size: int) -> int:
    """``size`` bytes rounded up to a multiple of ``ALIGN``."""
    return -(-size // ALIGN) * ALIGN


@dataclass(frozen=True)
class Shapes:
    """What decides the slots of a model; everything else in a model is numbers inside them.

    Attributes:
        preset: features.
        planes, channels, hidden, n_blocks, n_classes, n_words: as in ``FoldedModel``.
        depths: (delta, block index of each pass) of every depth.
    """

    preset: Preset
    planes: int
    channels: int
    hidden: int
    n_blocks: int
    n_classes: int
    n_words: int
    depths: tuple[tuple[int, tuple[int, ...]], ...]

    @staticmethod
    def of(model: FoldedModel) -> Shapes:
        depths = tuple((depth.delta, tuple(one.block for one in depth.passes)) for depth in model.depths)
        return Shapes(
            preset=model.preset,
            planes=model.planes,
            channels=model.channels,
            hidden=model.hidden,
            n_blocks=len(model.blocks),
            n_classes=model.n_classes,
            n_words=model.n_words,
            depths=depths,
        )


@dataclass(frozen=True)
class Slot:
    """One packed array.

    Attributes:
        name: in the header and the file, such as ``block0_expand_weight`` or ``pass_d2_1_memory_scale``.
        part: heading of size tables that it counts under.
        path: where the unpacked array is in a ``FoldedModel``, such as ``("blocks", 0, "expand_weight")``.
        kind: "float32", "int16" or "int8", stored as they are; "signs" (+-1) or "flags" (bool), stored as bits;
            "steps", int8 [n, T, C] stored as [n, T / 8, C, 8]: eight steps side by side, zeros after the last.
        shape: of the unpacked array.
        word_bits: of one stored word where ``kind`` is "signs" or "flags".
    """

    name: str
    part: str
    path: tuple[str | int, ...]
    kind: str
    shape: tuple[int, ...]
    word_bits: int = 64

    @property
    def is_bits(self) -> bool:
        return self.kind in ("signs", "flags")

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored, native byte order."""
        if self.is_bits:
            return np.dtype(f"uint{self.word_bits}")
        return np.dtype("int8" if self.kind == "steps" else self.kind)

    @property
    def packed_shape(self) -> tuple[int, ...]:
        """As stored. A tap of 16 channels is one 16-bit word, so that axis vanishes."""
        if self.kind == "steps":
            count, steps, channels = self.shape
            return count, -(-steps // TILE), channels, TILE
        if not self.is_bits:
            return self.shape
        words = self.shape[-1] // self.word_bits
        return self.shape[:-1] if self.word_bits == 16 else (*self.shape[:-1], words)

    @property
    def nbytes(self) -> int:
        return math.prod(self.packed_shape) * self.dtype.itemsize

    @property
    def padded_nbytes(self) -> int:
        """Bytes up to the next multiple of ``ALIGN``, which is what the array takes in the header."""
        return padded(self.nbytes)

    def pack(self, array: Array) -> Array:
        """The stored form of ``array``, contiguous."""
        if self.kind == "steps":
            count, tiles, channels, _ = self.packed_shape
            whole = np.zeros((count, tiles * TILE, channels), self.dtype)
            whole[:, : self.shape[1]] = array
            return np.ascontiguousarray(whole.reshape(count, tiles, TILE, channels).swapaxes(2, 3))
        if not self.is_bits:
            return np.ascontiguousarray(array)
        octets = np.packbits(array > 0, axis=-1, bitorder="little")
        words = np.ascontiguousarray(octets).view(self.dtype.newbyteorder("<")).astype(self.dtype)
        return words.reshape(self.packed_shape)

    def unpack(self, packed: Array) -> Array:
        """The inverse of ``pack``; takes any array that holds the right number of elements."""
        if self.kind == "steps":
            count, tiles, channels, _ = self.packed_shape
            whole = packed.reshape(self.packed_shape).swapaxes(2, 3).reshape(count, tiles * TILE, channels)
            return np.ascontiguousarray(whole[:, : self.shape[1]])
        if not self.is_bits:
            return np.ascontiguousarray(packed.reshape(self.shape), dtype=self.dtype)
        octets = np.ascontiguousarray(packed.reshape(-1), dtype=self.dtype.newbyteorder("<")).view(np.uint8)
        bits = np.unpackbits(octets, bitorder="little").reshape(self.shape)
        return bits.astype(np.bool_) if self.kind == "flags" else (2 * bits.astype(np.int8) - 1).astype(np.int8)


def slots(shapes: Shapes) -> Iterator[Slot]:
    """Every array of a model of these shapes, in storage order."""
    channels, hidden, edges = shapes.channels, shapes.hidden, 2 * shapes.planes - 1
    shape: tuple[int, ...]
    taps, linear_inputs = KERNEL * KERNEL, CONV2_CHANNELS * shapes.preset.n_mels // 4
    yield Slot("word_threshold", "thresholds", ("word_threshold",), "float32", (len(shapes.depths), shapes.n_words))
    yield Slot("conv1_weight", "conv1", ("conv1_weight",), "int8", (taps, CONV1_CHANNELS))
    yield Slot("conv1_threshold", "conv1", ("conv1_threshold",), "int16", (edges, CONV1_CHANNELS))
    yield Slot("conv2_weight", "conv2", ("conv2_weight",), "signs", (CONV2_CHANNELS, taps, CONV1_CHANNELS), 16)
    yield Slot("conv2_below", "conv2", ("conv2_below",), "int16", (edges, CONV2_CHANNELS))
    yield Slot("linear_weight", "linear", ("linear_weight",), "signs", (channels, linear_inputs))
    for field in ("linear_scale", "linear_bias", "linear_slope"):
        yield Slot(field, "linear", (field,), "int16", (channels,))
    for index in range(shapes.n_blocks):
        for field, shape in (
            ("memory_weight", (KERNEL, channels)),
            ("expand_weight", (hidden, channels)),
            ("project_weight", (channels, hidden)),
        ):
            yield Slot(f"block{index}_{field}", "blocks", ("blocks", index, field), "signs", shape)
        for field, shape in (
            ("memory_input", (edges, channels)),
            ("memory_slope", (channels,)),
            ("expand_input", (edges, channels)),
            ("project_slope", (channels,)),
        ):
            yield Slot(f"block{index}_{field}", "blocks", ("blocks", index, field), "int16", shape)
    for number, (delta, blocks) in enumerate(shapes.depths):
        part = f"depth {delta}"
        for index in range(len(blocks)):
            for field, kind, shape in (
                ("memory_scale", "int16", (channels,)),
                ("memory_bias", "int16", (channels,)),
                ("expand_below", "int16", (edges, hidden)),
                ("expand_flip", "flags", (hidden,)),
                ("project_scale", "int16", (channels,)),
                ("project_bias", "int16", (channels,)),
            ):
                path = ("depths", number, "passes", index, field)
                yield Slot(f"pass_d{delta}_{index}_{field}", part, path, kind, shape)
        for field in ("class_scale", "class_bias"):
            yield Slot(f"depth_d{delta}_{field}", part, ("depths", number, field), "float32", (shapes.n_classes,))
    class_shape = (shapes.n_classes, shapes.preset.frames // 4, channels)
    yield Slot("class_weight", "classifier", ("class_weight",), "steps", class_shape)


def packed_arrays(model: FoldedModel) -> dict[str, Array]:
    """The arrays of kws.h by name, contiguous, in storage order: exactly the bytes that the C engine reads."""
    return {slot.name: slot.pack(_follow(model, slot.path)) for slot in slots(Shapes.of(model))}


def unpack(shapes: Shapes, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """The fields of a ``FoldedModel`` that hold arrays, from their packed form.

    Args:
        shapes: of the model.
        arrays: by slot name, each with the slot's number of elements.

    Returns:
        Keyword arguments for ``FoldedModel``: its arrays, ``blocks`` and ``depths``.
    """
    found = {slot.path: slot.unpack(arrays[slot.name]) for slot in slots(shapes)}

    def below(*prefix: str | int) -> dict[str, Array]:
        """The arrays whose path is ``prefix`` and a field name."""
        return {str(path[-1]): array for path, array in found.items() if path[:-1] == prefix}

    fields: dict[str, Any] = dict(below())
    fields["blocks"] = [FoldedBlock(**below("blocks", index)) for index in range(shapes.n_blocks)]
    fields["depths"] = [
        FoldedDepth(
            delta=delta,
            passes=[
                FoldedPass(block=block, **below("depths", number, "passes", index))
                for index, block in enumerate(blocks)
            ],
            **below("depths", number),
        )
        for number, (delta, blocks) in enumerate(shapes.depths)
    ]
    return fields


def _follow(model: FoldedModel, path: tuple[str | int, ...]) -> Array:
    value: Any = model
    for step in path:
        value = value[step] if isinstance(step, int) else getattr(value, step)
    array: Array = value
    return array
