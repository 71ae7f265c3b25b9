"""tools/own_voice.py: that nothing which is measured was given to a model, and that its table counts right."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kws.data.tasks import Clip, Corpus, scan
from kws.errors import KwsError
from kws.evaluate.stream import Count
from kws.own_words.project import Project

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import own_voice
import own_words


def _write(folder: Path, word: str, speaker: str, takes: int) -> list[str]:
    (folder / word).mkdir(parents=True, exist_ok=True)
    names = [f"{speaker}_nohash_{take}.wav" for take in range(takes)]
    for name in names:
        (folder / word / name).write_text(f"{word} {name}")
    return [f"{word}/{name}" for name in names]


@pytest.fixture
def asked(tmp_path: Path) -> argparse.Namespace:
    """Anna and cleo said both words five times, bert one of them; dora and others said another word."""
    root, listed = tmp_path / "all", []
    for speaker, takes in {"anna": (5, 6), "bert": (5, 4), "cleo": (7, 5), "dora": (1, 0), "ines": (0, 1)}.items():
        for word, count in zip(("yes", "no"), takes, strict=True):
            listed += _write(root, word, speaker, count)
        listed += _write(root, "tree", speaker, 2)
    for word in ("yes", "no"):
        _write(root, word, "emil", 2)
    (root / "_background_noise_").mkdir()
    (root / "_background_noise_" / "room.wav").write_text("room")
    (root / "validation_list.txt").write_text("\n".join(listed))
    (root / "testing_list.txt").write_text("")
    (tmp_path / "talk").mkdir()
    (tmp_path / "talk" / "talk.wav").write_text("talk")
    return argparse.Namespace(
        data=root,
        negatives=tmp_path / "talk",
        out=tmp_path / "out",
        words=["yes", "no"],
        speakers=2,
        takes=3,
        base="kws12",
        epochs=1,
        minutes=1.0,
        targets=[0.5, 2.0],
    )


def _of(speaker: str, clips: list[Clip]) -> bool:
    return any(clip.path.name.startswith(speaker) for clip in clips)


def test_what_is_measured_was_given_to_no_model(asked: argparse.Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, own_words.Said] = {}
    heard: list[tuple[Any, own_words.Said, list[Clip], Corpus]] = []

    def own_model(project: Project, takes: own_words.Said, voices: Path | None) -> str:
        given[project.name] = takes
        data = scan(project.data)
        assert set(data.clips) >= {"yes", "no", "tree"}
        assert not any(_of(speaker, clips) for clips in data.clips.values() for speaker in ("anna", "cleo"))
        assert _of("emil", data.clips["yes"]) and _of("emil", data.clips["no"])
        return f"{project.name} {project.target:g}"

    def stream(
        model: Any, held_out: own_words.Said, between: list[Clip], corpus: Corpus, *_: object
    ) -> SimpleNamespace:
        heard.append((model, held_out, between, corpus))
        return SimpleNamespace(track=SimpleNamespace(hours=0.5))

    running: list[Any] = []

    def hear_folder(model: Any, *_: object) -> SimpleNamespace:
        running.append(model)
        return SimpleNamespace(track=SimpleNamespace(hours=0.25))

    monkeypatch.setattr(own_voice, "own_model", own_model)
    monkeypatch.setattr(own_words, "stream", stream)
    monkeypatch.setattr(own_voice, "hear_folder", hear_folder)
    monkeypatch.setattr(own_voice, "found", lambda *_, words: {})
    results = own_voice.run(asked)
    assert [(one["speaker"], one["target"]) for one in results] == [
        (speaker, target) for speaker in ("anna", "cleo") for target in (None, 0.5, 2.0)
    ]
    assert list(given) == ["voice_anna", "voice_cleo"]
    # The base hears running speech once, whoever speaks.
    assert running[1:] == ["voice_anna 0.5", "voice_anna 2", "voice_cleo 0.5", "voice_cleo 2"]
    assert len(heard) == len(results) * len(own_words.SNRS)
    for index, (model, held_out, between, corpus) in enumerate(heard):
        one = results[index // len(own_words.SNRS)]
        speaker = one["speaker"]
        assert one["target"] is None or model == f"voice_{speaker} {one['target']:g}"
        for word in asked.words:
            names = {clip.path.name for clip in given[f"voice_{speaker}"][word]}
            out = {clip.path.name for clip in held_out[word]}
            assert len(names) == 3 and len(out) == 2 and not names & out
            assert all(name.startswith(speaker) for name in names | out)
        assert between and all(clip.word == "tree" for clip in between)
        kept_back = {clip.path.name.split("_")[0] for clip in between}
        assert not kept_back & {"anna", "cleo"}
        assert not any(_of(speaker, clips) for clips in corpus.clips.values() for speaker in kept_back)

    heard.clear()  # a second time all of it is there
    assert own_voice.run(asked) == results and not heard


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"speakers": 3}, r"all: 2 speakers of the validation split have 5 recordings of each"),
        ({"words": ["yes", "tree"]}, r"kws12 has no word 'tree'"),
        ({"negatives": Path("nowhere")}, r"nowhere: no such folder"),
        ({"targets": [0.5, 0.0]}, r"--target-false-accepts 0.0 is no rate"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is_made(
    asked: argparse.Namespace, changes: dict[str, Any], sentence: str
) -> None:
    vars(asked).update(changes)
    with pytest.raises(KwsError, match=sentence):
        own_voice.run(asked)
    assert not asked.out.exists()


def test_other_words_are_other_options(asked: argparse.Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_voice, "own_model", lambda *_: None)
    monkeypatch.setattr(own_voice, "measure_streams", lambda *_: {})
    monkeypatch.setattr(own_voice, "measure", lambda *_: {})
    own_voice.run(asked)
    asked.words = ["yes"]
    with pytest.raises(KwsError, match="made with other options"):
        own_voice.run(asked)


def test_a_model_is_kept_for_each_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []

    def make(project: Project, takes: own_words.Said, voices: Path | None) -> None:
        assert not project.model.exists()
        project.folder.mkdir(exist_ok=True)
        project.model.write_text(f"thresholds for {project.target:g}")
        made.append(project.target)

    monkeypatch.setattr(own_voice, "made", make)
    monkeypatch.setattr(own_voice, "load", lambda path: path.read_text())
    project = Project(tmp_path / "voice", ("yes",))
    for target in (0.5, 2.0, 0.5):
        model: Any = own_voice.own_model(replace(project, target=target), {}, None)
        assert model == f"thresholds for {target:g}"
    assert made == [0.5, 2.0]


def test_thresholds_are_moved_to_the_most_hits_without_a_false_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word whose hits and false accepts fall as its threshold rises; late detections are no false accepts."""

    class Judge:
        def __init__(self, model: Any, sounds: Any, mode: Any, counted: list[str]) -> None:
            assert counted == ["yes"]

        def at(self, own: Any, shift: float = 0.0) -> Any:
            steps = int(np.ceil(round(shift, 6)))
            false = [(0, 0.0)] * (1 + max(0, 2 - steps))
            return SimpleNamespace(counts={"yes": Count(10, np.zeros(8 - steps), 0, false, 1)})

    model = SimpleNamespace(deltas=[1], word_threshold=np.zeros((1, 1)))
    monkeypatch.setattr(own_words, "Judge", Judge)
    monkeypatch.setattr(own_words, "modes_of", lambda *_: [SimpleNamespace(name="depth 1", confirm=1)])
    found = own_voice.found(model, SimpleNamespace(), ["yes"])
    assert found == {"depth 1": {"said": 10, "hits": 8, "false_accepts": 2, "late": 1, "quiet": 6}}


