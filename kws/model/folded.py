"""The folded model: what is left of a trained network once batch norms and scales are folded.

This is the meeting point of the weights' river: training folds a checkpoint into a ``FoldedModel``; packing, the model
file, the C header and the C engine all start from it. It knows nothing of either side. Arrays are plain numpy, one
number an element; binary weights are int8 arrays of +1 and -1 ("pm1" below).

Letters: C channels, H hidden channels, T = frames / 4 time steps, M = n_mels / 4 mel steps; d, how many inputs of a
binary layer differ from its weights. Taps of the convolutions are numbered ``5 * time + mel``.

Inputs have one plane of bits, or two, of which the first counts twice in d. E = 2 planes - 1 edges make them: the first
plane's, and then the second plane's where the first is 1, and where it is 0.

The residual stream x is int16 in units of ``2 ** -stream_bits``. kws.h has the arithmetic:
``value(d) = bias - mulr(d << shift, scale)``, slopes in 1/32768.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kws.errors import KwsError
from kws.features import Preset

KERNEL = 5
"""Taps of the convolutions, per side, and of the depthwise memory (KWS_KERNEL)."""
CONV1_CHANNELS = 16
CONV2_CHANNELS = 32
TILE = 8
"""Steps in time that the engine computes side by side."""

CONV1_HALF, CONV1_HALF_SUM = 13, 255
"""The first convolution's sum over the first 13 taps, and over the other 12, fits 16 bits each: 255 * 128 < 2**15."""
CONV1_ROUNDED = 246
"""Most that half a filter's weights may add up to before they are rounded, each by 1/2 at most: 246 + 13 / 2 < 255."""
CLASS_SHIFT = 6
"""The classifier reads the stream divided by 2**6, in 8 bits (KWSI_CLASS_SHIFT)."""
CLASS_GROUP_SUM = 255
"""Most that a class's weights of four channels, every second of eight, may add up to in magnitude at one step.

The engine sums their products in 16 bits: 255 * 128 < 2**15.
"""

# What the engine's shapes are limited to; kws.h states the same.
MAX_PLANES, MAX_CHANNELS, MAX_HIDDEN, MAX_SMOOTHING = 2, 256, 512, 16
MIN_FFT, MAX_FFT, MIN_HOP = 64, 4096, 64
# Generous limits that keep a hostile file from asking for absurd amounts of work or memory.
MAX_BLOCKS, MAX_CLASSES, MAX_NAME, MAX_MELS, MAX_FRAMES = 64, 1024, 100, 256, 1024

INT16_MAX = 32767


def full_count(inputs: int, planes: int) -> int:
    """The count d of a layer all of whose ``inputs`` differ: the first of two planes counts twice."""
    return inputs * (2 * planes - 1)


FloatArray = NDArray[np.float32]
SignArray = NDArray[np.int8]
"""int8, every element +1 or -1."""


@dataclass(eq=False)
class FoldedBlock:
    """One block's weights, shared by every depth that runs it.

    Attributes:
        memory_weight: pm1 [5, C], depthwise taps, oldest frame first.
        expand_weight: pm1 [H, C].
        project_weight: pm1 [C, H].
        memory_input: int16 [E, C], ``x >= memory_input`` feeds the memory.
        memory_slope: int16 [C], PReLU slope for negative values.
        expand_input: int16 [E, C], ``x >= expand_input`` feeds the expansion.
        project_slope: int16 [C].
    """

    memory_weight: SignArray
    expand_weight: SignArray
    project_weight: SignArray
    memory_input: NDArray[np.int16]
    memory_slope: NDArray[np.int16]
    expand_input: NDArray[np.int16]
    project_slope: NDArray[np.int16]


@dataclass(eq=False)
class FoldedPass:
    """One block as one depth runs it: that depth's batch norms and scales, folded.

    Attributes:
        block: index into ``FoldedModel.blocks``.
        memory_scale, memory_bias: int16 [C].
        expand_below: int16 [E, H]; ``bit = (d < below) ^ flip``.
        expand_flip: bool [H].
        project_scale, project_bias: int16 [C].
    """

    block: int
    memory_scale: NDArray[np.int16]
    memory_bias: NDArray[np.int16]
    expand_below: NDArray[np.int16]
    expand_flip: NDArray[np.bool_]
    project_scale: NDArray[np.int16]
    project_bias: NDArray[np.int16]


