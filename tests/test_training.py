"""Training on a tiny corpus: exact resuming, records, refusals. The sounds are tones, so that a few epochs suffice."""

import json
import resource
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from kws.cli import application
from kws.data.splits import hash_split
from kws.data.tasks import BACKGROUND, Task, scan
from kws.errors import KwsError
from kws.features import PRESETS
from kws_training import checkpoint
from kws_training.augment import BUSY, MODERATE
from kws_training.config import RECIPES, Settings, StageSettings, recipe
from kws_training.dataset import SPEECH_CUT, TrainingData
from kws_training.display import TrainingDisplay
from kws_training.inputs import Inputs
from kws_training.loop import Given, Run, Watcher, learning_rate, load_state
from kws_training.run import load_student, load_teacher, new_settings, resumed_inputs, resumed_settings, settled, train
from kws_training.speech import Speech
from kws_training.topology import Topology

TASK = Task("t", ("low", "high"))
STAGES = (
    StageSettings("teacher", 2, 3e-3, 1e-2),
    StageSettings("activations", 1, 2e-3, 0.0),
    StageSettings("binary", 3, 2e-3, 0.0),
)
SETTINGS = Settings(
    TASK.words, True, Topology(n_classes=4, channels=64, hidden=64, n_blocks=4), STAGES, batch=16, warmup=1.0
)


def tone(frequency: float, rng: np.random.Generator, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(16000 * seconds)) / 16000
    envelope = np.exp(-(((time - 0.5) / 0.15) ** 2))
    wave = np.sin(2 * np.pi * frequency * rng.uniform(0.95, 1.05) * time) * envelope
    return (wave * 8000 + rng.normal(0, 30, len(time))).astype(np.int16)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for word, frequency in {"low": 300, "high": 1500, "other": 700}.items():
        (root / word).mkdir()
        for speaker in range(40):
            soundfile.write(root / word / f"s{speaker}_nohash_0.wav", tone(frequency, rng), 16000)
    (root / BACKGROUND).mkdir()
    noise = rng.normal(0, 200, 16000 * 15).astype(np.int16)
    soundfile.write(root / BACKGROUND / "hiss.wav", noise, 16000)
    return root


def plain(items, total, title):
    return items


@pytest.fixture(scope="module")
def data(corpus) -> TrainingData:
    torch.set_num_threads(1)
    return TrainingData(scan(corpus), TASK, PRESETS["bifsmn"], 0, 0.5, plain)


