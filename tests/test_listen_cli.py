"""`kws listen` as a user runs it, over an engine that hears tones: the right answer is known without a model."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import typer
from fake_sounddevice import FakeSounddevice, device
from typer.testing import CliRunner

from kws.cli import listen as listen_command
from kws.engine import Event
from kws.errors import KwsError
from kws.features import PRESETS
from kws.listen import microphone, sources

HOP = 512
LOW, HIGH = 400.0, 1800.0


class ToneStream:
    """Says "low" or "high" where a tone begins; works hop by hop, so that chunks do not matter."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.thresholds = {"low": 0.05, "high": 0.05}
        self.rest = np.zeros(0, np.int16)
        self.samples = 0
        self.quiet = True
        self.scores = np.array([0.1, 0.2, 0.3, 0.4], np.float32)

    def reset(self) -> None:
        self.rest, self.samples, self.quiet = np.zeros(0, np.int16), 0, True

    def set_threshold(self, word: str, threshold: float) -> None:
        self.thresholds[word] = threshold

    def feed(self, pcm: np.ndarray) -> list[Event]:
        assert pcm.dtype == np.int16
        assert pcm.ndim == 1
        self.rest = np.concatenate([self.rest, pcm])
        events = []
        while len(self.rest) >= HOP:
            hop, self.rest = self.rest[:HOP] / 32768.0, self.rest[HOP:]
            self.samples += HOP
            level = float(np.sqrt(np.mean(hop**2)))
            hertz = np.abs(np.fft.rfft(hop)).argmax() * 16000 / HOP
            word = "low" if hertz < (LOW + HIGH) / 2 else "high"
            if self.quiet and level >= self.thresholds[word]:
                events.append(Event(word, self.samples / 16000, level, self.depth))
            self.quiet = level < self.thresholds[word]
        return events


class ToneEngine:
    """As much of an engine as the command uses."""

    class_names = ("low", "high", "_unknown_", "_silence_")
    n_words = 2
    deltas = (1, 2, 4)
    preset = PRESETS["bifsmn"]
    model = SimpleNamespace(listen_delta=0)

    def __init__(self, model: object) -> None:
        pass

    def stream(self, delta: int | None = None) -> ToneStream:
        return ToneStream(delta or 1)


@pytest.fixture
def invoke(monkeypatch):
    """Runs `kws listen` with the tone engine."""
    monkeypatch.setattr("kws.engine.Engine", ToneEngine)
    monkeypatch.setattr("kws.model.load", lambda *_: None)
    app = typer.Typer()
    listen_command.register(app)
    return lambda *arguments: CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(one) for one in arguments])


def tones(rate: float, plan: list[tuple[float, float]]) -> np.ndarray:
    """Float [n] at ``rate``: silence, then each (hertz, seconds) of ``plan`` followed by 0.3 s of silence."""
    parts = [np.zeros(int(0.3 * rate))]
    for hertz, seconds in plan:
        t = np.arange(int(seconds * rate)) / rate
        parts += [0.5 * np.sin(2 * np.pi * hertz * t), np.zeros(int(0.3 * rate))]
    return np.concatenate(parts)


PLAN = [(LOW, 0.4), (HIGH, 0.3), (LOW, 0.2)]
STARTS = [0.3, 1.0, 1.6]
WORDS = ["low", "high", "low"]


