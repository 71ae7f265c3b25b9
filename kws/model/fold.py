"""Folding: a trained network's arrays become a ``FoldedModel``.

The one place where batch norms, weight scales and PReLUs turn into the integers that the engine computes with: a
threshold on the count of differing inputs where only a sign is needed, which is exact, and fixed-point numbers where
the value counts, each rounded once. Input is a plain dict of numpy arrays under the names of
``kws_training.networks.BiFSMN.engine_state``; nothing here needs torch.

Everything is computed in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.errors import KwsError
from kws.features import INPUT_STEPS, Preset
from kws.model.folded import (
    CLASS_GROUP_SUM,
    CLASS_SHIFT,
    CONV1_CHANNELS,
    CONV1_HALF,
    CONV1_ROUNDED,
    CONV2_CHANNELS,
    INT16_MAX,
    KERNEL,
    FoldedBlock,
    FoldedDepth,
    FoldedModel,
    FoldedPass,
    class_groups,
    full_count,
)

BATCH_NORM_EPSILON = 1e-5

COARSER = 2.25
"""How much coarser weights of the first convolution keep all its sums within 16 bits.

(492 / 2.25 + 25 / 2) * 128 < 2**15, with 492 the most that a filter's weights add up to before they are rounded.
"""

MAX_STREAM_BITS, MIN_STREAM_BITS = 9, 4
"""Fraction bits of the residual stream: as many as its layers' numbers leave room for."""

Array = NDArray[np.float64]
Int16Array = NDArray[np.int16]
State = Mapping[str, NDArray[Any]]


def signs(weight: NDArray[Any]) -> NDArray[np.int8]:
    """+1 where ``weight >= 0``, else -1, as int8 of the same shape."""
    return np.where(weight >= 0, 1, -1).astype(np.int8)


def channel_scale(weight: NDArray[Any]) -> Array:
    """Mean magnitude of each output channel's latent weights, float64 [out]; ``weight`` is [out, ...]."""
    return np.abs(weight.astype(np.float64)).reshape(len(weight), -1).mean(1)


def affine(state: State, norm: str, scale: Array | float = 1.0) -> tuple[Array, Array]:
    """A batch norm of ``scale * accumulator`` as ``gain * accumulator + bias``, both float64 [channels]."""
    deviation = np.sqrt(state[f"{norm}.running_var"].astype(np.float64) + BATCH_NORM_EPSILON)
    gain = state[f"{norm}.weight"].astype(np.float64) / deviation
    bias = state[f"{norm}.bias"].astype(np.float64) - state[f"{norm}.running_mean"].astype(np.float64) * gain
    return gain * scale, bias


def _layer_affine(state: State, layer: str, norm: str, planes: int) -> tuple[Array, Array]:
    """``affine`` of a binary layer's accumulators, in which an input of 1 counts as ``full_count(1, planes)``."""
    return affine(state, norm, channel_scale(state[f"{layer}.weight"]) / full_count(1, planes))


# --- where only a sign is needed -------------------------------------------------------------------------------------


