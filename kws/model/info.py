"""What a model costs: bytes, multiply-accumulates and weight bits, by part."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kws.features import Preset, tables
from kws.model.folded import CONV1_CHANNELS, CONV2_CHANNELS, KERNEL, FoldedDepth, FoldedModel
from kws.model.pack import Shapes, padded, slots
from kws.model.state_size import state_size

TAPS = KERNEL * KERNEL


def bytes_by_part(model: FoldedModel) -> dict[str, int]:
    """Bytes of the packed arrays, each padded to 64, by part in storage order."""
    parts: dict[str, int] = {}
    for slot in slots(Shapes.of(model)):
        parts[slot.part] = parts.get(slot.part, 0) + slot.padded_nbytes
    return parts


def frontend_bytes(preset: Preset) -> int:
    """Bytes of the feature tables, each padded to 64; models of one preset share them."""
    return sum(padded(array.nbytes) for array in vars(tables(preset)).values())


def weight_bits(model: FoldedModel) -> int:
    """Binary weights of the whole model."""
    arrays = [model.conv2_weight, model.linear_weight]
    for block in model.blocks:
        arrays += [block.memory_weight, block.expand_weight, block.project_weight]
    return sum(array.size for array in arrays)


def macs(model: FoldedModel, depth: FoldedDepth) -> dict[str, dict[str, int]]:
    """Multiply-accumulates of one classification at ``depth``; a binary one for each plane of its input.

    Returns:
        ``{"binary": {part: count}, "8-bit": {part: count}}``; "8-bit" counts the first convolution and the classifier,
        whose int8 weights meet 8 and 16 bits.
    """
    mels, steps, channels, passes = model.mel_steps, model.time_steps, model.channels, len(depth.passes)
    binary = {
        "conv2": mels * steps * CONV2_CHANNELS * TAPS * CONV1_CHANNELS,
        "linear": steps * mels * CONV2_CHANNELS * channels,
        "memory": passes * steps * KERNEL * channels,
        "expand": passes * steps * channels * model.hidden,
        "project": passes * steps * channels * model.hidden,
    }
    return {
        "binary": {part: model.planes * count for part, count in binary.items()},
        "8-bit": {
            "conv1": 4 * mels * steps * CONV1_CHANNELS * TAPS,
            "classifier": model.n_classes * steps * channels,
        },
    }


def describe(model: FoldedModel) -> dict[str, Any]:
    """Everything that ``kws info`` shows, JSON-able."""
    preset, parts = model.preset, bytes_by_part(model)
    return {
        "name": model.name,
        "classes": model.class_names,
        "n_words": model.n_words,
        "word_threshold": {
            str(delta): {
                word: round(float(threshold), 6) for word, threshold in zip(model.class_names, row, strict=False)
            }
            for delta, row in zip(model.deltas, model.word_threshold, strict=True)
        },
        "preset": asdict(preset),
        "planes": model.planes,
        "channels": model.channels,
        "hidden": model.hidden,
        "n_blocks": len(model.blocks),
        "stream_bits": model.stream_bits,
        "depths": {
            str(depth.delta): {"blocks": [one.block for one in depth.passes], "macs": macs(model, depth)}
            for depth in model.depths
        },
        "hop_seconds": model.hop_frames * preset.hop / preset.sample_rate,
        "smoothing": model.smoothing,
        "refractory_seconds": model.refractory / preset.sample_rate,
        "release": model.release,
        "gate_dbfs": model.gate,
        "wake": model.wake,
        "listen_delta": model.listen_delta,
        "weight_bits": weight_bits(model),
        "bytes": {**parts, "total": sum(parts.values())},
        "frontend_bytes": frontend_bytes(preset),
        "state_bytes": state_size(model),
        "checkpoint_sha256": model.checkpoint_sha256,
        "provenance": model.provenance,
    }
