"""Folding: a trained network's arrays become a ``FoldedModel``.

The one place where batch norms, weight scales and PReLUs turn into the smallest exact form: an affine map where the
value is needed, a threshold on the integer accumulator where only its sign is. Input is a plain dict of numpy arrays
under the names of ``kws_training.networks.BiFSMN``'s state; nothing here needs torch.

Everything is computed in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kws.errors import KwsError
from kws.features import Preset
from kws.model.folded import CONV1_CHANNELS, CONV2_CHANNELS, KERNEL, FoldedBlock, FoldedDepth, FoldedModel, FoldedPass

BATCH_NORM_EPSILON = 1e-5
INT16 = np.iinfo(np.int16)

Array = NDArray[np.float64]
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


def threshold(gain: Array, bias: Array, limit: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """``gain * acc + bias >= 0`` for integers ``|acc| <= limit`` as ``(acc >= threshold) ^ flip``.

    Args:
        gain, bias: float64 [channels].
        limit: largest magnitude of an accumulator, below 32767.

    Returns:
        int16 thresholds and bool flips, [channels]; exact for every accumulator in range.
    """
    safe = np.where(gain == 0.0, 1.0, gain)
    edge = -bias / safe
    rising = np.ceil(edge)
    falling = np.floor(edge) + 1.0
    constant = np.where(bias >= 0.0, -limit, limit + 1)
    value = np.where(gain > 0.0, rising, np.where(gain < 0.0, falling, constant))
    return np.clip(value, -limit, limit + 1).astype(np.int16), gain < 0.0


def _f32(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)


def _require_positive(state: State, name: str) -> None:
    """A PReLU that only a sign reads must not turn negative inputs positive, or no threshold could stand for it."""
    if not np.all(state[name] > 0):
        raise KwsError(
            f"{name} holds a slope that is not positive; its layer has no threshold form. Train with the constraint."
        )


def _block(state: State, at: str) -> FoldedBlock:
    return FoldedBlock(
        memory_weight=np.ascontiguousarray(signs(state[f"{at}.memory.weight"]).T),
        expand_weight=signs(state[f"{at}.expand.weight"]),
        project_weight=signs(state[f"{at}.project.weight"]),
        memory_input=_f32(state[f"{at}.memory_input"]),
        memory_slope=_f32(state[f"{at}.memory_prelu.slope"]),
        expand_input=_f32(state[f"{at}.expand_input"]),
        project_slope=_f32(state[f"{at}.project_prelu.slope"]),
    )


def _pass(state: State, index: int, delta: int) -> FoldedPass:
    at = f"blocks.{index}"
    _require_positive(state, f"{at}.expand_prelu.slope")
    expand = state[f"{at}.expand.weight"]
    memory = affine(state, f"{at}.memory_norm.norms.{delta}", channel_scale(state[f"{at}.memory.weight"]))
    project = affine(state, f"{at}.project_norm.norms.{delta}", channel_scale(state[f"{at}.project.weight"]))
    hidden = affine(state, f"{at}.expand_norm.norms.{delta}", channel_scale(expand))
    limit, flip = threshold(*hidden, limit=expand.shape[1])
    return FoldedPass(
        block=index,
        memory_scale=_f32(memory[0]),
        memory_bias=_f32(memory[1]),
        expand_threshold=limit,
        expand_flip=flip,
        project_scale=_f32(project[0]),
        project_bias=_f32(project[1]),
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
        state: arrays by name, as ``kws_training.networks.BiFSMN.state_dict()`` has them.
        name: of the model.
        preset: features that it was trained on.
        class_names: in output order, words first.
        n_words: how many of them are words.
        deltas: depths, deepest first.
        word_threshold: initial score that makes an event, every word's.
        checkpoint_sha256: of the file that ``state`` came from.
        provenance: notes that travel with the model.

    Raises:
        KwsError: a slope or a shape that the engine has no exact form for.
    """
    channels, hidden = state["linear.weight"].shape[0], state["blocks.0.expand.weight"].shape[0]
    n_blocks = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
    _require_positive(state, "conv1_prelu.weight")
    _require_positive(state, "conv2_prelu.weight")

    conv1_gain, conv1_bias = affine(state, "conv1_norm")
    conv1 = state["conv1.weight"].astype(np.float64)[:, 0] * conv1_gain[:, None, None]

    conv2 = state["conv2.weight"]
    conv2_affine = affine(state, "conv2_norm", channel_scale(conv2))
    conv2_threshold, conv2_flip = threshold(*conv2_affine, limit=conv2[0].size)

    linear = affine(state, "linear_norm.norms.1", channel_scale(state["linear.weight"]))

    classifier = state["classifier.weight"].astype(np.float32)
    class_scale = np.maximum(np.abs(classifier).max(1), np.float32(1e-12)) / np.float32(127.0)
    model = FoldedModel(
        name=name,
        preset=preset,
        class_names=list(class_names),
        n_words=n_words,
        channels=channels,
        hidden=hidden,
        blocks=[_block(state, f"blocks.{index}") for index in range(n_blocks)],
        depths=[
            FoldedDepth(
                delta=delta,
                passes=[_pass(state, index, delta) for index in range(delta - 1, n_blocks, delta)],
                class_scale=_f32(class_scale.astype(np.float64) * state[f"class_gain.{delta}"]),
                class_bias=_f32(state[f"class_bias.{delta}"]),
            )
            for delta in deltas
        ],
        conv1_weight=_f32(conv1.reshape(CONV1_CHANNELS, KERNEL * KERNEL).T),
        conv1_bias=_f32(conv1_bias),
        conv2_weight=np.ascontiguousarray(
            signs(conv2).reshape(CONV2_CHANNELS, CONV1_CHANNELS, KERNEL * KERNEL).transpose(0, 2, 1)
        ),
        conv2_threshold=conv2_threshold,
        conv2_flip=conv2_flip,
        linear_weight=signs(state["linear.weight"]),
        linear_scale=_f32(linear[0]),
        linear_bias=_f32(linear[1]),
        linear_slope=_f32(state["linear_prelu.slope"]),
        class_weight=np.rint(classifier / class_scale[:, None]).clip(-127, 127).astype(np.int8),
        word_threshold=np.full(n_words, word_threshold, np.float32),
        checkpoint_sha256=checkpoint_sha256,
        provenance=provenance or {},
    )
    model.validate()
    return model
