"""The sets of kernels that this processor runs: the bits of the portable operators, for every shape and any values."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from compiled import (
    ROOT,
    SANITIZE,
    SOURCES,
    build_internal,
    build_program,
    fresh_engine,  # noqa: F401  (an autouse fixture)
    run,
    tool,
)
from random_model import random_model
from reference import liven, stimulus

from kws.features import Preset

SRC = ROOT / "firmware/src"
NEEDS = {
    "portable": set(),
    "avx2": {"avx2"},
    "avx512": {"avx512f", "avx512bw", "avx512vl", "avx512_vpopcntdq", "avx512_bitalg"},
}
"""What Linux calls the instructions of the sets that can run here; NEON has tests of its own, under emulation."""


def processor() -> set[str]:
    """What the operating system says of this processor: another source than the engine's own."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_internal(tmp_path_factory.mktemp("kernels"), "tests/c/kernels.c", flags=["-O3"])


@pytest.fixture(params=[name for name in NEEDS if name != "portable"])
def isa(request: pytest.FixtureRequest) -> str:
    """A set that must run here; skips those that cannot."""
    missing = NEEDS[request.param] - processor()
    if missing:
        pytest.skip(f"this processor has no {', '.join(sorted(missing))}")
    return request.param


def tables() -> set[str]:
    return set(re.findall(r'\.name = "(\w+)"', (SRC / "kernels.c").read_text()))


def test_every_set_is_one_that_tests_run(kernels: Path) -> None:
    assert tables() == {*NEEDS, "neon"}
    here = set(run([kernels]).stdout.split())
    if processor():
        assert here - {"neon"} == {name for name, needs in NEEDS.items() if needs <= processor()}


@pytest.mark.parametrize(("cpu", "sets"), [("Nehalem", "portable"), ("Haswell", "portable avx2")])
def test_a_lesser_processor_gets_what_it_runs(kernels: Path, cpu: str, sets: str) -> None:
    if "x86_64" not in run([tool("cc"), "-dumpmachine"]).stdout:
        pytest.skip("emulates x86-64 on itself")
    emulated = [tool("qemu-x86_64"), "-cpu", cpu, kernels]
    assert run(emulated).stdout.split() == sets.split()
    fastest = sets.split()[-1]
    assert run([*emulated, 1, 3, fastest]).returncode == 0
    assert run([*emulated, 1, 3, "avx512"]).returncode == 2


def test_every_sibling_is_in_a_table() -> None:
    table = (SRC / "kernels.c").read_text()
    siblings = [path.stem for path in SOURCES if path.stem.split("_")[-1] in tables()]
    assert len(siblings) > 30
    for sibling in siblings:
        operator = sibling.replace("two_planes", "expand_two")  # the file holds four operators
        assert re.search(rf"= kwsi_{operator},", table), sibling


def test_random_shapes_and_values(kernels: Path, isa: str) -> None:
    result = run([kernels, 1, 400, isa])
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 15, "every operator was to run"


@pytest.mark.slow
def test_random_shapes_and_values_under_sanitizers(tmp_path: Path) -> None:
    program = build_internal(tmp_path, "tests/c/kernels.c", "gcc", SANITIZE)
    for name in run([program]).stdout.split():
        result = run([program, 1000, 60, name])
        assert result.returncode == 0, result.stderr


def test_bits_and_bytes_lie_where_the_contract_says(tmp_path: Path) -> None:
    program = build_internal(tmp_path, "tests/c/packing.c")
    for name in NEEDS:
        if NEEDS[name] <= processor():
            result = run([program, name])
            assert result.returncode == 0, result.stderr


# --- the checked build ------------------------------------------------------------------------------------------------


def spoilt(folder: Path) -> Path:
    """A copy of the sources in which one operator of AVX2 gets one output wrong."""
    src = folder / "src"
    shutil.copytree(SRC, src)
    path = src / "expand_avx2.c"
    text = path.read_text()
    assert text.count("kwsi_store_masks(masks, flip[first / 64],") == 1
    path.write_text(
        text.replace("kwsi_store_masks(masks, flip[first / 64],", "kwsi_store_masks(masks, flip[first / 64] ^ 4,")
    )
    return src


def test_a_wrong_kernel_is_named_and_stops_the_checked_build(tmp_path: Path) -> None:
    if "avx2" not in processor():
        pytest.skip("this processor has no avx2")
    src = spoilt(tmp_path)
    for define in ("-DKWS_CHECK", "-DKWS_NO_CHECK"):
        program = build_internal(tmp_path, "tests/c/kernels.c", flags=["-O1", define], src=src)
        assert run([program, 1, 5, "avx2", "project"]).returncode == 0
        result = run([program, 1, 5, "avx2", "expand"])
        if define == "-DKWS_CHECK":
            assert result.returncode < 0, "the program was to stop before it could compare anything"
        else:
            assert result.returncode == 1
            assert re.fullmatch(
                r"kernels: expand of avx2 differs from portable with words \d+, outputs \d+: "
                r"out\[\d+\] is \S+, not \S+; seed 1\n",
                result.stderr,
            )


@pytest.mark.parametrize("planes", [1, 2])
def test_a_checked_stream_agrees_at_every_operator(planes: int, tmp_path: Path) -> None:
    model = random_model(
        4,
        n_classes=5,
        channels=64,
        hidden=128,
        n_blocks=4,
        planes=planes,
        preset=Preset("small", n_fft=256, hop=96, n_mels=16, frames=24),
    )
    model.hop_frames, model.smoothing, model.refractory = 4, 2, 2000
    liven(model, 4)
    model.word_threshold[:] = 0.3
    program = build_program(tmp_path, "firmware/boards/host/listen.c", model, "cc", ["-O2", "-DKWS_CHECK"])
    sound = stimulus(8, 24000).astype("<i2").tobytes()
    heard = {}
    for name in NEEDS:
        if NEEDS[name] <= processor():
            environment = {**os.environ, "KWS_ISA": name}
            result = subprocess.run([program, "-"], input=sound, capture_output=True, env=environment, check=False)
            assert result.returncode == 0, (name, result.stderr)
            heard[name] = result.stdout
    assert len(set(heard.values())) == 1 and heard["portable"].count(b"\n") > 2


def test_an_unknown_set_is_one_clear_line(tmp_path: Path) -> None:
    program = build_program(tmp_path, "firmware/boards/host/listen.c", random_model(4), "cc", ["-O0"])
    for name in ("mmx", "AVX2"):
        result = run([program, "-"], input="", env={**os.environ, "KWS_ISA": name})
        assert result.returncode == 2 and result.stderr.count("\n") == 1
        assert result.stderr.startswith(f"KWS_ISA={name}: ")
