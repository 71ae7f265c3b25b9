"""The C engine as C: it compiles strictly, keeps its rules, refuses bad models, and stands up to sanitizers."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compiled import (
    FLAGS,
    ROOT,
    SANITIZE,
    SOURCES,
    STRICT,
    build_program,
    compile_c,
    fresh_engine,  # noqa: F401  (an autouse fixture)
    run,
    sources,
    tool,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from random_model import random_model
from reference import liven

from kws.engine import library, structs
from kws.features import PRESETS, Preset
from kws.model.folded import FoldedModel

SMALL = Preset("small", n_fft=256, hop=64, n_mels=8, frames=8)
INCLUDE = ["-I", ROOT / "firmware/include"]
OK, ARGUMENT, VERSION, MODEL, MEMORY = 0, -1, -2, -3, -4


# --- how it compiles --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra",
    [[], ["-DKWS_NO_ABI"], ["-DKWS_CHECK"], ["-mpopcnt", "-mfma", "-mavx2"]],
    ids=["plain", "no-abi", "check", "avx2"],
)
@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_no_compiler_warns(cc: str, extra: list[str], tmp_path: Path) -> None:
    if "-mavx2" in extra and "x86_64" not in run([tool(cc), "-dumpmachine"]).stdout:
        pytest.skip("flags of another processor")
    for source in SOURCES:
        compile_c([tool(cc), *FLAGS, *STRICT, "-O3", *extra, *INCLUDE, "-c", source, "-o", tmp_path / "out.o"])


def test_the_header_alone_is_c_and_cpp(tmp_path: Path) -> None:
    for name, command in (("a.c", ["gcc", "-std=c11"]), ("a.cpp", ["g++", "-std=c++17"])):
        (tmp_path / name).write_text('#include "kws.h"\nint size = (int)sizeof(kws_model_t);\n')
        compile_c([tool(command[0]), *command[1:], *STRICT, *INCLUDE, "-c", tmp_path / name, "-o", tmp_path / "a.o"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-std=c11", "-ffast-math"], "-ffast-math"),
        (["-std=c11", "-Ofast"], "-ffast-math"),
        (["-std=gnu11", "-mfma"], "-ffp-contract=off"),
    ],
)
def test_flags_that_would_change_the_numbers_are_errors(flags: list[str], message: str, tmp_path: Path) -> None:
    if "x86_64" not in run([tool("gcc"), "-dumpmachine"]).stdout:
        pytest.skip("flags of another processor")
    result = run(["gcc", *flags, *INCLUDE, "-c", ROOT / "firmware/src/math.c", "-o", tmp_path / "out.o"])
    assert result.returncode != 0
    assert re.search(rf"#error .*{message}", result.stderr)


@pytest.mark.parametrize("level", ["-O0", "-O3", "-Os"])
@pytest.mark.parametrize("cc", ["gcc", "clang", "aarch64-linux-gnu-gcc"])
def test_it_needs_memcpy_and_memset_and_holds_no_variable(cc: str, level: str, tmp_path: Path) -> None:
    undefined, defined = set(), set()
    for source in sources(cc):
        out = tmp_path / "out.o"
        compile_c([tool(cc), *FLAGS, level, "-fno-pic", "-fno-stack-protector", *INCLUDE, "-c", source, "-o", out])
        for line in run([tool("nm"), out]).stdout.splitlines():
            kind, name = line.split()[-2:]
            if kind == "U":
                undefined.add(name)
            else:
                defined.add(name)
            assert kind not in "dDbBC", f"{source.name}: {name} is a variable"
    assert undefined - defined <= {"memcpy", "memset"}


def test_a_library_built_with_hidden_symbols_shows_the_interface_alone(tmp_path: Path) -> None:
    out = tmp_path / "engine.so"
    compile_c([tool("gcc"), *FLAGS, "-fvisibility=hidden", "-shared", "-fPIC", *INCLUDE, *sources("gcc"), "-o", out])
    shown = {line.split()[-1] for line in run([tool("nm"), "-D", "--defined-only", out]).stdout.splitlines()}
    functions = (ROOT / "firmware/include/kws.h").read_text().split("typedef struct kws_state")[1]
    declared = set(re.findall(r"\b(kws_\w+)\(", re.sub(r"/\*.*?\*/", "", functions, flags=re.DOTALL)))
    assert shown == declared | {"kws_abi_sizeof", "kws_abi_offsetof"}


# --- the models it accepts --------------------------------------------------------------------------------------------


def check(struct: structs.Model, size: int | None = None, shift: int = 0) -> int:
    """Status of kws_init for a model; ``kws_state_size`` must agree."""
    c = library.load()
    needed = c.kws_state_size(struct)
    size = max(needed, 64) if size is None else size
    memory = structs.aligned_bytes(size + 64)
    state = ctypes.c_void_p()
    status = c.kws_init(ctypes.c_void_p(memory.ctypes.data + shift), size, struct, state)
    assert (needed == 0) == (status in (ARGUMENT, VERSION, MODEL))
    assert (c.kws_window_samples(struct) == 0) == (needed == 0)
    assert (state.value is None) == (status != OK)
    if needed == 0:
        assert c.kws_trace_size(struct, 1) == 0
    return status


def small_view() -> structs.ModelView:
    return structs.ModelView(random_model(0, channels=64, hidden=64, n_blocks=4, preset=SMALL))


PARTS: dict[str, Callable[[structs.Model], Any]] = {
    "model": lambda model: model,
    "frontend": lambda model: model.frontend[0],
    "block": lambda model: model.blocks[3],
    "depth": lambda model: model.depths[1],
    "pass": lambda model: model.depths[2].passes[0],
}
TYPES = {
    "model": structs.Model,
    "frontend": structs.Frontend,
    "block": structs.Block,
    "depth": structs.Depth,
    "pass": structs.Pass,
}
POINTERS = [
    (part, name)
    for part, kind in TYPES.items()
    for name, field in ((f[0], f[1]) for f in kind._fields_)
    if hasattr(field, "contents")
]
TABLES = {"frontend", "blocks", "depths", "class_names", "passes", "block"}
"""Pointers to structs and strings, whose alignment is the compiler's affair."""


