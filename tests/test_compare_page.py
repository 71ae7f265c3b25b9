"""docs/compare.md is what its tool writes, and its tables are what the kept results say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from statistics import fmean
from types import ModuleType

import pytest

from kws_training.compare.grid import read_grid

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_page", ROOT / "tools/compare_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_its_tool_writes(tool):
    assert (ROOT / "docs/compare.md").read_text(encoding="utf-8") == tool.page()


@pytest.fixture(params=["binarizers", "blocks", "bits", "distillation"])
def side(request, tool):
    assert request.param in tool.SIDE_GRIDS
    return request.param, json.loads((ROOT / f"docs/compare/{request.param}.json").read_text(encoding="utf-8"))


def test_what_is_kept_of_a_grid_is_that_grids(side):
    name, content = side
    grid = read_grid(ROOT / f"tools/grids/{name}.toml")
    assert {result["hash"] for result in content["results"]} <= {grid.digest(cell) for cell in grid.plan()}


def test_a_row_has_the_mean_of_its_seeds(side, tool):
    name, content = side
    lines = tool.by_depth(content, is_ranked=name == "binarizers").splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    for title, *cells in rows:
        own = [result["depths"] for result in content["results"] if result["title"].rpartition("-seed")[0] == title]
        depths = [fmean(100 * depths[delta]["covered_accuracy"] for depths in own) for delta in ("1", "2", "4")]
        assert [cell.split()[0] for cell in cells[:3]] == [f"{figure:.2f}" for figure in depths]
        assert cells[3] == f"{fmean(depths):.2f}"
        assert float(cells[4]) == pytest.approx(
            fmean(100 * one["balanced_accuracy"] for depths in own for one in depths.values()), abs=0.0051
        )
    if name == "binarizers":
        assert [row[4] for row in rows] == sorted((row[4] for row in rows), reverse=True)
