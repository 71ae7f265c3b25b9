"""A whole project on tones: gathering, training, resuming, calibrating, writing, mining. Nothing is synthesised."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from random_model import random_model
from typer.testing import CliRunner

from kws.cli import application
from kws.data.audio import to_int16
from kws.data.splits import hash_split
from kws.errors import KwsError
from kws.features import PRESETS
from kws.model import load, save
from kws.model.header import export
from kws.own_words import project as projects
from kws.own_words import spoken
from kws.own_words.material import HOLD_OUT_EVERY, HOLD_OUT_FROM, gather
from kws.own_words.mine import Miner
from kws.own_words.project import Project, base_of, checked
from kws_training import finetune
from kws_training.composed import data as composed_data
from kws_training.composed import hard
from kws_training.composed.data import Composition
from kws_training.composed.pieces import Piece, Pieces
from kws_training.composed.scenes import Manner, Scenes
from kws_training.own_words import data as scene_data
from kws_training.own_words import make

RATE = 16000
VOICES = [f"{number:08x}" for number in range(60)]


def glide(low: float, high: float, rng: np.random.Generator, seconds: float = 0.5) -> np.ndarray:
    """A tone that moves from one pitch to another amid a faint hiss, int16, a second or longer."""
    count = round(seconds * RATE)
    pitch = np.linspace(low, high, count) * rng.uniform(0.95, 1.05)
    tone = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.hanning(count) ** 0.2
    sound = 1e-3 * rng.standard_normal(max(RATE, count + 4000))
    start = (len(sound) - count) // 2
    sound[start : start + count] += tone
    return to_int16(sound)


def write(folder: Path, names: list[str], sounds: list[np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, sound in zip(names, sounds, strict=True):
        soundfile.write(folder / name, sound, RATE, subtype="PCM_16")


class Quiet(make.MakeWatcher):
    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.epochs = 0

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)

    def epoch(self, row) -> None:
        self.epochs += 1


class Interrupted(Quiet):
    def epoch(self, row) -> None:
        raise KeyboardInterrupt


class Parts(Quiet):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def part(self, title: str) -> None:
        self.parts.append(title)


def plain(items, total, title):
    return items


def made(project: Project, watcher: Quiet | None = None) -> make.Made:
    return make.make(project, watcher or Quiet(), plain)


@pytest.fixture(scope="module")
def small():
    """Little of everything."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene_data, "VALIDATION_WINDOWS", 24)
        patch.setattr(finetune, "BATCH", 12)
        patch.setattr(make, "COMPOSITION", Composition(batches=3, heard=48, runs=16))
        patch.setattr(make, "SYNTHESISED", Composition(batches=3, heard=0))
        patch.setattr(make, "MEASURED_WINDOWS", 48)
        patch.setattr(make, "STREAM_MINUTES", 1.0)
        yield


@pytest.fixture(scope="module")
def untouched(tmp_path_factory, small) -> Project:
    """A project whose voices have spoken, on a base model of a few small layers."""
    root = tmp_path_factory.mktemp("projects")
    save(replace(random_model(2, n_blocks=4, channels=64, hidden=64), name="tiny"), root / "tiny.kws")
    own = checked(Project(root / "ours", ("rise", "fall off"), base=str(root / "tiny.kws"), epochs=2))
    own.save()
    rng = np.random.default_rng(0)
    names = [f"{voice}_nohash_0.wav" for voice in VOICES]
    kinds = {"rise": (300, 900), "fall_off": (1500, 500), spoken.NEAR: (300, 500), spoken.SPEECH: (2000, 2500)}
    for folder, (low, high) in kinds.items():
        write(own.spoken / folder, names, [glide(low, high, rng) for _ in names])
    hiss = to_int16(0.01 * rng.standard_normal(20 * RATE))
    write(own.spoken / "_background_noise_", ["hiss.wav"], [hiss])
    (own.spoken / spoken.ABOUT).write_text(json.dumps(spoken._about(own, [])))
    return own