def test_a_good_model_is_accepted() -> None:
    assert check(small_view().struct) == OK


@pytest.mark.parametrize(("part", "name"), POINTERS)
def test_null_and_misaligned_arrays_are_refused(part: str, name: str) -> None:
    view = small_view()
    owner = PARTS[part](view.struct)
    pointer = getattr(owner, name)
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    assert address is not None
    setattr(owner, name, type(pointer)())
    assert check(view.struct) == MODEL
    if name not in TABLES:
        setattr(owner, name, ctypes.cast(address + 8, type(pointer)))
        assert check(view.struct) == MODEL
    setattr(owner, name, ctypes.cast(address, type(pointer)))
    assert check(view.struct) == OK


@pytest.mark.parametrize(
    ("part", "name", "values"),
    [
        ("model", "channels", [0, -64, 32, 65, 320, 2**31 - 64]),
        ("model", "hidden", [0, -64, 100, 576]),
        ("model", "n_blocks", [0, -1, 65]),
        ("model", "n_depths", [0, -1, 65]),
        ("model", "n_classes", [0, -1, 9, 1025]),
        ("model", "n_words", [0, -1, 13]),
        ("model", "hop_frames", [0, -1, 9]),
        ("model", "smoothing", [0, -1, 17]),
        ("model", "refractory", [-1]),
        ("model", "release", [-0.1, 1.1, float("nan")]),
        ("model", "gate", [float("nan"), float("-inf")]),
        ("model", "wake", [-0.1, float("nan"), float("inf")]),
        ("model", "listen_delta", [1, 3, -1]),
        ("frontend", "sample_rate", [0, -16000]),
        ("frontend", "n_fft", [0, -256, 32, 255, 384, 8192]),
        ("frontend", "hop", [0, -1, 63, 257]),
        ("frontend", "n_mels", [0, -8, 4, 12, 264]),
        ("frontend", "frames", [0, -4, 6, 1028]),
        ("frontend", "offset", [float("nan"), float("inf")]),
        ("frontend", "scale", [float("nan"), float("-inf")]),
        ("depth", "delta", [0, -1, 1, 4]),  # 1 and 4 are the other depths'
        ("depth", "n_passes", [0, -1, 65]),
    ],
)
def test_values_out_of_range_are_refused(part: str, name: str, values: list[float]) -> None:
    view = small_view()
    owner = PARTS[part](view.struct)
    good = getattr(owner, name)
    for value in values:
        setattr(owner, name, value)
        assert check(view.struct) == MODEL, value
    setattr(owner, name, good)
    assert check(view.struct) == OK


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), -0.1])
def test_thresholds_must_be_numbers(threshold: float) -> None:
    view = small_view()
    view.arrays["word_threshold"][-1, 3] = threshold
    assert check(view.struct) == MODEL


def test_a_filter_beyond_the_spectrum_is_refused() -> None:
    view = small_view()
    view._tables["mel_count"][7] += 8
    assert check(view.struct) == MODEL


def test_a_filter_must_be_of_eights() -> None:
    view = small_view()
    view._tables["mel_count"][0] -= 1
    assert check(view.struct) == MODEL