def lines(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_json_is_one_line_a_detection(tmp_path, invoke, rate, channels):
    path = tmp_path / "tones.wav"
    soundfile.write(path, np.stack([tones(rate, PLAN)] * channels, axis=1), rate)
    result = invoke(path, "--json", "--depth", "2")
    assert result.exit_code == 0, result.output
    found = lines(result)
    assert [one["word"] for one in found] == WORDS
    for one, start in zip(found, STARTS, strict=True):
        assert list(one) == ["file", "word", "time", "score", "depth"]
        assert one["file"] == str(path)
        assert one["depth"] == 2
        assert start < one["time"] <= start + 2 * HOP / 16000
        assert one["time"] == round(one["time"], 3)
        assert one["score"] == round(one["score"], 4)


def test_a_word_in_the_last_sample_is_still_decided(tmp_path, invoke):
    # The tone lasts less than a hop: only the silence that follows completes it.
    sound = np.concatenate([np.zeros(HOP), 0.5 * np.sin(2 * np.pi * LOW * np.arange(HOP - 10) / 16000)])
    soundfile.write(tmp_path / "end.wav", sound, 16000)
    assert [one["word"] for one in lines(invoke(tmp_path / "end.wav", "--json"))] == ["low"]


def test_every_file_starts_a_fresh_stream(tmp_path, invoke):
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", tones(16000, PLAN), 16000)
    found = lines(invoke(tmp_path / "a.wav", tmp_path / "b.wav", "--json"))
    first, second = found[:3], found[3:]
    assert [one["time"] for one in first] == [one["time"] for one in second]
    assert [one["file"] for one in second] == [str(tmp_path / "b.wav")] * 3


def test_human_output_ends_with_a_sum(tmp_path, invoke):
    long_name = tmp_path / ("[a]" + "x" * 90 + ".wav")
    soundfile.write(long_name, tones(16000, PLAN), 16000)
    result = invoke(long_name)
    printed = result.stdout.splitlines()
    assert len(printed) == 4
    for line, word in zip(printed, WORDS, strict=False):
        assert line.startswith(f"{long_name}  {word}")
    assert printed[-1].startswith("3 detections in 1 file (2.1 s, ")
    assert printed[-1].endswith(" x real time)")


def test_an_unreadable_file_is_told_the_others_run_and_the_exit_code_is_1(tmp_path, invoke):
    soundfile.write(tmp_path / "good.wav", tones(16000, PLAN), 16000)
    (tmp_path / "text.wav").write_text("not sound")
    result = invoke(tmp_path / "missing.wav", tmp_path / "text.wav", tmp_path / "good.wav", "--json")
    assert result.exit_code == 1
    assert [one["word"] for one in lines(result)] == WORDS
    told = result.stderr.splitlines()
    assert len(told) == 2
    assert "missing.wav" in told[0]
    assert "text.wav" in told[1]
    assert "2 files could not be read" in invoke(tmp_path / "missing.wav", tmp_path / "text.wav").stdout


def test_threshold_replaces_every_word_s_own(tmp_path, invoke):
    soundfile.write(tmp_path / "a.wav", tones(16000, PLAN), 16000)
    assert lines(invoke(tmp_path / "a.wav", "--json", "--threshold", "0.9")) == []
    assert len(lines(invoke(tmp_path / "a.wav", "--json", "--threshold", "0.2"))) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--depth", "3"], "--depth 3 is not in the model; choose from 1, 2, 4 or adaptive"),
        (["--depth", "thin"], "--depth thin is not in the model"),
        (["--threshold", "1.5"], "--threshold 1.5 is no number from 0 to 1"),
        (["--threshold", "nan"], "--threshold nan is no number from 0 to 1"),
        (["--threshold", "yes=0,5"], "--threshold yes=0,5 is no number from 0 to 1, nor WORD=NUMBER"),
        (["--sensitivity", "1.5"], "--sensitivity 1.5 is no number from 0 to 1"),
        (["--sensitivity", "nan"], "--sensitivity nan is no number from 0 to 1"),
        (["--sensitivity", "up"], "--sensitivity up is no number from 0 to 1, nor WORD=NUMBER"),
        (["--device", "2", "a.wav"], "--device 2 chooses a microphone"),
        (["--capture", "kept", "a.wav"], "--capture keeps the sound of a microphone"),
        (["--plot", "a.png"], "--plot draws one recording, and 0 were given"),
        (["--plot", "a.png", "a.wav", "b.wav"], "--plot draws one recording, and 2 were given"),
        (["--plot", "a.txt", "a.wav"], "a.txt: not a picture's name"),
        (["--exec", "no-such-program-here", "a.wav"], "there is no program 'no-such-program-here'"),
        (["--exec", "echo 'open", "a.wav"], "close every quote"),
        (["--exec", "true", "--exec-seconds", "0", "a.wav"], "--exec-seconds 0.0 is out of range"),
    ],
)
def test_bad_options_are_one_sentence(invoke, arguments, sentence):
    result = invoke(*arguments)
    assert isinstance(result.exception, KwsError)
    assert sentence in str(result.exception)


@pytest.fixture
def record(monkeypatch):
    """Puts a fake microphone in place that plays ``sound`` and then has Ctrl-C pressed."""

    def put(sound, rate, **options):
        def ctrl_c():
            raise KeyboardInterrupt

        fake = FakeSounddevice(
            sound.astype(np.float32),
            [device("mic [1]", sound.shape[1], float(rate))],
            **{"at_end": ctrl_c} | options,
        )
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        # The fake plays faster than real time.
        monkeypatch.setattr(microphone, "MOST_WAITING_SECONDS", np.inf)
        return fake

    return put


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_microphone_hears_what_the_file_holds(tmp_path, invoke, record, rate, channels):
    sound = np.stack([tones(rate, PLAN)] * channels, axis=1)
    soundfile.write(tmp_path / "same.wav", sound, rate, subtype="FLOAT")
    from_file = lines(invoke(tmp_path / "same.wav", "--json"))
    fake = record(sound, rate)
    result = invoke("--json")
    assert result.exit_code == 0, result.output
    from_microphone = lines(result)
    assert fake.closed == 1
    assert len(from_microphone) == 3
    for live, filed in zip(from_microphone, from_file, strict=True):
        assert list(live) == ["word", "time", "score", "depth"]
        assert live["score"] == pytest.approx(filed["score"], abs=2e-3)
        assert {key: live[key] for key in ("word", "time", "depth")} == {
            key: filed[key] for key in ("word", "time", "depth")
        }