@pytest.fixture(scope="module")
def finished(untouched, tmp_path_factory) -> tuple[Project, make.Made, Quiet]:
    """The same with its model made; for reading only."""
    own = copied(untouched, tmp_path_factory.mktemp("finished"))
    watcher = Quiet()
    return own, made(own, watcher), watcher


@pytest.fixture
def project(untouched, tmp_path) -> Project:
    """A copy without a model, to work on."""
    return copied(untouched, tmp_path)


@pytest.fixture
def done(finished, tmp_path) -> Project:
    """A copy with its model, to work on."""
    return copied(finished[0], tmp_path)


def copied(own: Project, folder: Path) -> Project:
    shutil.copytree(own.folder, folder / own.name)
    return projects.load(folder / own.name)


def test_a_project_becomes_a_model_a_header_and_a_report(finished):
    project, result, watcher = finished
    model = load(project.model)
    assert model.class_names == ["rise", "fall_off", "_unknown_", "_silence_"] and model.name == "ours"
    assert np.array_equal(model.word_threshold, result.model.word_threshold)
    assert model.provenance["calibration"]["target_per_hour"] == 0.5
    assert f"kws_{project.name}" in project.header.read_text()
    report = json.loads(project.report.read_text())
    assert report["words"] == ["rise", "fall off"]
    assert report["recall"]["rise"]["held_out"] == {"found": 0, "count": 0}
    assert report["recall"]["fall_off"]["voices"]["count"] > 0
    assert watcher.epochs == 2 and not watcher.warnings


def test_an_interrupted_training_goes_on_and_ends_the_same(project, finished):
    with pytest.raises(KeyboardInterrupt):
        made(project, Interrupted())
    watcher = Quiet()
    made(project, watcher)
    assert watcher.epochs == 1 and project.model.read_bytes() == finished[0].model.read_bytes()


def give_takes(project: Project, words: dict[str, tuple[float, float]]) -> None:
    rng = np.random.default_rng(1)
    for word, (low, high) in words.items():
        names = [f"ada_nohash_{number}.wav" for number in range(3)]
        write(project.own_recordings / word, names, [glide(low, high, rng) for _ in names])


