"""FoldedModel.validate finds every kind of fault and names the field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from random_model import random_model

from kws.errors import KwsError
from kws.features import Preset
from kws.model.folded import FoldedModel


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n_classes": 35, "n_words": 35},
        {"n_classes": 3, "channels": 64, "hidden": 64, "n_blocks": 1},
        {"channels": 256, "hidden": 512, "n_blocks": 5},
        {"preset": Preset("other", n_fft=512, hop=160, n_mels=40, frames=96)},
    ],
)
def test_random_models_are_valid(arguments: dict[str, object]) -> None:
    random_model(3, **arguments).validate()  # type: ignore[arg-type]


def test_random_model_depends_on_the_seed_alone() -> None:
    one, same, other = random_model(5), random_model(5), random_model(6)
    assert np.array_equal(one.linear_weight, same.linear_weight)
    assert not np.array_equal(one.linear_weight, other.linear_weight)


def _set(path: str, value: object) -> Callable[[FoldedModel], None]:
    def change(model: FoldedModel) -> None:
        *parents, last = path.split(".")
        target: object = model
        for step in parents:
            target = target[int(step)] if isinstance(target, list) else getattr(target, step)
        setattr(target, last, value)

    return change


def _poke(path: str, value: object) -> Callable[[FoldedModel], None]:
    def change(model: FoldedModel) -> None:
        target: object = model
        for step in path.split("."):
            target = target[int(step)] if isinstance(target, list) else getattr(target, step)
        target.reshape(-1)[0] = value  # type: ignore[attr-defined]

    return change


def _preset(**changes: object) -> Callable[[FoldedModel], None]:
    def change(model: FoldedModel) -> None:
        model.preset = replace(model.preset, **changes)  # type: ignore[arg-type]

    return change


FAULTS: list[tuple[Callable[[FoldedModel], None], str]] = [
    (_set("name", ""), "name"),
    (_set("name", "two\nlines"), "name"),
    (_set("class_names", "yes"), "class_names"),
    (_set("class_names", []), "class_names"),
    (_set("class_names", ["a"] * 12), "class_names holds a name twice"),
    (_set("class_names", ["a\0", *"bcdefghijkl"]), r"class_names\[0\]"),
    (_set("class_names", ["\ud800", *"bcdefghijkl"]), r"class_names\[0\]"),
    (_set("n_words", 13), "n_words"),
    (_set("n_words", 0), "n_words"),
    (_set("n_words", True), "n_words"),
    (_set("channels", 100), "channels"),
    (_set("channels", 320), "channels"),
    (_set("hidden", np.int64(256)), "hidden"),
    (_set("hop_frames", 0), "hop_frames"),
    (_set("smoothing", 17), "smoothing"),
    (_set("refractory", -1), "refractory"),
    (_set("release", 1.5), "release"),
    (_set("gate", float("nan")), "gate"),
    (_set("wake", -0.1), "wake"),
    (_set("wake", "0.1"), "wake"),
    (_set("listen_delta", 1), "listen_delta"),
    (_set("listen_delta", 3), "listen_delta"),
    (_set("listen_delta", True), "listen_delta"),
    (_set("checkpoint_sha256", "xyz"), "checkpoint_sha256"),
    (_set("provenance", {"array": np.zeros(3)}), "provenance"),
    (_set("provenance", {"accuracy": float("nan")}), "provenance"),
    (_preset(n_fft=1000), "preset.n_fft"),
    (_preset(hop=4096), "preset.hop"),
    (_preset(n_mels=36), "preset.n_mels"),
    (_preset(frames=33), "preset.frames"),
    (_preset(name="Not an identifier"), "preset.name"),
    (_preset(scale=float("inf")), "preset.scale"),
    (_poke("conv1_weight", 127), "conv1_weight holds magnitudes that add up"),
    (_poke("conv1_threshold", -32768), "conv1_threshold holds -32768"),
    (_poke("conv2_below", 402), r"conv2_below holds a count out of range; every value lies in 0\.\.401"),
    (_poke("conv2_weight", 0), "conv2_weight"),
    (_poke("word_threshold", -0.5), "word_threshold"),
    (_set("linear_weight", np.ones((128, 255), np.int8)), "linear_weight"),
    (_set("linear_scale", np.ones(128)), "linear_scale is float64"),
    (_poke("linear_scale", -32768), "linear_scale holds -32768; every value must be at least -32767"),
    (_poke("linear_slope", -32768), "linear_slope"),
    (_set("stream_bits", 16), "stream_bits"),
    (_set("class_weight", [1, 2, 3]), "class_weight is a list"),
    (_set("class_weight", np.full((12, 8, 128), -64, np.int8)), "class_weight holds magnitudes that add up to 256"),
    (_set("blocks", []), "blocks"),
    (_poke("blocks.2.expand_weight", 2), r"blocks\[2\].expand_weight"),
    (_poke("blocks.7.project_slope", -32768), r"blocks\[7\].project_slope"),
    (_set("blocks.3.memory_input", np.zeros(128, np.float32)), r"blocks\[3\].memory_input is float32"),
    (_set("depths", []), "depths"),
    (_set("depths.1.delta", 1), "each delta comes once"),
    (_set("depths.0.passes.3.block", 8), r"depths\[0\].passes\[3\].block"),
    (_set("depths.0.passes.3.block", 0), "each block runs once"),
    (_set("depths.2.passes.0.expand_flip", np.zeros(256, np.uint8)), "expand_flip"),
    (_poke("depths.2.passes.0.expand_below", -1), "expand_below"),
    (_poke("depths.0.passes.1.memory_scale", -32768), "memory_scale"),
    (_poke("depths.1.class_bias", np.nan), r"depths\[1\].class_bias"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_every_fault_is_named(change: Callable[[FoldedModel], None], message: str) -> None:
    model = random_model(1)
    change(model)
    with pytest.raises(KwsError, match=message) as caught:
        model.validate()
    assert "\n" not in str(caught.value)
