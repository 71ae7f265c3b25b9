"""tools/own_words.py: that nothing which is measured was given to a model, and that its table counts right."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from kws.data.audio import SAMPLE_RATE
from kws.data.tasks import Clip, Corpus, scan
from kws.errors import KwsError
from kws.own_words.project import Project

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import own_words


def _corpus(folder: Path) -> Corpus:
    """Four validation speakers of "hi" and "ho", the first with a copy among five takes, and one of training."""
    validation = []
    for word in ("hi", "ho"):
        (folder / word).mkdir(parents=True)
        for speaker in ("anna", "bert", "cleo", "dora", "emil"):
            for take in range(5):
                name = f"{speaker}_nohash_{take}.wav"
                content = 0 if (speaker, take) == ("anna", 4) else take
                (folder / word / name).write_text(f"{word} {speaker} {content}")
                if speaker != "emil":
                    validation.append(f"{word}/{name}")
    (folder / "_background_noise_").mkdir()
    (folder / "_background_noise_" / "room.wav").write_text("room")
    (folder / "validation_list.txt").write_text("\n".join(validation))
    (folder / "testing_list.txt").write_text("")
    return scan(folder)


def _speakers(paths: list[Path]) -> set[str]:
    return {path.name.split("_")[0] for path in paths}


def _listed(corpus: Corpus) -> set[tuple[str, str, str, str]]:
    clips = [clip for clips in corpus.clips.values() for clip in clips]
    return {(clip.word, clip.path.name, clip.split, clip.path.read_text()) for clip in clips}


def test_what_is_measured_was_given_to_no_model(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "all")
    where = own_words.ground(corpus, "hi", speakers=1, takes=3)
    # Anna's fifth take is a copy of her first, and four are no five.
    assert list(where.takes) == ["bert"]
    assert len(where.takes["bert"]) == 5
    given = [clip.path for clips in where.given.clips.values() for clip in clips]
    others = [clip.path for clip in where.others]
    assert "hi" not in where.given.clips
    assert {path.parent.name for path in others} == {"ho"}
    assert not _speakers(given) & (_speakers(others) | {"bert"})
    assert _speakers(given) | _speakers(others) == {"anna", "cleo", "dora", "emil"}
    assert len(_speakers(others)) == 2


def test_the_folder_that_models_are_made_with_holds_what_was_given_and_its_splits(tmp_path: Path) -> None:
    where = own_words.ground(_corpus(tmp_path / "all"), "hi", speakers=1, takes=3)
    laid = scan(own_words.link(where.given, tmp_path / "given"))
    assert _listed(laid) == _listed(where.given)
    assert [path.name for path in laid.backgrounds] == ["room.wav"]


def test_the_takes_of_a_phrase_that_are_held_out_share_no_recording_with_the_others(tmp_path: Path) -> None:
    where = own_words.ground(_corpus(tmp_path / "all"), "hi ho", speakers=2, takes=9)
    assert list(where.takes) == ["bert", "cleo"]
    takes = [tuple(f"{clip.word} {clip.path.name[12]}" for clip in take) for take in where.takes["bert"]]
    assert takes[:3] == [("hi 0", "ho 0"), ("hi 1", "ho 1"), ("hi 2", "ho 2")]  # every recording once
    assert takes[-2:] == [("hi 3", "ho 3"), ("hi 4", "ho 4")]
    given = set(takes[:-2])
    assert len(given) == 9 and not {part for take in given for part in take} & {"hi 3", "ho 3", "hi 4", "ho 4"}
    # The words themselves stay among what models are made with, but for these speakers.
    assert set(where.given.clips) == {"hi", "ho"}
    clips = [clip.path for clips in where.given.clips.values() for clip in clips]
    assert not _speakers(clips) & {"bert", "cleo"}
    with pytest.raises(KwsError, match="12 takes of 'hi ho'"):
        own_words.ground(scan(tmp_path / "all"), "hi ho", speakers=1, takes=10)


def _tone(path: Path, hertz: float, peak: float, start: float) -> Clip:
    """Half a second of a tone amid a second of hiss."""
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    sounds = (times >= start) & (times < start + 0.4)
    wave = 0.002 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    soundfile.write(path, wave + peak * sounds * np.sin(2 * np.pi * hertz * times), SAMPLE_RATE)
    return Clip(path, path.stem, "validation")


def test_a_joined_phrase_says_its_words_one_after_another_equally_loud(tmp_path: Path) -> None:
    take = (_tone(tmp_path / "hi.wav", 500, 0.5, 0.3), _tone(tmp_path / "ho.wav", 2000, 0.05, 0.5))
    clip = own_words.join(take, tmp_path / "new" / "one.wav", np.random.default_rng(0))
    pcm = clip.read().astype(float)
    where = []
    for hertz in (500, 2000):
        mixed = pcm * np.exp(-2j * np.pi * hertz * np.arange(len(pcm)) / SAMPLE_RATE)
        power = np.abs(np.convolve(mixed, np.ones(320) / 320, "same"))
        loud = np.flatnonzero(power > 0.5 * np.percentile(power, 98))
        where.append((loud[0] / SAMPLE_RATE, loud[-1] / SAMPLE_RATE, power[loud].mean()))
    (first, end, level), (start, last, other) = where
    assert end - first == pytest.approx(0.4, abs=0.02) and last - start == pytest.approx(0.4, abs=0.02)
    low, high = own_words.GAP
    assert low - 0.04 <= start - end <= high + 0.04
    assert other == pytest.approx(level, rel=0.1)
    # What was recorded before the first and after the last word is there, too.
    assert first == pytest.approx(0.3, abs=0.02) and len(pcm) / SAMPLE_RATE - last == pytest.approx(0.1, abs=0.02)


def test_a_phrase_is_said_in_the_stream_under_the_name_that_the_model_has_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hi, ho, rest = (_tone(tmp_path / f"{name}.wav", 500, 0.5, 0.3) for name in ("hi", "ho", "rest"))
    mixes = []
    monkeypatch.setattr(own_words, "hear_mix", lambda model, mix, deltas: mixes.append(mix))
    own_words.stream(None, {"hi_ho": [hi, ho]}, [rest], Corpus(tmp_path, {}, []), float("inf"), 1.0)
    labels = [label.word for section in mixes[0].sections() for label in section.labels]
    assert set(labels) == {"hi_ho", "rest"}


def test_a_word_alone_is_its_recording(tmp_path: Path) -> None:
    clip = _tone(tmp_path / "hi.wav", 500, 0.5, 0.3)
    assert own_words.join((clip,), tmp_path / "new.wav", np.random.default_rng(0)) is clip
    assert not (tmp_path / "new.wav").exists()


@pytest.fixture
def asked(tmp_path: Path) -> argparse.Namespace:
    _corpus(tmp_path / "all")
    (tmp_path / "talk").mkdir()
    (tmp_path / "talk" / "talk.wav").write_text("talk")
    return argparse.Namespace(
        data=tmp_path / "all",
        negatives=tmp_path / "talk",
        out=tmp_path / "out",
        words=["hi"],
        speakers=2,
        takes=[0, 3],
        base="kws12",
        epochs=1,
        minutes=1.0,
    )


def test_a_model_is_measured_on_takes_that_it_was_not_given(
    asked: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, list[str]] = {}
    heard: list[tuple[str, list[str]]] = []

    def made(project: Project, takes: own_words.Said, voices: Path | None) -> str:
        given[project.name] = [clip.path.name for clip in takes["hi"]]
        return project.name

    def stream(model: str, held_out: own_words.Said, *_: object) -> SimpleNamespace:
        heard.append((model, [clip.path.name for clip in held_out["hi"]]))
        return SimpleNamespace(track=SimpleNamespace(hours=0.5))

    monkeypatch.setattr(own_words, "fits", lambda project, takes: len(takes) in (0, 3))
    monkeypatch.setattr(own_words, "made", made)
    monkeypatch.setattr(own_words, "stream", stream)
    monkeypatch.setattr(own_words, "hear_folder", lambda *_: SimpleNamespace(track=SimpleNamespace(hours=0.25)))
    monkeypatch.setattr(own_words, "found", lambda *_: {})
    results = own_words.run(asked)
    assert given["take_0"] == [] and len(given) == 3
    assert all(len(names) == 3 for model, names in given.items() if model != "take_0")
    for model, names in heard:
        speaker = names[0].split("_")[0]
        assert len(names) == 2 and not set(names) & set(given[model])
        assert model == "take_0" or {name.split("_")[0] for name in given[model]} == {speaker}
    assert [(one["takes"], one["speaker"]) for one in results] == [(0, "bert"), (0, "cleo"), (3, "bert"), (3, "cleo")]

    heard.clear()  # a second time all of it is there
    assert own_words.run(asked) == results and not heard


def test_a_speaker_whose_takes_fit_no_window_is_left_out(
    asked: argparse.Namespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("made", "stream", "hear_folder"):
        monkeypatch.setattr(own_words, name, lambda *_: SimpleNamespace(track=SimpleNamespace(hours=0.5)))
    monkeypatch.setattr(own_words, "found", lambda *_: {})
    monkeypatch.setattr(
        own_words, "fits", lambda _, takes: not any(take.path.name.startswith("bert") for take in takes)
    )
    assert {one["speaker"] for one in own_words.run(asked)} == {"cleo"}
    assert "bert takes too long to say 'hi' for any window, and is left out." in capsys.readouterr().out


def test_what_fits_is_what_there_is_a_window_for(tmp_path: Path) -> None:
    project = Project(tmp_path, ("a b",))
    short = [_tone(tmp_path / f"{index}.wav", 300, 0.3, 0.2) for index in range(3)]
    long = own_words.join(tuple(short * 4), tmp_path / "long.wav", np.random.default_rng(0))
    assert own_words.fits(project, short) and own_words.fits(project, [])
    assert not own_words.fits(project, [long])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"speakers": 4}, r"all: 3 speakers of the validation split have 5 takes of 'hi'"),
        ({"words": ["hi", "yes"]}, r"kws12 answers to 'yes' already"),
        ({"negatives": Path("nowhere")}, r"nowhere: no such folder"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is_made(
    asked: argparse.Namespace, changes: dict[str, Any], sentence: str
) -> None:
    vars(asked).update(changes)
    with pytest.raises(KwsError, match=sentence):
        own_words.run(asked)
    assert not asked.out.exists()


def test_what_was_made_with_other_options_is_not_mixed_with_this(
    asked: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_words.keep_options(asked)
    own_words.keep_options(asked)
    with monkeypatch.context() as patch:
        patch.setattr(own_words, "made_with", lambda: {"voices": ["another"]})
        with pytest.raises(KwsError, match="made with other options"):
            own_words.keep_options(asked)
    asked.words, asked.speakers = ["ho"], 1
    with pytest.raises(KwsError, match="made with other options"):
        own_words.keep_options(asked)


def test_a_model_that_several_speakers_share_hears_running_speech_once() -> None:
    def counts(said: int, hits: int, false_accepts: int) -> dict[str, object]:
        one = {"said": said, "hits": hits, "false_accepts": false_accepts, "late": 0}
        return {"hours": 0.5, "modes": {"depth 1": one}}

    shared = {"word": "hi", "takes": 0, "model": "take_0", "negatives": counts(0, 0, 3)}
    results = [
        {**shared, "speaker": "anna", "10 dB": counts(10, 8, 1), "clean": counts(10, 9, 0)},
        {**shared, "speaker": "bert", "10 dB": counts(30, 27, 0), "clean": counts(30, 30, 1)},
    ]
    row = "| hi | 0 | depth 1 | 87.5 % of 40 | 97.5 % of 40 | 1 / 2 of 2 | 2 in 2.0 h | 3 in 0.5 h |"
    assert own_words.table(results).splitlines()[-1] == row


def test_the_page_has_the_table_of_the_kept_results() -> None:
    docs = Path(__file__).resolve().parents[1] / "docs"
    kept = (docs / "own-words.json").read_text(encoding="utf-8")
    results = json.loads(kept)
    assert kept == own_words.lines(results)
    assert own_words.table(results) in (docs / "own-words.md").read_text(encoding="utf-8")
