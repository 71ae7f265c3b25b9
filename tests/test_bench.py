"""`kws bench`: what it measures and says. No test looks at how long anything took."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from compiled import fresh_engine  # noqa: F401  (an autouse fixture)
from random_model import random_model
from typer.testing import CliRunner

from kws import cli
from kws.bench import host, peers, timing
from kws.bench.graph import LAYOUTS, Shape, build
from kws.errors import KwsError
from kws.features import Preset
from kws.model import load, save
from kws.model.folded import FoldedModel
from kws.model.info import macs

PRESET = Preset("bench", n_fft=256, hop=96, n_mels=8, frames=16)


@pytest.fixture
def model() -> FoldedModel:
    return random_model(5, n_classes=4, channels=64, hidden=64, n_blocks=4, preset=PRESET)


@pytest.fixture
def two_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that runs, in two layouts, and one that is not installed."""

    def absent(shape: Shape) -> peers.Peer:
        raise peers.Missing("nothing is not installed.")

    def present(shape: Shape) -> peers.Peer:
        return peers.Peer("peer 1.0", {layout: lambda: sum(range(100 * shape.blocks)) for layout in LAYOUTS})

    monkeypatch.setattr(peers, "PEERS", {"runs": present, "absent": absent})


def test_every_function_has_its_turns() -> None:
    calls = {"a": 0, "b": 0}

    def call(name: str) -> None:
        calls[name] += 1

    found = timing.in_turn({"a": lambda: call("a"), "b": lambda: call("b")}, 0.0)
    assert list(found) == ["a", "b"]
    assert all(one.rounds == timing.MIN_ROUNDS and one.median > 0 and one.spread >= 0 for one in found.values())
    assert min(calls.values()) >= timing.MIN_ROUNDS


@pytest.mark.usefixtures("two_peers")
def test_the_json_holds_every_set_depth_and_ratio(model: FoldedModel) -> None:
    found = json.loads(json.dumps(host.bench(model, 0.01).as_dict()))
    depths = [str(delta) for delta in model.deltas]
    assert found["model"] == model.name
    assert found["fastest"] in found["sets"]
    assert "portable" in found["sets"]
    for one in found["sets"].values():
        assert list(one["window"]) == list(one["second"]) == depths
        assert set(one["stages"]) == {"around_us", "block_us"}
        assert {"us", "spread"} == set(one["frame"])
    peer = found["peers"]["runs"]
    assert peer["version"] == "peer 1.0"
    assert list(peer["ratio"]) == list(peer["window"]) == depths
    assert found["missing"] == {"absent": "nothing is not installed."}


@pytest.mark.usefixtures("two_peers")
def test_the_command_says_what_is_missing(model: FoldedModel, tmp_path: Path) -> None:
    save(model, tmp_path / "m.kws")
    arguments = ["bench", "--model", str(tmp_path / "m.kws"), "--seconds", "0.01"]
    shown = CliRunner().invoke(cli.application(), arguments)
    assert shown.exit_code == 0, shown.output
    assert "absent was not measured: nothing is not installed." in shown.output
    assert "portable" in shown.output
    as_json = CliRunner().invoke(cli.application(), [*arguments, "--json"])
    assert as_json.exit_code == 0, as_json.output
    assert set(json.loads(as_json.stdout)) >= {"sets", "peers", "missing", "processor"}


def test_a_senseless_time_is_refused() -> None:
    shown = CliRunner().invoke(cli.application(), ["bench", "--seconds", "0"])
    assert isinstance(shown.exception, KwsError)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_package_that_is_not_installed_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for peer in peers.PEERS.values():
        with pytest.raises(peers.Missing, match=r"pip install 'kws\[bench\]'"):
            peer(Shape())


def test_a_model_with_one_depth_has_no_stages(model: FoldedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", {})
    del model.depths[1:]
    found = host.bench(model, 0.01).as_dict()
    assert all(one["stages"] == {} for one in found["sets"].values())


def test_peers_do_the_work_of_the_shipped_model() -> None:
    model = load()
    for depth in model.depths:
        parts = macs(model, depth)
        shape = Shape(blocks=len(depth.passes), classes=len(model.class_names))
        assert shape.macs == sum(parts["binary"].values()) // model.planes + sum(parts["8-bit"].values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_graph_runs(layout: str) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    shape = Shape(n_mels=8, frames=16, channels=64, hidden=64, blocks=2, classes=4)
    session = onnxruntime.InferenceSession(build(shape, layout).SerializeToString())
    assert session.get_inputs()[0].shape == [1, 1, 8, 16]
    assert session.get_outputs()[0].shape == [1, 4]
    for load_peer in peers.PEERS.values():
        load_peer(shape).runs[layout]()
