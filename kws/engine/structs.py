"""The structs of kws.h for ctypes, and a model laid out in them over numpy buffers.

Field order, types and names are those of the header; tests/test_abi.py proves that both compilers' views agree.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_float, c_int8, c_int16, c_int32, c_uint16, c_uint32, c_uint64
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kws.features import tables
from kws.model.folded import FoldedModel
from kws.model.pack import ALIGN, ENGINE_VERSION, packed_arrays

SAMPLES_PER_EVENT = 64
"""Feeding n samples returns at most ``n // SAMPLES_PER_EVENT + 1`` events (KWS_EVENT_CAPACITY)."""


class Frontend(Structure):
    """kws_frontend_t"""

    _fields_ = [
        ("sample_rate", c_int32),
        ("n_fft", c_int32),
        ("hop", c_int32),
        ("n_mels", c_int32),
        ("frames", c_int32),
        ("offset", c_float),
        ("scale", c_float),
        ("window", POINTER(c_float)),
        ("twiddle", POINTER(c_float)),
        ("mel_first", POINTER(c_uint16)),
        ("mel_count", POINTER(c_uint16)),
        ("mel_weight", POINTER(c_float)),
    ]


class Block(Structure):
    """kws_block_t"""

    _fields_ = [
        ("memory_weight", POINTER(c_uint64)),
        ("expand_weight", POINTER(c_uint64)),
        ("project_weight", POINTER(c_uint64)),
        ("memory_input", POINTER(c_int16)),
        ("memory_slope", POINTER(c_int16)),
        ("expand_input", POINTER(c_int16)),
        ("project_slope", POINTER(c_int16)),
    ]


class Pass(Structure):
    """kws_pass_t"""

    _fields_ = [
        ("block", POINTER(Block)),
        ("memory_scale", POINTER(c_int16)),
        ("memory_bias", POINTER(c_int16)),
        ("expand_below", POINTER(c_int16)),
        ("expand_flip", POINTER(c_uint64)),
        ("project_scale", POINTER(c_int16)),
        ("project_bias", POINTER(c_int16)),
    ]


class Depth(Structure):
    """kws_depth_t"""

    _fields_ = [
        ("delta", c_int32),
        ("n_passes", c_int32),
        ("passes", POINTER(Pass)),
        ("class_scale", POINTER(c_float)),
        ("class_bias", POINTER(c_float)),
    ]


class Model(Structure):
    """kws_model_t"""

    _fields_ = [
        ("version", c_uint32),
        ("planes", c_int32),
        ("channels", c_int32),
        ("hidden", c_int32),
        ("n_blocks", c_int32),
        ("n_depths", c_int32),
        ("n_classes", c_int32),
        ("n_words", c_int32),
        ("hop_frames", c_int32),
        ("smoothing", c_int32),
        ("refractory", c_int32),
        ("release", c_float),
        ("gate", c_float),
        ("wake", c_float),
        ("listen_delta", c_int32),
        ("frontend", POINTER(Frontend)),
        ("blocks", POINTER(Block)),
        ("depths", POINTER(Depth)),
        ("class_names", POINTER(c_char_p)),
        ("word_threshold", POINTER(c_float)),
        ("conv1_weight", POINTER(c_int8)),
        ("conv1_threshold", POINTER(c_int16)),
        ("conv2_weight", POINTER(c_uint16)),
        ("conv2_below", POINTER(c_int16)),
        ("linear_weight", POINTER(c_uint64)),
        ("linear_scale", POINTER(c_int16)),
        ("linear_bias", POINTER(c_int16)),
        ("linear_slope", POINTER(c_int16)),
        ("class_weight", POINTER(c_int8)),
    ]


class Event(Structure):
    """kws_event_t"""

    _fields_ = [
        ("sample", c_uint64),
        ("word", c_int32),
        ("delta", c_int32),
        ("score", c_float),
    ]


C_NAMES: dict[str, type[Structure]] = {
    "kws_frontend_t": Frontend,
    "kws_block_t": Block,
    "kws_pass_t": Pass,
    "kws_depth_t": Depth,
    "kws_model_t": Model,
    "kws_event_t": Event,
}
"""The mirrored structs by their names in kws.h."""


def aligned_bytes(size: int) -> NDArray[np.uint8]:
    """``size`` zero bytes that start at a multiple of ``ALIGN``."""
    memory = np.zeros(size + ALIGN, np.uint8)
    start = -memory.ctypes.data % ALIGN
    return memory[start : start + size]


class ModelView:
    """A folded model as a ``kws_model_t`` that C may read for as long as this object lives.

    Attributes:
        struct: the kws_model_t.
        arrays: the packed arrays behind it by name, each ``ALIGN``-aligned.
    """

    def __init__(self, model: FoldedModel, version: int = ENGINE_VERSION) -> None:
        """Lays out ``model``, which must have passed ``FoldedModel.validate``."""
        self.arrays = {name: _aligned(array) for name, array in packed_arrays(model).items()}
        self._tables = {name: _aligned(array) for name, array in vars(tables(model.preset)).items()}
        preset = model.preset
        self._frontend = Frontend(
            sample_rate=preset.sample_rate,
            n_fft=preset.n_fft,
            hop=preset.hop,
            n_mels=preset.n_mels,
            frames=preset.frames,
            offset=preset.offset,
            scale=preset.steps_per_db,
        )
        _point(self._frontend, self._tables, "")
        self._blocks = (Block * len(model.blocks))()
        for index, block in enumerate(self._blocks):
            _point(block, self.arrays, f"block{index}_")
        self._depths = (Depth * len(model.depths))()
        self._passes = []
        for struct, depth in zip(self._depths, model.depths, strict=True):
            passes = (Pass * len(depth.passes))()
            for index, one in enumerate(depth.passes):
                passes[index].block = ctypes.pointer(self._blocks[one.block])
                _point(passes[index], self.arrays, f"pass_d{depth.delta}_{index}_")
            self._passes.append(passes)
            struct.delta, struct.n_passes = depth.delta, len(depth.passes)
            struct.passes = ctypes.cast(passes, POINTER(Pass))
            _point(struct, self.arrays, f"depth_d{depth.delta}_")
        self._names = (c_char_p * model.n_classes)(*(name.encode() for name in model.class_names))
        self.struct = Model(
            version=version,
            planes=model.planes,
            channels=model.channels,
            hidden=model.hidden,
            n_blocks=len(model.blocks),
            n_depths=len(model.depths),
            n_classes=model.n_classes,
            n_words=model.n_words,
            hop_frames=model.hop_frames,
            smoothing=model.smoothing,
            refractory=model.refractory,
            release=model.release,
            gate=model.gate,
            wake=model.wake,
            listen_delta=model.listen_delta,
            frontend=ctypes.pointer(self._frontend),
            blocks=ctypes.cast(self._blocks, POINTER(Block)),
            depths=ctypes.cast(self._depths, POINTER(Depth)),
            class_names=ctypes.cast(self._names, POINTER(c_char_p)),
        )
        _point(self.struct, self.arrays, "")


def _aligned(array: NDArray[Any]) -> NDArray[Any]:
    copy = aligned_bytes(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _point(struct: Structure, arrays: dict[str, NDArray[Any]], prefix: str) -> None:
    """Sets every pointer field of ``struct`` that ``arrays`` holds an array for, under ``prefix`` + field name."""
    for field in struct._fields_:
        name, kind = field[0], cast(Any, field[1])
        array = arrays.get(prefix + name)
        if array is not None:
            setattr(struct, name, array.ctypes.data_as(kind))
