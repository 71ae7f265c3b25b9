"""The host listener, firmware/boards/host/listen.c: WAV files in, one line of JSON a detection out."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from compiled import SANITIZE, build_program, fresh_engine  # noqa: F401  (an autouse fixture)
from random_model import random_model
from reference import liven, stimulus

from kws.engine import Engine
from kws.features import Preset
from kws.model.folded import FoldedModel

PRESET = Preset("listen", n_fft=256, hop=96, n_mels=8, frames=12)


@pytest.fixture(scope="module")
def model(fresh_engine: Path) -> FoldedModel:  # noqa: F811
    model = random_model(4, n_classes=5, channels=64, hidden=64, n_blocks=4, preset=PRESET)
    model.class_names[1] = 'say "ja\\nein"'
    model.hop_frames, model.smoothing, model.refractory = 3, 2, 2000
    liven(model, 4)
    model.word_threshold[:] = 0.4
    return model


@pytest.fixture(scope="module")
def listen(model: FoldedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program(tmp_path_factory.mktemp("listen"), "firmware/boards/host/listen.c", model, "cc", SANITIZE)


def call(*command: object, sound: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([os.fsencode(str(part)) for part in command], input=sound, capture_output=True, check=False)


def heard(model: FoldedModel, pcm: np.ndarray, name: str, depth: int = 1) -> list[dict]:
    """What the listener should print: the events of the Python stream, a second of silence included."""
    events = Engine(model).stream(depth).feed(np.concatenate([pcm, np.zeros(16000, np.int16)]))
    return [
        {
            "file": name,
            "word": e.word,
            "time": float(f"{e.time:.3f}"),
            "score": float(f"{e.score:.4f}"),
            "depth": e.depth,
        }
        for e in events
    ]


def lines(result: subprocess.CompletedProcess[bytes]) -> list[dict]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.decode().splitlines()]


@pytest.mark.parametrize(
    "options", [[], ["--chunk", 1], ["--chunk", 65536], ["--depth", 2], ["--depth", 4, "--chunk", 777]]
)
def test_a_file_gives_the_events_of_the_stream(listen: Path, model: FoldedModel, tmp_path: Path, options: list) -> None:
    pcm, path = stimulus(8, 40000), tmp_path / "sound.wav"
    soundfile.write(path, pcm, 16000)
    depth = options[options.index("--depth") + 1] if "--depth" in options else 1
    expected = heard(model, pcm, str(path), depth)
    assert lines(call(listen, *options, path)) == expected
    assert len(expected) > 5 and {'say "ja\\nein"'} & {line["word"] for line in expected}


def test_the_decision_has_its_settings(listen: Path, model: FoldedModel, tmp_path: Path) -> None:
    # Each of them is shown to be the stream's in test_rpi_listener.py, whose program reads them by the same header.
    pcm, path = stimulus(8, 40000), tmp_path / "sound.wav"
    soundfile.write(path, pcm, 16000)
    stream = Engine(model).stream()
    stream.set_adaptive()
    stream.set_sensitivity(0.6)
    stream.set_refractory(0.01)
    events = stream.feed(np.concatenate([pcm, np.zeros(16000, np.int16)]))
    options = ["--depth", "adaptive", "--sensitivity", 0.6, "--refractory", 0.01]
    found = lines(call(listen, *options, path))
    assert [(line["word"], line["depth"]) for line in found] == [(e.word, e.depth) for e in events]
    assert found != heard(model, pcm, str(path))


def test_raw_samples_from_standard_input(listen: Path, model: FoldedModel) -> None:
    pcm = stimulus(9, 30000)
    assert lines(call(listen, "-", sound=pcm.astype("<i2").tobytes())) == heard(model, pcm, "-")


def test_an_empty_input_is_a_second_of_silence(listen: Path, model: FoldedModel) -> None:
    assert lines(call(listen, "-")) == heard(model, np.zeros(0, np.int16), "-")


@pytest.mark.parametrize(
    "name", ['qu"ote\\.wav', "line\nbreak.wav", "käse 音.wav", "broken\udcff\udce9\udcf0.wav", "tab\t\x7f.wav"]
)
def test_any_file_name_is_valid_json(listen: Path, tmp_path: Path, name: str) -> None:
    path = os.fsencode(tmp_path) + b"/" + os.fsencode(name)
    with open(path, "wb") as file:
        file.write(wav(stimulus(8, 40000)))
    result = subprocess.run([listen, path], capture_output=True, check=False)
    found = lines(result)
    assert found and {line["file"] for line in found} == {path.decode("utf-8", "replace").replace("\udcff", "\ufffd")}


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav(
    pcm: np.ndarray, tag: int = 1, channels: int = 1, rate: int = 16000, bits: int = 16, before: bytes = b""
) -> bytes:
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * 2 * channels, 2 * channels, bits)
    if tag == 0xFFFE:
        form += struct.pack("<HHIH", 22, bits, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
    body = (
        b"WAVE" + before + chunk(b"fmt ", form) + chunk(b"LIST", b"odd") + chunk(b"data", pcm.astype("<i2").tobytes())
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "options", [{"tag": 0xFFFE}, {"before": chunk(b"JUNK", bytes(100001))}], ids=["extensible", "junk"]
)
def test_other_forms_of_wav(listen: Path, model: FoldedModel, tmp_path: Path, options: dict) -> None:
    pcm, path = stimulus(8, 40000), tmp_path / "sound.wav"
    path.write_bytes(wav(pcm, **options))
    assert lines(call(listen, path)) == heard(model, pcm, str(path))


NOISE = stimulus(0, 1000)
GOOD = wav(NOISE)
BAD_FILES = {
    "empty": (b"", "not a WAV file"),
    "text": (b"hello, this is no sound at all", "not a WAV file"),
    "big endian": (b"RIFX" + GOOD[4:], "not a WAV file"),
    "header alone": (GOOD[:12], "ends before any sound"),
    "no sound": (GOOD[: GOOD.index(b"data")], "ends before any sound"),
    "cut format": (GOOD[:30], "format chunk is cut short"),
    "short format": (GOOD[:12] + chunk(b"fmt ", bytes(10)) + chunk(b"data", b""), "format chunk is cut short"),
    "no format": (GOOD[:12] + chunk(b"data", bytes(100)), "sound comes before its format"),
    "cut sound": (GOOD[:-100], "ends before its sound does"),
    "half a sample": (GOOD[: GOOD.index(b"data")] + chunk(b"data", bytes(3)), "in the middle of a sample"),
    "stereo": (wav(NOISE, channels=2), "2 channels; mix it down to one"),
    "no channels": (wav(NOISE, channels=0), "0 channels"),
    "44.1 kHz": (wav(NOISE, rate=44100), "44100 samples a second; resample it to 16000"),
    "8 bits": (wav(NOISE, bits=8), "8 bits a sample; convert it to 16-bit PCM"),
    "float": (wav(NOISE, tag=3, bits=32), "format 3 with 32 bits"),
    "huge chunk": (GOOD[:12] + b"JUNK" + b"\xff" * 4 + bytes(50), "ends before any sound"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_clear_line(listen: Path, tmp_path: Path, name: str) -> None:
    content, message = BAD_FILES[name]
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    result = call(listen, path)
    assert result.returncode == 1
    error = result.stderr.decode()
    assert error.startswith(f"{path}: ") and message in error and error.count("\n") == 1


def test_every_cut_of_a_file_is_refused_cleanly(listen: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    short = wav(NOISE[:10])
    for size in range(len(short)):
        path.write_bytes(short[:size])
        assert call(listen, path).returncode == 1


def test_files_that_cannot_be_read(listen: Path, tmp_path: Path) -> None:
    missing = call(listen, tmp_path / "none.wav")
    assert missing.returncode == 1 and b"No such file" in missing.stderr
    folder = call(listen, tmp_path)
    assert folder.returncode == 1 and folder.stderr.count(b"\n") == 1
    odd = call(listen, "-", sound=b"abc")
    assert odd.returncode == 1 and b"ends before its sound does" in odd.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "a.wav b.wav",
        "--chunk",
        "--chunk 0 -",
        "--chunk x -",
        "--chunk 65537 -",
        "--depth 3 -",
        "--depth 0 -",
        "--depth 1x -",
        "--gate loud -",
        "--colour red -",
        "--help",
        "-x",
    ],
)
def test_bad_arguments(listen: Path, arguments: str) -> None:
    result = call(listen, *arguments.split())
    assert result.returncode == 2 and result.stderr and not result.stdout