class StopAfter(Watcher):
    """Raises KeyboardInterrupt at a given step, as Ctrl-C would."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("whole"), SETTINGS, data, Watcher())
    return run, {key: value.clone() for key, value in run.train().state_dict().items()}


@pytest.mark.parametrize("fraction", [0.2, 0.45, 0.6, 0.9])
def test_an_interrupted_run_ends_with_the_same_weights(data, uninterrupted, tmp_path, fraction):
    total = data.steps(SETTINGS.batch, STAGES[0].unknown) * sum(stage.epochs for stage in STAGES)
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, SETTINGS, data, StopAfter(round(fraction * total))).train()
    state = load_state(tmp_path)
    resumed = Run(tmp_path, resumed_settings(state), data, Watcher(), state)
    result = resumed.train().state_dict()
    for key, value in uninterrupted[1].items():
        assert torch.equal(result[key], value), key
    strip = [{k: v for k, v in row.items() if k != "seconds"} for row in resumed.history]
    assert strip == [{k: v for k, v in row.items() if k != "seconds"} for row in uninterrupted[0].history]


def test_the_student_learns_and_the_record_tells_all(uninterrupted, data):
    run, _ = uninterrupted
    record = json.loads((run.folder / "record.json").read_text())
    assert Settings.from_dict(record["settings"]) == SETTINGS
    assert record["data"]["sha256"] == data.hash
    assert [row["stage"] for row in record["epochs"]] == ["teacher"] * 2 + ["activations"] + ["binary"] * 3
    assert record["epochs"][-1]["loss"] < record["epochs"][3]["loss"]


def test_train_writes_a_model_that_the_engine_reads(corpus, tmp_path):
    from kws.model import load

    out = tmp_path / "run"
    settings = Settings(**{**vars(SETTINGS), "stages": tuple(StageSettings(s.name, 1, s.rate, 0.0) for s in STAGES)})
    model = train(Inputs(corpus, name="tones"), out, settings, Watcher(), plain)
    read = load(out)
    assert read.class_names == ["low", "high", "_unknown_", "_silence_"] and read.name == "tones"
    assert read.checkpoint_sha256 == checkpoint.digest(out / "student.pt")
    assert np.array_equal(read.linear_weight, model.linear_weight)
    assert (out / "curves.png").stat().st_size > 1000


FURTHER = replace(SETTINGS, stages=(StageSettings("teacher", 2, 1e-3, 0.0), StageSettings("binary", 2, 1e-3, 0.0)))


def test_a_student_is_trained_further_from_its_own_weights_and_its_teacher_too(data, uninterrupted, tmp_path):
    folder = uninterrupted[0].folder
    idle = replace(FURTHER, stages=tuple(replace(stage, rate=0.0, epochs=1) for stage in FURTHER.stages))
    states = load_teacher(folder, idle), load_student(folder, idle)
    result = Run(tmp_path / "idle", idle, data, Watcher(), given=Given(*states, tune_teacher=True)).train().state_dict()
    for key, value in states[1].items():
        assert "running_" in key or "num_batches" in key or torch.equal(result[key], value), key
    teacher = load_teacher(tmp_path / "idle", idle)
    assert torch.equal(teacher["linear.weight"], states[0]["linear.weight"])

    whole = (
        Run(tmp_path / "whole", FURTHER, data, Watcher(), given=Given(*states, tune_teacher=True)).train().state_dict()
    )
    steps = data.steps(FURTHER.batch, 0.2)
    for number, stop in enumerate((round(1.5 * steps), round(3.5 * steps))):
        part = tmp_path / f"part{number}"
        with pytest.raises(KeyboardInterrupt):
            Run(part, FURTHER, data, StopAfter(stop), given=Given(*states, tune_teacher=True)).train()
        state = load_state(part)
        resumed = Run(part, resumed_settings(state), data, Watcher(), state).train().state_dict()
        assert all(torch.equal(resumed[key], value) for key, value in whole.items())
    fixed = Run(tmp_path / "fixed", FURTHER, data, Watcher(), given=Given(*states))
    fixed.train()
    assert [row["stage"] for row in fixed.history] == ["binary"] * 2
    assert all(torch.equal(fixed.teacher_state[key], value) for key, value in states[0].items())
    with pytest.raises(KwsError, match="student of low, high, or of another"):
        load_student(folder, replace(FURTHER, topology=replace(FURTHER.topology, planes=2)))
    with pytest.raises(KwsError, match="a file; give the run folder"):
        load_student(folder / "student.pt", FURTHER)


def test_width_and_blocks_make_the_network_and_the_depths_that_divide_it():
    small = new_settings(TASK, channels=64, blocks=6)
    assert small.topology == Topology(n_classes=4, channels=64, hidden=128, n_blocks=6, deltas=(1, 2))
    assert len(small.depth_weights) == 2
    assert new_settings(TASK, channels=64, hidden=192).topology.hidden == 192
    assert {stage.unknown for stage in new_settings(TASK, unknown=4.0).stages} == {4.0}
    for wrong, sentence in (
        ({"channels": 96}, "--channels 96: give 64"),
        ({"hidden": 96}, "--hidden 96: give a multiple of 64"),
        ({"channels": 256, "hidden": 576}, "--hidden 576: give a multiple of 64 up to 512"),
        ({"blocks": 0}, "--blocks 0: give 1 to"),
        ({"unknown": 0.0}, "--unknown 0: give a share"),
        ({"unknown": float("nan")}, "--unknown nan: give a share"),
        ({"distillation": "none"}, "'none' is no distillation; choose enhanced or independent or answers"),
    ):
        with pytest.raises(KwsError, match=sentence):
            new_settings(TASK, **wrong)


def test_the_command_passes_every_setting_on(monkeypatch, tmp_path):
    given = {}
    monkeypatch.setattr(
        "kws_training.run.train", lambda inputs, out, settings, *_: given.update(inputs=inputs, settings=settings)
    )
    wanted = {"binarizer": "lpb", "network": "bifsmnv2", "channels": 64, "hidden": 192, "blocks": 4}
    wanted |= {"distillation": "independent", "unknown": 3.0, "seed": 5, "epochs": 7}
    paths = {"data": tmp_path, "out": tmp_path / "out", "student": tmp_path / "s", "extra": tmp_path / "e"}
    paths["negatives"] = tmp_path / "n"
    options = {**wanted, **paths, "teacher": tmp_path / "t", "words": "low,high", "recipe": "running", "threshold": 0.6}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    result = CliRunner().invoke(application(), ["train", *arguments])
    assert result.exit_code == 0, result.output
    assert given["settings"] == new_settings(TASK, "running", **wanted)
    del paths["out"]
    assert given["inputs"] == Inputs(**paths, teacher=tmp_path / "t", threshold=0.6)


@pytest.mark.parametrize("more", [("running",), ("settling",), ("settling", "--teacher", "t")])
def test_there_is_nothing_to_train_further_without_a_finished_run(tmp_path, more):
    arguments = ["train", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--recipe", *more]
    result = CliRunner().invoke(application(), arguments)
    assert isinstance(result.exception, KwsError) and "--student RUN" in str(result.exception)


def test_settling_goes_on_from_a_finished_student_with_the_teacher_it_had(uninterrupted, corpus, tmp_path):
    folder = uninterrupted[0].folder
    settings = settled(new_settings(TASK, "settling", epochs=1, channels=64, hidden=64, blocks=4), folder)
    assert settings.warmup < new_settings(TASK, channels=64).warmup
    (stage,) = settings.stages
    assert stage == replace(SETTINGS.stages[-1], epochs=1, rate=SETTINGS.stages[-1].rate / 4)
    assert settled(new_settings(TASK, "settling"), folder, unknown=3.0).stages[0].unknown == 3.0
    settings = replace(settings, stages=(replace(stage, rate=0.0),))
    settings = replace(settings, batch=16)
    train(Inputs(corpus, student=folder), tmp_path / "run", settings, Watcher(), plain)
    for name in ("teacher.pt", "student.pt"):
        before, after = (checkpoint.load(at / name)["network"] for at in (folder, tmp_path / "run"))
        for key, value in before.items():
            assert "running_" in key or "num_batches" in key or torch.equal(after[key], value), (name, key)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert [row["stage"] for row in record["epochs"]] == ["binary"]


def test_settling_is_not_for_students_of_another_kind(tmp_path):
    listening = replace(SETTINGS, stages=(StageSettings("listening", 1, 1e-3, 0.0),))
    checkpoint.save(tmp_path / "student.pt", {"settings": json.dumps(listening.as_dict()), "network": {}})
    with pytest.raises(KwsError, match="its last stage is 'listening'"):
        settled(new_settings(TASK, "settling"), tmp_path)


def test_a_given_student_is_through_its_binarizers_schedule(data, uninterrupted, tmp_path):
    folder = uninterrupted[0].folder
    given = Given(load_teacher(folder, SETTINGS), load_student(folder, SETTINGS))
    assert Run(tmp_path / "on", FURTHER, data, Watcher(), given=given)._student_progress(0.0) == 1.0
    assert Run(tmp_path / "new", SETTINGS, data, Watcher())._student_progress(0.0) == 0.0


def of_binarizer(name: str, epochs: int | None = None) -> Settings:
    stages = STAGES if epochs is None else tuple(replace(stage, epochs=epochs) for stage in STAGES)
    return replace(SETTINGS, topology=replace(SETTINGS.topology, binarizer=name), stages=stages)


@pytest.mark.parametrize("name", ["recu", "uniform-4"])
def test_schedules_learned_scales_and_ranges_outlive_an_interruption(data, tmp_path, name):
    settings = of_binarizer(name)
    whole = Run(tmp_path / "whole", settings, data, Watcher()).train().state_dict()
    total = data.steps(settings.batch, 0.2) * sum(stage.epochs for stage in STAGES)
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path / "part", settings, data, StopAfter(round(0.8 * total))).train()
    state = load_state(tmp_path / "part")
    resumed = Run(tmp_path / "part", resumed_settings(state), data, Watcher(), state)
    result = resumed.train().state_dict()
    assert all(torch.equal(result[key], value) for key, value in whole.items())
    assert any(".quantize_" in key for key in whole)


class Listener(Watcher):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def warn(self, sentence: str) -> None:
        self.sentences.append(sentence)


def test_a_binarizer_that_the_engine_cannot_run_trains_and_says_so(corpus, tmp_path):
    listener = Listener()
    assert train(Inputs(corpus), tmp_path, of_binarizer("dorefa-2", 1), listener, plain) is None
    assert not (tmp_path / "model.kws").exists()
    for name in ("teacher.pt", "student.pt", "record.json", "curves.png"):
        assert (tmp_path / name).stat().st_size > 1000
    assert listener.sentences == [
        "'dorefa-2' trains but exports no model: its inputs and weights have 2 bits, the engine's have one."
    ]


def test_one_teacher_serves_every_binarizer_and_what_they_learn_reaches_the_model(corpus, data, tmp_path):
    train(Inputs(corpus), tmp_path / "first", of_binarizer("reactnet", 1), Watcher(), plain)
    settings = of_binarizer("xnor++", 1)
    model = train(Inputs(corpus, teacher=tmp_path / "first"), tmp_path / "second", settings, Watcher(), plain)
    record = json.loads((tmp_path / "second" / "record.json").read_text())
    assert [row["stage"] for row in record["epochs"]] == ["activations", "binary"]
    recipe_noted = model.provenance["recipe"]
    assert (recipe_noted["binarizer"], recipe_noted["network"]) == ("xnor++", "bifsmn")
    scale = checkpoint.load(tmp_path / "second" / "student.pt")["network"]["linear.quantize_weight.scale"]
    assert (scale - scale[0]).abs().max() > 0
    # The second run, too, can lend the teacher that it was lent.
    taught = replace(settings, seed=1)
    train(Inputs(corpus, teacher=tmp_path / "second"), tmp_path / "lent", taught, Watcher(), plain)
    teachers = [checkpoint.load(tmp_path / name / "teacher.pt")["network"] for name in ("first", "second", "lent")]
    assert all(torch.equal(one[key], teachers[0][key]) for one in teachers for key in teachers[0])
    other_words = replace(settings, words=("low", "other"))
    with pytest.raises(KwsError, match="another shape"):
        train(Inputs(corpus, teacher=tmp_path / "first"), tmp_path / "third", other_words, Watcher(), plain)


@pytest.mark.parametrize("name", ["student.pt", "checkpoint.pt"])
def test_a_student_is_no_teacher(corpus, uninterrupted, tmp_path, name):
    with pytest.raises(KwsError, match=f"{name}: holds no teacher"):
        train(Inputs(corpus, teacher=uninterrupted[0].folder / name), tmp_path / "x", SETTINGS, Watcher(), plain)


@pytest.mark.parametrize(("name", "fault"), [("a\nb", "control character"), ("x" * 101, "101 characters long")])
def test_a_name_that_no_model_can_have_is_told_of_before_anything_is_read(tmp_path, name, fault):
    with pytest.raises(KwsError, match=fault):
        train(Inputs(tmp_path / "nowhere", name=name), tmp_path / "x", SETTINGS, Watcher(), plain)


def test_a_corpus_without_validation_speakers_is_one_sentence_about_speakers(tmp_path):
    names = [f"{number:08x}_nohash_0.wav" for number in range(40)]
    for word in ("low", "high", "other"):
        (tmp_path / word).mkdir()
        for name in names:
            if hash_split(name) == "training":
                soundfile.write(tmp_path / word / name, np.zeros(16000, np.int16), 16000)
    with pytest.raises(KwsError, match="no clip of low, high falls to validation; add speakers"):
        TrainingData(scan(tmp_path), TASK, PRESETS["bifsmn"], 0, 0.5, plain)


def test_settings_from_before_binarizers_had_names_are_the_defaults():
    content = json.loads(json.dumps(SETTINGS.as_dict()))
    topology = {key: value for key, value in content["topology"].items() if key != "binarizer"}
    before = {"activation": "polynomial", "weight": "clipped"}
    assert Settings.from_dict({**content, "topology": {**topology, **before}}) == SETTINGS
    with pytest.raises(KwsError, match="clipped and clipped"):
        Settings.from_dict({**content, "topology": {**topology, **before, "activation": "clipped"}})


def test_learned_thresholds_and_scales_are_not_decayed(data, tmp_path):
    run = Run(tmp_path, of_binarizer("lpb"), data, Watcher())
    groups = run._optimizer(replace(STAGES[-1], decay=0.1)).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    learned = [p for key, p in run.network.named_parameters() if ".quantize_" in key]
    assert learned and not any(id(p) in decayed for p in learned)
    assert id(run.network.linear.weight) in decayed


def test_a_folder_with_a_run_is_not_overwritten(uninterrupted, data):
    with pytest.raises(KwsError, match="--resume"):
        Run(uninterrupted[0].folder, SETTINGS, data, Watcher())


def test_a_resumed_command_needs_the_folder_alone_and_forgets_nothing(corpus, tmp_path, monkeypatch):
    from kws.model import load

    talk, out = tmp_path / "talk", tmp_path / "run"
    talk.mkdir()
    soundfile.write(talk / "hum.wav", np.full(40000, 0.1), 16000)
    (talk / "broken.wav").write_bytes(b"RIFF")
    settings = replace(SETTINGS, stages=tuple(replace(stage, epochs=1) for stage in STAGES))
    steps = TrainingData(scan(corpus), TASK, PRESETS["bifsmn"], 0, settings.temper, plain).steps(settings.batch, 0.2)
    inputs = Inputs(corpus, negatives=talk, name="tones", threshold=0.8)
    with pytest.raises(KeyboardInterrupt):
        train(inputs, out, settings, StopAfter(steps + 1), plain)
    assert resumed_inputs(load_state(out)) == inputs
    loaded, load_checkpoint = [], checkpoint.load
    monkeypatch.setattr(checkpoint, "load", lambda path: loaded.append(path.name) or load_checkpoint(path))
    run = CliRunner().invoke(application(), ["train", "--out", str(out), "--resume"])
    assert run.exit_code == 0, run.output
    assert loaded == ["checkpoint.pt"]
    assert "Skipped" in run.output and "broken.wav" in run.output.replace("\n", "")
    model = load(out)
    assert model.name == "tones" and (model.word_threshold == np.float32(0.8)).all()
    record = json.loads((out / "record.json").read_text())
    assert record["inputs"] == inputs.as_dict() and record["inputs"]["negatives"] == str(talk)
    whole = train(inputs, tmp_path / "whole", settings, Watcher(), plain)
    assert np.array_equal(model.linear_weight, whole.linear_weight)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume", "--epochs", "9"], "--epochs beside --resume: a run keeps its settings"),
        (["--resume", "--threshold", "0.5"], "--threshold beside --resume"),
        (["--resume"], "holds no complete epoch to go on after"),
        ([], "--data is missing: give a folder of recordings, or --resume a run"),
    ],
)
def test_a_command_that_cannot_be_followed_is_one_sentence(tmp_path, arguments, sentence):
    refused = CliRunner().invoke(application(), ["train", "--out", str(tmp_path), *arguments])
    assert isinstance(refused.exception, KwsError) and sentence in str(refused.exception)


def test_an_interrupted_command_says_how_to_go_on(tmp_path, capsys):
    display = TrainingDisplay(SETTINGS, tmp_path)
    display.__exit__(KeyboardInterrupt, None, None)
    assert "No epoch was complete: the same command starts again" in capsys.readouterr().out
    (tmp_path / "checkpoint.pt").touch()
    display.__exit__(KeyboardInterrupt, None, None)
    told = capsys.readouterr().out.replace("\n", " ")
    assert "go on with kws train --out" in told and told.rstrip().endswith("--resume.")


def test_a_used_folder_and_useless_negatives_are_refused_before_anything_is_read(uninterrupted, tmp_path):
    nothing = Inputs(tmp_path / "none", negatives=tmp_path)
    with pytest.raises(KwsError, match="holds a run already"):
        train(nothing, uninterrupted[0].folder, SETTINGS, Watcher(), plain)
    with pytest.raises(KwsError, match="no such class; leave it out"):
        train(nothing, tmp_path / "new", replace(SETTINGS, fillers=False), Watcher(), plain)


def test_resuming_with_other_settings_or_data_is_refused(uninterrupted, data, corpus):
    folder = uninterrupted[0].folder
    with pytest.raises(KwsError, match="other settings"):
        Run(folder, Settings(**{**vars(SETTINGS), "seed": 1}), data, Watcher(), load_state(folder))
    other = TrainingData(scan(corpus), Task("t", ("low", "other")), PRESETS["bifsmn"], 0, 0.5, plain)
    with pytest.raises(KwsError, match="other recordings"):
        Run(folder, SETTINGS, other, Watcher(), load_state(folder))


def test_bad_checkpoints_are_refused_in_one_sentence(tmp_path):
    good = tmp_path / "good.pt"
    checkpoint.save(good, {"network": {"w": torch.ones(1000)}})
    content = good.read_bytes()
    (tmp_path / "short.pt").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.pt").write_text("hello")
    torch.save({"w": torch.ones(3)}, tmp_path / "foreign.pt")
    torch.save({"format": checkpoint.FORMAT, "version": 99}, tmp_path / "later.pt")
    for name, words in {
        "short": "truncated or damaged",
        "empty": "truncated or damaged",
        "text": "truncated or damaged",
        "foreign": "not a kws checkpoint",
        "later": "version 99",
        "absent": "no such checkpoint",
    }.items():
        with pytest.raises(KwsError, match=words) as caught:
            checkpoint.load(tmp_path / f"{name}.pt")
        assert f"{name}.pt" in str(caught.value) and "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, {"epoch": 1})
    before = path.read_bytes()
    script = f"""
        import resource, signal
        from pathlib import Path
        import torch
        from kws.errors import KwsError
        from kws_training import checkpoint
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, {resource.RLIM_INFINITY}))
        try:
            checkpoint.save(Path({str(path)!r}), {{"epoch": 2, "w": torch.ones(100000)}})
        except KwsError as error:
            print(error)
    """
    said = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert "checkpoint.pt" in said.stdout and "cannot be written" in said.stdout, said
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert checkpoint.load(path)["epoch"] == 1


def test_what_cannot_be_trained_on_is_said(corpus, tmp_path):
    def attempt(root: Path, task: Task = TASK) -> TrainingData:
        return TrainingData(scan(root), task, PRESETS["bifsmn"], 0, 0.5, plain)

    with pytest.raises(KwsError, match="no folder for missing"):
        attempt(corpus, Task("t", ("low", "missing")))
    (tmp_path / "none").mkdir()
    with pytest.raises(KwsError, match="holds no word folder"):
        attempt(tmp_path / "none")
    root = tmp_path / "bad"
    for word in ("low", "high", "other"):
        (root / word).mkdir(parents=True)
        for speaker in range(12):
            name = root / word / f"s{speaker}_nohash_0.wav"
            soundfile.write(name, tone(500, np.random.default_rng(speaker)), 16000)
    with pytest.raises(KwsError, match=r"_silence_.*_background_noise_"):
        attempt(root)
    (root / BACKGROUND).mkdir()
    soundfile.write(
        root / BACKGROUND / "n.wav", np.random.default_rng(0).integers(-99, 99, 160000).astype(np.int16), 16000
    )
    usable = attempt(root)
    (root / "low" / "s1_nohash_0.wav").write_text("not audio")
    (root / "low" / "s2_nohash_0.wav").write_bytes(b"")
    soundfile.write(root / "low" / "s3_nohash_0.wav", np.zeros(0, np.int16), 16000)
    soundfile.write(root / "low" / "s4_nohash_0.wav", np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    soundfile.write(root / "low" / "s5_nohash_0.wav", np.zeros(16000, np.int16), 16000)
    for rate in (8000, 48000):
        stereo = np.stack([np.sin(np.arange(rate) * 0.1)] * 2, 1) * 0.3
        soundfile.write(root / "low" / f"r{rate}_nohash_0.wav", stereo, rate)
    damaged = attempt(root)
    named = {sentence.split(":")[0].rsplit("/", 1)[1] for sentence in damaged.skipped}
    bad = {f"s{n}_nohash_0.wav" for n in range(1, 6)}
    assert named == {name for name in bad if hash_split(name) != "testing"} and len(named) >= 4
    assert usable.skipped == [] and usable.hash != damaged.hash
    for path in (root / "low").iterdir():
        if not path.name.startswith(("s1_", "s2_")):
            path.unlink()
    with pytest.raises(KwsError, match="no usable training clip for low"):
        attempt(root)


def test_every_step_draws_the_same_again_and_thin_words_come_oftener(data):
    first = list(data.epoch(1, 3, 16, 0.1, MODERATE))
    again = list(data.epoch(1, 3, 16, 0.1, MODERATE))
    other = list(data.epoch(1, 4, 16, 0.1, MODERATE))
    for batch, same in zip(first, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(batch, same, strict=True))
    assert not torch.equal(first[0][0], other[0][0])
    thin = TrainingData.__new__(TrainingData)
    thin.task, thin.word_clips, thin.temper, thin.speech = Task("t", ("rich", "poor")), 1000, 0.5, None
    thin.members = [np.arange(960), np.arange(960, 1000), np.arange(1000, 1400), np.array([], int)]
    indices, labels = thin._draw(np.random.default_rng(0), 0.1)
    counts = np.bincount(labels)
    assert 160 <= counts[1] <= 180 and counts[2] == counts[3] == 100
    poor = np.bincount(indices[labels == 1] - 960, minlength=40)
    assert poor.max() - poor.min() <= 1
    assert (indices[labels == 3] == -1).all()


def test_a_word_that_is_cut_off_in_running_speech_is_unknown(data):
    drawn = [torch.cat([labels for _, labels, _ in data.epoch(0, 0, 16, 0.5, busy)]) for busy in (MODERATE, BUSY)]
    plain_words, busy_words = ((labels < len(TASK.words)).sum().item() for labels in drawn)
    # Half of the clips are composed, three tenths of those cut.
    assert 0.65 * plain_words < busy_words < 0.98 * plain_words
    for _, labels, words in data.epoch(0, 0, 16, 0.5, BUSY):
        assert (labels[words == -1] >= len(TASK.words)).all()
        assert (words[labels < len(TASK.words)] >= 0).all()
    once, again = (list(data.epoch(2, 1, 16, 0.5, BUSY)) for _ in range(2))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(once, again, strict=True))
    assert all(torch.isfinite(features).all() for features, _, _ in once)


def test_a_third_of_the_unknown_windows_are_cut_from_the_negatives(corpus, data):
    def drawn(negatives):
        own = TrainingData(scan(corpus), TASK, PRESETS["bifsmn"], 0, 0.5, plain, negatives)
        return own, own._draw(np.random.default_rng(0), 0.6)

    hum = np.full(30000, 3000, np.int16)
    with_speech, (indices, labels) = drawn([hum])
    without, (plain_indices, plain_labels) = drawn([])
    assert np.array_equal(labels, plain_labels) and (plain_indices >= -1).all()
    unknown = labels == len(TASK.words)
    cut = indices == SPEECH_CUT
    assert cut.sum() == round(unknown.sum() / 3) and not cut[~unknown].any()
    assert np.array_equal(indices[~unknown], plain_indices[~unknown])
    # A constant has its energy in the lowest mel band alone, unlike any clip.
    loud = replace(MODERATE, noise_share=0.0, mel_mask=0, time_mask=0, gain=(0.0, 0.0))
    features, cut_off = with_speech._batch(indices, labels, loud, torch.Generator().manual_seed(0))
    assert (features[cut].argmax(1) == 0).all() and not cut_off.any()
    assert not (features[~cut].argmax(1) == 0).all(1).any()
    assert with_speech.hash != without.hash == data.hash
    halved = Speech([hum[:20000], hum[20000:]], PRESETS["bifsmn"].window_samples)
    assert not np.array_equal(halved.starts, with_speech.speech.starts)


def test_every_clip_carries_its_words_number_and_silence_none(data):
    names = ["high", "low", "other"]
    assert data.identity_count == 3
    for label, word in enumerate(["low", "high", "other"]):
        assert set(data.identities[data.labels == label]) == {names.index(word)}
    silence = len(TASK.words) + 1
    for _, labels, words in data.epoch(0, 0, 16, 0.5, MODERATE):
        assert torch.equal(words == -1, labels == silence)


def test_a_teacher_learns_the_other_words_names_too(data, tmp_path):
    stages = (replace(STAGES[0], identity=0.5, smoothing=0.1), *STAGES[1:])
    run = Run(tmp_path / "run", replace(SETTINGS, stages=stages), data, Watcher())
    before = run.identify.weight.detach().clone()
    run.train()
    assert not torch.equal(before, run.identify.weight)
    resumed = Run(tmp_path / "run", replace(SETTINGS, stages=stages), data, Watcher(), load_state(tmp_path / "run"))
    assert torch.equal(resumed.identify.weight, run.identify.weight)


def test_settings_of_another_version_are_one_sentence(tmp_path):
    with pytest.raises(KwsError, match="another version"):
        Settings.from_dict({**SETTINGS.as_dict(), "unknown": 0.2})


def test_learning_rate_rises_then_falls_to_zero():
    stage = StageSettings("binary", 20, 1e-3, 0.0)
    rates = [learning_rate(stage, 2.0, p) for p in np.linspace(0, 20, 201)]
    assert rates[0] < 1e-5 and max(rates) == pytest.approx(1e-3, rel=0.01) and rates[-1] == pytest.approx(0, abs=1e-9)
    top = int(np.argmax(rates))
    assert np.all(np.diff(rates[:top]) > 0) and np.all(np.diff(rates[top + 1 :]) < 0)


def test_recipes_scale_and_bad_ones_are_refused():
    assert [s.epochs for s in recipe("standard", RECIPES["standard"][-1].epochs // 2)][-1] == RECIPES["standard"][
        -1
    ].epochs // 2
    for call in (
        lambda: recipe("long"),
        lambda: recipe("quick", 0),
        lambda: new_settings(TASK, preset="x"),
        lambda: new_settings(TASK, binarizer="x"),
    ):
        with pytest.raises(KwsError):
            call()


def test_silence_is_not_lost_among_many_clips_of_other_words(data):
    labels = torch.cat([labels for _, labels, _ in data.epoch(0, 0, 16, 4.0, MODERATE)])
    words, unknown, silence = (int(torch.isin(labels, torch.tensor(c)).sum()) for c in ([0, 1], [2], [3]))
    assert 3 * words < unknown < 5 * words and unknown / 13 < silence < unknown / 7
