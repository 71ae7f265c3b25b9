"""The engine on AArch64, under emulation: the same bits as on the host."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from compiled import FLAGS, ROOT, SOURCES, build_program, compile_c, run, tool
from random_model import random_model
from reference import stimulus

from kws.model import load
from kws.model.folded import FoldedModel

CC = "aarch64-linux-gnu-gcc"
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(params=["golden", "default", "two planes"])
def model(request: pytest.FixtureRequest) -> FoldedModel:
    if request.param == "golden":
        return load(GOLDEN / "engine.kws")
    return random_model(21, n_classes=6, planes=2 if request.param == "two planes" else 1)


def bits(program: list[Path | str], pcm: np.ndarray, chunk: int) -> str:
    """What tests/c/bits.c prints."""
    sound = pcm.astype("<i2").tobytes().decode("latin-1")
    result = run([*program, chunk], input=sound, encoding="latin-1")
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_aarch64_makes_the_bits_of_the_host(model: FoldedModel, tmp_path: Path) -> None:
    model.word_threshold[:] = 0.2
    for folder in ("host", "arm"):
        (tmp_path / folder).mkdir()
    emulator = tool("qemu-aarch64")
    arm = build_program(tmp_path / "arm", "tests/c/bits.c", model, CC, ["-O3", "-static"])
    host = build_program(tmp_path / "host", "tests/c/bits.c", model, "cc", ["-O2"])
    pcm = stimulus(21, 60000)
    expected = bits([host], pcm, 60000)
    assert bits([emulator, arm], pcm, 777) == expected
    names = [line.split()[0] for line in expected.splitlines()]
    assert {"features", "logits", "event", "adaptive"} <= set(names)


def test_aarch64_makes_the_golden_vectors(tmp_path: Path) -> None:
    golden, model = np.load(GOLDEN / "engine.npz"), load(GOLDEN / "engine.kws")
    program = build_program(tmp_path, "tests/c/bits.c", model, CC, ["-O3", "-static"])
    lines = [line.split() for line in bits([tool("qemu-aarch64"), program], golden["pcm"], 512).splitlines()]

    def floats(words: list[str]) -> np.ndarray:
        return np.array([int(word, 16) for word in words], np.uint32).view(np.float32)

    found = {f"{name}_{delta}": floats(words) for name, delta, *words in lines if name in ("features", "logits")}
    assert np.array_equal(found["features_0"].reshape(golden["features"].T.shape).T, golden["features"])
    for delta in model.deltas:
        assert np.array_equal(found[f"logits_{delta}"].view(np.uint32), golden[f"logits_{delta}"].view(np.uint32))
        rows = [
            [int(sample), int(word), floats([score])[0]]
            for name, depth, *rest in lines
            if name == "event" and int(depth) == delta
            for sample, word, score in [rest]
        ]
        assert np.array_equal(np.array(rows, np.float64), golden[f"events_{delta}"])


def test_no_multiplication_is_fused_with_an_addition(tmp_path: Path) -> None:
    for source in SOURCES:
        out = tmp_path / "out.o"
        compile_c([tool(CC), *FLAGS, "-O3", "-I", ROOT / "firmware/include", "-c", source, "-o", out])
        listing = run([tool("aarch64-linux-gnu-objdump"), "-d", out]).stdout
        assert not re.search(r"\bf(n?madd|n?msub|mla|mls)\b", listing), source.name
