"""Packing puts every bit where kws.h documents it, and unpacking is its inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_model import random_model

from kws.features import Preset
from kws.model.folded import FoldedModel
from kws.model.pack import Shapes, packed_arrays, slots, unpack

# The unpacked path, an element of it, and where kws.h says that its bit is: packed name, flat word, bit.
# C = 128, H = 256, M = 8.
PLACES = [
    (("conv2_weight",), (7, 13, 11), "conv2_weight", 7 * 25 + 13, 11),
    (("linear_weight",), (100, 32 * 5 + 17), "linear_weight", 100 * 4 + 177 // 64, 177 % 64),
    (("blocks", 3, "memory_weight"), (4, 70), "block3_memory_weight", 4 * 2 + 1, 6),
    (("blocks", 0, "expand_weight"), (255, 63), "block0_expand_weight", 255 * 2, 63),
    (("blocks", 7, "project_weight"), (127, 200), "block7_project_weight", 127 * 4 + 3, 8),
    (("depths", 1, "passes", 2, "expand_flip"), (129,), "pass_d2_2_expand_flip", 2, 1),
    (("depths", 2, "passes", 1, "expand_flip"), (0,), "pass_d4_1_expand_flip", 0, 0),
]


@pytest.mark.parametrize("place", PLACES, ids=[place[2] for place in PLACES])
def test_one_hot_bits_land_where_the_header_says(
    place: tuple[tuple[str | int, ...], tuple[int, ...], str, int, int],
) -> None:
    path, element, name, word, bit = place
    model = random_model(0)
    array: object = model
    for step in path:
        array = array[step] if isinstance(step, int) else getattr(array, step)  # type: ignore[index]
    assert isinstance(array, np.ndarray)
    array[...] = False if array.dtype == np.bool_ else -1
    array[element] = 1
    packed = packed_arrays(model)[name].reshape(-1)
    assert int(packed[word]) == 1 << bit
    assert np.count_nonzero(packed) == 1


def test_types_and_shapes_are_those_of_the_header() -> None:
    packed = packed_arrays(random_model(0))
    expected = {
        "word_threshold": (np.float32, (3, 10)),
        "conv1_weight": (np.int8, (25, 16)),
        "conv1_threshold": (np.int16, (1, 16)),
        "conv2_weight": (np.uint16, (32, 25)),
        "conv2_below": (np.int16, (1, 32)),
        "linear_weight": (np.uint64, (128, 4)),
        "block2_memory_weight": (np.uint64, (5, 2)),
        "block2_expand_weight": (np.uint64, (256, 2)),
        "block2_project_weight": (np.uint64, (128, 4)),
        "block2_memory_input": (np.int16, (1, 128)),
        "pass_d2_3_memory_scale": (np.int16, (128,)),
        "pass_d2_3_expand_below": (np.int16, (1, 256)),
        "pass_d2_3_expand_flip": (np.uint64, (4,)),
        "depth_d4_class_scale": (np.float32, (12,)),
        "class_weight": (np.int8, (12, 1, 128, 8)),
    }
    for name, (dtype, shape) in expected.items():
        assert (packed[name].dtype, packed[name].shape) == (np.dtype(dtype), shape), name
        assert packed[name].flags.c_contiguous
    two = packed_arrays(random_model(0, planes=2))
    assert two["conv1_threshold"].shape == (3, 16) and two["pass_d2_3_expand_below"].shape == (3, 256)
    assert two["block2_expand_weight"].shape == packed["block2_expand_weight"].shape


def test_numbers_are_stored_as_they_are() -> None:
    model = random_model(0)
    packed = packed_arrays(model)
    assert np.array_equal(packed["conv1_weight"], model.conv1_weight)
    assert np.array_equal(packed["pass_d4_1_memory_bias"], model.depths[2].passes[1].memory_bias)
    assert np.array_equal(packed["pass_d1_5_expand_below"], model.depths[0].passes[5].expand_below)


@pytest.mark.parametrize("frames", [4, 32, 40, 100])
def test_the_classifier_has_eight_steps_side_by_side(frames: int) -> None:
    model = random_model(0, n_classes=3, preset=Preset("pp", frames=frames))
    steps, packed = frames // 4, packed_arrays(model)["class_weight"]
    assert packed.shape == (3, -(-steps // 8), 128, 8)
    for step in range(packed.shape[1] * 8):
        column = packed[:, step // 8, :, step % 8]
        assert np.array_equal(column, model.class_weight[:, step]) if step < steps else not column.any()


def test_a_strided_array_packs_as_its_copy_does() -> None:
    model, same = random_model(0), random_model(0)
    same.linear_weight = np.asfortranarray(same.linear_weight)
    assert np.array_equal(packed_arrays(model)["linear_weight"], packed_arrays(same)["linear_weight"])


def assert_equal(one: object, other: object, where: str = "model") -> None:
    """Every field of two folded models, arrays bit for bit."""
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert one.dtype == other.dtype and one.shape == other.shape, where
        assert one.tobytes() == other.tobytes(), where
    elif isinstance(one, list):
        assert isinstance(other, list) and len(one) == len(other), where
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_equal(left, right, f"{where}[{index}]")
    elif type(one).__module__ == "kws.model.folded":
        for name, value in vars(one).items():
            assert_equal(value, getattr(other, name), f"{where}.{name}")
    else:
        assert one == other, where


def models() -> st.SearchStrategy[FoldedModel]:
    """Random models of any shape that the engine runs, kept small."""
    presets = st.builds(Preset, st.just("pp"), n_mels=st.sampled_from([8, 24, 40]), frames=st.sampled_from([4, 8, 20]))
    return st.integers(1, 12).flatmap(
        lambda n_classes: st.builds(
            random_model,
            st.integers(0, 2**32),
            n_classes=st.just(n_classes),
            channels=st.sampled_from([64, 128, 192]),
            hidden=st.sampled_from([64, 192]),
            n_blocks=st.integers(1, 5),
            preset=presets,
            n_words=st.integers(1, n_classes),
        )
    )


@settings(max_examples=25, deadline=None)
@given(models())
def test_unpack_inverts_pack(model: FoldedModel) -> None:
    fields = unpack(Shapes.of(model), packed_arrays(model))
    for name, value in fields.items():
        assert_equal(value, getattr(model, name), name)
    arrays = {name for name, value in vars(model).items() if isinstance(value, np.ndarray | list)}
    assert set(fields) == arrays - {"class_names"}


def test_model_data_for_twelve_classes_fits_its_budget() -> None:
    assert sum(slot.padded_nbytes for slot in slots(Shapes.of(random_model(0)))) <= 120_000