def below(gain: Array, bias: Array, inputs: int) -> tuple[Int16Array, NDArray[np.bool_]]:
    """``gain * (inputs - 2 d) + bias >= 0`` for every count ``d`` in 0..inputs as ``(d < below) ^ flip``.

    Args:
        gain: float64 [channels].
        bias: float64 [..., channels].
        inputs: of the layer, as ``full_count`` counts them; below 32767.

    Returns:
        int16 limits [..., channels] in 0..inputs + 1, and bool flips [channels].
    """
    edge = -bias / np.where(gain == 0.0, 1.0, gain)
    # The least accumulator, inputs - 2 d, that is at or above the edge; of a falling map, the least beyond it.
    least = np.where(gain > 0.0, np.ceil(edge), np.floor(edge) + 1.0)
    least = np.where(gain == 0.0, np.where(bias >= 0.0, -inputs, inputs + 1), least)
    least = np.clip(least, -inputs, inputs + 1).astype(np.int64)
    return ((inputs - least) // 2 + 1).astype(np.int16), gain < 0.0


def conv1_step(weight: NDArray[Any]) -> Array:
    """Quantization step of each output of the first convolution, float64 [16]; ``weight``: [16, 25], tap 5 time + mel.

    As fine as 8 bits and two halves' 16-bit sums allow: rounding adds at most 1/2 a tap.
    """
    magnitude = np.abs(weight.astype(np.float64))
    halves = np.maximum(magnitude[:, :CONV1_HALF].sum(1), magnitude[:, CONV1_HALF:].sum(1))
    return np.maximum(np.maximum(magnitude.max(1) / 127.0, halves / CONV1_ROUNDED), 1e-12)


def _conv1(state: State) -> tuple[NDArray[np.int8], Int16Array]:
    """Weights [25, 16] and thresholds [2 planes - 1, 16] of ``sum >= threshold``.

    A falling gain turns the weights round.
    """
    gain, bias = affine(state, "conv1_norm")
    weight = state["conv1.weight"].astype(np.float64)[:, 0].transpose(0, 2, 1).reshape(CONV1_CHANNELS, -1)
    step, missing = conv1_step(weight), state["conv2.edges"] - bias
    constant = np.where(missing <= 0.0, -np.inf, np.inf)

    def edges(step: Array) -> Array:
        unit = np.abs(gain) * step / INPUT_STEPS
        return np.where(unit > 0.0, missing / np.where(unit > 0.0, unit, 1.0), constant)

    # Sums reach 2 * 255 * 128. Where the first plane's threshold is beyond 16 bits, coarser weights keep every sum
    # within them. One of the second plane's there is met by the nearest: hardly an input goes so far.
    step = np.where(np.abs(edges(step)[0]) > INT16_MAX, COARSER * step, step)
    whole = np.rint(weight / step[:, None]) * np.sign(gain)[:, None]
    reach = 128.0 * np.abs(whole).sum(1)
    limit = np.clip(np.ceil(edges(step)), -reach, reach + 1.0).clip(-INT16_MAX, INT16_MAX)
    return np.ascontiguousarray(whole.T).astype(np.int8), limit.astype(np.int16)


def _conv2(state: State, planes: int) -> tuple[NDArray[np.int8], Int16Array]:
    """Weights [32, 25, 16] and limits [2 planes - 1, 32] of ``d < below``. A falling gain turns the weights round."""
    latent = state["conv2.weight"]
    gain, bias = _layer_affine(state, "conv2", "conv2_norm", planes)
    weight = np.where(gain < 0.0, -1, 1)[:, None, None, None] * signs(latent)
    limit, _ = below(np.abs(gain), bias - state["linear.edges"], full_count(latent[0].size, planes))
    weight = weight.transpose(0, 3, 2, 1).reshape(CONV2_CHANNELS, KERNEL * KERNEL, CONV1_CHANNELS)
    return np.ascontiguousarray(weight, np.int8), limit


# --- where the value counts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class StreamLayer:
    """A binary layer that adds to the residual stream: ``bias + scale * (inputs - 2 d)`` in real numbers.

    Attributes:
        name: for messages.
        scale, bias: float64 [C].
        inputs: of every output, as ``full_count`` counts them.
    """

    name: str
    scale: Array
    bias: Array
    inputs: int

    def integers(self, bits: int) -> tuple[Array, Array, Array]:
        """Whole numbers of the engine's form in units of ``2 ** -bits``: ``value(d) = bias - mulr(d << shift, scale)``.

        Returns:
            scale, bias and, for the range check alone, the value where every input differs; each [C].
        """
        shift, unit = 15 - (self.inputs - 1).bit_length(), 2.0**bits
        reach = self.inputs * self.scale
        scale = np.rint(2.0 * self.scale * unit * 2.0 ** (15 - shift))
        return scale, np.rint((self.bias + reach) * unit), np.rint((self.bias - reach) * unit)

    def fits(self, bits: int) -> bool:
        """Whether every number fits 16 bits, and every value of the layer."""
        return all(np.abs(numbers).max() <= INT16_MAX for numbers in self.integers(bits))

    def packed(self, bits: int) -> tuple[Int16Array, Int16Array]:
        """Scale and bias of the engine, int16 [C]."""
        scale, bias, _ = self.integers(bits)
        return scale.astype(np.int16), bias.astype(np.int16)


def stream_bits(layers: Sequence[StreamLayer]) -> int:
    """Fraction bits of a residual stream that ``layers`` add to: the most that all of their numbers leave room for.

    Raises:
        KwsError: a layer whose values are out of all proportion.
    """
    for bits in range(MAX_STREAM_BITS, MIN_STREAM_BITS - 1, -1):
        if all(layer.fits(bits) for layer in layers):
            return bits
    name = next(layer.name for layer in layers if not layer.fits(MIN_STREAM_BITS))
    raise KwsError(
        f"{name} gives values beyond {INT16_MAX >> MIN_STREAM_BITS}, more than the engine's 16 bits hold; "
        "train again, at a lower rate."
    )


def _slopes(state: State, name: str) -> Int16Array:
    """PReLU slopes in 1/32768."""
    slope = state[name].astype(np.float64)
    if np.abs(slope).max() > 1.0 + 1e-3:
        raise KwsError(
            f"{name} holds a slope of {slope[np.abs(slope).argmax()]:.3g}, and the engine's lie in -1..1; "
            "train again with this kws, which keeps them there."
        )
    return np.clip(np.rint(slope * 2.0**15), -INT16_MAX, INT16_MAX).astype(np.int16)


def _thresholds(values: NDArray[Any], bits: int) -> Int16Array:
    """``x >= value`` for integers x in units of ``2 ** -bits``; a value out of their reach becomes the nearest."""
    return np.clip(np.ceil(values.astype(np.float64) * 2.0**bits), -INT16_MAX - 1, INT16_MAX).astype(np.int16)


def class_step(weight: NDArray[Any]) -> Array:
    """Quantization step of each class's weights, float64 [n_classes]; ``weight``: [n_classes, T, C].

    As fine as 8 bits and the engine's 16-bit sums of four allow: rounding adds at most 1/2 a weight.
    """
    magnitude = np.abs(weight.astype(np.float64))
    groups = class_groups(magnitude).sum(3).max((1, 2, 3))
    return np.maximum(np.maximum(magnitude.max((1, 2)) / 127.0, groups / (CLASS_GROUP_SUM - 2)), 1e-12)


# --- the whole -------------------------------------------------------------------------------------------------------


def _require_positive(state: State, name: str) -> None:
    """A PReLU that only a sign reads must not turn negative inputs positive, or no threshold could stand for it."""
    if not np.all(state[name] > 0):
        raise KwsError(
            f"{name} holds a slope that is not positive; its layer has no threshold form. Train with the constraint."
        )


def _stream_layer(state: State, at: str, delta: int, planes: int) -> StreamLayer:
    """The layer ``at`` ("linear", "blocks.0.memory" or "blocks.0.project") with its batch norm of depth ``delta``."""
    norm = f"{at}_norm.norms.{delta}"
    scale, bias = _layer_affine(state, at, norm, planes)
    return StreamLayer(norm, scale, bias, full_count(state[f"{at}.weight"].shape[1], planes))


def _block(state: State, at: str, bits: int) -> FoldedBlock:
    return FoldedBlock(
        memory_weight=np.ascontiguousarray(signs(state[f"{at}.memory.weight"]).T),
        expand_weight=signs(state[f"{at}.expand.weight"]),
        project_weight=signs(state[f"{at}.project.weight"]),
        memory_input=_thresholds(state[f"{at}.memory.edges"], bits),
        memory_slope=_slopes(state, f"{at}.memory_prelu.slope"),
        expand_input=_thresholds(state[f"{at}.expand.edges"], bits),
        project_slope=_slopes(state, f"{at}.project_prelu.slope"),
    )


def _pass(state: State, index: int, delta: int, planes: int, bits: int) -> FoldedPass:
    at = f"blocks.{index}"
    _require_positive(state, f"{at}.expand_prelu.slope")
    gain, bias = _layer_affine(state, f"{at}.expand", f"{at}.expand_norm.norms.{delta}", planes)
    inputs = full_count(state[f"{at}.expand.weight"].shape[1], planes)
    limit, flip = below(gain, bias - state[f"{at}.project.edges"], inputs)
    memory = _stream_layer(state, f"{at}.memory", delta, planes).packed(bits)
    project = _stream_layer(state, f"{at}.project", delta, planes).packed(bits)
    return FoldedPass(
        block=index,
        memory_scale=memory[0],
        memory_bias=memory[1],
        expand_below=limit,
        expand_flip=flip,
        project_scale=project[0],
        project_bias=project[1],
    )


def fold(
    state: State,
    *,
    name: str,
    preset: Preset,
    class_names: list[str],
    n_words: int,
    deltas: tuple[int, ...],
    word_threshold: float = 0.5,
    checkpoint_sha256: str = "",
    provenance: dict[str, Any] | None = None,
) -> FoldedModel:
    """Folds a trained network.

    Args:
        state: arrays by name, as ``kws_training.networks.BiFSMN.engine_state()`` has them.
        name: of the model.
        preset: features that it was trained on.
        class_names: in output order, words first.
        n_words: how many of them are words.
        deltas: depths, deepest first.
        word_threshold: initial score that makes an event, every word's.
        checkpoint_sha256: of the file that ``state`` came from.
        provenance: notes that travel with the model.

    Raises:
        KwsError: a slope, a value or a shape that the engine has no form for.
    """
    channels, hidden = state["linear.weight"].shape[0], state["blocks.0.expand.weight"].shape[0]
    planes = 2 if len(state["linear.edges"]) == 3 else 1
    n_blocks = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
    _require_positive(state, "conv1_prelu.weight")
    _require_positive(state, "conv2_prelu.weight")

    runs = {delta: range(delta - 1, n_blocks, delta) for delta in deltas}
    linear = _stream_layer(state, "linear", 1, planes)
    branches = [
        _stream_layer(state, f"blocks.{index}.{branch}", delta, planes)
        for delta, indices in runs.items()
        for index in indices
        for branch in ("memory", "project")
    ]
    bits = stream_bits([linear, *branches])

    conv1_weight, conv1_threshold = _conv1(state)
    conv2_weight, conv2_below = _conv2(state, planes)
    linear_scale, linear_bias = linear.packed(bits)
    classifier = state["classifier.weight"].astype(np.float64)
    classifier = classifier.reshape(len(classifier), -1, channels)
    step = class_step(classifier)
    model = FoldedModel(
        name=name,
        preset=preset,
        class_names=list(class_names),
        n_words=n_words,
        planes=planes,
        channels=channels,
        hidden=hidden,
        blocks=[_block(state, f"blocks.{index}", bits) for index in range(n_blocks)],
        depths=[
            FoldedDepth(
                delta=delta,
                passes=[_pass(state, index, delta, planes, bits) for index in indices],
                class_scale=(step * 2.0 ** (CLASS_SHIFT - bits) * state[f"class_gain.{delta}"]).astype(np.float32),
                class_bias=state[f"class_bias.{delta}"].astype(np.float32),
            )
            for delta, indices in runs.items()
        ],
        conv1_weight=conv1_weight,
        conv1_threshold=conv1_threshold,
        conv2_weight=conv2_weight,
        conv2_below=conv2_below,
        linear_weight=signs(state["linear.weight"]),
        linear_scale=linear_scale,
        linear_bias=linear_bias,
        linear_slope=_slopes(state, "linear_prelu.slope"),
        class_weight=np.rint(classifier / step[:, None, None]).astype(np.int8),
        word_threshold=np.full((len(deltas), n_words), word_threshold, np.float32),
        stream_bits=bits,
        checkpoint_sha256=checkpoint_sha256,
        provenance=provenance or {},
    )
    model.validate()
    return model
