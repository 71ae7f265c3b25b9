"""Bad input through the command line: one sentence that names the file, a non-zero exit, nothing else harmed.

What lies below the commands has tests of its own (files, checkpoints, downloads); here a person types.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from random_model import random_model

from kws.model import save


def kws(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def refused(*arguments: object, says: tuple[str, ...]) -> None:
    shown = kws(*arguments)
    assert shown.returncode == 1, shown
    assert len(shown.stderr.strip().splitlines()) == 1, shown.stderr
    for words in says:
        assert words in shown.stderr, shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.fixture
def model(tmp_path) -> Path:
    path = tmp_path / "good.kws"
    save(random_model(0, n_classes=4), path)
    return path


@pytest.fixture
def word(tmp_path) -> Path:
    """A folder with one word of two clips."""
    folder = tmp_path / "data" / "yes"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(2):
        clip = rng.integers(-3000, 3000, 16000).astype(np.int16)
        soundfile.write(folder / f"s{index}_nohash_0.wav", clip, 16000)
    return folder


@pytest.mark.parametrize("command", ["train", "eval", "check"])
def test_an_empty_folder(tmp_path, model, command):
    empty = tmp_path / "empty"
    empty.mkdir()
    arguments = {
        "train": ("train", "--data", empty, "--out", tmp_path / "run"),
        "eval": ("eval", model, "--data", empty),
        "check": ("data", "check", empty),
    }[command]
    refused(*arguments, says=(str(empty), "<word>"))
    assert not (tmp_path / "run").exists()


def test_a_class_without_a_clip(tmp_path, word):
    (word.parent / "no").mkdir()
    refused(
        "train",
        "--data",
        word.parent,
        "--out",
        tmp_path / "run",
        "--words",
        "yes,no",
        says=("recording in no; add some",),
    )


def test_a_word_without_a_folder(tmp_path, word):
    refused("train", "--data", word.parent, "--out", tmp_path / "run", "--words", "yes,maybe", says=("maybe",))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"this is no sound", "not a readable recording"), (b"", "not a readable recording")],
    ids=["text", "zero length"],
)
def test_a_file_that_is_no_recording(tmp_path, model, content, says):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(content)
    refused("listen", bad, "--model", model, says=("bad.wav", says))


def test_a_recording_without_samples_and_one_with_nan(tmp_path, model):
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.int16), 16000)
    refused("listen", tmp_path / "none.wav", "--model", model, says=("none.wav", "holds no sample"))
    nan = np.full(16000, np.nan, np.float32)
    soundfile.write(tmp_path / "nan.wav", nan, 16000, subtype="FLOAT")
    refused("listen", tmp_path / "nan.wav", "--model", model, says=("nan.wav", "not numbers"))


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (48000, 1), (48000, 2)])
def test_other_rates_and_stereo_are_taken(tmp_path, model, rate, channels):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone] * channels, 1), rate)
    shown = kws("listen", tmp_path / "tone.wav", "--model", model, "--json")
    assert shown.returncode == 0, shown.stderr


def test_a_flipped_byte_and_a_truncated_model(tmp_path, model):
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "flipped.kws").write_bytes(content)
    (tmp_path / "short.kws").write_bytes(content[:5000])
    for name in ("flipped.kws", "short.kws"):
        for command in (("info", tmp_path / name), ("export", tmp_path / name, "--out", tmp_path / "out.h")):
            refused(*command, says=(name,))
    assert not (tmp_path / "out.h").exists()


def test_a_truncated_checkpoint_is_not_resumed(tmp_path, word):
    run = tmp_path / "run"
    run.mkdir()
    (run / "checkpoint.pt").write_bytes(b"PK\x03\x04 half a checkpoint")
    refused("train", "--data", word.parent, "--out", run, "--resume", says=("checkpoint.pt", "truncated or damaged"))
    assert (run / "checkpoint.pt").read_bytes() == b"PK\x03\x04 half a checkpoint"
