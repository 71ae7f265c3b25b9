"""Whole networks on every set of kernels: the same bits of every logit, on the host and, under emulation, with NEON."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from compiled import build_program, run, tool
from random_model import random_model

from kws.features import Preset
from kws.model import load
from kws.model.folded import FoldedModel

GOLDEN = Path(__file__).parent / "golden"
ARM = "aarch64-linux-gnu-gcc"
SETS = ("portable", "avx2", "avx512")


def build(folder: Path, source: str, model: FoldedModel, cc: str = "cc") -> list[Path | str]:
    """The command that runs ``source`` here."""
    (folder / cc).mkdir()
    if cc == ARM:
        return [tool("qemu-aarch64"), build_program(folder / cc, source, model, tool(cc), ["-O3", "-static"])]
    return [build_program(folder / cc, source, model, cc)]


def checksums(program: list[Path | str], seed: int, count: int, *sets: str) -> dict[str, str]:
    """What tests/c/isa_bits.c prints, of those sets that run here."""
    found = {}
    for name in sets:
        result = run([*program, seed, count, name])
        if result.stderr == f"isa_bits: no set {name}\n":
            continue
        assert result.returncode == 0, result.stderr
        found.update([result.stdout.split()])
    return found


MODELS = {
    "default": {},
    "wide": {"channels": 192, "hidden": 320, "n_blocks": 2, "preset": Preset("wide", n_mels=40, frames=44)},
    "two planes": {"planes": 2},
    "two planes, wide": {"channels": 192, "hidden": 320, "n_blocks": 2, "planes": 2},
    "small": {"channels": 64, "hidden": 64, "preset": Preset("small", n_fft=256, hop=64, n_mels=8, frames=8)},
}


COUNTS = {"default": 10000, "small": 10000, "wide": 1000}


@pytest.mark.parametrize("name", MODELS)
def test_random_inputs_give_the_same_logits_on_every_set(name: str, tmp_path: Path) -> None:
    model = random_model(31, n_classes=12, **MODELS[name])
    count = COUNTS.get(name, 200)
    found = checksums(build(tmp_path, "tests/c/isa_bits.c", model), 1, count, *SETS)
    assert len(set(found.values())) == 1, found
    assert "portable" in found
    other = checksums([tmp_path / "cc" / "isa_bits"], 2, count, "portable")
    assert other["portable"] != found["portable"], "the checksum does not see the input"


@pytest.mark.parametrize("name", MODELS)
def test_neon_gives_the_logits_of_the_host(name: str, tmp_path: Path) -> None:
    model = random_model(31, n_classes=12, **MODELS[name])
    arm = build(tmp_path, "tests/c/isa_bits.c", model, ARM)
    host = build(tmp_path, "tests/c/isa_bits.c", model)
    for isa, count in (("neon", COUNTS.get(name, 300) // 10), ("portable", 50)):
        expected = checksums(host, 1, count, "portable")["portable"]
        assert checksums(arm, 1, count, isa) == {isa: expected}


@pytest.mark.parametrize("cc", ["cc", ARM])
def test_golden_vectors_on_every_set(cc: str, tmp_path: Path) -> None:
    golden, model = np.load(GOLDEN / "engine.npz"), load(GOLDEN / "engine.kws")
    program = build(tmp_path, "tests/c/bits.c", model, cc)
    sound = golden["pcm"].astype("<i2").tobytes().decode("latin-1")
    seen = []
    for name in (*SETS, "neon"):
        environment = {**os.environ, "KWS_ISA": name}
        result = run([*program, 512], input=sound, encoding="latin-1", env=environment)
        if "no such kernels" in result.stderr:
            continue
        assert result.returncode == 0, result.stderr
        lines = [line.split() for line in result.stdout.splitlines()]
        logits = {int(delta): [int(word, 16) for word in words] for kind, delta, *words in lines if kind == "logits"}
        for delta in model.deltas:
            assert logits[delta] == golden[f"logits_{delta}"].view(np.uint32).tolist(), (name, delta)
        seen.append(name)
    assert "portable" in seen and (cc != ARM or "neon" in seen)
