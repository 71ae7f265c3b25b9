"""`kws info` counts what the paper counts, and `kws export` writes what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from random_model import random_model
from typer.testing import CliRunner

import kws.model
from kws.cli import export, info
from kws.model.info import bytes_by_part, describe
from kws.model.pack import packed_arrays


@pytest.fixture
def run() -> typer.Typer:
    app = typer.Typer()
    info.register(app)
    export.register(app)
    return app


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    model = random_model(1)
    model.class_names[0] = "[bold]yes"  # no markup
    path = tmp_path / "some.kws"
    kws.model.save(model, path)
    return path


def test_counts_are_those_of_the_paper() -> None:
    facts = describe(random_model(0))
    binary = {delta: sum(depth["macs"]["binary"].values()) for delta, depth in facts["depths"].items()}
    assert binary["1"] == 5_316_608  # 5.32 M of 5.43 M
    assert binary["1"] + sum(facts["depths"]["1"]["macs"]["8-bit"].values()) == 5_431_296
    assert facts["weight_bits"] == 574_976
    block = 8 * (5 * 128 + 2 * 128 * 256)
    assert binary["1"] - binary["2"] == 4 * block and binary["2"] - binary["4"] == 2 * block


def test_bytes_by_part_cover_every_array() -> None:
    model = random_model(0, n_classes=7, channels=64, hidden=64, n_blocks=3)
    parts = bytes_by_part(model)
    assert list(parts) == ["thresholds", "conv1", "conv2", "linear", "blocks", "depth 1", "depth 2", "classifier"]
    assert sum(parts.values()) == sum(-(-array.nbytes // 64) * 64 for array in packed_arrays(model).values())


def test_info_prints_every_fact(run: typer.Typer, model_path: Path) -> None:
    result = CliRunner().invoke(run, ["info", str(model_path)], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    for expected in (
        "random1",
        "[bold]yes, word1",
        "_unknown_, _silence_",
        "574,976 bits",
        "116,992",
        "5,316,608",
        "5,431,296",
        "16 bits, 9 of them",
        "31,552 bytes",
        "random numbers",
        random_model(1).checkpoint_sha256,
    ):
        assert expected in result.output


def test_info_prints_one_json_object(run: typer.Typer, model_path: Path) -> None:
    result = CliRunner().invoke(run, ["info", str(model_path), "--json"])
    facts = json.loads(result.output)
    assert facts["classes"][0] == "[bold]yes" and facts["bytes"]["total"] == 116_992
    assert list(facts["depths"]) == ["1", "2", "4"] and facts["depths"]["4"]["blocks"] == [3, 7]


def test_export_writes_both_headers(run: typer.Typer, model_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "firmware" / "some.h"
    result = CliRunner().invoke(run, ["export", str(model_path), "--out", str(out)])
    assert result.exit_code == 0
    assert "static const kws_model_t kws_some " in out.read_text()
    assert (out.parent / "frontend_bifsmn.h").is_file()
    result = CliRunner().invoke(run, ["export", str(model_path), "--out", str(out), "--name", "mine"])
    assert result.exit_code == 0 and "static const kws_model_t kws_mine " in out.read_text()
