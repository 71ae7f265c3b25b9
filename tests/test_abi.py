"""ctypes and the C compiler see the same structs, and the engine's functions do what their callers rely on."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from random_model import random_model

from kws.engine import Engine, library, structs
from kws.engine.engine import ISAS
from kws.errors import KwsError
from kws.features import Preset
from kws.model.folded import CONV1_CHANNELS, CONV2_CHANNELS, KERNEL
from kws.model.pack import ALIGN, ENGINE_VERSION

HEADER = (Path(__file__).parents[1] / "firmware" / "include" / "kws.h").read_text()
CODE = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)


@pytest.fixture(scope="module")
def engine() -> Engine:
    model = random_model(9, n_classes=5, channels=64, hidden=128, n_blocks=4)
    model.refractory = 8000
    return Engine(model)


@pytest.mark.parametrize("name", structs.C_NAMES)
def test_structs_are_laid_out_as_in_c(name: str) -> None:
    c, struct = library.load(), structs.C_NAMES[name]
    assert c.kws_abi_sizeof(name.encode()) == ctypes.sizeof(struct)
    for field, *_ in struct._fields_:
        assert c.kws_abi_offsetof(name.encode(), field.encode()) == getattr(struct, field).offset, field


def test_abi_queries_know_their_limits() -> None:
    c = library.load()
    assert c.kws_abi_sizeof(b"kws_nothing_t") == 0
    assert c.kws_abi_offsetof(b"kws_model_t", b"nothing") == ctypes.c_size_t(-1).value
    assert c.kws_abi_offsetof(b"kws_nothing_t", b"version") == ctypes.c_size_t(-1).value


@pytest.mark.parametrize("name", structs.C_NAMES)
def test_fields_have_the_names_order_and_types_of_the_header(name: str) -> None:
    body = re.search(r"typedef struct \w+ \{([^}]*)\} " + name + ";", CODE)
    assert body
    declared = [" ".join(line.split()) for line in body[1].split(";") if line.strip()]
    assert declared == [f"{c_type(kind)}{field}" for field, kind, *_ in structs.C_NAMES[name]._fields_]


def c_type(kind: type) -> str:
    """A ctypes type as kws.h writes it, with the space or star before a field's name."""
    names = {struct: name for name, struct in structs.C_NAMES.items()}
    numbers = ("int8", "int16", "int32", "uint16", "uint32", "uint64")
    scalars: dict[type, str] = {getattr(ctypes, f"c_{number}"): f"{number}_t" for number in numbers}
    scalars[ctypes.c_float] = "float"
    if kind is ctypes.POINTER(ctypes.c_char_p):
        return "const char *const *"
    target = getattr(kind, "_type_", None)
    if isinstance(target, type):
        return f"const {names.get(target) or scalars[target]} *"
    return f"{scalars[kind]} "


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KWS_ENGINE_VERSION", ENGINE_VERSION),
        ("KWS_ALIGN", ALIGN),
        ("KWS_KERNEL", KERNEL),
        ("KWS_CONV1_CHANNELS", CONV1_CHANNELS),
        ("KWS_CONV2_CHANNELS", CONV2_CHANNELS),
    ],
)
def test_constants_are_those_of_the_header(name: str, value: int) -> None:
    found = re.search(rf"#define {name} +(\d+)", HEADER)
    assert found and int(found[1]) == value


def test_event_capacity_is_the_headers() -> None:
    assert f"#define KWS_EVENT_CAPACITY(n) ((n) / {structs.SAMPLES_PER_EVENT} + 1)" in HEADER


def test_every_function_of_the_header_is_declared() -> None:
    functions = set(re.findall(r"\b(kws_\w+)\(", CODE))
    assert functions == {name for name in library.PROTOTYPES if not name.startswith("kws_abi_")}


def test_arrays_are_aligned_and_stay_alive() -> None:
    view = structs.ModelView(random_model(1))
    assert all(array.ctypes.data % ALIGN == 0 for array in view.arrays.values())
    engine = Engine(random_model(1))
    pcm = np.zeros(engine.window_samples, np.int16)
    before = engine.classify(pcm)
    stream = engine.stream()
    del engine
    for seed in range(3):  # would overwrite freed buffers
        Engine(random_model(seed + 2)).classify(pcm)
    stream.feed(np.zeros(40000, np.int16))
    assert Engine(random_model(1)).classify(pcm).tobytes() == before.tobytes()


