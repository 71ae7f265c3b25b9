"""kws-listener, firmware/boards/rpi: recordings, a sound card that a test invents, and everything it does at a word."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from compiled import ROOT, SANITIZE, fresh_engine  # noqa: F401  (an autouse fixture)
from listener_program import Resampler, build_listener, lively_model, resample_library
from reference import stimulus

from kws.engine import Engine
from kws.model.folded import FoldedModel

ALSA_FORMATS = {"u8": 1, "s16": 2, "s24": 6, "s32": 10, "float": 14, "s24_3": 32}


@pytest.fixture(scope="module")
def model(fresh_engine: Path) -> FoldedModel:  # noqa: F811
    return lively_model()


@pytest.fixture(scope="module")
def listener(model: FoldedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With sanitizers, and with the sound card and GPIO chip of fake_sound.h."""
    fake = ["-D_GNU_SOURCE=", "-include", ROOT / "tests/c/fake_sound.h", "-Wno-unused-function", "-Wno-unused-variable"]
    return build_listener(tmp_path_factory.mktemp("listener"), model, [*SANITIZE, *fake])


def call(
    listener: Path, *options: object, env: dict[str, object] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {name: str(value) for name, value in (env or {}).items()}
    command = [str(part) for part in (listener, *options)]
    return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=timeout, check=False)


def lines(result: subprocess.CompletedProcess[str]) -> list[dict]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def heard(
    model: FoldedModel, pcm: np.ndarray, depth: int = 1, file: Path | None = None, after: float = 0
) -> list[dict]:
    """What a fresh stream of the Python engine makes of it."""
    head = {} if file is None else {"file": str(file)}
    return [
        head
        | {
            "word": e.word,
            "time": float(f"{e.time + after:.3f}"),
            "score": float(f"{e.score:.4f}"),
            "depth": e.depth,
        }
        for e in Engine(model).stream(depth).feed(pcm)
    ]


def second_of_silence(pcm: np.ndarray) -> np.ndarray:
    return np.concatenate([pcm, np.zeros(16000, np.int16)])


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_recording_of_any_form_gives_the_events_of_the_stream(
    listener: Path, model: FoldedModel, tmp_path: Path, subtype: str, channels: int
) -> None:
    pcm, path = stimulus(8, 40000), tmp_path / "sound.wav"
    sound = pcm / 32768 if subtype == "FLOAT" else pcm
    soundfile.write(path, np.tile(sound[:, None], channels), 16000, subtype)
    expected = heard(model, second_of_silence(pcm), file=path)
    assert lines(call(listener, "--wav", path)) == expected and len(expected) > 5


def test_one_channel_of_many_and_gain(listener: Path, model: FoldedModel, tmp_path: Path) -> None:
    pcm, other, path = stimulus(8, 40000) // 4, stimulus(9, 40000), tmp_path / "sound.wav"
    soundfile.write(path, np.stack([other, pcm], 1), 16000)
    loud = heard(model, second_of_silence(4 * pcm), file=path)
    options = ["--channel", 2, "--gain", 20 * np.log10(4), "--wav", path]
    found = lines(call(listener, *options))
    # Ten to the power of a rounded exponent is not quite 4: a sample may round the other way.
    assert [(e["word"], e["time"]) for e in found] == [(e["word"], e["time"]) for e in loud]


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_another_rate_is_resampled(listener: Path, model: FoldedModel, tmp_path: Path, rate: int) -> None:
    # test_rpi_resample.py shows what the resampler is worth; here, that every sample takes this way.
    sound, path = stimulus(8, 80000), tmp_path / "sound.wav"
    soundfile.write(path, sound, rate)
    resampled = Resampler(resample_library(tmp_path), rate)(np.concatenate([sound / 32768, np.zeros(rate)]))
    expected = heard(model, resampled, file=path)
    assert lines(call(listener, "--wav", path)) == expected and len(expected) > 5


@pytest.mark.parametrize("depth", [2, 4])
def test_depth(listener: Path, model: FoldedModel, tmp_path: Path, depth: int) -> None:
    pcm, path = stimulus(8, 40000), tmp_path / "sound.wav"
    soundfile.write(path, pcm, 16000)
    expected = heard(model, second_of_silence(pcm), depth, path)
    assert lines(call(listener, "--depth", depth, "--wav", path)) == expected


