"""tools/own_words.py: that nothing which is measured was given to a model, and that its table counts right."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kws.data.tasks import Corpus, scan
from kws.errors import KwsError

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


def test_too_few_takes_are_said_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(KwsError, match=r"hi: 3 speakers of the validation split said it 5 times"):
        own_words.ground(_corpus(tmp_path / "all"), "hi", speakers=4, takes=3)


def test_a_model_that_several_speakers_share_hears_running_speech_once(tmp_path: Path) -> None:
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
