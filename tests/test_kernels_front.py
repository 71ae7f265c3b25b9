"""Every sibling of the front end's operators, the first convolution and the classifier beside the portable one."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiled import build_internal, run, tool

PROGRAM = "tests/c/kernels_front.c"
SKIPPED = 77


def check(command: list[str | Path]) -> None:
    result = run(command)
    if result.returncode == SKIPPED:
        pytest.skip("this processor does not run it")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 1000


@pytest.mark.parametrize("optimization", ["-O1", "-O3"])
def test_neon(tmp_path: Path, optimization: str) -> None:
    emulator = tool("qemu-aarch64")
    check([emulator, build_internal(tmp_path, PROGRAM, "aarch64-linux-gnu-gcc", [optimization, "-static"]), "neon"])


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_host(tmp_path: Path, isa: str) -> None:
    check([build_internal(tmp_path, PROGRAM), isa])