def test_words_and_thresholds(listener: Path, model: FoldedModel, tmp_path: Path) -> None:
    pcm, path, settings = stimulus(8, 40000), tmp_path / "sound.wav", tmp_path / "kws.txt"
    soundfile.write(path, pcm, 16000)
    every = lines(call(listener, "--wav", path))
    word, other = [name for name in model.class_names if any(e["word"] == name for e in every)][:2]
    expected = [event for event in every if event["word"] == word]
    assert lines(call(listener, "--words", word, "--wav", path)) == expected
    assert lines(call(listener, "--threshold", f"{word}=1", "--words", word, "--wav", path)) == []
    settings.write_bytes(f"\ufeff# mine\r\nwords = {word}, {other}\r\n\r\nthreshold={other}=1\r\n".encode())
    assert lines(call(listener, "--settings", settings, "--wav", path)) == expected
    engine = Engine(model).stream()
    for name in model.class_names[: model.n_words]:
        engine.set_threshold(name, 0.3)
    low = [(e.word, float(f"{e.time:.3f}")) for e in engine.feed(second_of_silence(pcm))]
    assert [(e["word"], e["time"]) for e in lines(call(listener, "--threshold", 0.3, "--wav", path))] == low


def card(tmp_path: Path, frames: np.ndarray, form: str, rate: int = 16000, script: str = "") -> dict[str, object]:
    """The environment of a sound card that gives ``frames``, [n][channels] from -1 to 1."""
    path, full = tmp_path / "card.raw", np.asarray(frames)
    whole = np.round(full * 2**31).clip(-(2**31), 2**31 - 1).astype("<i4")
    raw = {
        "u8": lambda: ((whole >> 24) + 128).astype(np.uint8).tobytes(),
        "s16": lambda: (whole >> 16).astype("<i2").tobytes(),
        "s24": lambda: ((whole >> 8) & 0xFFFFFF | 0x5A000000).astype("<u4").tobytes(),  # the top byte means nothing
        "s24_3": lambda: whole.reshape(-1, 1).view(np.uint8)[:, 1:].tobytes(),
        "s32": lambda: whole.tobytes(),
        "float": lambda: full.astype("<f4").tobytes(),
    }[form]()
    path.write_bytes(raw)
    return {
        "FAKE_SOUND": path,
        "FAKE_FORMAT": ALSA_FORMATS[form],
        "FAKE_CHANNELS": full.shape[1],
        "FAKE_RATE": rate,
        "FAKE_SCRIPT": script,
    }


@pytest.mark.parametrize("form", ALSA_FORMATS)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_card_of_any_form(listener: Path, model: FoldedModel, tmp_path: Path, form: str, channels: int) -> None:
    pcm = stimulus(8, 40000)
    pcm = (pcm >> 8) << 8 if form == "u8" else pcm
    env = card(tmp_path, np.tile(pcm[:, None] / 32768, channels), form)
    result = call(listener, "--device", "studio mic", env=env)
    expected = heard(model, pcm)
    assert lines(result) == expected and len(expected) > 5
    plural = "s" if channels > 1 else ""
    assert f"listening on hw:1,0 Studio Mic, USB Audio: 16000 Hz, {channels} channel{plural}" in result.stderr


def test_a_card_at_another_rate(listener: Path, model: FoldedModel, tmp_path: Path) -> None:
    pcm, path = stimulus(8, 40000), tmp_path / "sound.wav"
    sound = soxr.resample(pcm / 32768, 16000, 48000, quality="VHQ").clip(-1, 1)
    soundfile.write(path, sound, 48000, "PCM_32")
    same = [e | {"file": str(path)} for e in lines(call(listener, env=card(tmp_path, sound[:, None], "s32", 48000)))]
    from_file = lines(call(listener, "--wav", path))
    assert same and same == from_file[: len(same)]


