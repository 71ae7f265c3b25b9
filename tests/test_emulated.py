"""tools/emulated: counting retired instructions, and llvm-mca's reports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compiled import ROOT
from random_model import random_model

from kws.features import Preset

sys.path.insert(0, str(ROOT / "tools"))

from emulated import count, mca, retired

PRESET = Preset("emulated", n_fft=256, hop=96, n_mels=8, frames=16)

# Three instructions a turn, and six around the loop.
PROGRAM = """
    .globl _start
_start:
    ldr     x0, =TURNS
    movi    v0.4s, #0
.Lloop:
    fmla    v0.4s, v0.4s, v0.4s
    subs    x0, x0, #1
    b.ne    .Lloop
    bl      leave
leave:
    mov     x0, #0
    mov     x8, #93
    svc     #0
"""
AROUND = 6

MARKED = """
    .text
one:
// LLVM-MCA-BEGIN heart
    eor     v0.16b, v0.16b, v1.16b
    cnt     v0.16b, v0.16b
// LLVM-MCA-END
    subs    x0, x0, #1
    b.ne    one
    ret
two:
    ldr     q1, [x1], #16
1:  eor     v2.16b, v2.16b, v1.16b
    cnt     v2.16b, v2.16b
    cbz     x3, 2f
    add     v3.16b, v3.16b, v2.16b
2:  subs    x0, x0, #1
    b.ne    1b
    subs    x2, x2, #1
    b.ne    two
    ret
"""


@pytest.fixture(autouse=True)
def skip_without_tools() -> None:
    try:
        retired.cross_compiler()
        retired.emulator()
        retired.need("cc", "gcc")
    except retired.MissingTool as missing:
        pytest.skip(str(missing))


def assemble(text: str, folder: Path, turns: int) -> Path:
    source, program = folder / f"loop{turns}.S", folder / f"loop{turns}"
    source.write_text(text.replace("TURNS", str(turns)))
    command = [retired.cross_compiler(), "-nostdlib", "-static", source, "-o", program]
    subprocess.run([str(part) for part in command], check=True)
    return program


@pytest.mark.parametrize("turns", [1, 12345, 3000000])
def test_a_loop_is_counted_to_the_instruction(turns: int, tmp_path: Path) -> None:
    counts, _ = retired.run([assemble(PROGRAM, tmp_path, turns)])
    assert counts.total == 3 * turns + AROUND
    classes = counts.by_class()
    assert classes["vector multiply-add"] == turns
    assert classes["vector"] == 1
    assert classes["branch"] == turns + 2
    assert classes["load/store"] == 1
    assert classes["integer"] == turns + 2


def test_the_difference_of_two_runs_is_what_is_repeated(tmp_path: Path) -> None:
    program = [assemble(PROGRAM, tmp_path, turns) for turns in (100, 350)]
    counts = [retired.run([one])[0] for one in program]
    assert (counts[1] - counts[0]).total == 3 * 250
    names = retired.functions(program[1])
    assert counts[1].by(names.name)["leave"] == 0  # a symbol without a size is nobody's
    assert counts[1].file_of(next(iter(counts[1].times))) == program[1].name


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        (0x4E22CC20, "vector multiply-add"),  # fmla v0.4s, v1.4s, v2.4s
        (0x4F821020, "vector multiply-add"),  # fmla v0.4s, v1.4s, v2.s[0]
        (0x6E221C20, "vector"),  # eor v0.16b, v1.16b, v2.16b
        (0x4E205820, "vector"),  # cnt v0.16b, v1.16b
        (0x5EF1B820, "vector"),  # addp d0, v1.2d
        (0x1E222820, "float"),  # fadd s0, s1, s2
        (0x1F020C20, "float"),  # fmadd s0, s1, s2, s3
        (0x9E670020, "float"),  # fmov d0, x1
        (0x3DC00020, "vector load/store"),  # ldr q0, [x1]
        (0xACC10420, "vector load/store"),  # ldp q0, q1, [x1], #32
        (0x4C40A020, "vector load/store"),  # ld1 {v0.16b, v1.16b}, [x1]
        (0xF9400020, "load/store"),  # ldr x0, [x1]
        (0x54000001, "branch"),  # b.ne
        (0xD65F03C0, "branch"),  # ret
        (0x8B020020, "integer"),  # add x0, x1, x2
        (0x91000420, "integer"),  # add x0, x1, #1
    ],
)
def test_instructions_are_classified(word: int, kind: str) -> None:
    assert retired.classify(word) == kind


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> count.Program:
    if shutil.which(retired.CC) is None:
        pytest.skip(f"{retired.CC} is not installed")
    model = random_model(2, n_classes=4, channels=64, hidden=64, n_blocks=4, preset=PRESET)
    return count.build(model, tmp_path_factory.mktemp("emulated"))


@pytest.mark.parametrize("isa", ["neon", "portable"])
def test_stages_add_up_to_the_whole(program: count.Program, isa: str) -> None:
    found = count.measure(program, isa)
    again = count.measure(program, isa)
    assert found == again  # exact, not sampled
    assert set(count.FRONT_END) < set(found["frame"])
    for depth in found["depths"].values():
        window = depth["window"]
        assert set(window) == {*count.STAGES, count.REST} - set(count.FRONT_END)
        assert sum(window.values()) == depth["window_total"]
        assert abs(sum(depth["classes"].values()) - depth["window_total"]) <= len(depth["classes"])
        assert min(window.values()) > 0
        assert set(count.FRONT_END) < set(depth["second"])
        assert depth["front_end"] < depth["second_total"]
    blocks = [found["depths"][delta]["window"]["expand"] for delta in ("1", "2", "4")]
    assert blocks[0] == 2 * blocks[1] == 4 * blocks[2]
    assert len({depth["window"]["linear"] for depth in found["depths"].values()}) == 1


def test_the_stack_is_measured(program: count.Program) -> None:
    assert 100 < count.stack_bytes(program, 1, "neon") <= 8192


def test_marked_and_found_loops(tmp_path: Path) -> None:
    source = tmp_path / "op_neon.S"
    source.write_text(MARKED)
    (tmp_path / "out").mkdir()
    loops = {loop.name: loop for loop in mca.loops_of(source, tmp_path / "out")}
    assert set(loops) == {"heart", "two"}
    assert [len(loops[name].words) for name in ("heart", "two")] == [2, 6]
    assert loops["two"].products == 1
    assert loops["two"].vector == 3
    try:
        llvm_mca = mca.find_llvm_mca()
    except retired.MissingTool as missing:
        pytest.skip(str(missing))
    for core in mca.CORES:
        found = mca.analyse(loops["two"], core, llvm_mca)
        assert found["cycles"] >= found["limit"] > 0
        assert 0 < found["share"] <= 1
        assert found["limited_by"]


def test_a_missing_program_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(retired.MissingTool, match="llvm-19"):
        mca.find_llvm_mca()