@dataclass(eq=False)
class FoldedDepth:
    """One depth of the thinnable network.

    Attributes:
        delta: 1 runs every block, 2 every second, 4 every fourth.
        passes: in order, block indices ascending.
        class_scale, class_bias: float32 [n_classes]; ``logit = scale * sum(class_weight * narrow(x)) + bias``,
            with ``narrow(x) = clip(floor(x / 64 + 1/2), -128, 127)``.
    """

    delta: int
    passes: list[FoldedPass]
    class_scale: FloatArray
    class_bias: FloatArray


@dataclass(eq=False)
class FoldedModel:
    """A whole model.

    Attributes:
        name: for people, such as "kws12"; one line, at most 100 characters.
        preset: the features that it was trained on.
        class_names: words first, then ``_unknown_`` and ``_silence_`` where the task has them.
        n_words: classes below this index are words and can make an event.
        planes: bits of every binary layer's input, 1 or 2.
        channels: C, a multiple of 64 up to 256.
        hidden: H, a multiple of 64 up to 512.
        blocks: in order.
        depths: deepest (smallest delta) first.
        conv1_weight: int8 [25, 16].
        conv1_threshold: int16 [E, 16]; ``bit = (sum >= threshold)``.
        conv2_weight: pm1 [32, 25, 16].
        conv2_below: int16 [E, 32]; ``bit = (d < below)``.
        linear_weight: pm1 [C, 32 * M], input 32 * mel + channel.
        linear_scale, linear_bias, linear_slope: int16 [C].
        class_weight: int8 [n_classes, T, C].
        word_threshold: float32 [n_depths, n_words], smoothed score that makes an event where the depth decides, >= 0;
            above 1 never fires.
        hop_frames: frames between classifications of a stream, 1 up to the window's frames.
        smoothing: classifications averaged, 1..16.
        refractory: samples after an event of a word in which that word cannot fire again.
        release: 0..1; a word is armed again once its score is below ``release * threshold``.
        gate: dBFS; a window whose loudest hop is below it counts as silence, unclassified; -100 or less: none does.
        wake: probability of a word at the listening depth that makes the deepest one run, >= 0.
        listen_delta: the thinner depth that listens for the deepest one (adaptive depth); 0: the deepest runs always.
        stream_bits: fraction bits of the residual stream; for people, the engine needs no unit.
        checkpoint_sha256: hex digest of the training checkpoint, or "".
        provenance: JSON-able notes: data, recipe, figures.
    """

    name: str
    preset: Preset
    class_names: list[str]
    n_words: int
    planes: int
    channels: int
    hidden: int
    blocks: list[FoldedBlock]
    depths: list[FoldedDepth]
    conv1_weight: NDArray[np.int8]
    conv1_threshold: NDArray[np.int16]
    conv2_weight: SignArray
    conv2_below: NDArray[np.int16]
    linear_weight: SignArray
    linear_scale: NDArray[np.int16]
    linear_bias: NDArray[np.int16]
    linear_slope: NDArray[np.int16]
    class_weight: NDArray[np.int8]
    word_threshold: FloatArray
    hop_frames: int = 4
    smoothing: int = 3
    refractory: int = 16000
    release: float = 0.5
    gate: float = -100.0
    wake: float = 0.25
    listen_delta: int = 0
    stream_bits: int = 9
    checkpoint_sha256: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def edges(self) -> int:
        """E, the thresholds that make the planes of an input."""
        return 2 * self.planes - 1

    @property
    def n_classes(self) -> int:
        return len(self.class_names)

    @property
    def deltas(self) -> list[int]:
        """The depths that this model can run at, deepest first."""
        return [depth.delta for depth in self.depths]

    @property
    def time_steps(self) -> int:
        """T, the time steps that the blocks see."""
        return self.preset.frames // 4

    @property
    def mel_steps(self) -> int:
        """M, the mel steps that the linear layer sees."""
        return self.preset.n_mels // 4

    def validate(self) -> None:
        """Checks every field against what the C engine runs.

        Raises:
            KwsError: names the first field whose type, shape, range or value is wrong.
        """
        _check_preset(self.preset)
        _check_settings(self)
        n_classes, channels, edges, full = self.n_classes, self.channels, self.edges, full_count(1, self.planes)
        _array("conv1_weight", self.conv1_weight, np.int8, (KERNEL * KERNEL, CONV1_CHANNELS))
        for half in (self.conv1_weight[:CONV1_HALF], self.conv1_weight[CONV1_HALF:]):
            _limited_sum("conv1_weight", half, 0, CONV1_HALF_SUM)
        _numbers("conv1_threshold", self.conv1_threshold, (edges, CONV1_CHANNELS), -INT16_MAX)
        _signs("conv2_weight", self.conv2_weight, (CONV2_CHANNELS, KERNEL * KERNEL, CONV1_CHANNELS))
        _counts("conv2_below", self.conv2_below, (edges, CONV2_CHANNELS), full * KERNEL * KERNEL * CONV1_CHANNELS)
        _signs("linear_weight", self.linear_weight, (channels, CONV2_CHANNELS * self.mel_steps))
        _numbers("linear_bias", self.linear_bias, (channels,))
        for name in ("linear_scale", "linear_slope"):
            _numbers(name, getattr(self, name), (channels,), -INT16_MAX)
        _array("class_weight", self.class_weight, np.int8, (n_classes, self.time_steps, channels))
        _limited_sum("class_weight", class_groups(self.class_weight), 3, CLASS_GROUP_SUM)
        _check_blocks(self)
        _check_depths(self)
        _check_decision(self)


