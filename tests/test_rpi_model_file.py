"""kws-listener's reader of model files, firmware/boards/rpi/model_file.c: what the file's model hears, and bad files.

The Python reader (tests/test_model_file.py) is the truth about bad ones.
"""

from __future__ import annotations

import ctypes
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from compiled import FLAGS, ROOT, STRICT, compile_c, fresh_engine, tool  # noqa: F401  (an autouse fixture)
from hypothesis import given, settings
from hypothesis import strategies as st
from listener_program import BOARD, PRESET, lively_model, watched_listener
from random_model import random_model
from reference import liven, stimulus
from test_model_file import HEAD, HOSTILE, edited, hashed, rebuilt
from test_rpi_listener import call, heard, lines, second_of_silence

from kws.engine.structs import ModelView
from kws.errors import KwsError
from kws.features import Preset
from kws.model import file
from kws.model.folded import FoldedModel


def other_model(planes: int = 2, n_classes: int = 7) -> FoldedModel:
    """Of the listener's features, and in all else another one than is compiled in."""
    model = random_model(9, n_classes=n_classes, channels=128, hidden=192, n_blocks=3, preset=PRESET, planes=planes)
    model.hop_frames, model.smoothing, model.refractory = 4, 1, 1000
    model.gate, model.release, model.listen_delta = -45.0, 0.75, 2
    liven(model, 4)
    model.word_threshold[:] = 0.3
    return model


@pytest.fixture(scope="module")
def listener(fresh_engine: Path) -> Path:  # noqa: F811
    return watched_listener()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "sound.wav"
    soundfile.write(path, stimulus(8, 40000), 16000)
    return path


@pytest.mark.parametrize("planes", [1, 2])
@pytest.mark.parametrize("words", [4, 70])
def test_a_file_hears_what_its_model_hears(
    listener: Path, recording: Path, tmp_path: Path, planes: int, words: int
) -> None:
    model, path = other_model(planes, words + 2), tmp_path / "other.kws"
    file.save(model, path)
    found = lines(call(listener, "--model", path, "--wav", recording))
    pcm = second_of_silence(stimulus(8, 40000))
    stream_of_the_model = [e | {"file": str(recording)} for e in of_model(model, pcm)]
    assert found == stream_of_the_model and len(found) > 5
    at_one_depth = lines(call(listener, "--depth", 1, "--model", path, "--gate", -100, "--wav", recording))
    assert at_one_depth == heard_without_gate(model, pcm, recording)


def of_model(model: FoldedModel, pcm: np.ndarray) -> list[dict]:
    """What a stream with the model's own depths and settings hears."""
    from kws.engine import Engine

    return [
        {"word": e.word, "time": float(f"{e.time:.3f}"), "score": float(f"{e.score:.4f}"), "depth": e.depth}
        for e in Engine(model).stream().feed(pcm)
    ]


def heard_without_gate(model: FoldedModel, pcm: np.ndarray, recording: Path) -> list[dict]:
    model.gate = -100.0
    return heard(model, pcm, 1, recording)


def test_a_file_and_the_same_model_compiled_in_hear_the_same(listener: Path, recording: Path, tmp_path: Path) -> None:
    file.save(lively_model(), tmp_path / "same.kws")
    inside = call(listener, "--wav", recording)
    assert call(listener, "--model", tmp_path / "same.kws", "--wav", recording).stdout == inside.stdout != ""


def test_names_of_any_letters(listener: Path, tmp_path: Path) -> None:
    model = other_model()
    model.class_names[:3] = ['Grüße "\\/', "音\u3000🎤", "\u007e" * 100]
    file.save(model, tmp_path / "other.kws")
    (size,) = struct.unpack_from("<Q", file.to_bytes(model), 16)
    meta = json.loads(file.to_bytes(model)[HEAD : HEAD + size])
    (tmp_path / "utf8.kws").write_bytes(
        rebuilt(file.to_bytes(model), json.dumps(meta, ensure_ascii=False, indent=1).encode())
    )
    for name in ("other.kws", "utf8.kws"):
        shown = call(listener, "--model", tmp_path / name, "--show-model").stdout
        assert shown.startswith(f"words: {', '.join(model.class_names[: model.n_words])}\ndepths: 1 2\n")
        assert call(listener, "--words", "音\u3000🎤", "--model", tmp_path / name, "--show-model").returncode == 0


