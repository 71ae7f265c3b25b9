"""kws compare: the grid file, resuming and skipping, and figures that agree with those of other commands."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import StopAfter, corpus, plain  # noqa: F401  (fixture)
from typer.testing import CliRunner

from kws.cli import application
from kws.data.tasks import Task
from kws.errors import KwsError
from kws.evaluate import metrics
from kws.evaluate.run import evaluate
from kws.features import PRESETS
from kws.model import load
from kws.model.info import bytes_by_part, macs
from kws_training.blocks import obstacle
from kws_training.compare import host, instructions, measure, plots, table
from kws_training.compare.cell import settings, topology
from kws_training.compare.grid import Cell, read_grid
from kws_training.compare.measure import Options
from kws_training.compare.run import RESULT, Reporter, compare
from kws_training.rivals import NETWORKS, RivalTopology
from kws_training.rivals import build as build_rival

GRID = Path(__file__).with_name("tiny_grid.toml")
SHORT = Path(__file__).parents[1] / "tools/grids/short.toml"
OPTIONS = Options(seconds=0.1)


@pytest.fixture(autouse=True)
def without_emulator(monkeypatch):
    monkeypatch.setattr(instructions, "engine", lambda model: "not in this test.")


class Listener(Reporter):
    """Keeps what is told, and stops a run as Ctrl-C would."""

    def __init__(self, steps: int = 0) -> None:
        self.cells, self.warnings, self.left = [], [], steps

    def cell(self, cell, number, total, is_done):
        self.cells.append((cell.title, is_done))

    def warn(self, sentence):
        self.warnings.append(sentence)

    def step(self, loss):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def done(corpus, tmp_path_factory):  # noqa: F811
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("grid")
    patch = pytest.MonkeyPatch()
    patch.setattr(instructions, "engine", lambda model: "not in this test.")
    # Interrupted in the third of five runs, then taken up again.
    with pytest.raises(KeyboardInterrupt):
        compare(read_grid(GRID), corpus, out, Listener(10), plain, OPTIONS)
    listener = Listener()
    results = compare(read_grid(GRID), corpus, out, listener, plain, OPTIONS)
    patch.undo()
    return out, results, listener


TITLES = [
    "ds-cnn-float-seed0",
    "ds-cnn-int8-seed0",
    "bifsmn-2x64-float-seed0",
    "bifsmn-2x64-bireal-seed0",
    "bifsmn-2x64-dorefa-2-seed0",
]


def test_a_grid_is_every_combination_after_the_float_it_starts_from():
    plan = read_grid(GRID).plan()
    assert [cell.title for cell in plan] == TITLES
    assert plan[3] == Cell("bifsmn", 1, "bireal", 64, 2, 0, "enhanced") and plan[3].float_twin == plan[2]
    assert plan[3].deltas == (1, 2) and plan[2].deltas == plan[0].deltas == (1,)


def test_the_short_grid_is_one_and_treats_all_alike():
    grid = read_grid(SHORT)
    float_stages = [
        [
            (replace(stage, name="") if stage.name in ("float", "teacher") else None)
            for stage in settings(cell, grid).stages
        ]
        for cell in grid.plan()
        if cell.bits == 32
    ]
    assert len(float_stages) == 3 and all(stages == float_stages[0] for stages in float_stages)


def test_two_planes_start_from_the_float_network_that_one_plane_starts_from():
    grid = read_grid(SHORT)
    one, two = (cell for cell in grid.plan() if cell.bits == 1)
    assert (one.network, two.network) == ("bifsmn", "bifsmnv2") and one.float_twin == two.float_twin
    assert settings(two, grid) == replace(settings(one, grid), topology=replace(topology(one, grid), planes=2))


def test_the_large_grid_shares_the_small_ones_cells_and_has_every_rival():
    large, small = read_grid(SHORT.with_name("all.toml")), read_grid(SHORT)
    assert {small.digest(cell) for cell in small.plan()} < {large.digest(cell) for cell in large.plan()}
    for cell in large.plan():
        settings(cell, large)
    assert set(NETWORKS) == {cell.network for cell in large.cells if not cell.is_own}


def test_every_distillation_starts_from_the_same_float_network():
    grid = read_grid(SHORT.with_name("distillation.toml"))
    chosen = [cell for cell in grid.plan() if cell.bits == 1 and cell.seed == 1]
    assert [cell.distillation for cell in chosen] == ["enhanced", "independent", "answers"]
    assert [cell.title for cell in chosen] == [
        "bifsmn-4x64-bireal-seed1",
        "bifsmn-4x64-bireal-independent-seed1",
        "bifsmn-4x64-bireal-answers-seed1",
    ]
    assert [settings(cell, grid).distillation for cell in chosen] == ["enhanced", "independent", "answers"]
    assert len({cell.float_twin for cell in chosen}) == 1 and len({grid.digest(cell) for cell in chosen}) == 3


def test_what_was_done_before_distillation_was_a_choice_stays_done():
    grid = read_grid(SHORT)
    kept = json.loads((SHORT.parents[2] / "docs/compare/results.json").read_text())["results"]
    assert {result["hash"] for result in kept} <= {grid.digest(cell) for cell in grid.plan()}


def test_hashes_follow_what_matters_and_nothing_else():
    grid, (floats, int8, *_) = read_grid(GRID), read_grid(GRID).plan()
    longer = replace(grid.schedule["int8"][0], epochs=2)
    changed = replace(grid, schedule={**grid.schedule, "int8": (longer,)})
    assert changed.digest(floats) == grid.digest(floats) and changed.digest(int8) != grid.digest(int8)
    averaged = replace(grid.schedule["float"][0], average=0.0)
    assert replace(grid, schedule={**grid.schedule, "float": (averaged,)}).digest(floats) != grid.digest(floats)
    assert grid.digest(floats) != grid.digest(replace(floats, seed=1))
    assert replace(grid, cells=()).digest(int8) == grid.digest(int8)
    assert replace(grid, batch=8).digest(int8) != grid.digest(int8)
    assert replace(grid, task=Task("t", ("high", "low"))).digest(int8) != grid.digest(int8)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('network = "ds-cnn"', 'network = "vgg"', "'vgg' is no network"),
        ('network = "ds-cnn"', 'network = "ds-cnn"\nblocks = 3', "ds-cnn has no blocks"),
        ("bits = [32, 8]", "bits = [32, 4]", "ds-cnn has no form of 4 bits"),
        ("bits = [32, 8]", "bits = [32, 32]", "names ds-cnn-float-seed0 twice"),
        ("bits = 1", 'bits = 1\nbinarizer = "dorefa-2"', "bifsmn of 1 bits has no binarizer 'dorefa-2'"),
        ("bits = 1", 'bits = 32\nbinarizer = "bnn"', "has no binarizer"),
        ('network = "bifsmn"', 'network = "bifsmnv2"', "bifsmnv2 of 2 bits has no second plane"),
        ('network = "bifsmn"', 'network = "bifsmn-attention"', "bifsmn-attention has no form of 2 bits"),
        ("channels = 64", "channels = 65", "channels = 65: give a multiple of 64"),
        ("channels = 64", "width = 64", "'width' is no axis of cells"),
        ("batch = 16", "size = 16", "'size' is no setting of a grid"),
        ("rate = 5e-4", "speed = 5e-4", "'speed' is no setting of a stage"),
        ("rate = 5e-4", "", "a stage of 'int8' lacks rate"),
        ("epochs = 1\nrate = 5e-4", "epochs = 0\nrate = 5e-4", "epochs = 0: give a whole number, 1 or more"),
        ("rate = 5e-4", 'rate = "fast"', "rate = 'fast' of a stage of 'int8'"),
        ("bits = 1", 'bits = "one"', "bits = 'one': give a whole number"),
        ("batch = 16", "batch = 0", "batch = 0: give"),
        ("[[schedule.int8]]", "[[schedule.int4]]", "'int4' is no kind of stage"),
        ("[[schedule.float]]", "[[schedule.int8]]", "has no schedule for float"),
        ('"gentle"', '"wild"', "'wild' is no augmentation"),
        ("batch = 16", "batch = ", "not a TOML file"),
        # What could only fail, some of it after all the training.
        ("channels = 64", "channels = 320", "channels = 320: give a multiple of 64, 64 to 256"),
        ("blocks = 2", "blocks = 100", "blocks = 100: give a whole number, 1 to 64"),
        ("smoothing = 0.1", "smoothing = 2", "smoothing = 2 of a stage of 'float': give a number, from 0 to 1"),
        ("smoothing = 0.1", "unknown = 21", "unknown = 21 of a stage of 'float': give a number, from 0 to 20"),
        ("rate = 5e-4", "rate = nan", "rate = nan of a stage of 'int8': give a number, 0 or more"),
        ("rate = 5e-4", "rate = inf", "rate = inf of a stage of 'int8': give a number, 0 or more"),
        ('words = ["low", "high"]', 'words = "yes"', "words = 'yes': give a list of words"),
        ('words = ["low", "high"]', "words = [1, 2]", r"words = \[1, 2\]: give a list of words"),
        ('words = ["low", "high"]', "words = []", "No word given"),
        ('words = ["low", "high"]', 'task = "13"', "'13' is no task; choose 12, 22, 35"),
        ("batch = 16", 'preset = ["bifsmn"]', r"\['bifsmn'\] is no preset; choose bifsmn"),
        ("bits = 1", "bits = 1\nbinarizer = 3", "binarizer = 3: give a name in quotes"),
        ("bits = 1", 'bits = 1\ndistillation = "none"', "'none' is no distillation; choose enhanced"),
        ("bits = 1", 'bits = 32\ndistillation = "enhanced"', "float and is not distilled"),
        ('network = "ds-cnn"', 'network = "ds-cnn"\ndistillation = "answers"', "ds-cnn has no distillation"),
        ("bits = 1", "bits = []", r"bits = \[\] makes no cell"),
        ('network = "bifsmn"', 'network = [["bifsmn"]]', r"\['bifsmn'\] is no network; choose"),
        ('"gentle"', '["gentle"]', r"\['gentle'\] is no augmentation; choose"),
        (
            "[[schedule.float]]",
            "[schedule.float]",
            r"schedule.float = .*: write every entry under.*\[\[schedule.float\]\]",
        ),
    ],
)
def test_what_a_grid_cannot_say_is_one_sentence(tmp_path, old, new, sentence):
    path = tmp_path / "grid.toml"
    text = GRID.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(KwsError, match=sentence) as caught:
        read_grid(path)
    assert "grid.toml" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(KwsError, match="cannot be read"):
        read_grid(tmp_path / "absent.toml")


def test_an_interrupted_grid_goes_on_where_it_was(done):
    _, results, listener = done
    assert [name for name, _ in listener.cells] == [result["title"] for result in results] == TITLES
    assert [is_done for _, is_done in listener.cells] == [True, True, False, False, False]
    assert listener.warnings == [
        "'dorefa-2' trains but exports no model: its inputs and weights have 2 bits, the engine's have one."
    ]


def test_what_is_done_needs_no_recordings_and_is_not_done_again(done):
    out, results, _ = done
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*")}
    listener = Listener()
    assert compare(read_grid(GRID), None, out, listener, plain, OPTIONS) == results
    assert all(is_done for _, is_done in listener.cells)
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("*/*")}


COUNTED = {"window": {"1": 7}, "by": "a peer", "emulator": "an emulator"}


@pytest.fixture
def measured(monkeypatch):
    """What is measured, as it happens, of networks that are not trained again."""
    from kws_training.compare import run

    calls, hear = [], measure.degrade

    def degrade(*clips, **options):
        calls.append("heard")
        return hear(*clips, **options)

    def count(graphs, script, preset, cache):
        calls.append("counted" if cache else "not counted")
        return COUNTED if cache else "not asked for."

    monkeypatch.setattr(run, "train_cell", lambda *_: None)
    monkeypatch.setattr(measure, "degrade", degrade)
    monkeypatch.setattr(host, "peer", lambda *_: calls.append("timed") or "no time.")
    monkeypatch.setattr(instructions, "peer", count)
    return calls


def test_what_was_left_out_is_measured_when_it_is_asked_for_and_nothing_else(done, corpus, tmp_path, measured):  # noqa: F811
    out, results, _ = done
    grid = read_grid(GRID)
    small = replace(grid, cells=grid.cells[:1])
    folder = tmp_path / grid.folder(grid.cells[0])
    shutil.copytree(out / folder.name, folder)

    def told(data, **options):
        """What is measured, and how many conditions and which instructions are then known."""
        measured.clear()
        (result,) = compare(small, data, tmp_path, Listener(), plain, Options(**options))
        depth = result["depths"]["1"]
        return measured, len(depth["robustness"]), depth["instructions"]

    (folder / RESULT).unlink()
    assert told(corpus, robustness=False) == (["heard", "timed", "not counted"], 1, None)
    assert told(corpus, robustness=False, peers=tmp_path) == (["counted"], 1, 7)
    # More in one way, and less in the other.
    assert told(corpus) == (["heard"], 18, 7)
    assert told(None, peers=tmp_path) == ([], 18, 7)
    assert told(None, robustness=False) == ([], 18, 7)
    result = json.loads((folder / RESULT).read_text())
    assert result["missing"] == {"host": "no time."} and result["counted"]["by"] == "a peer"
    assert result["depths"]["1"]["robustness"] == results[0]["depths"]["1"]["robustness"]


def test_a_network_that_is_trained_again_is_measured_as_a_whole(done, corpus, tmp_path, measured):  # noqa: F811
    out, _, _ = done
    grid = read_grid(GRID)
    folder = tmp_path / grid.folder(grid.cells[0])
    shutil.copytree(out / folder.name, folder)
    record = folder / "record.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "epochs": []}))
    compare(replace(grid, cells=grid.cells[:1]), corpus, tmp_path, Listener(), plain, Options(peers=tmp_path))
    assert measured == ["heard", "timed", "counted"]


def test_a_float_network_is_trained_again_for_others_if_its_result_alone_is_left(done, corpus, tmp_path):  # noqa: F811
    out, results, _ = done
    grid = read_grid(GRID)
    shutil.copytree(out, tmp_path, dirs_exist_ok=True)
    twin, binary = (tmp_path / grid.folder(cell) for cell in grid.plan()[2:4])
    for path in set(twin.rglob("*.*")) - {twin / RESULT}:
        path.unlink()
    listener = Listener()
    assert compare(grid, None, tmp_path, listener, plain, OPTIONS) == results  # nothing is to be trained
    shutil.rmtree(binary)
    again = compare(grid, corpus, tmp_path, listener, plain, OPTIONS)
    # Nor can what training took be counted without that run.
    (binary / RESULT).unlink()
    for path in set(twin.rglob("*.*")) - {twin / RESULT}:
        path.unlink()
    assert [one["title"] for one in compare(grid, corpus, tmp_path, listener, plain, OPTIONS)] == TITLES
    assert [is_done for _, is_done in listener.cells[5:]] == [True, True, False, False, True] * 2
    assert [one["depths"]["1"]["balanced_accuracy"] for one in again[2:4]] == [
        one["depths"]["1"]["balanced_accuracy"] for one in results[2:4]
    ]


def test_figures_are_those_of_the_other_commands(done, corpus):  # noqa: F811
    out, results, _ = done
    grid = read_grid(GRID)
    binary = results[3]
    folder = out / grid.folder(grid.plan()[3])
    model = load(folder)
    found = evaluate(model, corpus)
    for delta in ("1", "2"):
        depth = binary["depths"][delta]
        matrix = found.depths[int(delta)].matrix
        assert depth["balanced_accuracy"] == metrics.balanced_accuracy(matrix)
        assert depth["recall"]["low"] == matrix[0, 0] / matrix[0].sum()
        work = macs(model, next(one for one in model.depths if one.delta == int(delta)))
        assert depth["binary_macs"] == sum(work["binary"].values()) < depth["macs"]
        assert depth["host_us"] > 0 and depth["instructions"] is None
        assert len(depth["robustness"]) == 18
        assert depth["robustness"]["clean"]["balanced_accuracy"] == depth["balanced_accuracy"]
    assert binary["bytes"]["total"] == sum(bytes_by_part(model).values())
    assert binary["missing"] == {"instructions": "not in this test."}
    # 5x5 convolutions to 16 and 32 channels, 256 inputs to 64, two blocks of 64 to 128; 4 classes of 8 steps.
    inner, outer = 12800 + 256 * 64 + 2 * (5 * 64 + 2 * 64 * 128), 400 + 4 * 8 * 64
    assert results[2]["bytes"]["weights"] == 4 * (inner + outer)
    assert results[4]["bytes"]["weights"] == inner // 4 + outer
    # Norms behind conv1, conv2 and linear, and in each block behind 64, 128 and 64 channels; a bias a class.
    assert results[2]["bytes"]["biases"] == 4 * (16 + 32 + 64 + 2 * 256 + 4)
    assert results[4]["bytes"]["biases"] == 4 * (16 + 32 + 64 + 3 * 256 + 2 * 4)
    # Of the float teacher and the rivals, what training saw at its end.
    for number, weights in ((0, "1"), (1, "1"), (2, "1"), (4, "2")):
        record = json.loads((out / grid.folder(grid.plan()[number]) / "record.json").read_text())
        seen = record["epochs"][-1]["validation"][weights]["balanced_accuracy"]
        assert results[number]["depths"][weights]["balanced_accuracy"] == pytest.approx(seen, abs=1e-9)


def test_blocks_that_the_engine_does_not_run_start_from_their_own_float_form(corpus, tmp_path):  # noqa: F811
    grid = read_grid(GRID)
    cell = Cell("bifsmn-attention", 1, "bireal", 64, 2, 0, "answers")
    listener = Listener()
    twin, found = compare(replace(grid, cells=(cell,)), corpus, tmp_path, listener, plain, Options(False, 0.1))
    assert twin["title"] == "bifsmn-attention-2x64-float-seed0"
    assert found["title"] == "bifsmn-attention-2x64-bireal-answers-seed0"
    assert listener.warnings == [obstacle("bireal", "bifsmn-attention")]
    assert found["runs_in"] == "torch, 1-bit arithmetic in float32"
    # As a memory's network, but four layers of 64 to 64 and two products of eight steps for five taps of 64 channels.
    inner, outer = 12800 + 256 * 64 + 2 * (4 * 64 * 64 + 2 * 64 * 128), 400 + 4 * 8 * 64
    assert found["bytes"]["weights"] == inner // 8 + outer and twin["bytes"]["weights"] == 4 * (inner + outer)
    work = found["depths"]["1"]
    assert work["binary_macs"] == twin["depths"]["1"]["macs"] - (256 * 400 + 4 * 8 * 64) < work["macs"]
    assert work["macs"] == twin["depths"]["1"]["macs"] and twin["depths"]["1"]["binary_macs"] == 0
    assert set(found["missing"]) == set(twin["missing"]) == {"host", "instructions"}


def test_training_is_counted_with_the_float_part(done):
    _, results, _ = done
    epochs = [result["training"]["epochs"] for result in results]
    assert epochs == [1, 2, 1, 3, 3]
    counts = results[0]["training"]["training_clips"]
    words = counts["low"] + counts["high"]
    assert results[0]["training"]["clips"] == int(words * 1.3) // 16 * 16


def test_every_epoch_is_counted_with_its_own_stages_share_of_other_words(tmp_path):
    stages = [{"name": name, "unknown": unknown} for name, unknown in (("teacher", 0.6), ("teacher", 0.2))]
    student = [{"name": "binary", "unknown": 0.4}, {"name": "binary", "unknown": 0.9}]
    runs = {
        "twin": (stages, [("teacher", 1), ("teacher", 2), ("teacher", 1)]),
        # The twin's stages are among its settings, but it did not run them.
        "own": (stages + student, [("binary", 1), ("binary", 1), ("binary", 2)]),
    }
    for name, (settings_of_stages, rows) in runs.items():
        (tmp_path / name).mkdir()
        record = {
            "data": {"training_clips": {"low": 600, "high": 400}, "sha256": ""},
            "settings": {"stages": settings_of_stages},
            "epochs": [{"stage": stage, "epoch": epoch, "seconds": 1.0} for stage, epoch in rows],
        }
        record |= {"threads": 1, "device": "cpu", "torch": ""}
        (tmp_path / name / "record.json").write_text(json.dumps(record))
    grid = replace(read_grid(GRID), batch=10)
    found = measure._training(grid, tmp_path / "own", tmp_path / "twin")
    # A tenth of silence beside them.
    assert found["clips"] == 1700 + 1700 + 1300 + 1500 + 2000 + 2000
    assert found["epochs"] == 6 and found["seconds"] == 6.0


def test_a_damaged_result_is_named(tmp_path):
    grid = read_grid(GRID)
    folder = tmp_path / grid.folder(grid.plan()[0])
    folder.mkdir()
    (folder / RESULT).write_text("{")
    with pytest.raises(KwsError, match=r"result.json: not a result of kws compare"):
        compare(grid, None, tmp_path, Listener(), plain, OPTIONS)


def test_without_recordings_what_is_left_cannot_be_done(tmp_path):
    with pytest.raises(
        KwsError, match="5 of 5 cells have no result; the first, ds-cnn-float-seed0: not done; give --data"
    ):
        compare(read_grid(GRID), None, tmp_path, Listener(), plain, OPTIONS)
    assert (tmp_path / "table.md").read_text() == "No cell is done yet.\n"


def test_a_cell_that_fails_leaves_the_others(corpus, tmp_path, monkeypatch):  # noqa: F811
    from kws_training.compare import run

    def fail(cell, *others):
        if cell.network == "ds-cnn" and cell.bits == 32:
            raise KwsError("the loss became nan.")

    measured = []
    monkeypatch.setattr(run, "train_cell", fail)
    monkeypatch.setattr(run, "is_trained", lambda *_: False)
    monkeypatch.setattr(run, "measure_cell", lambda cell, grid, *_: measured.append(cell) or {"hash": ""})
    monkeypatch.setattr(run, "collect", lambda grid, out: [])
    for cell in read_grid(GRID).plan():
        (tmp_path / read_grid(GRID).folder(cell)).mkdir()
    with pytest.raises(
        KwsError, match=r"2 of 5 cells have no result; the first, ds-cnn-float-seed0: the loss became nan"
    ):
        compare(read_grid(GRID), corpus, tmp_path, Listener(), plain, OPTIONS)
    assert [cell.title for cell in measured] == TITLES[2:]


def test_tables_and_plots_come_out_of_the_results(done):
    out, results, _ = done
    text = (out / "table.md").read_text()
    assert table.page(json.loads((out / "results.json").read_text())) == text
    row = next(line for line in text.splitlines() if line.startswith("| bifsmn-2x64-bireal, depth 2 |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    depth = results[3]["depths"]["2"]
    assert cells[1] == f"{100 * depth['balanced_accuracy']:.2f}"
    assert cells[3] == f"{results[3]['bytes']['total']:,}" and cells[7] == "-"
    loss = 100 * (depth["robustness"]["music 10 dB"]["balanced_accuracy"] - depth["balanced_accuracy"])
    assert cells[9] == f"{loss:+.1f}"
    assert "One seed" in text and "not in this test." in text
    assert (out / "accuracy-bytes.png").stat().st_size > 1000


def test_seeds_are_averaged_with_their_range(done):
    _, results, _ = done
    other = json.loads(json.dumps(results[0]))
    other.update(title="ds-cnn-float-seed1", hash="other")
    other["depths"]["1"]["balanced_accuracy"] = 0.9
    rows = table.grouped([results[0], other])
    own = results[0]["depths"]["1"]["balanced_accuracy"]
    assert len(rows) == 1 and table.mean(rows[0], "balanced_accuracy") == pytest.approx((own + 0.9) / 2)
    low, high = sorted((own, 0.9))
    assert f"({100 * low:.2f} to {100 * high:.2f}, 2 seeds)" in table.overview(rows)


def test_the_front_is_what_nothing_cheaper_equals():
    rng = np.random.default_rng(0)
    points = [(float(cost), float(accuracy)) for cost, accuracy in rng.integers(0, 9, (40, 2))]
    beaten = {point for point in points if any(c <= point[0] and a >= point[1] and (c, a) != point for c, a in points)}
    assert plots.front(points) == sorted(set(points) - beaten)


def test_a_tool_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.undo()
    monkeypatch.setattr(instructions, "TOOLS", tmp_path)
    assert "tools/emulated/count.py is not here" in instructions.engine(tmp_path / "m.kws")
    assert "--peers DIR" in instructions.peer([b""], None, PRESETS["bifsmn"], None)
    assert instructions.peer("why not.", None, PRESETS["bifsmn"], None) == "why not."


@pytest.mark.parametrize("name", ["ds-cnn", "bc-resnet-1"])
def test_what_others_time_and_count_is_the_network(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    torch.manual_seed(0)
    network, preset = build_rival(RivalTopology(name)), PRESETS["bifsmn"]
    features = -40 + 20 * torch.randn(4, preset.n_mels, preset.frames)
    network(features)  # statistics of the norms
    network.set_stage("int8")
    network.eval()
    graph, script = host.to_onnx(network, preset), host.to_torchscript(network, preset)
    assert network.stage == "int8"
    network.set_stage("float")
    with torch.no_grad():
        expected = network(features[:1])[1][0].numpy()
        normalised = ((features[:1] - preset.offset) * preset.scale).unsqueeze(1)
        assert np.allclose(torch.jit.load(io.BytesIO(script))(normalised).numpy(), expected, atol=1e-4)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert np.allclose(session.run(["logits"], {"features": features[:1].numpy()})[0], expected, atol=1e-4)


def test_the_command_shows_help_and_one_sentence(tmp_path):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        application(), ["compare", str(tmp_path / "no.toml"), "--out", str(tmp_path)]
    )
    assert isinstance(result.exception, KwsError) and "no.toml" in str(result.exception)


def test_the_command_writes_the_table_of_what_is_done(done):
    out, _, _ = done
    (out / "table.md").unlink()
    result = CliRunner(env={"COLUMNS": "200"}).invoke(application(), ["compare", str(GRID), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "5/5 bifsmn-2x64-dorefa-2-seed0 (done)" in result.stdout and (out / "table.md").is_file()