def test_another_engine_version_is_refused() -> None:
    c, view = library.load(), structs.ModelView(random_model(1), version=ENGINE_VERSION + 1)
    assert c.kws_state_size(view.struct) == 0
    memory, state = structs.aligned_bytes(100_000), ctypes.c_void_p()
    assert c.kws_init(memory.ctypes.data, memory.size, view.struct, state) == -2


def test_engine_refuses_what_is_no_window(engine: Engine) -> None:
    with pytest.raises(KwsError, match=r"pcm is float64 of shape \[17920\]; give int16 of shape \[17920\]"):
        engine.classify(np.zeros(17920))  # type: ignore[arg-type]
    with pytest.raises(KwsError, match=r"give int16 of shape \[17920\]"):
        engine.features(np.zeros(16000, np.int16))
    with pytest.raises(KwsError, match=r"give int16 of shape \[n, 17920\]"):
        engine.classify_batch(np.zeros(17920, np.int16))
    with pytest.raises(KwsError, match=r"give float32 of shape \[32, 32\]"):
        engine.network(np.zeros((32, 31), np.float32))
    with pytest.raises(KwsError, match="has no depth 3; choose one of 1, 2, 4"):
        engine.network(np.zeros((32, 32), np.float32), delta=3)


def test_stream_refuses_what_is_no_sound(engine: Engine) -> None:
    stream = engine.stream()
    for wrong in (np.zeros(10), np.zeros((10, 1), np.int16), np.zeros(10, ">i2"), np.int16(3), [0.5]):
        with pytest.raises(KwsError, match=r"give int16 of shape \[n\]"):
            stream.feed(wrong)  # type: ignore[arg-type]
    with pytest.raises(KwsError, match="knows no word 'cat'; it knows word0, word1, word2"):
        stream.set_threshold("cat", 0.5)
    for bad in (-0.1, float("nan"), float("inf")):
        with pytest.raises(KwsError, match="not a number of at least 0"):
            stream.set_threshold("word1", bad)
    with pytest.raises(KwsError, match="no depth 8"):
        stream.set_depth(8)
    with pytest.raises(KwsError, match="no depth 8"):
        engine.stream(delta=8)


def test_invalid_models_are_refused() -> None:
    model = random_model(1)
    model.linear_slope[3] = -32768
    with pytest.raises(KwsError, match="linear_slope"):
        Engine(model)


def tones(seed: int, samples: int) -> np.ndarray:
    """Noisy tones, each half a second long, of every pitch and loudness, so that different classes win."""
    rng = np.random.default_rng(seed)
    count = samples // 8000 + 1
    pitch = np.repeat(rng.uniform(60, 6000, count), 8000)[:samples]
    loudness = np.repeat(10 ** rng.uniform(0.5, 4.2, count), 8000)[:samples]
    wave = np.sin(np.cumsum(2 * np.pi * pitch / 16000)) + 0.3 * rng.standard_normal(samples)
    return np.clip(loudness * wave, -32768, 32767).astype(np.int16)


def test_empty_strided_and_read_only_sound_is_fine(engine: Engine) -> None:
    pcm = tones(1, 50_000)
    stream, other = engine.stream(), engine.stream()
    assert stream.feed(np.zeros(0, np.int16)) == []
    frozen = pcm.copy()
    frozen.setflags(write=False)
    doubled = np.repeat(pcm, 2)
    assert stream.feed(frozen) == other.feed(doubled[::2])
    assert np.array_equal(stream.scores, other.scores)


def test_long_feeds_equal_short_ones(engine: Engine) -> None:
    pcm = tones(2, 3 * 65536 + 17)
    thresholds = dict.fromkeys(engine.class_names[: engine.n_words], 0.3)
    whole, pieces = engine.stream(2, thresholds), engine.stream(2, thresholds)
    expected = whole.feed(pcm)
    found = [event for start in range(0, len(pcm), 1000) for event in pieces.feed(pcm[start : start + 1000])]
    assert expected == found and len(found) > 2
    assert all(event.word in thresholds and event.depth == 2 and 0.3 <= event.score <= 1 for event in found)
    assert [event.time for event in found] == sorted(event.time for event in found)
    assert np.array_equal(whole.last_frame, pieces.last_frame)
    whole.reset()
    assert whole.feed(pcm) == expected