def test_a_settings_file_names_a_model_beside_it(listener: Path, recording: Path, tmp_path: Path) -> None:
    model, card = other_model(), tmp_path / "card"
    card.mkdir()
    file.save(model, card / "mine.kws")
    (card / "kws.txt").write_text(f"words = {model.class_names[4]}\nmodel = mine.kws\nwav = {recording}\n")
    result = call(listener, "--settings", card / "kws.txt")
    assert {e["word"] for e in lines(result)} == {model.class_names[4]} and not result.stderr
    named = call(listener, "--settings", card / "kws.txt", "--model", card / "none.kws")
    assert named.returncode == 2  # what the command line says later counts


def test_a_bad_model_of_a_settings_file_is_said_and_the_one_compiled_in_listens(
    listener: Path, recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "kws.txt").write_text(f"model = none.kws\nwav = {recording}\nwords = word0, nobody\n")
    result = call(listener, "--settings", tmp_path / "kws.txt")
    assert lines(result) == lines(call(listener, "--wav", recording))
    assert f"{tmp_path}/none.kws: No such file or directory; listening with the model compiled in" in result.stderr
    assert "line 3 is left out: words: the model does not know 'nobody'" in result.stderr


@pytest.fixture(scope="module")
def content() -> bytes:
    return file.to_bytes(other_model())


class Reader:
    """model_file.c in this process, with sanitizers' traps for what they would catch."""

    def __init__(self, folder: Path) -> None:
        library = folder / "reader.so"
        sources = [BOARD / f"{name}.c" for name in ("model_file", "model_arrays", "json_read", "sha256")]
        trap = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", "-shared", "-fPIC", "-O1", "-g"]
        compile_c([tool("cc"), *FLAGS, *STRICT, *trap, "-I", ROOT / "firmware/include", *sources, "-lm", "-o", library])
        self.load = ctypes.CDLL(str(library)).model_file_load
        self.load.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_void_p, ctypes.c_size_t]
        self.place = ctypes.create_string_buffer(1 << 20)  # more than a model_file_t
        self.view = ModelView(lively_model())
        self.path = folder / "x.kws"

    def fault(self, data: bytes) -> str:
        """Why ``data`` is refused, or ""."""
        self.path.write_bytes(data)
        why = ctypes.create_string_buffer(512)
        frontend = ctypes.addressof(self.view._frontend)
        good = self.load(ctypes.addressof(self.place), str(self.path).encode(), frontend, why, len(why))
        said = why.value.decode()
        assert bool(good) == (said == "") and "\n" not in said
        assert good or said.startswith(f"{self.path}: ")
        return said