def test_every_epoch_draws_what_the_network_then_takes_for_a_word(project, monkeypatch):
    give_takes(project, {"rise": (300, 900), "fall_off": (1500, 500)})
    sought, drawn = [], []
    seek, draw = composed_data.hard_pieces, Scenes.draw

    def seeking(ear, *arguments):
        found = seek(ear, *arguments)
        sought.append((next(ear.network.parameters()).detach().clone(), found))
        return found

    def drawing(scenes, rng):
        if scenes.pieces.hard:
            drawn.append(scenes.pieces.hard)
        return draw(scenes, rng)

    monkeypatch.setattr(composed_data, "hard_pieces", seeking)
    monkeypatch.setattr(Scenes, "draw", drawing)
    made(project)
    assert len(sought) == 2 and all(0 < len(found) <= 64 // hard.ONE_IN for _, found in sought)
    assert not torch.equal(sought[0][0], sought[1][0])
    # All windows of an epoch, and none of another, are drawn with what was found before it.
    assert len(drawn) == 2 * 3 * 12
    assert all(part is sought[index // 36][1] for index, part in enumerate(drawn))


def test_synthesised_voices_alone_are_given_no_hard_examples(project, monkeypatch):
    give_takes(project, {"rise": (300, 900)})
    found = []
    seek = composed_data.hard_pieces
    monkeypatch.setattr(composed_data, "hard_pieces", lambda *arguments: found.append(seek(*arguments)) or found[-1])
    made(project)
    assert found == [[], []]


def test_what_was_spoken_for_other_words_is_spoken_anew_and_that_is_said(done, monkeypatch):
    (done.spoken / spoken.ABOUT).write_text(json.dumps({**spoken._about(done, []), "words": ["on"]}))
    monkeypatch.setattr(make, "speak_project", lambda *_: None)
    watcher = Quiet()
    made(done, watcher)
    assert watcher.warnings == ["What is to be spoken, or by whom, has changed: speaking anew, by eSpeak NG."]


def test_new_takes_train_anew_and_say_so(done):
    write(done.own_recordings / "rise", ["ada_nohash_0.wav"], [glide(310, 880, np.random.default_rng(1))])
    watcher = Quiet()
    result = made(done, watcher)
    assert watcher.epochs == 2 and any("training anew" in text for text in watcher.warnings)
    assert result.recall["rise"].takes.count == 1


@pytest.mark.parametrize("known", [True, False])
def test_another_base_trains_anew_and_says_so(done, tmp_path, known):
    other = replace(random_model(3, n_blocks=4, channels=64, hidden=64), name="tiny")
    save(other if known else replace(other, checkpoint_sha256=""), tmp_path / "tiny.kws")
    changed = replace(done, base=str(tmp_path / "tiny.kws"))
    watcher = Quiet()
    made(changed, watcher)
    assert watcher.epochs == 2 and any("base model" in text for text in watcher.warnings)
    again = Quiet()
    made(changed, again)
    assert again.epochs == 0 and not again.warnings


@pytest.mark.parametrize("changed", ["recipe", "windows"])
def test_another_way_of_training_trains_anew_and_says_so(done, monkeypatch, changed):
    if changed == "recipe":
        monkeypatch.setattr(make, "RECIPE", make.RECIPE + 1)
    else:
        monkeypatch.setattr(make, "SYNTHESISED", replace(make.SYNTHESISED, manner=Manner(joined=0.25)))
    watcher = Quiet()
    made(done, watcher)
    assert watcher.epochs == 2 and any("or kws have changed" in text for text in watcher.warnings)


def test_recordings_that_cannot_be_read_are_left_out_of_everything_and_named_once(project, tmp_path):
    name = next(f"{voice}_nohash_0.wav" for voice in VOICES if hash_split(voice + "_nohash_0.wav") == "validation")
    hiss = to_int16(0.01 * np.random.default_rng(1).standard_normal(5 * RATE))
    write(tmp_path / "podcast", ["a.wav", "b.wav", "c.wav", "d.wav"], [hiss] * 4)
    bad = [project.spoken / "rise" / name, project.spoken / spoken.SPEECH / name]
    bad += [project.spoken / "_background_noise_" / "bad.wav", tmp_path / "podcast" / "b.wav"]
    for path in bad:
        path.write_bytes(b"RIFF no more")
    watcher = Quiet()
    result = made(replace(project, negatives=tmp_path / "podcast"), watcher)
    assert [sum(str(path) in text for text in watcher.warnings) for path in bad] == [1] * len(bad)
    assert len(watcher.warnings) == len(bad)
    assert "negatives" in result.model.provenance["calibration"]["sounds"]


def test_a_base_that_is_gone_or_hears_other_features_is_refused_before_the_voices_speak(project, tmp_path):
    model = random_model(2, n_blocks=4, channels=64, hidden=64)
    save(replace(model, preset=replace(model.preset, offset=-41.0)), tmp_path / "other.kws")
    for base, message in (("gone.kws", "no such model"), ("other.kws", "hears other features")):
        watcher = Parts()
        with pytest.raises(KwsError, match=message):
            made(replace(project, base=str(tmp_path / base)), watcher)
        assert watcher.parts == []


def test_a_base_given_as_a_path_is_found_from_everywhere(tmp_path, monkeypatch):
    save(random_model(2, n_blocks=4, channels=64, hidden=64), tmp_path / "tiny.kws")
    monkeypatch.chdir(tmp_path)
    assert base_of("tiny.kws") == str(tmp_path.resolve() / "tiny.kws")
    assert base_of("kws12_lite") == "kws12_lite"
    (tmp_path / "run").mkdir()
    (tmp_path / "tiny.kws").rename(tmp_path / "run" / "model.kws")
    assert base_of("run") == str(tmp_path.resolve() / "run" / "model.kws")
    result = CliRunner().invoke(application(), ["new", "mine", "--words", "on", "--base", "tiny.kws"])
    assert isinstance(result.exception, KwsError) and "tiny.kws: no such model" in str(result.exception)
    assert not (tmp_path / "mine").exists()


def test_a_file_is_no_project(tmp_path):
    (tmp_path / "words.wav").write_bytes(b"RIFF")
    result = CliRunner().invoke(application(), ["new", str(tmp_path / "words.wav"), "--words", "on"])
    assert isinstance(result.exception, KwsError) and "words.wav: is a file" in str(result.exception)


def test_what_is_refused_is_not_kept(done, tmp_path):
    kept = (done.folder / projects.FILE).read_bytes()
    (tmp_path / "notes.kws").write_text("my notes")
    (tmp_path / "flat").mkdir()
    write(tmp_path / "flat", ["a.wav"], [glide(300, 900, np.random.default_rng(0))])
    for options in (("--base", tmp_path / "notes.kws"), ("--data", tmp_path / "flat"), ("--language", "xx")):
        arguments = ["new", done.folder, "--words", "hello", *options]
        result = CliRunner().invoke(application(), [*map(str, arguments)])
        assert isinstance(result.exception, KwsError)
        assert (done.folder / projects.FILE).read_bytes() == kept


def test_where_there_are_takes_no_more_windows_are_averaged_than_hold_a_whole_word(done, finished, monkeypatch):
    model = finished[1].model
    hop = model.hop_frames * model.preset.hop / RATE
    assert (max(make.TAKES_SMOOTHINGS) - 1) * hop <= make.SLACK_SECONDS
    other = next(size for size in make.TAKES_SMOOTHINGS if size != model.smoothing)
    monkeypatch.setattr(make, "TAKES_SMOOTHINGS", (other,))
    assert made(done).model.smoothing == model.smoothing
    write(done.own_recordings / "rise", ["ada_nohash_0.wav"], [glide(310, 880, np.random.default_rng(1))])
    assert made(done).model.smoothing == other


def test_words_too_long_for_the_engine_are_refused_and_longer_ones_get_longer_windows():
    def pieces(seconds: float) -> Pieces:
        count = round(seconds * RATE)
        piece = Piece(np.ones(count, np.int16), 0, count, -90.0)
        return Pieces([[]], [[piece]], [], [], [], [], np.zeros(0, np.int16))

    own = Project(Path("p"), ("a long one",))
    assert make.window_for(own, pieces(0.7)).name == "bifsmn"
    assert make.window_for(own, pieces(1.2)).name == "bifsmn_48"
    assert make.window_for(own, pieces(1.8)).name == "bifsmn_64"
    assert PRESETS["bifsmn_64"].window_samples / RATE > 1.8 + make.SLACK_SECONDS
    with pytest.raises(KwsError, match=r"'a long one' takes 2\.0 s"):
        make.window_for(own, pieces(2.0))


def test_every_fifth_of_many_takes_is_held_out_and_none_of_few(project):
    rng = np.random.default_rng(1)
    few, many = HOLD_OUT_FROM - 1, HOLD_OUT_FROM + 3
    for speaker, count in (("ada", many), ("bob", few)):
        names = [f"{speaker}_nohash_{number}.wav" for number in range(count)]
        write(project.own_recordings / "rise", names, [glide(300, 900, rng) for _ in names])
    takes = gather(project).takes["rise"]
    held = [clip.path.name for clip in takes if clip.split == "validation"]
    assert len(takes) == few + many
    assert len(held) == many // HOLD_OUT_EVERY and all(name.startswith("ada") for name in held)


def test_thresholds_are_chosen_with_people_s_trained_takes_where_there_are_any(project):
    rng = np.random.default_rng(3)
    names = [f"ada_nohash_{number}.wav" for number in range(HOLD_OUT_FROM)]
    write(project.own_recordings / "rise", names, [glide(300, 900, rng) for _ in names])
    material = gather(project)
    corpus = material.stream_corpus(project.folder)
    trained = [clip.path for clip in material.takes["rise"] if clip.split == "training"]
    assert len(trained) == HOLD_OUT_FROM - HOLD_OUT_FROM // HOLD_OUT_EVERY
    assert [clip.path for clip in corpus.select("rise", "validation")] == trained
    assert corpus.clips["fall_off"] == material.voices["fall_off"]


def test_a_copy_of_a_take_counts_once(project):
    sound = glide(300, 900, np.random.default_rng(1))
    names = [f"ada_nohash_{number}.wav" for number in range(2 * HOLD_OUT_FROM)]
    write(project.own_recordings / "rise", names, [sound] * len(names))
    assert [clip.path.name for clip in gather(project).takes["rise"]] == ["ada_nohash_0.wav"]


def test_a_folder_of_recordings_teaches_words_other_words_and_the_room(project, tmp_path):
    rng = np.random.default_rng(1)
    folder = tmp_path / "more"
    write(folder / "rise", ["eve_nohash_0.wav"], [glide(300, 900, rng)])
    write(folder / "table", ["eve_nohash_0.wav"], [glide(800, 700, rng)])
    write(folder / "_background_noise_", ["eve_room_0.wav"], [np.ones(5 * RATE, np.int16)])
    material = gather(replace(project, recordings=(folder,)))
    assert [clip.path.parent.name for clip in material.takes["rise"]] == ["rise"]
    assert any(clip.path.parent.name == "table" for clip in material.speech)
    assert any(path.name == "eve_room_0.wav" for path in material.backgrounds)


@pytest.mark.parametrize("name", ["fall_off", "fall off", "Fall_Off", "FALL OFF"])
def test_a_folder_of_recordings_may_spell_a_word_as_people_do(project, tmp_path, name):
    """As another word, a person's takes of it would teach the opposite."""
    folder = tmp_path / "more"
    write(folder / name, ["eve_nohash_0.wav"], [glide(1500, 500, np.random.default_rng(1))])
    taken = {clip.path for clip in gather(project).speech}
    as_takes = gather(replace(project, recordings=(folder,)))
    assert [(clip.path.parent.name, clip.word) for clip in as_takes.takes["fall_off"]] == [(name, "fall_off")]
    as_data = gather(replace(project, data=folder))
    assert folder / name / "eve_nohash_0.wav" in {clip.path for clip in as_data.voices["fall_off"]}
    assert {clip.path for clip in as_takes.speech + as_data.speech} == taken


def test_a_folder_of_recordings_that_holds_nothing_of_use_is_refused_before_the_voices_speak(project, tmp_path):
    folder = tmp_path / "more"
    write(folder / "fall-off", ["eve_nohash_0.wav"], [glide(1500, 500, np.random.default_rng(1))])
    (folder / "rise").mkdir()
    watcher = Parts()
    with pytest.raises(KwsError, match=r"more: holds no recording of a word of the project.*rise, fall_off"):
        made(replace(project, recordings=(folder,)), watcher)
    with pytest.raises(KwsError, match=r"rise: holds no recording directly in it; give a folder of recordings in wh"):
        made(replace(project, negatives=folder / "rise"), watcher)
    assert watcher.parts == []


def test_the_project_file_keeps_everything(project, tmp_path):
    full = replace(project, data=tmp_path, negatives=tmp_path, recordings=(tmp_path,), target=2.0, seed=5)
    full.save()
    assert projects.load(full.folder) == full


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": ()}, "no word given"),
        ({"words": ("a", " a ")}, "given twice"),
        ({"words": ("hey pi", "Hey_Pi")}, "given twice"),
        ({"words": ("a/b",)}, "cannot name a folder"),
        ({"epochs": 0}, "--epochs 0"),
        ({"target": 0.0}, "no rate"),
    ],
)
def test_a_project_that_cannot_be_worked_on_is_one_sentence(tmp_path, change, message):
    with pytest.raises(KwsError, match=message):
        checked(replace(Project(tmp_path, ("on",)), **change))


@pytest.mark.parametrize("name", ["2words", "_mine", "state", "frontend", "w" * 41, "größe" * 9])
def test_a_folder_that_cannot_name_a_model_in_c_is_refused_before_anything_is_done(tmp_path, name):
    result = CliRunner().invoke(application(), ["new", str(tmp_path / name), "--words", "on"])
    assert isinstance(result.exception, KwsError) and f"'{name}' cannot name a model in C" in str(result.exception)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["my-words", "my words", "größe", "v1.2"])
