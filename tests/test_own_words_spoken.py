"""Near phrases and what a project's voices say, against eSpeak NG's own phonemes."""

from __future__ import annotations

import functools
import hashlib
import json

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kws.data import espeak
from kws.data.splits import hash_split
from kws.errors import KwsError
from kws.own_words import spoken
from kws.own_words.common import COMMON_WORDS
from kws.own_words.near import edit_distance, near_phrases
from kws.own_words.project import Project, checked


def plain(*texts: str) -> list[list[str]]:
    """What each text sounds like, from eSpeak NG, without stress."""
    said = espeak.phonemes(texts, "en-us")
    return [[name.lstrip("',%=") for word in words for name in word] for words in said]


def slow_distance(first: str, second: str) -> int:
    """By its definition."""

    @functools.cache
    def of(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(of(i - 1, j) + 1, of(i, j - 1) + 1, of(i - 1, j - 1) + (first[i - 1] != second[j - 1]))

    return of(len(first), len(second))


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_the_distance_is_the_least_number_of_changes(first, second):
    assert edit_distance(first, second) == slow_distance(first, second)


def test_a_phrase_is_taken_apart_turned_round_and_changed():
    near = near_phrases("hey pi")
    assert {"hey", "pi", "pi hey", "hey hey", "pi pi"} <= set(near)
    assert len(near) == len(set(near)) > 40
    assert any(text.startswith("hey ") and text.split()[1] in COMMON_WORDS for text in near)
    assert any(text.startswith("[[") for text in near)
    assert near_phrases("hey pi") == near and near_phrases("hey pi", seed=1) != near


@pytest.mark.parametrize("phrase", ["hey pi", "two"])
def test_nothing_near_sounds_like_the_phrase_itself(phrase):
    near = near_phrases(phrase)
    wanted, *others = plain(phrase, *(text for text in near if not text.startswith("[[")))
    assert others and wanted not in others  # "to" and "too" are not near "two": they are it
    phonemes = [text[2:-2] for text in near if text.startswith("[[")]
    exact = "".join(name for word in espeak.phonemes([phrase], "en-us")[0] for name in word)
    assert all(text.replace(" ", "") != exact for text in phonemes)


def test_phonemes_can_be_spoken():
    (said,) = espeak.phonemes(["hey pi"], "en-us")
    text = f"[[{' '.join(''.join(word) for word in said)}]]"
    rate, (spelt, phonetic, other) = espeak.speak(
        [espeak.Utterance("hey pi", "en-us"), espeak.Utterance(text, "en-us"), espeak.Utterance("[[t'u:]]", "en-us")]
    )
    assert len(phonetic) == pytest.approx(len(spelt), rel=0.02) and rate > 16000
    assert len(other) < 0.9 * len(spelt)


def test_a_text_of_several_clauses_gives_all_of_their_words():
    (said,) = espeak.phonemes(["one, two. three"], "en-us")
    assert len(said) == 3


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    for name in ("CLIPS_A_WORD", "CLIPS_NEAR", "CLIPS_OF_SPEECH"):
        monkeypatch.setattr(spoken, name, 20)
    monkeypatch.setattr(spoken, "NOISE_SECONDS", 2.0)
    own = checked(Project(tmp_path / "ours", ("hey pi", "house")))
    own.save()
    return own


def digests(project: Project) -> dict[str, str]:
    files = sorted(project.spoken.rglob("*.wav"))
    return {str(path.relative_to(project.spoken)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_project_speaks_once_and_the_same_again(project):
    told = []
    written = spoken.speak_project(project, lambda *state: told.append(state))
    assert [path.name for path in written] == ["hey_pi", "house", "_near_", "_speech_", "_background_noise_"]
    assert told[-1][1:] == (80, 80)
    before = digests(project)
    assert spoken.speak_project(project) == []
    # A folder that an interruption left out comes back as it was.
    for path in (project.spoken / "_near_").iterdir():
        path.unlink()
    assert [path.name for path in spoken.speak_project(project)] == ["_near_"]
    assert digests(project) == before
    names = [path.name for path in (project.spoken / "hey_pi").iterdir()]
    assert {hash_split(name) for name in names} == {"training", "validation", "testing"}
    for path in (project.spoken / "house").iterdir():
        pcm, rate = soundfile.read(path)
        assert rate == 16000 and len(pcm) >= 16000 and np.abs(pcm).max() > 0.1


def test_other_words_are_spoken_anew(project):
    spoken.speak_project(project)
    other = checked(Project(project.folder, ("table",)))
    spoken.speak_project(other)
    assert sorted(path.name for path in project.spoken.iterdir() if path.is_dir()) == [
        "_background_noise_",
        "_near_",
        "_speech_",
        "table",
    ]
    assert json.loads((project.spoken / spoken.ABOUT).read_text())["words"] == ["table"]


def test_what_an_earlier_kws_said_is_spoken_anew(project):
    spoken.speak_project(project)
    file = project.spoken / spoken.ABOUT
    about = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in about.items() if key != "texts"}))
    assert len(spoken.speak_project(project)) == 5
    assert json.loads(file.read_text()) == about and spoken.speak_project(project) == []


