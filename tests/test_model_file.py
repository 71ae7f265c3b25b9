"""The model file: exact round trip, atomic writing, and one clear sentence for every bad file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from random_model import random_model
from test_model_pack import assert_equal, models

import kws.model
from kws.errors import KwsError
from kws.model import file
from kws.model.folded import FoldedModel

HEAD = 24
"""Bytes before the JSON: magic 8, format 4, engine 4, length 8."""


@pytest.fixture(scope="module")
def small() -> bytes:
    """The content of a small model's file."""
    return file.to_bytes(random_model(1, n_classes=4, channels=64, hidden=64, n_blocks=2))


def refused(data: bytes) -> str:
    """The one-sentence message that ``data`` is refused with."""
    with pytest.raises(KwsError) as caught:
        file.from_bytes(data, "x.kws")
    message = str(caught.value)
    assert message.startswith("x.kws: ") and message.endswith(".") and "\n" not in message
    return message


def edited(data: bytes, edit: Callable[[dict[str, Any]], object]) -> bytes:
    """The file with its JSON changed by ``edit`` and a right hash."""
    (size,) = struct.unpack_from("<Q", data, 16)
    meta = json.loads(data[HEAD : HEAD + size])
    edit(meta)
    return rebuilt(data, json.dumps(meta).encode())


