"""Mining: mistakes become files, once, of the right place and kind. The model is random and fires often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from random_model import random_model
from typer.testing import CliRunner

from kws.cli import application
from kws.data.audio import read_audio
from kws.data.labels import Label, write_labels
from kws.engine import Engine, Event
from kws.errors import KwsError
from kws.model import load, save
from kws.own_words import mine as mining
from kws.own_words.material import gather
from kws.own_words.mine import Miner, long_recordings
from kws.own_words.project import FALSE, Project, checked

RATE = 16000


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    swell = np.repeat(rng.uniform(0, 3000, int(seconds * 4) + 1), RATE // 4)[: int(seconds * RATE)]
    return (swell * rng.standard_normal(len(swell)) * 0.5).astype(np.int16)


@pytest.fixture
def project(tmp_path) -> Project:
    own = checked(Project(tmp_path / "ours", ("word 0", "word 1")))
    own.save()
    model = random_model(5, n_classes=4, n_blocks=4, channels=64, hidden=64)
    model = replace(model, class_names=["word_0", "word_1", "_unknown_", "_silence_"], name="ours", refractory=8000)
    model.word_threshold[:] = 0.3
    save(model, own.model)
    return own


@pytest.fixture
def long(tmp_path) -> Path:
    soundfile.write(tmp_path / "long.wav", sound(40), RATE)
    return tmp_path / "long.wav"


def heard(project: Project, path: Path) -> list[Event]:
    pcm = soundfile.read(path, dtype="int16")[0]
    return Engine(load(project.model)).stream().feed(np.concatenate([pcm, np.zeros(RATE, np.int16)]))


def window_samples(project: Project) -> int:
    return load(project.model).preset.window_samples


def test_what_fires_without_labels_is_false_and_is_cut_out_as_it_was(project, long):
    events = heard(project, long)
    assert len(events) > 3
    found = Miner(project).mine(long)
    assert found.events == len(events) and not found.labelled
    assert len(found.added) == len(events)
    pcm = soundfile.read(long, dtype="int16")[0]
    for path, event in zip(found.added, events, strict=True):
        assert path.parent == project.mined / FALSE
        cut = soundfile.read(path, dtype="int16")[0]
        first = int(path.stem.rpartition("_")[2])
        assert np.array_equal(cut, pcm[first : first + len(cut)])
        # It ends where the event was decided and holds the whole window that decided it.
        assert first + len(cut) == min(len(pcm), round(event.time * RATE))
        assert first == 0 or len(cut) >= window_samples(project)


@pytest.mark.parametrize("smoothing", [1, 3, 6])
def test_a_cut_holds_every_window_that_the_decision_averaged(project, long, smoothing):
    # Armed up to the threshold itself: a longer average rises too slowly for this model of random weights.
    save(replace(load(project.model), smoothing=smoothing, release=1.0), project.model)
    model = load(project.model)
    frames = model.preset.frames - 1 + (smoothing - 1) * model.hop_frames
    span = model.preset.n_fft + frames * model.preset.hop
    found = Miner(project).mine(long)
    assert len(found.added) >= 2
    for path in found.added:
        if not path.stem.endswith("_0"):
            assert span <= soundfile.info(path).frames <= span + 0.3 * RATE


def test_mining_twice_adds_nothing_twice_whatever_the_file_is_called(project, long, tmp_path):
    first = Miner(project).mine(long)
    files = sorted(project.mined.rglob("*.wav"))
    (tmp_path / "again.wav").write_bytes(long.read_bytes())
    second = Miner(project).mine(tmp_path / "again.wav")
    assert second.added == [] and second.known == len(first.added)
    assert sorted(project.mined.rglob("*.wav")) == files


def test_a_recording_at_another_rate_is_read_once_for_all_its_cuts(project, tmp_path, monkeypatch):
    path = tmp_path / "other.wav"
    soundfile.write(path, np.repeat(sound(40), 3), 3 * RATE)
    pcm, reads = read_audio(path), []

    def counted(*arguments):
        reads.append(arguments)
        return read_audio(*arguments)

    monkeypatch.setattr(mining, "read_audio", counted)
    found = Miner(project).mine(path)
    assert len(found.added) > 3 and len(reads) == 1
    for file in found.added:
        cut = soundfile.read(file, dtype="int16")[0]
        first = int(file.stem.rpartition("_")[2])
        assert len(cut) and np.array_equal(cut, pcm[first : first + len(cut)])
    assert Miner(project).mine(path).added == [] and len(reads) == 1


def test_labels_part_false_accepts_from_hits_and_add_what_was_missed(project, long):
    events = heard(project, long)
    hit = events[1]
    at = round(hit.time * RATE)
    free = next(t for t in range(2, 38) if all(abs(event.time - t) > 1.5 for event in events))
    labels = [Label(hit.word, at - 8000, at - 1000), Label("word_1", free * RATE, free * RATE + 6400)]
    labels.append(Label("table", 5 * RATE, 6 * RATE))
    write_labels(labels, long.with_suffix(".txt"))
    found = Miner(project).mine(long)
    assert found.labelled
    false = [path for path in found.added if path.parent.name == FALSE]
    missed = [path for path in found.added if path.parent.name != FALSE]
    assert len(false) + found.beside == len(events) - 1 and len(false) > 3
    assert [path.parent.name for path in missed] == ["word_1"]
    cut = soundfile.read(missed[0], dtype="int16")[0]
    pcm = soundfile.read(long, dtype="int16")[0]
    assert np.array_equal(cut, pcm[free * RATE - 3200 : free * RATE + 6400 + 3200])


@pytest.mark.parametrize("same", [True, False], ids=["late", "another word"])
def test_a_false_accept_with_a_word_of_the_project_in_it_is_not_learned_as_none(project, long, same):
    event = heard(project, long)[3]
    other = next(name for name in project.classes if name != event.word)
    # Ended too long ago for a hit, and within what the model heard; or it is the other word that was said.
    end = round((event.time - (0.8 if same else 0.1)) * RATE)
    write_labels([Label(event.word if same else other, end - 8000, end)], long.with_suffix(".txt"))
    found = Miner(project).mine(long)
    assert found.beside >= 1
    cuts = [(path, int(path.stem.rpartition("_")[2])) for path in (project.mined / FALSE).iterdir()]
    assert cuts
    for path, first in cuts:
        assert first >= end or first + soundfile.info(path).frames <= end - 8000


def test_labels_may_be_written_as_people_write(project, long, tmp_path):
    tracks = [tmp_path / f"{number}.txt" for number in range(2)]
    at = [3 * RATE, 17 * RATE]
    for track, names in zip(tracks, (("word_0", "word_1"), ("Word 0", "word  1")), strict=True):
        write_labels([Label(name, start, start + 6400) for name, start in zip(names, at, strict=True)], track)
    first = Miner(project).mine(long, tracks[0])
    assert first.added
    second = Miner(project).mine(long, tracks[1])
    assert second.added == [] and second.known == len(first.added) and second.beside == first.beside


def test_a_track_of_other_words_alone_is_refused_and_an_empty_one_says_that_none_is_said(project, long):
    write_labels([Label("wrod 0", RATE, 2 * RATE)], long.with_suffix(".txt"))
    with pytest.raises(KwsError, match=r"long\.txt: labels 'wrod 0', and none of the project's words \(word 0,"):
        Miner(project).mine(long)
    assert not project.mined.exists()
    write_labels([], long.with_suffix(".txt"))
    found = Miner(project).mine(long)
    assert found.labelled and len(found.added) == len(heard(project, long))


def test_what_was_mined_is_learned_from(project, long):
    write_labels([Label("word_1", 30 * RATE, 31 * RATE)], long.with_suffix(".txt"))
    found = Miner(project).mine(long)
    material = gather(project)
    false = [path for path in found.added if path.parent.name == FALSE]
    assert [clip.path for clip in material.false] == sorted(false)
    assert all(clip.split == "training" for clip in material.false)
    missed = {path for path in found.added if path.parent.name == "word_1"}
    assert {clip.path for clip in material.takes["word_1"]} == missed


def test_less_sensitivity_finds_less(project, long):
    shy = Miner(project, 0.1).mine(long)
    assert shy.events < Miner(project).mine(long).events


def test_a_capture_that_no_longer_fires_is_kept_all_the_same(project, tmp_path):
    quiet = np.full(3 * RATE, 3, np.int16)
    for name in ("2026-11-25T13:55:32_word_0_0.93.wav", "2026-11-25T13:55:32_other_0.93.wav", "plain.wav"):
        soundfile.write(tmp_path / name, quiet + len(name), RATE)
    model = random_model(5, n_classes=4, n_blocks=4, channels=64, hidden=64)
    model = replace(model, class_names=["word_0", "word_1", "_unknown_", "_silence_"], name="ours")
    model.word_threshold[:] = 1.1
    save(model, project.model)
    added = {path.name: Miner(project).mine(path).added for path in sorted(tmp_path.glob("*.wav"))}
    assert [name for name, files in added.items() if files] == ["2026-11-25T13:55:32_word_0_0.93.wav"]


def test_folders_stand_for_their_recordings_and_nothing_is_one_sentence(project, long, tmp_path):
    assert long_recordings([tmp_path]) == [long]
    (tmp_path / "empty").mkdir()
    with pytest.raises(KwsError, match="holds no recording"):
        long_recordings([tmp_path / "empty"])
    with pytest.raises(KwsError, match="no such recording"):
        long_recordings([tmp_path / "none.wav"])
    project.model.unlink()
    with pytest.raises(KwsError, match="no model yet"):
        Miner(project).mine(long)


def test_a_label_track_for_several_recordings_is_refused(project, long, tmp_path):
    arguments = ["mine", str(long), str(long), "--labels", str(tmp_path / "x.txt"), "--project", str(project.folder)]
    result = CliRunner().invoke(application(), arguments)
    assert isinstance(result.exception, KwsError) and "one recording" in str(result.exception)


def test_a_recording_that_cannot_be_read_does_not_keep_the_others_from_being_mined(project, long, tmp_path):
    folder = tmp_path / "evening"
    folder.mkdir()
    (folder / "a.wav").write_text("no sound")
    (folder / "b.wav").symlink_to(long)
    command = ["mine", str(folder), "--project", str(project.folder)]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(application(), command)
    assert isinstance(result.exception, KwsError)
    assert str(result.exception).startswith("1 of 2 recordings could not be used")
    assert f"{folder / 'a.wav'}: not a readable recording" in result.output
    assert f"{len(list((project.mined / FALSE).iterdir()))} files added" in result.output
    wild = CliRunner().invoke(application(), [*command, "--sensitivity", "2"])
    assert "sensitivity" in str(wild.exception) and "Left out" not in wild.output
    project.model.unlink()
    without = CliRunner().invoke(application(), command)
    assert "no model yet; make it with" in str(without.exception) and "Left out" not in without.output


def test_the_command_says_what_it_added(project, long):
    arguments = ["mine", str(long), "--project", str(project.folder)]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(application(), arguments)
    assert result.exit_code == 0, result.output
    count = len(list((project.mined / FALSE).iterdir()))
    assert f"added {count} false accepts" in result.output and f"{count} files added" in result.output
    again = CliRunner(env={"COLUMNS": "200"}).invoke(application(), arguments)
    assert "Nothing new" in again.output and f"{count} known already" in again.output