def _wrong(name: str, fault: str, rule: str) -> KwsError:
    return KwsError(f"Bad model: {name} {fault}; {rule}.")


def _integer(name: str, value: object, low: int, high: int, multiple: int = 1) -> None:
    if type(value) is not int or not low <= value <= high or value % multiple:
        step = f", a multiple of {multiple}" if multiple > 1 else ""
        raise _wrong(name, f"is {_short(value)}", f"expected an integer in {low}..{high}{step}")


def _short(value: object) -> str:
    """``value`` for a one-line message."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a nested list
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _array(name: str, value: object, dtype: DTypeLike, shape: tuple[int, ...]) -> None:
    expected = f"expected {np.dtype(dtype)} of shape {list(shape)}"
    if not isinstance(value, np.ndarray):
        raise _wrong(name, f"is a {type(value).__name__}", expected)
    if value.dtype != np.dtype(dtype) or value.shape != shape:
        raise _wrong(name, f"is {value.dtype} of shape {list(value.shape)}", expected)


def _floats(name: str, value: FloatArray, shape: tuple[int, ...]) -> None:
    _array(name, value, np.float32, shape)
    if not np.all(np.isfinite(value)):
        raise _wrong(name, "holds a value that is not finite", "every value must be a finite number")


def _numbers(name: str, value: NDArray[np.int16], shape: tuple[int, ...], least: int = -INT16_MAX - 1) -> None:
    _array(name, value, np.int16, shape)
    if np.any(value < least):
        raise _wrong(name, f"holds {value.min()}", f"every value must be at least {least}")


def _counts(name: str, value: NDArray[np.int16], shape: tuple[int, ...], inputs: int) -> None:
    """Limits on a count that goes up to ``inputs``."""
    _array(name, value, np.int16, shape)
    if np.any((value < 0) | (value > inputs + 1)):
        raise _wrong(name, "holds a count out of range", f"every value lies in 0..{inputs + 1}")


def class_groups(weight: NDArray[Any]) -> NDArray[Any]:
    """[n_classes, T, C] as [n_classes, T, C / 8, 4, 2]: the engine adds the products along axis 3 in 16 bits."""
    n_classes, steps, channels = weight.shape
    return weight.reshape(n_classes, steps, channels // 8, 4, 2)


def _limited_sum(name: str, value: NDArray[np.int8], axis: int | tuple[int, ...], most: int) -> None:
    largest = np.abs(value.astype(np.int64)).sum(axis).max()
    if largest > most:
        raise _wrong(name, f"holds magnitudes that add up to {largest}", f"the engine's sums hold {most}")


def _signs(name: str, value: SignArray, shape: tuple[int, ...]) -> None:
    _array(name, value, np.int8, shape)
    if not np.all((value == 1) | (value == -1)):
        raise _wrong(name, "holds a value other than +1 and -1", "binary weights have no other value")


def require_names(name: str, class_names: Sequence[str]) -> None:
    """Raises KwsError where a model cannot be called ``name``, or its classes as they are."""
    _line("name", name)
    for one in class_names:
        _line("class_names", one)


def _line(name: str, value: object) -> None:
    """One printable line of text that a C string can hold."""
    fault = ""
    if not isinstance(value, str) or not value:
        fault = f"is {_short(value)}"
    elif len(value) > MAX_NAME:
        fault = f"is {len(value)} characters long"
    elif any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000 for char in value):
        fault = f"is {_short(value)} and holds a control character"
    if fault:
        raise _wrong(name, fault, f"expected one line of 1 to {MAX_NAME} characters")


def _check_preset(preset: Preset) -> None:
    if not isinstance(preset, Preset):
        raise _wrong("preset", f"is a {type(preset).__name__}", "expected a kws.features.Preset")
    if not isinstance(preset.name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{1,31}", preset.name):
        rule = "use 2 to 32 lower-case letters, digits and underscores"
        raise _wrong("preset.name", f"is {_short(preset.name)}", rule)
    _integer("preset.sample_rate", preset.sample_rate, 4000, 192000)
    _integer("preset.n_fft", preset.n_fft, MIN_FFT, MAX_FFT)
    if preset.n_fft & (preset.n_fft - 1):
        raise _wrong("preset.n_fft", f"is {preset.n_fft}", "it must be a power of two")
    _integer("preset.hop", preset.hop, MIN_HOP, preset.n_fft)
    # Two mel steps fill one 64-bit word of the linear layer's weights, hence 8 rather than 4.
    _integer("preset.n_mels", preset.n_mels, 8, MAX_MELS, 8)
    _integer("preset.frames", preset.frames, 4, MAX_FRAMES, 4)
    for name in ("offset", "scale"):
        value = getattr(preset, name)
        if type(value) not in (int, float) or not abs(value) < 1e6:
            raise _wrong(f"preset.{name}", f"is {_short(value)}", "expected a finite number")


def _check_settings(model: FoldedModel) -> None:
    _line("name", model.name)
    if not isinstance(model.class_names, list) or not 1 <= len(model.class_names) <= MAX_CLASSES:
        raise _wrong("class_names", f"is {_short(model.class_names)}", f"expected a list of 1 to {MAX_CLASSES} names")
    for index, name in enumerate(model.class_names):
        _line(f"class_names[{index}]", name)
    if len(set(model.class_names)) != len(model.class_names):
        raise _wrong("class_names", "holds a name twice", "every class needs a name of its own")
    _integer("n_words", model.n_words, 1, model.n_classes)
    _integer("planes", model.planes, 1, MAX_PLANES)
    _integer("channels", model.channels, 64, MAX_CHANNELS, 64)
    _integer("hidden", model.hidden, 64, MAX_HIDDEN, 64)
    _integer("hop_frames", model.hop_frames, 1, model.preset.frames)
    _integer("smoothing", model.smoothing, 1, MAX_SMOOTHING)
    _integer("refractory", model.refractory, 0, 2**31 - 1)
    _integer("stream_bits", model.stream_bits, 0, 15)
    if not isinstance(model.checkpoint_sha256, str) or not re.fullmatch("[0-9a-f]{64}|", model.checkpoint_sha256):
        raise _wrong("checkpoint_sha256", f"is {_short(model.checkpoint_sha256)}", "expected 64 hex digits or nothing")
    if not isinstance(model.provenance, dict):
        raise _wrong("provenance", f"is {_short(model.provenance)}", "expected a dict")
    try:
        json.dumps(model.provenance, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _wrong("provenance", f"cannot be written as JSON ({error})", "keep to text, numbers and lists") from error


def _number(name: str, value: object, low: float, high: float) -> None:
    if type(value) not in (int, float) or not low <= cast(float, value) <= high:
        raise _wrong(name, f"is {_short(value)}", f"expected a number in {low:g}..{high:g}")


def _check_decision(model: FoldedModel) -> None:
    _floats("word_threshold", model.word_threshold, (len(model.depths), model.n_words))
    if np.any(model.word_threshold < 0):
        raise _wrong("word_threshold", "holds a negative value", "scores lie in 0..1")
    _number("release", model.release, 0.0, 1.0)
    _number("gate", model.gate, -1000.0, 1000.0)
    _number("wake", model.wake, 0.0, 1000.0)
    thinner = model.deltas[1:]
    if type(model.listen_delta) is not int or model.listen_delta not in (0, *thinner):
        rule = f"expected one of {', '.join(map(str, thinner))}, or 0 for none" if thinner else "expected 0"
        raise _wrong("listen_delta", f"is {_short(model.listen_delta)}", rule)


def _check_blocks(model: FoldedModel) -> None:
    channels, hidden = model.channels, model.hidden
    if not isinstance(model.blocks, list) or not 1 <= len(model.blocks) <= MAX_BLOCKS:
        raise _wrong("blocks", f"is {_short(model.blocks)}", f"expected a list of 1 to {MAX_BLOCKS} blocks")
    for index, block in enumerate(model.blocks):
        where = f"blocks[{index}]"
        _signs(f"{where}.memory_weight", block.memory_weight, (KERNEL, channels))
        _signs(f"{where}.expand_weight", block.expand_weight, (hidden, channels))
        _signs(f"{where}.project_weight", block.project_weight, (channels, hidden))
        for name in ("memory_input", "expand_input"):
            _numbers(f"{where}.{name}", getattr(block, name), (model.edges, channels))
        for name in ("memory_slope", "project_slope"):
            _numbers(f"{where}.{name}", getattr(block, name), (channels,), -INT16_MAX)


def _check_depths(model: FoldedModel) -> None:
    channels, hidden = model.channels, model.hidden
    if not isinstance(model.depths, list) or not 1 <= len(model.depths) <= MAX_BLOCKS:
        raise _wrong("depths", f"is {_short(model.depths)}", "expected a list of at least one depth")
    for number, depth in enumerate(model.depths):
        where = f"depths[{number}]"
        _integer(f"{where}.delta", depth.delta, 1, MAX_BLOCKS)
        for name in ("class_scale", "class_bias"):
            _floats(f"{where}.{name}", getattr(depth, name), (model.n_classes,))
        if not isinstance(depth.passes, list) or not 1 <= len(depth.passes) <= len(model.blocks):
            raise _wrong(f"{where}.passes", f"is {_short(depth.passes)}", "expected one pass a block at most")
        for index, one in enumerate(depth.passes):
            at = f"{where}.passes[{index}]"
            _integer(f"{at}.block", one.block, 0, len(model.blocks) - 1)
            for name in ("memory_bias", "project_bias"):
                _numbers(f"{at}.{name}", getattr(one, name), (channels,))
            for name in ("memory_scale", "project_scale"):
                _numbers(f"{at}.{name}", getattr(one, name), (channels,), -INT16_MAX)
            full = full_count(channels, model.planes)
            _counts(f"{at}.expand_below", one.expand_below, (model.edges, hidden), full)
            _array(f"{at}.expand_flip", one.expand_flip, np.bool_, (hidden,))
        order = [one.block for one in depth.passes]
        if order != sorted(set(order)):
            raise _wrong(f"{where}.passes", f"run blocks {order}", "each block runs once, in order")
    if model.deltas != sorted(set(model.deltas)):
        raise _wrong("depths", f"come in the order {model.deltas}", "each delta comes once, the smallest first")
