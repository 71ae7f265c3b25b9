"""Random but valid models, a function of the seed, with values in the range that trained models have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kws.features import PRESETS, Preset
from kws.model.folded import FoldedBlock, FoldedDepth, FoldedModel, FoldedPass


def random_model(
    seed: int,
    n_classes: int = 12,
    channels: int = 128,
    hidden: int = 256,
    n_blocks: int = 8,
    preset: Preset | None = None,
    deltas: tuple[int, ...] = (1, 2, 4),
    n_words: int | None = None,
) -> FoldedModel:
    """A model whose every layer is alive: thresholds near the middle of what they see, values of order one.

    Args:
        seed: same seed and arguments, same model.
        n_classes: classes, the last two unknown and silence unless ``n_words`` says otherwise.
        channels: C.
        hidden: H.
        n_blocks: blocks; a delta that none of them meets is left out.
        preset: features; the default preset if None.
        deltas: depths.
        n_words: word classes; ``n_classes - 2``, at least 1, if None.
    """
    rng = np.random.default_rng(seed)
    preset = preset or PRESETS["bifsmn"]
    steps, mels = preset.frames // 4, preset.n_mels // 4
    if n_words is None:
        n_words = max(1, n_classes - 2)

    def signs(*shape: int) -> NDArray[np.int8]:
        return (2 * rng.integers(0, 2, shape) - 1).astype(np.int8)

    def normal(scale: float, *shape: int) -> NDArray[np.float32]:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    def slopes() -> NDArray[np.float32]:
        return rng.uniform(-0.1, 0.5, channels).astype(np.float32)

    def scales(fan_in: int, count: int) -> NDArray[np.float32]:
        sign = np.where(rng.random(count) < 0.9, 1.0, -1.0)  # batch norms have a negative gain now and then
        return (sign * rng.uniform(0.3, 1.2, count) / np.sqrt(fan_in)).astype(np.float32)

    def thresholds(fan_in: int, count: int) -> NDArray[np.int16]:
        return np.rint(0.5 * np.sqrt(fan_in) * rng.standard_normal(count)).astype(np.int16)

    def flips(count: int) -> NDArray[np.bool_]:
        return rng.random(count) < 0.1

    blocks = [
        FoldedBlock(
            memory_weight=signs(5, channels),
            expand_weight=signs(hidden, channels),
            project_weight=signs(channels, hidden),
            memory_input=normal(0.3, channels),
            memory_slope=slopes(),
            expand_input=normal(0.3, channels),
            project_slope=slopes(),
        )
        for _ in range(n_blocks)
    ]

    def one_pass(block: int) -> FoldedPass:
        return FoldedPass(
            block=block,
            memory_scale=scales(5, channels),
            memory_bias=normal(0.2, channels),
            expand_threshold=thresholds(channels, hidden),
            expand_flip=flips(hidden),
            project_scale=scales(hidden, channels),
            project_bias=normal(0.2, channels),
        )

    depths = [
        FoldedDepth(
            delta=delta,
            passes=[one_pass(block) for block in range(delta - 1, n_blocks, delta)],
            class_scale=rng.uniform(1e-4, 4e-4, n_classes).astype(np.float32),
            class_bias=normal(0.2, n_classes),
        )
        for delta in deltas
        if delta <= n_blocks
    ]
    words = [f"word{index}" for index in range(n_words)]
    others = ["_unknown_", "_silence_"] + [f"_other{index}_" for index in range(n_classes)]
    return FoldedModel(
        name=f"random{seed}",
        preset=preset,
        class_names=words + others[: n_classes - n_words],
        n_words=n_words,
        channels=channels,
        hidden=hidden,
        blocks=blocks,
        depths=depths,
        conv1_weight=normal(0.2, 25, 16),
        conv1_bias=normal(0.3, 16),
        conv2_weight=signs(32, 25, 16),
        conv2_threshold=thresholds(400, 32),
        conv2_flip=flips(32),
        linear_weight=signs(channels, 32 * mels),
        linear_scale=scales(32 * mels, channels),
        linear_bias=normal(0.2, channels),
        linear_slope=slopes(),
        class_weight=rng.integers(-127, 128, (n_classes, steps * channels)).astype(np.int8),
        word_threshold=rng.uniform(0.1, 0.6, n_words).astype(np.float32),
        checkpoint_sha256=rng.bytes(32).hex(),
        provenance={"data": "random numbers", "seed": seed},
    )
