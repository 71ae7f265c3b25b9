"""The NEON operators under emulation: the portable operators' bits, bit order, and the calling convention."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from compiled import (
    ROOT,
    build_internal,
    build_program,
    compile_c,
    fresh_engine,  # noqa: F401  (an autouse fixture)
    run,
    sources,
    tool,
)
from random_model import random_model
from reference import liven, stimulus

CC, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_internal(tmp_path_factory.mktemp("neon"), "tests/c/kernels.c", tool(CC), ["-O3", "-static"])


def test_random_shapes_and_values(kernels: Path) -> None:
    result = run([tool(EMULATOR), kernels, 5, 150, "neon"])
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 15, "every operator was to run"


def test_bits_and_bytes_lie_where_the_contract_says(tmp_path: Path) -> None:
    program = build_internal(tmp_path, "tests/c/packing.c", tool(CC), ["-O2", "-static"])
    result = run([tool(EMULATOR), program, "neon"])
    assert result.returncode == 0, result.stderr


def test_callee_saved_registers_survive(tmp_path: Path) -> None:
    shim = tmp_path / "shim.o"
    compile_c([tool(CC), "-c", ROOT / "tests/c/abi_neon.S", "-o", shim])
    program = build_internal(tmp_path, "tests/c/abi_neon.c", CC, ["-O1", "-static", shim])
    lines = run([tool(EMULATOR), program]).stdout.splitlines()
    changed = [(line.split()[0], int(line.split()[1])) for line in lines]
    assert changed[0] == ("careless", 2), "the shim must see what a careless function does"
    assert len(changed) == 22 and all(count == 0 for _, count in changed[1:]), changed


@pytest.mark.parametrize("planes", [1, 2])
def test_a_checked_stream_agrees_at_every_operator(planes: int, tmp_path: Path) -> None:
    model = random_model(6, n_classes=5, n_blocks=4, planes=planes)
    liven(model, 6)
    model.word_threshold[:] = 0.3
    sound = stimulus(9, 40000).astype("<i2").tobytes()
    heard = []
    for flags in (["-O2", "-static", "-DKWS_CHECK"], ["-O3", "-static"]):
        program = build_program(tmp_path, "firmware/boards/host/listen.c", model, tool(CC), flags)
        result = subprocess.run([tool(EMULATOR), program, "-"], input=sound, capture_output=True, check=False)
        assert result.returncode == 0, result.stderr
        heard.append(result.stdout)
    assert heard[0] == heard[1] and heard[0].count(b"\n") > 1


@pytest.mark.parametrize("cc", ["clang", CC])
def test_assembly_assembles_everywhere_and_holds_no_data(cc: str, tmp_path: Path) -> None:
    target = ["--target=aarch64-linux-gnu"] if cc == "clang" else []
    for source in (path for path in sources(tool(CC)) if path.suffix == ".S"):
        out = tmp_path / "out.o"
        compile_c([tool(cc), *target, "-c", source, "-o", out])
        sections = run([tool("aarch64-linux-gnu-objdump"), "-h", out]).stdout
        sizes = {name: int(size, 16) for name, size in re.findall(r"^\s*\d+ (\S+)\s+(\w{8})", sections, re.MULTILINE)}
        assert sizes[".text"] > 0 and not sizes.get(".data") and not sizes.get(".bss"), source.name