def rebuilt(data: bytes, text: bytes) -> bytes:
    """The file with other JSON text and a right hash."""
    (size,) = struct.unpack_from("<Q", data, 16)
    arrays = data[-(-(HEAD + size) // 64) * 64 : -32]
    head = data[:16] + struct.pack("<Q", len(text)) + text
    body = head + b"\0" * (-len(head) % 64) + arrays
    return body + hashlib.sha256(body).digest()


def hashed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


@settings(max_examples=15, deadline=None)
@given(models())
def test_round_trip_is_exact(model: FoldedModel) -> None:
    assert_equal(file.from_bytes(file.to_bytes(model), "x.kws"), model)


def test_saved_file_loads_and_is_reproducible(tmp_path: Path) -> None:
    model = random_model(2)
    model.class_names[0] = 'Grüße "\\ 音'
    model.provenance = {"data": "…", "figures": {"accuracy": [0.97, None]}}
    kws.model.save(model, tmp_path / "a.kws")
    kws.model.save(model, tmp_path / "b.kws")
    assert_equal(kws.model.load(tmp_path / "a.kws"), model)
    assert (tmp_path / "a.kws").read_bytes() == (tmp_path / "b.kws").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.kws", "b.kws"}


def test_layout_is_the_documented_one(small: bytes) -> None:
    magic, format_version, engine_version, size = struct.unpack_from("<8sIIQ", small)
    assert (magic, format_version, engine_version) == (b"KWSMODEL", 4, 4)
    meta = json.loads(small[HEAD : HEAD + size])
    start = -(-(HEAD + size) // 64) * 64
    assert small[HEAD + size : start].strip(b"\0") == b""
    assert small[-32:] == hashlib.sha256(small[:-32]).digest()
    entry = next(entry for entry in meta["arrays"] if entry["name"] == "class_weight")
    offset, count = start + entry["offset"], 4 * 8 * 64
    assert offset % 64 == 0 and entry["dtype"] == "int8" and entry["shape"] == [4, 1, 64, 8]
    model = random_model(1, n_classes=4, channels=64, hidden=64, n_blocks=2)
    assert small[offset : offset + count] == model.class_weight.swapaxes(1, 2).tobytes()


def test_every_97th_byte_flipped_is_found(small: bytes) -> None:
    for position in range(0, len(small), 97):
        damaged = bytearray(small)
        damaged[position] ^= 0x10
        refused(bytes(damaged))


def test_every_truncation_is_found(small: bytes) -> None:
    for length in [*range(0, 200), *range(200, len(small), 997), len(small) - 1]:
        refused(small[:length])


def test_longer_files_are_found(small: bytes) -> None:
    refused(small + b"\0")
    assert "after its last array" in refused(hashed(small[:-32] + b"\0" * 64))


def test_messages_say_what_is_wrong(small: bytes) -> None:
    assert "is empty" in refused(b"")
    assert "not a kws model" in refused(b"To whom it may concern: this is a text file, and a longish one at that.\n")
    assert "not a kws model" in refused(b"PK" + small[2:])
    assert "file format 5" in refused(hashed(small[:8] + struct.pack("<I", 5) + small[12:-32]))
    assert "made for engine 9" in refused(hashed(small[:12] + struct.pack("<I", 9) + small[16:-32]))
    assert refused(hashed(small[:8] + struct.pack("<II", 2, 2) + small[16:-32])) == (
        "x.kws: was made for engine 2 (file format 2) but this kws has engine 4 (file format 4); train it again with "
        "`kws train`, or use the kws that wrote it."
    )
    assert "damaged" in refused(small[:5000] + b"?" + small[5001:])


def entry_set(index: int, key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda meta: meta["arrays"][index].__setitem__(key, value)


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "huge offset": entry_set(3, "offset", 2**62),
    "offset beyond any integer": entry_set(3, "offset", 10**400),
    "negative offset": entry_set(3, "offset", -64),
    "unaligned offset": entry_set(3, "offset", 65),
    "fractional offset": entry_set(3, "offset", 64.0),
    "overlap": lambda meta: meta["arrays"][4].update(offset=meta["arrays"][3]["offset"]),
    "other dtype": entry_set(3, "dtype", "float64"),
    "object dtype": entry_set(3, "dtype", "object"),
    "other shape": entry_set(3, "shape", [1]),
    "huge shape": entry_set(3, "shape", [2**40, 2**40]),
    "other name": entry_set(3, "name", "../../etc/passwd"),
    "nameless": lambda meta: meta["arrays"][0].pop("name"),
    "one array less": lambda meta: meta["arrays"].pop(),
    "one array twice": lambda meta: meta["arrays"].append(meta["arrays"][0]),
    "table no list": lambda meta: meta.update(arrays=3),
    "entries no objects": lambda meta: meta.update(arrays=[[1], [2]]),
    "many blocks": lambda meta: meta.update(n_blocks=10**12),
    "block count text": lambda meta: meta.update(n_blocks="2"),
    "block count true": lambda meta: meta.update(n_blocks=True),
    "wide": lambda meta: meta.update(channels=10**9),
    "no channels": lambda meta: meta.update(channels=0),
    "odd channels": lambda meta: meta.update(channels=65),
    "other channels": lambda meta: meta.update(channels=128),
    "nan smoothing": lambda meta: meta.update(smoothing=float("nan")),
    "many depths": lambda meta: meta.update(depths=[{"delta": 1, "blocks": [0]}] * 1000),
    "many passes": lambda meta: meta["depths"][0].update(blocks=[0] * 1000),
    "pass of no block": lambda meta: meta["depths"][0].update(blocks=[0, 7]),
    "depth no object": lambda meta: meta.update(depths=[1, 2]),
    "unhashable delta": lambda meta: meta["depths"][0].update(delta=[1]),
    "same delta": lambda meta: [depth.update(delta=1) for depth in meta["depths"]],
    "no preset": lambda meta: meta.pop("preset"),
    "preset text": lambda meta: meta.update(preset="bifsmn"),
    "preset with extras": lambda meta: meta["preset"].update(extra=1),
    "preset of long FFT": lambda meta: meta["preset"].update(n_fft=2**30),
    "preset named as a path": lambda meta: meta["preset"].update(name="../x"),
    "preset mels text": lambda meta: meta["preset"].update(n_mels="32"),
    "classes no list": lambda meta: meta.update(class_names="abcd"),
    "classes numbers": lambda meta: meta.update(class_names=[1, 2, 3, 4]),
    "classes lists": lambda meta: meta.update(class_names=[[], [], [], []]),
    "classes twice": lambda meta: meta.update(class_names=["a"] * 4),
    "name null": lambda meta: meta.update(name=None),
    "provenance list": lambda meta: meta.update(provenance=[]),
    "no words": lambda meta: meta.update(n_words=0),
    "refractory huge": lambda meta: meta.update(refractory=2**31),
    "release of no number": lambda meta: meta.update(release=None),
    "gate missing": lambda meta: meta.pop("gate"),
    "listening depth unknown": lambda meta: meta.update(listen_delta=8),
}


@pytest.mark.parametrize("edit", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_descriptions_are_refused(small: bytes, edit: Callable[[dict[str, Any]], object]) -> None:
    refused(edited(small, edit))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b'"text"',
        b"{}",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"n_blocks": ' + b"9" * 10_000 + b"}",
    ],
    ids=["empty", "null", "list", "number", "string", "bare", "cut", "bytes", "deep", "deeper", "long number"],
)
def test_hostile_json_is_refused(small: bytes, text: bytes) -> None:
    refused(rebuilt(small, text))


def test_description_longer_than_the_file_is_refused(small: bytes) -> None:
    for size in (len(small), 2**63, 2**64 - 1):
        refused(hashed(small[:16] + struct.pack("<Q", size) + small[24:-32]))


@pytest.mark.parametrize(
    ("name", "field", "bad"),
    [
        ("depth_d2_class_bias", "depths[1].class_bias", struct.pack("<f", float("nan"))),
        ("block1_memory_slope", "blocks[1].memory_slope", struct.pack("<h", -32768)),
        ("pass_d1_0_expand_below", "depths[0].passes[0].expand_below", struct.pack("<h", 66)),
        ("conv1_weight", "conv1_weight", b"\x7f" * 400),
    ],
)
def test_numbers_that_the_engine_does_not_run_are_refused(small: bytes, name: str, field: str, bad: bytes) -> None:
    (size,) = struct.unpack_from("<Q", small, 16)
    start = -(-(HEAD + size) // 64) * 64
    meta = json.loads(small[HEAD : HEAD + size])
    offset = next(entry["offset"] for entry in meta["arrays"] if entry["name"] == name)
    body = bytearray(small[:-32])
    body[start + offset : start + offset + len(bad)] = bad
    assert field in refused(hashed(bytes(body)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_of_the_description_is_refused_or_gives_a_valid_model(data: st.DataObject) -> None:
    content = file.to_bytes(random_model(1, n_classes=4, channels=64, hidden=64, n_blocks=2))

    def edit(meta: dict[str, Any]) -> None:
        target: Any = meta
        while True:
            keys = list(target) if isinstance(target, dict) else list(range(len(target)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(target[key], dict | list) or not target[key] or data.draw(st.booleans()):
                target[key] = data.draw(json_values)
                return
            target = target[key]

    try:
        model = file.from_bytes(edited(content, edit), "x.kws")
    except KwsError as error:
        message = str(error)
    else:
        model.validate()
        message = ""
    assert "\n" not in message


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
@example(b"KWSMODEL")
def test_any_bytes_are_refused(data: bytes) -> None:
    refused(data)
    refused(hashed(b"KWSMODEL" + struct.pack("<II", 2, 2) + data))


def test_unreadable_paths_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(KwsError, match="no such model"):
        kws.model.load(tmp_path / "missing.kws")
    with pytest.raises(KwsError, match=r"holds no model\.kws"):
        kws.model.load(tmp_path)
    with pytest.raises(KwsError, match="is a folder"):
        file.load(tmp_path)
    text = tmp_path / "notes.kws"
    text.write_text("not a model\n" * 10)
    with pytest.raises(KwsError, match=r"notes\.kws: is not a kws model; give"):
        kws.model.load(text)


def test_oversized_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.kws"
    with path.open("wb") as handle:
        handle.truncate(file.MAX_BYTES + 1)  # sparse: takes no room
    with pytest.raises(KwsError, match="larger than any model"):
        file.load(path)


def test_run_folder_stands_for_its_model(tmp_path: Path) -> None:
    model = random_model(2, n_classes=3, channels=64, hidden=64, n_blocks=1)
    kws.model.save(model, tmp_path / "model.kws")
    assert_equal(kws.model.load(tmp_path), model)


def test_shipped_models_are_known_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kws12.kws"
    monkeypatch.setattr(kws.model, "shipped", lambda: {"kws12": path})
    model = random_model(2, n_classes=3, channels=64, hidden=64, n_blocks=1)
    kws.model.save(model, path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kws12").mkdir()  # a folder of the same name that is no run
    assert_equal(kws.model.load(), model)
    assert_equal(kws.model.load("kws12"), model)
    with pytest.raises(KwsError, match=r"kws13: no such model; give .*\(kws12\)"):
        kws.model.load("kws13")


def test_missing_default_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kws.model, "shipped", dict)
    with pytest.raises(KwsError, match="default model 'kws12' is not installed"):
        kws.model.load()


def fail_with(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_failed_save_leaves_the_previous_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    path = tmp_path / "m.kws"
    first = random_model(1, n_classes=3, channels=64, hidden=64, n_blocks=1)
    kws.model.save(first, path)
    monkeypatch.setattr(f"kws.files.os.{function}", fail_with(errno.ENOSPC))
    with pytest.raises(KwsError, match="No space left on device"):
        kws.model.save(random_model(2, n_classes=3, channels=64, hidden=64, n_blocks=1), path)
    assert_equal(kws.model.load(path), first)
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.kws"]


FULL_DISK = """
import resource, signal, sys
from random_model import random_model
import kws.model
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    kws.model.save(random_model(2), sys.argv[1])
except kws.KwsError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
def test_write_that_stops_half_way_leaves_the_previous_file(tmp_path: Path) -> None:
    """A child process whose files may not grow past 20 kB, as on a disk that fills up."""
    path = tmp_path / "m.kws"
    kws.model.save(random_model(1), path)
    before = path.read_bytes()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert child.stdout.startswith(f"{path}: cannot be written (File too large)")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.kws"]


def test_a_file_that_is_no_model_is_not_replaced_by_one(tmp_path: Path) -> None:
    path = tmp_path / "notes.kws"
    path.write_text("my notes")
    with pytest.raises(KwsError, match="holds something that is no model"):
        kws.model.save(random_model(1), path)
    assert path.read_text() == "my notes"
    path.write_bytes(b"")
    kws.model.save(random_model(1), path)
    kws.model.save(random_model(2), path)
    assert file.to_bytes(kws.model.load(path)) == file.to_bytes(random_model(2))


def test_unwritable_places_are_one_sentence(tmp_path: Path) -> None:
    model = random_model(1, n_classes=3, channels=64, hidden=64, n_blocks=1)
    with pytest.raises(KwsError, match="cannot be written"):
        kws.model.save(model, tmp_path / "missing" / "m.kws")
    (tmp_path / "folder.kws").mkdir()
    with pytest.raises(KwsError, match="cannot be written"):
        kws.model.save(model, tmp_path / "folder.kws")


def test_invalid_model_is_not_saved(tmp_path: Path) -> None:
    model = random_model(1, n_classes=3, channels=64, hidden=64, n_blocks=1)
    model.linear_slope[0] = -32768
    with pytest.raises(KwsError, match="linear_slope"):
        kws.model.save(model, tmp_path / "m.kws")
    assert list(tmp_path.iterdir()) == []