def test_what_c_does_not_allow_in_a_name_is_replaced(tmp_path, finished, name):
    own = checked(Project(tmp_path / name, ("on",)))
    export(replace(finished[1].model, name=own.name), own.header, own.c_name)
    assert f"kws_{own.c_name}" in own.header.read_text() and own.header.name == f"{name}.h"


@pytest.mark.parametrize("option", ["data", "negatives", "recordings"])
def test_a_folder_that_moved_stops_making_alone_and_may_be_given_anew(done, tmp_path, monkeypatch, option):
    old, moved = tmp_path / "old", tmp_path / "moved"
    write(moved / "rise", ["eve_nohash_0.wav"], [glide(300, 900, np.random.default_rng(1))])
    write(moved, ["talk.wav"], [np.ones(RATE, np.int16)])
    replace(done, **{option: (old,) if option == "recordings" else old}).save()
    kept = projects.load(done.folder)
    assert Miner(kept).mine(moved / "talk.wav").added == []
    watcher = Parts()
    with pytest.raises(KwsError, match=rf"old: no such folder; .* with --{option}, or .*project\.json"):
        made(kept, watcher)
    assert watcher.parts == []
    before = (done.folder / projects.FILE).read_bytes()
    arguments = ["new", str(done.folder), f"--{option}"]
    result = CliRunner().invoke(application(), [*arguments, str(tmp_path / "nowhere")])
    assert isinstance(result.exception, KwsError) and "nowhere: no such folder" in str(result.exception)
    assert (done.folder / projects.FILE).read_bytes() == before
    begun: list[Project] = []
    monkeypatch.setattr(make, "make", lambda own, *_: begun.append(own))
    CliRunner().invoke(application(), [*arguments, str(moved)])
    assert begun == [projects.load(done.folder)]
    assert getattr(begun[0], option) == ((moved,) if option == "recordings" else moved)


