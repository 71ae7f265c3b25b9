"""`kws build`: programs that hear what Python hears, with the same bytes every time."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from compiled import fresh_engine, run, tool  # noqa: F401  (an autouse fixture)
from listener_program import lively_model
from reference import stimulus

import kws.board.build as board
from kws.board import compiler, elf
from kws.engine import Engine
from kws.errors import KwsError
from kws.model import file
from kws.model.folded import FoldedModel


@pytest.fixture(scope="module")
def model(fresh_engine: Path) -> FoldedModel:  # noqa: F811
    return lively_model()


def check_hearing(command: list[str | Path], model: FoldedModel, folder: Path) -> None:
    pcm, path = stimulus(8, 40000), folder / "sound.wav"
    soundfile.write(path, pcm, 16000)
    result = run([*command, "--wav", path])
    assert result.returncode == 0, result.stderr
    found = [(line["word"], line["time"]) for line in map(json.loads, result.stdout.splitlines())]
    events = Engine(model).stream().feed(np.concatenate([pcm, np.zeros(16000, np.int16)]))
    assert found == [(e.word, float(f"{e.time:.3f}")) for e in events] and len(found) > 5


def test_the_command_makes_a_program_for_this_machine(model: FoldedModel, tmp_path: Path) -> None:
    tool("cc")
    file.save(model, tmp_path / "mine.kws")
    out = tmp_path / "kws-listener"
    kws = [sys.executable, "-m", "kws", "build", "--target", "host", "--compiler", "cc"]
    result = run([*kws, "--model", tmp_path / "mine.kws", "--out", out])
    assert result.returncode == 0, result.stderr
    assert f"{out} written ({out.stat().st_size:,} bytes, SHA-256 " in result.stdout
    check_hearing([out], model, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["zig", "cc"])
def test_a_program_for_aarch64_is_the_same_from_any_folder_and_runs(
    name: str, model: FoldedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "zig" and importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed (pip install 'kws[build]')")
    if name == "cc":
        tool("aarch64-linux-gnu-gcc")
    chosen = compiler.find("aarch64", name)
    program = board.build(model, chosen)
    shutil.copytree(board.firmware_folder(), tmp_path / "elsewhere/kws/firmware")
    monkeypatch.setattr(board, "_PACKAGE", tmp_path / "elsewhere/kws")  # as an installed wheel lays it out
    assert board.firmware_folder() == tmp_path / "elsewhere/kws/firmware"
    assert board.build(model, chosen) == program
    assert elf.inspect(program, "it") == elf.Program("aarch64", static=True)
    assert str(tmp_path).encode() not in program and b"kws-build-" not in program
    board.write(program, tmp_path / "kws-listener")
    if name == "zig":
        assert len(program) < 600_000
    check_hearing([tool("qemu-aarch64"), tmp_path / "kws-listener"], model, tmp_path)


def test_a_compiler_that_fails_says_why(model: FoldedModel) -> None:
    tool("cc")
    broken = compiler.Compiler("cc", ("cc", "--no-such-option"), arm=False)
    with pytest.raises(KwsError, match=r"cc could not compile the listener: .*error"):
        board.build(model, broken)
    with pytest.raises(KwsError, match="cannot be run"):
        board.build(model, compiler.Compiler("none", ("/no/such/cc",), arm=False))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("riscv",), "--target riscv is unknown"),
        (("aarch64", "msvc"), "--compiler msvc is unknown"),
    ],
)
def test_unknown_targets_and_compilers(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(KwsError, match=message):
        compiler.find(*arguments)


def test_without_any_compiler_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(KwsError, match=r"pip install 'kws\[build\]'"):
        compiler.find("aarch64")
    with pytest.raises(KwsError, match="called cc"):
        compiler.find("host")


def test_elsewhere_than_on_linux_only_the_device_is_built_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(KwsError, match="--target aarch64"):
        compiler.find("host")


def test_missing_sources_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(board, "_PACKAGE", tmp_path / "kws")
    with pytest.raises(KwsError, match="the C sources are missing"):
        board.firmware_folder()


def test_programs_are_told_apart() -> None:
    own = Path(sys.executable).resolve().read_bytes()
    found = elf.inspect(own, "python")
    assert found.machine == subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    for size in [0, 3, 4, 5, 6, 17, 40, 63, 70]:
        with pytest.raises(KwsError, match=r"is not a Linux program|is cut short"):
            elf.inspect(own[:size], "cut")
    with pytest.raises(KwsError, match="is not a Linux program"):
        elf.inspect(b"MZ" + bytes(100), "windows.exe")