@pytest.fixture(scope="module")
def reader(fresh_engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Reader:  # noqa: F811
    return Reader(tmp_path_factory.mktemp("reader"))


def test_a_good_file_is_taken(reader: Reader, content: bytes) -> None:
    assert reader.fault(content) == ""


@pytest.mark.parametrize("edit", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_descriptions_are_refused(reader: Reader, edit: Callable[[dict[str, Any]], object]) -> None:
    small = file.to_bytes(random_model(1, n_classes=4, channels=64, hidden=64, n_blocks=2, preset=PRESET))
    assert reader.fault(small) == ""
    fault = reader.fault(edited(small, edit))
    assert fault.endswith("; export it again") or "other features" in fault


def meta_of(content: bytes) -> dict[str, Any]:
    (size,) = struct.unpack_from("<Q", content, 16)
    return json.loads(content[HEAD : HEAD + size])


def test_every_key_counts(reader: Reader, content: bytes) -> None:
    for key in meta_of(content):
        assert f"({key} is missing)" in reader.fault(edited(content, lambda meta: meta.pop(key)))  # noqa: B023
        text = json.dumps(meta_of(content))[:-1] + f', "{key}": 1}}'
        assert f"({key} comes twice)" in reader.fault(rebuilt(content, text.encode()))


MALFORMED = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "bare": b"{}",
    "cut": b"{",
    "bytes": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "deeper": b'{"a":' * 100_000,
    "open text": b'{"a',
    "open escape": b'{"a\\',
    "open code": b'{"a\\u00',
    "zero in a name": b'{"a\\u0000": 1}',
    "half a pair": b'{"\\ud800": 1}',
    "control character": b'{"a\n": 1}',
    "overlong": b'{"a": "\xc0\xaf"}',
    "cut sequence": b'{"a": "\xf0\x9f\x8e',
    "leading zero": b'{"a": 01}',
    "bare point": b'{"a": .5}',
    "open exponent": b'{"a": 1e}',
    "nan": b'{"a": NaN}',
    "half a word": b'{"a": tru}',
    "trailing comma": b'{"a": 1,}',
    "missing comma": b'{"a": 1 "b": 2}',
    "missing colon": b'{"a" 1}',
    "wrong bracket": b'{"a": [1}}',
    "more after the end": b"{} {}",
}
FINE_BELOW = ("null", "list", "bare", "zero in a name", "half a pair")
"""Good JSON, though no description, or no name of a key that could be known."""


@pytest.mark.parametrize("name", MALFORMED)
def test_bad_json_is_refused(reader: Reader, content: bytes, name: str) -> None:
    text, whole = MALFORMED[name], json.dumps(meta_of(content)).encode()
    assert "is malformed" in reader.fault(rebuilt(content, text))
    below = reader.fault(rebuilt(content, whole[:-1] + b', "more": ' + text + b"}"))
    assert below == "" if name in FINE_BELOW else "is not JSON" in below


def test_heads_and_hashes(reader: Reader, content: bytes, tmp_path: Path) -> None:
    assert "is no kws model; give a .kws file" in reader.fault(b"")
    assert "is no kws model" in reader.fault(
        b"To whom it may concern: this is a text file, and a longish one at that.\n"
    )
    assert "file format 5" in reader.fault(hashed(content[:8] + struct.pack("<I", 5) + content[12:-32]))
    assert "made for engine 2 (file format 4) but this program has engine 4 (file format 4)" in reader.fault(
        hashed(content[:12] + struct.pack("<I", 2) + content[16:-32])
    )
    for size in (len(content), 2**32 + 20, 2**63, 2**64 - 1):
        damaged = hashed(content[:16] + struct.pack("<Q", size) + content[24:-32])
        assert "description is longer than the file" in reader.fault(damaged)
    for length in [*range(0, 200, 3), *range(200, len(content), 997), len(content) - 1]:
        assert reader.fault(content[:length])
    for position in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        assert reader.fault(bytes(damaged))
    assert "is not the last thing in the file" in reader.fault(hashed(content[:-32] + bytes(64)))


def test_unreadable_paths(listener: Path, tmp_path: Path) -> None:
    big = tmp_path / "big.kws"
    with big.open("wb") as handle:
        handle.truncate((16 << 20) + 1)
    for path, message in [
        (tmp_path / "none.kws", "No such file"),
        (tmp_path, "is no file"),
        (Path("/dev/zero"), "is no file"),
        (big, "is larger than any model (16 MB)"),
    ]:
        result = call(listener, "--model", path, "--show-model")
        assert result.returncode == 2 and f"{path}: " in result.stderr and message in result.stderr
        assert result.stderr.count("\n") == 1 and not result.stdout


def test_other_features_are_refused(reader: Reader) -> None:
    for change in ({"hop": 128}, {"frames": 16}, {"n_mels": 16}, {"n_fft": 512}, {"offset": -41.0}, {"scale": 0.06}):
        preset = Preset(**{**vars(PRESET), **change})
        model = random_model(1, n_classes=4, channels=64, hidden=64, n_blocks=2, preset=preset)
        assert "hears other features than this program has tables for" in reader.fault(file.to_bytes(model))


def placed(content: bytes, name: str, value: bytes, at: int = 0) -> bytes:
    """The file with ``value`` over bytes of the array ``name``."""
    (size,) = struct.unpack_from("<Q", content, 16)
    offset = next(entry["offset"] for entry in meta_of(content)["arrays"] if entry["name"] == name)
    start, body = -(-(HEAD + size) // 64) * 64 + offset + at, bytearray(content[:-32])
    body[start : start + len(value)] = value
    return hashed(bytes(body))


LEAST = struct.pack("<h", -32768)
NAN = struct.pack("<f", float("nan"))
BAD_VALUES = {
    "word_threshold": [NAN, struct.pack("<f", -0.1), struct.pack("<f", float("inf"))],
    "conv1_weight": [b"\x7f" * 48, b"\x80" * 400],
    "conv1_threshold": [LEAST],
    "conv2_below": [struct.pack("<h", -1), struct.pack("<h", 1202)],
    "linear_scale": [LEAST],
    "linear_slope": [LEAST],
    "block1_memory_slope": [LEAST],
    "block2_project_slope": [LEAST],
    "pass_d1_0_memory_scale": [LEAST],
    "pass_d2_0_project_scale": [LEAST],
    "pass_d1_2_expand_below": [struct.pack("<h", -1), struct.pack("<h", 3 * 128 + 2)],
    "depth_d1_class_scale": [NAN],
    "depth_d2_class_bias": [struct.pack("<f", float("-inf"))],
    "class_weight": [b"\x80" * 3072],
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_numbers_that_the_engine_does_not_run_are_refused(reader: Reader, content: bytes, name: str) -> None:
    for value in BAD_VALUES[name]:
        assert f"({name} holds " in reader.fault(placed(content, name, value)), value
    last = next(entry["shape"] for entry in meta_of(content)["arrays"] if entry["name"] == name)
    if BAD_VALUES[name] == [LEAST]:  # to the last one
        assert f"({name} holds " in reader.fault(placed(content, name, LEAST, 2 * (int(np.prod(last)) - 1)))


def test_weights_beyond_the_last_step_are_refused(reader: Reader, content: bytes) -> None:
    assert PRESET.frames // 4 == 3
    assert reader.fault(placed(content, "class_weight", b"\1", at=2)) == ""
    assert "beyond its last step" in reader.fault(placed(content, "class_weight", b"\1", at=3))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_python_refuses_is_refused(reader: Reader, content: bytes, data: st.DataObject) -> None:
    def edit(meta: dict[str, Any]) -> None:
        target: Any = meta
        while True:
            keys = list(target) if isinstance(target, dict) else list(range(len(target)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(target[key], dict | list) or not target[key] or data.draw(st.booleans()):
                target[key] = data.draw(values | st.just(target[key]))
                return
            target = target[key]

    changed = edited(content, edit)
    fault = reader.fault(changed)
    try:
        file.from_bytes(changed, "x.kws")
    except KwsError:
        assert fault
    else:
        assert not fault or "other features" in fault


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_bytes_in_the_place_of_others_are_as_python_finds_them(
    reader: Reader, content: bytes, data: st.DataObject
) -> None:
    body = bytearray(content[:-32])
    (size,) = struct.unpack_from("<Q", content, 16)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(HEAD, HEAD + size + 2000))
        body[at] = data.draw(st.integers(0, 255))
    changed = hashed(bytes(body))
    fault = reader.fault(changed)
    try:
        file.from_bytes(changed, "x.kws")
    except KwsError:
        assert fault