def test_an_overrun_is_said_and_listening_goes_on(listener: Path, model: FoldedModel, tmp_path: Path) -> None:
    pcm = stimulus(8, 40000)
    result = call(listener, env=card(tmp_path, pcm[:, None] / 32768, "s16", script="900x 20000x"))
    assert lines(result) == heard(model, pcm)
    assert "sound was lost: 2 overruns so far" in result.stderr


@pytest.mark.parametrize("what", ["g", "s"])
def test_a_microphone_that_goes_is_waited_for(listener: Path, model: FoldedModel, tmp_path: Path, what: str) -> None:
    # Longer than the wait itself, so that the clock of the log runs by sound and not by the fast fake's time.
    pcm = np.concatenate([stimulus(8, 40000)] * 8)
    gone = 300 * (len(pcm) * 3 // 4 // 300)
    result = call(listener, env=card(tmp_path, pcm[:, None] / 32768, "s16", script=f"{gone}{what}"))
    expected = heard(model, pcm[:gone]) + heard(model, pcm[gone:], after=gone / 16000)
    assert lines(result) == expected
    assert "is lost" in result.stderr and result.stderr.count("listening on") == 2
    assert ("waiting for a microphone" in result.stderr) == (what == "g")


def test_without_a_microphone_it_waits_until_it_is_ended(listener: Path) -> None:
    with subprocess.Popen([listener, "--device", "absent"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "no device that captures is called 'absent'" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_card_that_offers_nothing_usable_is_named(listener: Path, tmp_path: Path) -> None:
    env = card(tmp_path, np.zeros((4000, 1)), "s16", 47999)
    with subprocess.Popen(
        [listener], stderr=subprocess.PIPE, text=True, env=os.environ | {k: str(v) for k, v in env.items()}
    ) as process:
        assert process.stderr is not None
        assert "offers no sampling rate that this program converts" in process.stderr.readline()
        process.terminate()


def test_a_muted_microphone_is_mentioned_once(listener: Path, tmp_path: Path) -> None:
    result = call(listener, env=card(tmp_path, np.zeros((16000 * 12, 2)), "s16"))
    assert result.returncode == 0
    assert result.stderr.count("gives only digital silence") == 1


def test_the_list_shows_cards_in_use_too(listener: Path, tmp_path: Path) -> None:
    result = call(listener, "--list", env=card(tmp_path, np.zeros((1, 1)), "s16"))
    assert result.stdout.splitlines() == ["hw:0,0 (Device or resource busy)", "hw:1,0 Studio Mic, USB Audio"]
    nothing = call(listener, "--list")
    assert nothing.returncode == 1 and "no device captures" in nothing.stderr


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_program_is_told_of_every_word_that_comes_while_none_runs(
    listener: Path, model: FoldedModel, tmp_path: Path
) -> None:
    pcm, path, log = stimulus(8, 40000), tmp_path / "sound.wav", tmp_path / "log"
    soundfile.write(path, pcm, 16000)
    program = script(tmp_path / "act", f'echo "$KWS_WORD $KWS_TIME $KWS_SCORE $KWS_DEPTH" >> {log}; echo out; cat')
    result = call(listener, "--exec", program, "--wav", path)
    every = [f"{e['word']} {e['time']:.3f} {e['score']:.4f} {e['depth']}" for e in lines(result)]
    told = log.read_text().splitlines()
    dropped = re.findall("still runs: '(.*)' is not passed on", result.stderr)
    assert every[0] == told[0] and set(told) <= set(every)
    assert len(told) + len(dropped) == len(every)
    assert result.stderr.count("out\n") == len(told)  # its output is kept out of the JSON


def test_a_program_that_takes_too_long_is_ended_with_all_it_started(
    listener: Path, model: FoldedModel, tmp_path: Path
) -> None:
    path, pid = tmp_path / "sound.wav", tmp_path / "pid"
    soundfile.write(path, stimulus(8, 40000), 16000)
    program = script(tmp_path / "act", f"trap '' TERM; sleep 600 & echo $! > {pid}; wait; wait; sleep 600")
    result = call(listener, "--exec", program, "--exec-seconds", 0.2, "--wav", path)
    assert result.returncode == 0 and "takes longer than 0.2 s" in result.stderr
    for _ in range(100):
        state = Path(f"/proc/{pid.read_text().strip()}/stat")
        if not state.exists() or ") Z" in state.read_text():
            return
        time.sleep(0.05)
    pytest.fail("its child still runs")


def test_a_program_that_fails_is_reported(listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, stimulus(8, 40000), 16000)
    assert "ended with status 3" in call(listener, "--exec", script(tmp_path / "a", "exit 3"), "--wav", path).stderr
    odd = tmp_path / "b"
    odd.write_text("no program at all")
    odd.chmod(0o755)
    assert "cannot be run: Exec format error" in call(listener, "--exec", odd, "--wav", path).stderr  # and no shell


def test_datagrams(listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, stimulus(8, 40000), 16000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10)
        found = lines(call(listener, "--udp", f"127.0.0.1:{receiver.getsockname()[1]}", "--wav", path))
        assert [json.loads(receiver.recv(65536)) for _ in found] == found


def test_a_led_goes_on_at_a_word_and_off_again(listener: Path, tmp_path: Path) -> None:
    env = card(tmp_path, stimulus(8, 40000)[:, None] / 32768, "s16")
    result = call(listener, "--gpio", "17", "--gpio-seconds", 0.01, env=env)
    assert result.returncode == 0
    said = [line for line in result.stderr.splitlines() if line.startswith("gpio: ")]
    assert said[0] == "gpio: line 17 of 1, flags 8"  # GPIO_V2_LINE_FLAG_OUTPUT
    assert said[1] == "gpio: 1" and said[-1] == "gpio: 0" and len(said) >= 3
    assert "flags a" in call(listener, "--gpio", "3:5,low", env=env).stderr  # and ACTIVE_LOW


def test_systemd_is_told(listener: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        env = card(tmp_path, stimulus(8, 40000)[:, None] / 32768, "s16")
        env |= {"NOTIFY_SOCKET": tmp_path / "notify", "WATCHDOG_USEC": 30000}
        assert call(listener, env=env).returncode == 0
        systemd.setblocking(False)
        messages = []
        try:
            while True:
                messages.append(systemd.recv(4096).decode())
        except BlockingIOError:
            pass
    assert messages[0] == "READY=1\nSTATUS=Listening on hw:1,0 Studio Mic, USB Audio"
    assert "WATCHDOG=1" in messages and messages[-1] == "STOPPING=1"


def test_a_watchdog_is_told_of_an_orderly_end(listener: Path, tmp_path: Path) -> None:
    dog, path = tmp_path / "watchdog", tmp_path / "sound.wav"
    dog.touch()
    soundfile.write(path, stimulus(8, 4000), 16000)
    assert call(listener, "--watchdog", dog, "--wav", path).returncode == 0
    assert dog.read_bytes() == b"V"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_becomes_an_ordinary_user_for_good(listener: Path, open_folder: Path) -> None:
    path, out = open_folder / "sound.wav", open_folder / "out"
    out.touch()
    out.chmod(0o666)
    soundfile.write(path, stimulus(8, 40000), 16000)
    path.chmod(0o644)
    program = script(open_folder / "act", f"id -un >> {out}; grep NoNewPrivs /proc/self/status >> {out}")
    result = call(listener, "--user", "nobody", "--exec", program, "--wav", path)
    assert result.returncode == 0, result.stderr
    assert out.read_text().splitlines()[:2] == ["nobody", "NoNewPrivs:\t1"]
    missing = call(listener, "--user", "no-such-user", "--wav", path)
    assert missing.returncode == 1 and "is not in /etc/passwd" in missing.stderr


def test_output_that_nobody_reads_ends_it(listener: Path, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, stimulus(8, 40000), 16000)
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run([listener, "--wav", path], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert result.returncode == 1 and result.stderr.count("nobody reads the output") == 1


BAD_OPTIONS = [
    ("--gain x", "gain x: give"),
    ("--gain 61", "give -60 to 60"),
    ("--gain nan", "give -60 to 60"),
    ("--depth 3", "no such depth"),
    ("--depth 1.5", "no such depth"),
    ("--channel 0", "give 1 to 32"),
    ("--threshold 2", "score from 0 to 1"),
    ("--threshold nobody=0.5", "no such word"),
    ("--words nobody", "does not know 'nobody'"),
    ("--words ,", "does not know ''"),
    ("--exec ls", "whole path"),
    ("--exec /no/such", "whole path"),
    ("--exec-seconds 0", "0.01 to 3600"),
    ("--colour red", "no setting 'colour'"),
    ("--gain", "without its value"),
    ("sound.wav", "no option"),
    ("--settings /no/such", "No such file"),
]


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS)
def test_bad_options_are_one_clear_line(listener: Path, options: str, message: str) -> None:
    result = call(listener, *options.split())
    assert result.returncode == 2 and message in result.stderr and not result.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--gpio x", "is no line"),
        ("--gpio 1:", "is no line"),
        ("--gpio 17,high", "is no line"),
        ("--gpio 9999", "is no line"),
        ("--udp localhost:9", "is no address"),
        ("--udp 127.0.0.1", "is no address"),
        ("--udp 127.0.0.1:0", "is no address"),
        ("--udp 127.0.0.1:65536", "is no address"),
        ("--udp :9", "is no address"),
        ("--udp []:9", "is no address"),
        ("--watchdog /no/such", "No such file"),
    ],
)
def test_what_cannot_be_opened_is_one_clear_line(listener: Path, options: str, message: str) -> None:
    result = call(listener, *options.split())
    assert result.returncode == 1 and message in result.stderr and result.stderr.count("\n") == 1


def test_a_bad_line_of_settings_is_left_out_and_said(listener: Path, model: FoldedModel, tmp_path: Path) -> None:
    settings, path = tmp_path / "kws.txt", tmp_path / "sound.wav"
    soundfile.write(path, stimulus(8, 40000), 16000)
    settings.write_text(f"gain = loud\n\nnonsense\ncolour=red\nwav = {path}\nwords=\n")
    result = call(listener, "--settings", settings)
    assert lines(result) == lines(call(listener, "--wav", path))
    assert [f"line {n} is left out" in result.stderr for n in range(1, 7)] == [True, False, True, True, False, True]


@pytest.mark.parametrize("content", [b"gain = 1\0\n", b"#" * 20000], ids=["binary", "too long"])
def test_a_file_that_is_no_settings(listener: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kws.txt"
    path.write_bytes(content)
    result = call(listener, "--settings", path)
    assert result.returncode == 2 and "is no settings file" in result.stderr


def wav(tag: int = 1, channels: int = 1, rate: int = 16000, bits: int = 16, size: int = 400) -> bytes:
    form = struct.pack("<HHIIHH", tag, channels, rate, 0, 0, bits)
    return b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + bytes(400)


BAD_WAVS = {
    "law": (wav(tag=7, bits=8), "form that this program does not read"),
    "twelve bits": (wav(bits=12), "form that this program does not read"),
    "no channel": (wav(channels=0), "too many channels or none"),
    "33 channels": (wav(channels=33), "too many channels or none"),
    "odd rate": (wav(rate=47999), "resample it to 16000 Hz"),
    "no rate": (wav(rate=0), "resample it to 16000 Hz"),
    "cut": (wav(size=402), "ends before its sound does"),
    "half": (wav(size=399), "in the middle of a sample"),
    "empty": (b"", "not a WAV file"),
}


@pytest.mark.parametrize("name", BAD_WAVS)
def test_a_bad_recording_is_one_clear_line(listener: Path, tmp_path: Path, name: str) -> None:
    content, message = BAD_WAVS[name]
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    result = call(listener, "--wav", path)
    assert result.returncode == 1 and message in result.stderr and result.stderr.count("\n") == 1


def test_help_and_model(listener: Path, model: FoldedModel) -> None:
    assert "--threshold SCORE" in call(listener, "--help").stdout
    shown = call(listener, "--model").stdout
    assert f"words: {', '.join(model.class_names[: model.n_words])}\n" in shown and "depths: 1 2 4\n" in shown
