"""Random but valid models, a function of the seed, with values in the range that trained models have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kws.features import PRESETS, Preset
from kws.model.fold import StreamLayer, class_step, conv1_step
from kws.model.folded import (
    CLASS_SHIFT,
    INT16_MAX,
    FoldedBlock,
    FoldedDepth,
    FoldedModel,
    FoldedPass,
    full_count,
)


def random_model(
    seed: int,
    n_classes: int = 12,
    channels: int = 128,
    hidden: int = 256,
    n_blocks: int = 8,
    preset: Preset | None = None,
    deltas: tuple[int, ...] = (1, 2, 4),
    n_words: int | None = None,
    planes: int = 1,
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
        planes: bits of every binary layer's input.
    """
    rng = np.random.default_rng(seed)
    preset = preset or PRESETS["bifsmn"]
    steps, mels, bits = preset.frames // 4, preset.n_mels // 4, 8 + seed % 2
    if n_words is None:
        n_words = max(1, n_classes - 2)

    def signs(*shape: int) -> NDArray[np.int8]:
        return (2 * rng.integers(0, 2, shape) - 1).astype(np.int8)

    def whole(values: NDArray[np.float64]) -> NDArray[np.int16]:
        return np.rint(values).astype(np.int16)

    def edges(middle: NDArray[np.float64], spread: float) -> NDArray[np.int16]:
        """Thresholds [E, channels]: around those of the first plane lie those of the second."""
        if planes == 1:
            return whole(middle[None])
        above, below = spread * rng.uniform(0.2, 1.5, (2, len(middle)))
        return whole(np.stack([middle, middle + above, middle - below]))

    def inputs() -> NDArray[np.int16]:
        return edges(0.3 * 2.0**bits * rng.standard_normal(channels), 2.0**bits)

    def slopes() -> NDArray[np.int16]:
        return whole(2.0**15 * rng.uniform(-0.1, 0.5, channels))

    def numbers(fan_in: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Scale and bias of a layer that adds to the stream."""
        sign = np.where(rng.random(channels) < 0.9, 1.0, -1.0)  # batch norms have a negative gain now and then
        scale = sign * rng.uniform(0.3, 1.2, channels) / np.sqrt(fan_in) / full_count(1, planes)
        bias = 0.2 * rng.standard_normal(channels)
        whole_scale, whole_bias = StreamLayer("random", scale, bias, full_count(fan_in, planes)).packed(bits)
        # What does not fit 16 bits has wrapped around, rarely to the one number that no scale may be.
        return np.maximum(whole_scale, -INT16_MAX), whole_bias

    def below(fan_in: int, count: int) -> NDArray[np.int16]:
        """Limits [E, count]: a greater input differs less."""
        spread = full_count(1, planes) * np.sqrt(fan_in)
        middle = 0.5 * full_count(fan_in, planes) + 0.25 * spread * rng.standard_normal(count)
        return edges(middle, -0.4 * spread)

    blocks = [
        FoldedBlock(
            memory_weight=signs(5, channels),
            expand_weight=signs(hidden, channels),
            project_weight=signs(channels, hidden),
            memory_input=inputs(),
            memory_slope=slopes(),
            expand_input=inputs(),
            project_slope=slopes(),
        )
        for _ in range(n_blocks)
    ]

    def one_pass(block: int) -> FoldedPass:
        memory, project = numbers(5), numbers(hidden)
        return FoldedPass(
            block=block,
            memory_scale=memory[0],
            memory_bias=memory[1],
            expand_below=below(channels, hidden),
            expand_flip=rng.random(hidden) < 0.1,
            project_scale=project[0],
            project_bias=project[1],
        )

    conv1 = rng.standard_normal((16, 25))
    linear = numbers(32 * mels)
    classifier = rng.standard_normal((n_classes, steps, channels))
    class_weight = np.rint(classifier / class_step(classifier)[:, None, None])
    # Logits of order one from values of order one.
    unit = 2.0 ** (CLASS_SHIFT - bits) / np.sqrt((class_weight**2).sum((1, 2)))
    depths = [
        FoldedDepth(
            delta=delta,
            passes=[one_pass(block) for block in range(delta - 1, n_blocks, delta)],
            class_scale=(unit * rng.uniform(0.5, 2.0, n_classes)).astype(np.float32),
            class_bias=(0.2 * rng.standard_normal(n_classes)).astype(np.float32),
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
        planes=planes,
        channels=channels,
        hidden=hidden,
        blocks=blocks,
        depths=depths,
        conv1_weight=np.ascontiguousarray(np.rint(conv1 / conv1_step(conv1)[:, None]).T).astype(np.int8),
        conv1_threshold=edges(1000.0 * rng.standard_normal(16), 3000.0),
        conv2_weight=signs(32, 25, 16),
        conv2_below=below(400, 32),
        linear_weight=signs(channels, 32 * mels),
        linear_scale=linear[0],
        linear_bias=linear[1],
        linear_slope=slopes(),
        class_weight=class_weight.astype(np.int8),
        word_threshold=rng.uniform(0.1, 0.6, (len(depths), n_words)).astype(np.float32),
        stream_bits=bits,
        checkpoint_sha256=rng.bytes(32).hex(),
        provenance={"data": "random numbers", "seed": seed},
    )
