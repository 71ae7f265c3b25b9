"""Exported headers: they compile everywhere, hold the model bit for bit, and never overwrite a stranger's file."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_model import random_model

from kws.engine import Engine, library, structs
from kws.errors import KwsError
from kws.features import PRESETS, Preset, tables
from kws.model.folded import FoldedModel
from kws.model.header import RESERVED, check_name, export, frontend_header, model_header
from kws.model.pack import packed_arrays
from kws.model.state_size import state_size

INCLUDE = Path(__file__).parents[1] / "firmware" / "include"
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wunused-const-variable", "-Werror")

# Names and notes that would break out of a comment or a string if they were not escaped.
HOSTILE = ['say "hi"', "back\\slash", "/* open", "close */", "why??/", "Grüße", "音声", "%s%n", "tab ends\\"]

SOURCE = """
#include "m.h"
const void *model(void) { return &kws_m; }
const void *data(void) { return &kws_m_data; }
unsigned long data_size(void) { return sizeof kws_m_data; }
unsigned long frontend_size(void) { return sizeof kws_frontend_bifsmn_data; }
unsigned long state_size(void) { return KWS_M_STATE_SIZE; }
"""


def compilers() -> list[list[str]]:
    """Every C and C++ compiler here, each as the standard that headers are written for."""
    found = [[name, "-std=c11"] for name in ("gcc", "clang") if shutil.which(name)]
    return found + [[name, "-std=c++17", "-xc++"] for name in ("g++", "clang++") if shutil.which(name)]


def compile_c(folder: Path, source: str, *options: str, compiler: list[str] | None = None) -> Path:
    """Compiles ``source`` beside the headers of ``folder``; returns what came out."""
    command = compiler or [*filter(shutil.which, ("cc", "gcc", "clang"))][:1]
    if not command:
        pytest.skip("no C compiler on this machine")
    (folder / "m.c").write_text(source)
    out = folder / "m.out"
    subprocess.run(
        [*command, *options, f"-I{INCLUDE}", str(folder / "m.c"), "-o", str(out)],
        check=True,
        capture_output=True,
        text=True,
    )
    return out


@dataclass
class Compiled:
    """A header compiled into a shared library."""

    model: FoldedModel
    text: str
    library: ctypes.CDLL
    struct: structs.Model

    def number(self, name: str) -> int:
        function = getattr(self.library, name)
        function.restype = ctypes.c_ulong
        return int(function())


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    folder = tmp_path_factory.mktemp("header")
    model = random_model(11)
    model.class_names[: len(HOSTILE)] = HOSTILE
    model.linear_bias[:3] = [-32768, 32767, 0]
    model.depths[0].class_bias[:4] = np.array([0x80000000, 1, 0x7F7FFFFF, 0x00800000], np.uint32).view(np.float32)
    export(model, folder / "m.h")
    shared = ctypes.CDLL(str(compile_c(folder, SOURCE, "-std=c11", "-shared", "-fPIC")))
    shared.model.restype = ctypes.c_void_p
    return Compiled(model, (folder / "m.h").read_text(), shared, structs.Model.from_address(shared.model()))


def same_bits(pointer: object, array: np.ndarray) -> bool:
    address = ctypes.cast(pointer, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert address is not None and address % 64 == 0
    return ctypes.string_at(address, array.nbytes) == array.tobytes()


def test_every_array_compiles_to_the_same_bits(compiled: Compiled) -> None:
    arrays, struct = packed_arrays(compiled.model), compiled.struct
    seen = set()

    def check(owner: ctypes.Structure, prefix: str) -> None:
        for field in owner._fields_:
            if prefix + field[0] in arrays:
                assert same_bits(getattr(owner, field[0]), arrays[prefix + field[0]]), prefix + field[0]
                seen.add(prefix + field[0])

    check(struct, "")
    for index in range(struct.n_blocks):
        check(struct.blocks[index], f"block{index}_")
    for number, depth in enumerate(compiled.model.depths):
        c_depth = struct.depths[number]
        assert (c_depth.delta, c_depth.n_passes) == (depth.delta, len(depth.passes))
        check(c_depth, f"depth_d{depth.delta}_")
        for index, one in enumerate(depth.passes):
            check(c_depth.passes[index], f"pass_d{depth.delta}_{index}_")
            start = ctypes.addressof(struct.blocks.contents)
            step = ctypes.addressof(c_depth.passes[index].block.contents) - start
            assert step == one.block * ctypes.sizeof(structs.Block)
    assert seen == set(arrays)


def test_feature_tables_compile_to_the_same_bits(compiled: Compiled) -> None:
    frontend, preset = compiled.struct.frontend.contents, PRESETS["bifsmn"]
    for name, array in vars(tables(preset)).items():
        assert same_bits(getattr(frontend, name), array), name
    for name in ("sample_rate", "n_fft", "hop", "n_mels", "frames"):
        assert getattr(frontend, name) == getattr(preset, name)
    assert (frontend.offset, frontend.scale) == (np.float32(preset.offset), np.float32(preset.scale * 40))


def test_scalars_and_names_are_those_of_the_model(compiled: Compiled) -> None:
    model, struct = compiled.model, compiled.struct
    for name in ("channels", "hidden", "n_classes", "n_words", "hop_frames", "smoothing", "refractory", "listen_delta"):
        assert getattr(struct, name) == getattr(model, name)
    for name in ("release", "gate", "wake"):
        assert getattr(struct, name) == np.float32(getattr(model, name))
    assert (struct.version, struct.n_blocks, struct.n_depths) == (4, len(model.blocks), len(model.depths))
    assert [struct.class_names[index].decode() for index in range(model.n_classes)] == model.class_names


def test_banner_total_is_the_compiled_size(compiled: Compiled) -> None:
    total = re.search(r"total +(\d+)  = sizeof kws_m_data", compiled.text)
    assert total and int(total[1]) == compiled.number("data_size") <= 120_000
    parts = re.findall(r"^ \*   (\S.*?) +(\d+)$", compiled.text, re.MULTILINE)
    assert sum(int(size) for _, size in parts) == int(total[1])
    beside = re.search(r"Beside it: (\d+) bytes", compiled.text)
    assert beside and int(beside[1]) == compiled.number("frontend_size")


def test_banner_total_is_the_size_of_the_object_files_symbol_and_section(tmp_path: Path) -> None:
    if not (shutil.which("nm") and shutil.which("size")):
        pytest.skip("no binutils on this machine")
    export(random_model(11), tmp_path / "m.h")
    total = re.search(r"total +(\d+)", (tmp_path / "m.h").read_text())
    assert total
    out = compile_c(tmp_path, SOURCE, "-std=c11", "-c", "-fdata-sections")
    symbols = subprocess.run(["nm", "-S", out], check=True, capture_output=True, text=True).stdout
    symbol = re.search(r"^\S+ (\S+) \w kws_m_data$", symbols, re.MULTILINE)
    assert symbol and int(symbol[1], 16) == int(total[1])
    sections = subprocess.run(["size", "-A", out], check=True, capture_output=True, text=True).stdout
    section = re.search(r"^\.rodata\.kws_m_data +(\d+)", sections, re.MULTILINE)
    assert section and section[1] == total[1]


def test_state_size_is_what_the_engine_counts(compiled: Compiled) -> None:
    assert compiled.number("state_size") == library.load().kws_state_size(compiled.struct) <= 64 * 1024


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([64, 128, 192, 256]),
    st.sampled_from([64, 128, 256, 512]),
    st.sampled_from([(64, 64, 8, 4), (2048, 512, 32, 32), (512, 160, 40, 100), (4096, 4096, 64, 8)]),
    st.integers(1, 40),
    st.integers(1, 16),
    st.data(),
)
def test_state_size_of_any_shape(
    channels: int, hidden: int, frames: tuple[int, int, int, int], n_classes: int, smoothing: int, data: st.DataObject
) -> None:
    n_fft, hop, n_mels, count = frames
    preset = Preset("any", n_fft=n_fft, hop=hop, n_mels=n_mels, frames=count)
    n_words = data.draw(st.integers(1, n_classes))
    model = random_model(0, n_classes, channels, hidden, 1, preset, (1,), n_words)
    model.smoothing = smoothing
    assert state_size(model) == library.load().kws_state_size(structs.ModelView(model).struct)


def test_compiled_model_runs_as_the_engine_does(compiled: Compiled) -> None:
    c, engine = library.load(), Engine(compiled.model)
    memory = structs.aligned_bytes(compiled.number("state_size"))
    state = ctypes.c_void_p()
    assert c.kws_init(memory.ctypes.data, memory.size, compiled.struct, state) == 0
    rng = np.random.default_rng(4)
    for delta in (1, 2, 4):
        pcm = (3000 * rng.standard_normal(engine.window_samples)).astype(np.int16)
        logits = np.empty(len(engine.class_names), np.float32)
        assert c.kws_set_depth(state, delta) == 0
        sound = pcm.ctypes.data_as(ctypes.POINTER(ctypes.c_int16))
        assert c.kws_classify(state, sound, logits.ctypes.data_as(ctypes.POINTER(ctypes.c_float))) == 0
        assert logits.tobytes() == engine.classify(pcm, delta).tobytes()


@pytest.mark.parametrize("compiler", compilers(), ids=" ".join)
def test_headers_compile_without_a_warning(tmp_path: Path, compiler: list[str]) -> None:
    model = random_model(3, n_classes=12, n_blocks=2)
    model.class_names[: len(HOSTILE)] = HOSTILE
    model.provenance = {"*/ #error": "*/ int x; /* ??/", "long": "y" * 500, "ünï": ["\n", 1.5, None]}
    export(model, tmp_path / "m.h")
    export(model, tmp_path / "other.h")
    # Included and unused, twice, beside another model of the same preset.
    source = '#include "m.h"\n#include "other.h"\n#include "m.h"\nint x;\n'
    compile_c(tmp_path, source, "-c", *STRICT, compiler=compiler)
    # Alone, as the file being compiled, where unused constants would be warned of.
    compile_c(tmp_path, (tmp_path / "m.h").read_text() + "int x;\n", "-c", *STRICT, compiler=compiler)


def failing(folder: Path, source: str, *options: str) -> str:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        compile_c(folder, source, "-c", *options)
    return str(caught.value.stderr)


def test_another_engine_version_is_refused(tmp_path: Path) -> None:
    export(random_model(3, n_blocks=1), tmp_path / "m.h")
    later = '#include "kws.h"\n#undef KWS_ENGINE_VERSION\n#define KWS_ENGINE_VERSION 5\n#include "m.h"\n'
    assert "The model m was exported for kws engine version 4" in failing(tmp_path, later)


def test_feature_tables_of_another_training_are_refused(tmp_path: Path) -> None:
    model = random_model(3, n_blocks=1)
    export(model, tmp_path / "m.h")
    (tmp_path / "frontend_bifsmn.h").write_text(frontend_header(replace(model.preset, offset=-30.0)))
    assert "frontend_bifsmn.h holds other tables" in failing(tmp_path, '#include "m.h"\n')


def test_header_is_a_function_of_the_model(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b" / "c"
    export(random_model(5), one / "m.h")
    export(random_model(5), other / "m.h")
    for name in ("m.h", "frontend_bifsmn.h"):
        text = (one / name).read_text()
        assert text == (other / name).read_text()
        assert text.isascii() and text.endswith("\n")
        assert max(map(len, text.splitlines())) <= 120
        assert not re.search(r"20\d\d-\d\d|" + re.escape(str(tmp_path)), text)


def test_banner_says_where_the_model_comes_from(compiled: Compiled) -> None:
    head = compiled.text[: compiled.text.index("*/")]
    assert "generated by `kws export`, do not edit" in head
    assert f"Checkpoint SHA-256: {compiled.model.checkpoint_sha256}" in head
    assert "data: random numbers" in head
    assert "_unknown_, _silence_" in head


def test_generated_files_are_overwritten_and_others_are_not(tmp_path: Path) -> None:
    out = tmp_path / "m.h"
    export(random_model(1, n_blocks=1), out)
    export(random_model(2, n_blocks=1), out)
    assert out.read_text() == model_header(random_model(2, n_blocks=1), "m")
    out.write_text("int mine;\n")
    with pytest.raises(KwsError, match="was not written by `kws export`"):
        export(random_model(1, n_blocks=1), out)
    assert out.read_text() == "int mine;\n"
    export(random_model(1, n_blocks=1), out, force=True)
    (tmp_path / "frontend_bifsmn.h").write_text("int mine;\n")
    with pytest.raises(KwsError, match=r"frontend_bifsmn\.h: was not written"):
        export(random_model(2, n_blocks=1), out)
    assert out.read_text() == model_header(random_model(1, n_blocks=1), "m")  # neither file was touched


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "ünï", "a;b", "x" * 41, "init", "State", "frontend_bifsmn"])
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KwsError, match="--name"):
        export(random_model(1, n_blocks=1), tmp_path / "m.h", name)
    assert list(tmp_path.iterdir()) == []


def test_bad_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KwsError, match=r"ends in \.h"):
        export(random_model(1, n_blocks=1), tmp_path)
    with pytest.raises(KwsError, match="choose another --out"):
        export(random_model(1, n_blocks=1), tmp_path / "frontend_bifsmn.h", "m")
    (tmp_path / "file").write_text("")
    with pytest.raises(KwsError, match="cannot be made"):
        export(random_model(1, n_blocks=1), tmp_path / "file" / "m.h")


def test_no_name_of_the_interface_can_be_a_models() -> None:
    names = set(re.findall(r"\bkws_(\w+)", (INCLUDE / "kws.h").read_text())) - {"kws12_listener"}
    assert names - RESERVED == set()
    for name in sorted(names):
        with pytest.raises(KwsError):
            check_name(name)
