"""Compiles the C engine, and test programs with a model compiled in, for the tests that run them."""

from __future__ import annotations

import atexit
import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kws.model import header
from kws.model.folded import FoldedModel

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "firmware/src").glob("*.c"))
ASSEMBLY = sorted((ROOT / "firmware/src").glob("*.S"))
FLAGS = ["-std=c11", "-ffp-contract=off"]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
SANITIZE = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


def tool(name: str) -> str:
    """``name`` if it is installed; skips the test if not."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name


def run(command: Sequence[str | Path], **options: object) -> subprocess.CompletedProcess[str]:
    """Runs ``command`` and captures what it prints."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]


def compile_c(command: Sequence[str | Path]) -> None:
    """Runs a compiler and shows what it says if it fails."""
    result = run(command)
    assert result.returncode == 0, result.stderr


@functools.cache
def sources(cc: str) -> list[Path]:
    """What makes the engine on the machine that ``cc`` compiles for: assembly is AArch64's alone."""
    target = run([tool(cc), "-dumpmachine"]).stdout
    return SOURCES + (ASSEMBLY if re.match("aarch64|arm64", target) else [])


def build_library(folder: Path, cc: str = "cc") -> Path:
    """The engine as a shared library, internal functions visible too."""
    library = folder / "libkws_engine.so"
    includes = ["-I", ROOT / "firmware/include"]
    compile_c([tool(cc), *FLAGS, "-O3", "-shared", "-fPIC", *includes, *sources(cc), "-o", library])
    return library


def build_program(
    folder: Path, source: str, model: FoldedModel, cc: str = "cc", flags: Sequence[str] = ("-O3",)
) -> Path:
    """``source`` (a path in the repository) with the engine and ``model``'s exported header compiled in."""
    name = "compiled"
    header.export(model, folder / f"{name}.h")
    program = folder / Path(source).stem
    defines = [
        f'-DKWS_MODEL_HEADER="{name}.h"',
        f"-DKWS_MODEL=kws_{name}",
        f"-DKWS_MODEL_STATE_SIZE=KWS_{name.upper()}_STATE_SIZE",
    ]
    includes = ["-I", ROOT / "firmware/include", "-I", folder]
    compile_c([tool(cc), *FLAGS, *STRICT, *flags, *defines, *includes, ROOT / source, *sources(cc), "-o", program])
    return program


def build_internal(
    folder: Path, source: str, cc: str = "cc", flags: Sequence[str] = ("-O2",), src: Path = ROOT / "firmware/src"
) -> Path:
    """``source``, a program that needs no model but the engine's own headers, with the engine (in ``src``)."""
    program = folder / Path(source).stem
    includes = ["-I", ROOT / "firmware/include", "-I", src]
    engine = [src / path.name for path in sources(cc)]
    compile_c([tool(cc), *FLAGS, *STRICT, *flags, *includes, ROOT / source, *engine, "-o", program, "-lm"])
    return program


@functools.cache
def shared_library() -> Path:
    """One build of the engine from the sources as they are, for the whole test run."""
    folder = tempfile.mkdtemp(prefix="kws-engine-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return build_library(Path(folder))


@pytest.fixture(autouse=True, scope="module")
def fresh_engine() -> Iterator[Path]:
    """In a test module that imports this, ``kws.engine`` runs the sources as they are, not an installed library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KWS_ENGINE_LIBRARY", str(shared_library()))
        yield shared_library()