def test_the_folder_that_one_is_in_has_a_name(done, monkeypatch):
    monkeypatch.chdir(done.folder)
    here = projects.load(Path())
    assert here.name == done.name and here.model.samefile(done.model) and here.header.samefile(done.header)
    monkeypatch.chdir(done.run)
    assert projects.load(Path("..")).model.samefile(done.model)


def test_a_damaged_project_file_is_one_sentence(tmp_path):
    (tmp_path / projects.FILE).write_text('{"version": 1, "words"')
    with pytest.raises(KwsError, match=r"project\.json: not a project"):
        projects.load(tmp_path)


def test_the_command_trains_nothing_where_nothing_changed_and_keeps_its_settings(done):
    weights = done.run / "student.pt"
    before = load(done.model)
    result = CliRunner(env={"COLUMNS": "160"}).invoke(
        application(), ["new", str(done.folder), "--target-false-accepts", "3000"]
    )
    assert result.exit_code == 0, result.output
    assert "anew" not in result.output and "binary" not in result.output
    assert "rise" in result.output and f"{done.model} written" in result.output
    assert projects.load(done.folder).target == 3000.0
    after = load(done.model)
    assert weights.is_file() and after.checkpoint_sha256 == before.checkpoint_sha256
    # The same network, calibrated anew.
    assert np.array_equal(after.class_weight, before.class_weight)
    targets = [model.provenance["calibration"]["target_per_hour"] for model in (before, after)]
    assert targets == [0.5, 3000.0]


def test_the_command_without_words_or_project_says_what_to_do(tmp_path):
    result = CliRunner().invoke(application(), ["new", str(tmp_path / "none")])
    assert isinstance(result.exception, KwsError) and "--words" in str(result.exception)