def test_classify_is_features_then_network(engine: Engine) -> None:
    pcm = tones(3, engine.window_samples)
    features = engine.features(pcm)
    assert features.shape == (32, 32) and features.dtype == np.float32
    for delta in engine.deltas:
        logits = engine.classify(pcm, delta)
        assert logits.tobytes() == engine.network(features, delta).tobytes()
        traced, trace = engine.network_traced(features, delta)
        assert traced.tobytes() == logits.tobytes()
        passes = len(engine.model.depths[engine.deltas.index(delta)].passes)
        assert trace.dtype == np.int16 and trace.shape == (8 * 8 * 32 + 8 * 64 + passes * 8 * (64 + 128 + 64),)
    batch = engine.classify_batch(np.stack([pcm, pcm[::-1]]))
    assert batch[0].tobytes() == engine.classify(pcm).tobytes()
    assert engine.classify_batch(np.zeros((0, engine.window_samples), np.int16)).shape == (0, 5)


def test_features_are_frequency_by_time(engine: Engine) -> None:
    time = np.arange(engine.window_samples) / 16000
    tone = np.where(time < 0.5, 0, 8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    features = engine.features(tone)
    assert np.all(features[:, 0] == -100)  # digital silence in every band of the first frame
    assert features[:, -1].argmax() < 10  # a low tone peaks in a low band


def test_softmax_is_a_softmax(engine: Engine) -> None:
    logits = np.array([1.0, -2.0, 30.0, 0.0, 29.5], np.float32)
    expected = np.exp(logits.astype(np.float64) - 30)
    assert np.allclose(engine.softmax(logits), expected / expected.sum(), rtol=1e-5)


def test_every_implementation_of_this_machine_gives_the_same_bits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pcm = tones(6, engine.window_samples)
    expected, names = engine.classify(pcm), []
    monkeypatch.delenv("KWS_ISA", raising=False)
    for name in ISAS:
        try:
            one = Engine(engine.model, isa=name)
        except KwsError:
            continue
        names.append(name)
        assert one.isa == name and one.classify(pcm).tobytes() == expected.tobytes()
        monkeypatch.setenv("KWS_ISA", name)
        assert Engine(engine.model).isa == name == Engine(engine.model).stream()._state.isa
    assert "portable" in names
    monkeypatch.setenv("KWS_ISA", "")
    assert Engine(engine.model).isa in names
    monkeypatch.setenv("KWS_ISA", "altivec")
    with pytest.raises(KwsError, match=rf"have no 'altivec'; choose one of {', '.join(names)}, or none"):
        Engine(engine.model)
    assert Engine(engine.model, isa="portable").isa == "portable"


def test_other_presets_run() -> None:
    preset = Preset("other", n_fft=512, hop=160, n_mels=40, frames=96)
    engine = Engine(random_model(2, channels=64, hidden=64, n_blocks=2, preset=preset))
    assert engine.features(tones(5, preset.window_samples)).shape == (40, 96)
    assert engine.stream().last_frame.shape == (40,)


def test_library_override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing.so"
    monkeypatch.setenv(library.VARIABLE, str(missing))
    with pytest.raises(KwsError, match=r"missing\.so: KWS_ENGINE_LIBRARY names this file but it does not exist"):
        library.load()
    text = tmp_path / "text.so"
    text.write_text("not a library")
    with pytest.raises(KwsError, match=r"text\.so: cannot be loaded"):
        library.load(text)


def test_missing_library_says_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(library.VARIABLE, raising=False)
    monkeypatch.setattr(library, "FILE_NAMES", ("libkws_nowhere.so",))
    with pytest.raises(KwsError, match=r"build and install it with `pip install \.`"):
        library.load()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")
def test_foreign_libraries_are_refused(tmp_path: Path) -> None:
    empty, stale = tmp_path / "empty.so", tmp_path / "stale.so"
    (tmp_path / "empty.c").write_text("int nothing;\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", empty, tmp_path / "empty.c"], check=True)
    with pytest.raises(KwsError, match=r"empty\.so: lacks kws_state_size"):
        library.load(empty)
    functions = "".join(f"unsigned long {name}(void) {{ return 0; }}\n" for name in library.PROTOTYPES)
    (tmp_path / "stale.c").write_text(functions)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", stale, tmp_path / "stale.c"], check=True)
    with pytest.raises(KwsError, match=r"stale\.so: its kws_frontend_t is not the one of this kws package"):
        library.load(stale)