def test_a_microphone_for_people_prints_words_and_a_sum(invoke, record):
    record(tones(16000, PLAN)[:, None], 16000)
    result = invoke()
    assert result.exit_code == 0, result.output
    printed = result.stdout.splitlines()
    assert [line.split()[0] for line in printed[:3]] == WORDS
    assert printed[3] == "3 detections in 2.1 s"
    assert "Listening on mic [1]." in result.stderr


def test_silence_is_warned_of_once_and_listening_goes_on(invoke, record):
    quiet = np.zeros(16000 * 6)
    record(np.concatenate([quiet, tones(16000, PLAN), quiet, quiet])[:, None], 16000)
    result = invoke("--json")
    assert len(lines(result)) == 3
    warned = [line for line in result.stderr.splitlines() if "gives silence" in line]
    assert len(warned) == 1
    assert "mic [1]" in warned[0]
    assert "kws devices" in warned[0]


def test_lost_sound_is_told(invoke, record):
    record(tones(16000, PLAN)[:, None], 16000, overflow_at=3)
    assert "Sound was lost: the device dropped samples once" in invoke("--json").stderr


def test_a_microphone_that_clips_is_told(invoke, record):
    record(np.clip(4.0 * tones(16000, PLAN), -1.0, 1.0)[:, None], 16000)
    warned = [line for line in invoke("--json").stderr.splitlines() if "clips" in line]
    assert len(warned) == 1
    assert "mic [1]" in warned[0]


def test_a_microphone_that_vanishes_is_waited_for(invoke, record, monkeypatch):
    monkeypatch.setattr(sources, "RETRY_SECONDS", 0.0)
    turns = iter([False, False])  # ends the first two stretches, and then comes Ctrl-C

    def at_end():
        try:
            return next(turns)
        except StopIteration:
            raise KeyboardInterrupt from None

    fake = record(tones(16000, PLAN)[:, None], 16000, at_end=at_end)
    result = invoke("--json")
    assert result.exit_code == 0, result.output
    found = lines(result)
    assert [one["word"] for one in found] == 3 * WORDS
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)
    assert fake.closed == 3 and fake.rescans == 2
    told = result.stderr.splitlines()
    assert sum("stopped" in line and "Waiting for it" in line for line in told) == 2
    assert sum("Listening on mic [1]" in line for line in told) == 3


def test_a_microphone_that_vanishes_ends_with_a_sentence_where_none_waits(invoke, record):
    record(tones(16000, PLAN)[:, None], 16000, at_end=lambda: False)
    result = invoke("--json", "--no-reconnect")
    assert len(lines(result)) == 3
    assert isinstance(result.exception, KwsError)
    assert "'mic [1]' stopped" in str(result.exception)


SHOW = 'import os; print(*(os.environ["KWS_" + name] for name in ("WORD", "SCORE", "TIME", "DEPTH")), sep=",")'


def test_exec_runs_once_for_every_word_of_a_recording(tmp_path, invoke, capfd):
    soundfile.write(tmp_path / "a.wav", tones(16000, PLAN), 16000)
    result = invoke(tmp_path / "a.wav", "--json", "--depth", "2", "--exec", f"{sys.executable} -c '{SHOW}'")
    assert result.exit_code == 0, result.output
    ran = capfd.readouterr().err.splitlines()
    assert ran == [f"{one['word']},{one['score']:.4f},{one['time']:.3f},2" for one in lines(result)]
    assert len(ran) == 3


def test_capture_keeps_the_sound_and_says_so(tmp_path, invoke, record):
    sound = tones(16000, PLAN)
    record(sound[:, None], 16000)
    result = invoke("--json", "--capture", tmp_path / "kept")
    assert f"Keeping 2 s of sound around every detection in {tmp_path / 'kept'}." in result.stderr
    files = sorted((tmp_path / "kept").iterdir())
    assert [file.name.split("_")[1] for file in files] == WORDS
    whole = (np.rint(sound.astype(np.float32) * 32768.0)).astype(np.int16)
    for file, one in zip(files, lines(result), strict=True):
        kept, rate = soundfile.read(file, dtype="int16")
        end = round(one["time"] * 16000)
        assert rate == 16000
        np.testing.assert_array_equal(kept, whole[max(end - 24000, 0) : end + 8000])


def test_a_file_that_cannot_be_kept_does_not_end_listening(tmp_path, invoke, record, monkeypatch):
    def full(path, data):
        raise KwsError(f"{path}: cannot be written (No space left on device); free some space.")

    monkeypatch.setattr("kws.listen.capture.write_wav", full)
    record(np.concatenate([tones(16000, PLAN), np.zeros(16000)])[:, None], 16000)
    result = invoke("--json", "--capture", tmp_path)
    assert result.exit_code == 0, result.output
    assert len(lines(result)) == 3
    assert result.stderr.count("No space left on device") == 3