def test_the_table_sums_over_speakers_and_counts_what_the_base_heard_once() -> None:
    def counts(said: int, hits: int, false_accepts: int, quiet: int) -> dict[str, Any]:
        one = {"said": said, "hits": hits, "false_accepts": false_accepts, "late": 0, "quiet": quiet}
        return {"hours": 0.5, "modes": {"depth 1": one}}

    def row(target: float | None, hits: int) -> dict[str, Any]:
        streams = {"10 dB": counts(10, hits, 1, hits - 1), "clean": counts(10, hits + 1, 0, hits)}
        return {"target": target, "base": "kws12", "takes": 3, **streams, "negatives": counts(0, 0, 2, 0)}

    lines = own_voice.table([row(None, 4), row(0.5, 8), row(None, 6), row(0.5, 9)]).splitlines()
    own = "3 takes of each word, for 0.5 an hour"
    assert lines[2:] == [
        "| `kws12` | depth 1 | 50.0 % of 20 | 60.0 % of 20 | 2 in 2.0 h | 2 in 0.5 h | 40.0 % / 50.0 % |",
        f"| {own} | depth 1 | 85.0 % of 20 | 95.0 % of 20 | 2 in 2.0 h | 4 in 1.0 h | 75.0 % / 85.0 % |",
    ]


def test_the_page_has_the_table_of_the_kept_results() -> None:
    docs = Path(__file__).resolve().parents[1] / "docs"
    kept = (docs / "own-voice.json").read_text(encoding="utf-8")
    results = json.loads(kept)
    assert kept == own_words.lines(results)
    assert own_voice.table(results) in (docs / "own-words.md").read_text(encoding="utf-8")