def test_sentences_never_say_a_word_of_the_project(project):
    texts = list(spoken._texts(project, spoken.SPEECH, 3000))
    assert all(" house " not in f" {text} " for text in texts)
    assert any(" home " in f" {text} " for text in texts)


def test_a_sentence_says_nothing_that_sounds_like_a_word_of_the_project(project):
    texts = list(spoken._texts(checked(Project(project.folder, ("write", "to day"))), spoken.SPEECH, 3000))
    words = {word for text in texts for word in text.split()}
    assert words == set(COMMON_WORDS) - {"write", "right", "today"}


def test_sentences_without_words_are_files_that_the_same_arguments_make_again(tmp_path):
    told = []
    for name in ("a", "b"):
        spoken.speak_sentences(
            ["right", "home"], tmp_path / name, 7, seed=2, progress=lambda *state: told.append(state)
        )
    first, again = (sorted((tmp_path / name).iterdir()) for name in ("a", "b"))
    assert [path.name for path in first] == [path.name for path in again] and len(first) == 7
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert told[:7] == [("sentences", done, 7) for done in range(1, 8)]
    assert all(soundfile.info(path).samplerate == 16000 for path in first)
    with pytest.raises(KwsError, match="is not empty; choose another --out, or --replace the recordings in it"):
        spoken.speak_sentences(["right"], tmp_path / "a", 7)
    spoken.speak_sentences(["right"], tmp_path / "a", 3, replace=True)
    assert len(list((tmp_path / "a").iterdir())) == 3
    (tmp_path / "a" / "lights").mkdir()
    with pytest.raises(KwsError, match="holds lights, which is no recording"):
        spoken.speak_sentences(["right"], tmp_path / "a", 3, replace=True)
    assert len(list((tmp_path / "a").iterdir())) == 4
    with pytest.raises(KwsError, match="'!!' holds nothing to say"):
        spoken.speak_sentences(["!!"], tmp_path / "c", 3)
    with pytest.raises(KwsError, match="--count 0 is out of range"):
        spoken.speak_sentences(["right"], tmp_path / "c", 0)


def test_an_english_word_that_a_german_voice_says_like_a_word_of_the_project_is_left_out():
    texts = list(spoken._sentences(["Haus"], 400, 0, "de"))
    words = {word for text in texts for word in text.split()}
    assert "house" not in words and "home" in words


def test_one_words_near_phrases_do_not_hold_another_word(project):
    both = checked(Project(project.folder, ("lights on", "lights", "two")))
    texts = set(spoken._texts(both, spoken.NEAR, 500))
    assert "on" in texts and not any("lights" in text.split() for text in texts)
    spelt = [text for text in texts if not text.startswith("[[")]
    words = {word for text in spelt for word in text.split()}
    assert not words & {"two", "to", "too"}


def test_a_language_that_is_not_spoken_is_one_sentence(project):
    with pytest.raises(KwsError, match="does not speak 'xx'"):
        spoken.speak_project(checked(Project(project.folder, ("hey",), language="xx")))