def test_a_block_of_another_model_is_refused() -> None:
    view, other = small_view(), small_view()
    PARTS["pass"](view.struct).block = other.struct.blocks
    assert check(view.struct) == MODEL


def test_another_version_is_refused_before_anything_is_read() -> None:
    view = small_view()
    view.struct.version += 1
    view.struct.frontend = type(view.struct.frontend)()
    assert check(view.struct) == VERSION


def test_memory_must_be_large_enough_and_aligned() -> None:
    view = small_view()
    needed = library.load().kws_state_size(view.struct)
    assert check(view.struct, needed) == OK
    assert check(view.struct, needed - 1) == MEMORY
    assert check(view.struct, 0) == MEMORY
    assert [check(view.struct, needed, shift) for shift in (1, 8, 32)] == [MEMORY] * 3
    c, state = library.load(), ctypes.c_void_p()
    memory = ctypes.c_void_p(structs.aligned_bytes(needed).ctypes.data)
    assert c.kws_init(None, needed, view.struct, state) == ARGUMENT
    assert c.kws_init(memory, needed, None, state) == ARGUMENT
    assert c.kws_init(memory, needed, view.struct, None) == ARGUMENT
    assert c.kws_state_size(None) == c.kws_window_samples(None) == c.kws_trace_size(None, 1) == 0


def documented_size(model: FoldedModel) -> int:
    """The sum in the opening comment of state.c, evaluated as it stands there."""
    preset = model.preset
    half = (preset.n_mels // 2 + 15) // 16 * 16
    values = {
        "n_fft": preset.n_fft, "frames": preset.frames, "n_mels": preset.n_mels, "n_classes": model.n_classes,
        "n_words": model.n_words, "n_depths": len(model.depths), "KWS_MAX_SMOOTHING": 16,
        "C": model.channels, "H": model.hidden, "planes": model.planes,
        "T": preset.frames // 4, "R": (preset.frames // 4 + 7) // 8 * 8, "M": preset.n_mels // 4, "max": max,
        "row": 32 + 2 * half, "column": (preset.n_mels // 2 + 6 + 7) // 8 * 8,
    }  # fmt: skip
    comment = (ROOT / "firmware/src/state.c").read_text().split("*/")[0]
    table = comment.split("section        bytes")[1].split("kws_state_size is")[0]
    sizes = []
    for part, times in zip(table.split("and twice, "), (1, 2), strict=True):
        for size in re.findall(r"^ \*     \w+ +(?:\d times )?(\S.*?)(?:   .*)?$", part, re.MULTILINE):
            sizes += [int(eval(size.replace("/", "//"), values))] * (2 if f"2 times {size}" in part else times)
    assert len(sizes) == 19 + 1 + 2 * 3
    return sum((size + 63) // 64 * 64 for size in sizes)


@settings(max_examples=25)
@given(st.data())
def test_the_state_is_the_documented_sum(data: st.DataObject) -> None:
    preset = Preset(
        "any",
        n_fft=2 ** data.draw(st.integers(9, 12)),
        n_mels=8 * data.draw(st.integers(1, 3)),
        frames=4 * data.draw(st.integers(1, 20)),
    )
    model = random_model(
        0,
        n_classes=data.draw(st.integers(1, 40)),
        channels=64 * data.draw(st.integers(1, 4)),
        hidden=64 * data.draw(st.integers(1, 8)),
        n_blocks=3,
        deltas=data.draw(st.sampled_from([(1,), (1, 2), (1, 2, 3)])),
        preset=preset,
        planes=data.draw(st.integers(1, 2)),
    )
    model.smoothing = data.draw(st.integers(1, 16))
    assert library.load().kws_state_size(structs.ModelView(model).struct) == documented_size(model)


def test_the_default_shapes_need_less_than_forty_kilobytes() -> None:
    assert library.load().kws_state_size(structs.ModelView(random_model(0, n_classes=37)).struct) < 40 * 1024


# --- under sanitizers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_random_calls_under_sanitizers(cc: str, tmp_path: Path) -> None:
    model = random_model(11, n_classes=5, channels=64, hidden=128, n_blocks=4, preset=SMALL)
    model.hop_frames, model.smoothing, model.refractory = 2, 3, 500
    liven(model, 11)
    program = build_program(tmp_path, "tests/c/fuzz.c", model, cc, SANITIZE)
    for seed in range(4):
        result = run([program, seed, 12])
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("planes", [1, 2])
def test_random_calls_of_the_default_shapes_under_sanitizers(planes: int, tmp_path: Path) -> None:
    model = random_model(12, preset=PRESETS["bifsmn"], planes=planes)
    program = build_program(tmp_path, "tests/c/fuzz.c", model, "gcc", SANITIZE)
    result = run([program, 1, 4])
    assert result.returncode == 0, result.stderr
