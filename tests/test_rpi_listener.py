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
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from compiled import fresh_engine  # noqa: F401  (an autouse fixture)
from listener_program import Resampler, lively_model, resample_library, watched_listener
from reference import stimulus

import kws.model
from kws.engine import Engine, Stream
from kws.model.folded import FoldedModel

ALSA_FORMATS = {"u8": 1, "s16": 2, "s24": 6, "s32": 10, "float": 14, "s24_3": 32}


@pytest.fixture(scope="module")
def model(fresh_engine: Path) -> FoldedModel:  # noqa: F811
    return lively_model()


@pytest.fixture(scope="module")
def listener(fresh_engine: Path) -> Path:  # noqa: F811
    return watched_listener()


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
    # In either order: a threshold does not bring back a word that is not wanted.
    for order in (("--words", word, "--threshold", f"{other}=0"), ("--threshold", f"{other}=0", "--words", word)):
        assert lines(call(listener, *order, "--wav", path)) == expected
    settings.write_bytes(f"\ufeff# mine\r\nwords = {word}, {other}\r\n\r\nthreshold={other}=1\r\n".encode())
    assert lines(call(listener, "--settings", settings, "--wav", path)) == expected
    engine = Engine(model).stream()
    for name in model.class_names[: model.n_words]:
        engine.set_threshold(name, 0.3)
    low = [(e.word, float(f"{e.time:.3f}")) for e in engine.feed(second_of_silence(pcm))]
    assert [(e["word"], e["time"]) for e in lines(call(listener, "--threshold", 0.3, "--wav", path))] == low


def adjusted(model: FoldedModel, pcm: np.ndarray, file: Path, adjust: Callable[[Stream], object]) -> list[dict]:
    """What a stream hears of ``pcm`` and a second of silence once ``adjust`` has set it."""
    stream = Engine(model).stream()
    adjust(stream)
    return [
        {"file": str(file), "word": e.word, "time": float(f"{e.time:.3f}"), "score": float(f"{e.score:.4f}")}
        | {"depth": e.depth}
        for e in stream.feed(second_of_silence(pcm))
    ]


DECISIONS: dict[str, Callable[[Stream], object]] = {
    "--depth adaptive": lambda stream: stream.set_adaptive(),
    "--depth adaptive --wake 0.9": lambda stream: (stream.set_adaptive(), stream.set_wake(0.9)),
    "--wake 0": lambda stream: stream.set_wake(0.0),
    "--sensitivity 0.6": lambda stream: stream.set_sensitivity(0.6),
    "--sensitivity 0": lambda stream: stream.set_sensitivity(0.0),
    "--threshold 0.6 --sensitivity 0.4": lambda stream: (
        [stream.set_threshold(f"word{i}", 0.6) for i in range(3)],
        stream.set_sensitivity(0.4),
    ),
    "--threshold word0=0.3 --threshold 0.6": lambda stream: (
        [stream.set_threshold(f"word{i}", 0.6) for i in range(3)],
        stream.set_threshold("word0", 0.3),
    ),
    "--gate -20": lambda stream: stream.set_gate(-20.0),
    "--gate 0": lambda stream: stream.set_gate(0.0),
    "--release 0": lambda stream: stream.set_release(0.0),
    "--release 1 --refractory 0": lambda stream: (stream.set_release(1.0), stream.set_refractory(0.0)),
    "--refractory 0": lambda stream: stream.set_refractory(0.0),
    "--refractory 0.7": lambda stream: stream.set_refractory(0.7),
    "--refractory word0=0 --refractory 0.7": lambda stream: (
        stream.set_refractory(0.7),
        stream.set_refractory(0.0, "word0"),
    ),
    "--smoothing 5": lambda stream: stream.set_smoothing(5),
    "--depth 2 --gate -30 --release 0.9 --refractory 0.01": lambda stream: (
        stream.set_depth(2),
        stream.set_gate(-30.0),
        stream.set_release(0.9),
        stream.set_refractory(0.01),
    ),
}


@pytest.mark.parametrize("options", DECISIONS)
def test_a_setting_of_the_decision_is_the_streams(
    listener: Path, model: FoldedModel, tmp_path: Path, options: str
) -> None:
    pcm, path, settings = stimulus(8, 60000), tmp_path / "sound.wav", tmp_path / "kws.txt"
    pcm[20000:40000] //= 8  # so that a gate has something to do
    soundfile.write(path, pcm, 16000)
    expected = adjusted(model, pcm, path, DECISIONS[options])
    assert lines(call(listener, *options.split(), "--wav", path)) == expected
    pairs = options.split()
    settings.write_text("".join(f"{n[2:]} = {v}\n" for n, v in zip(pairs[::2], pairs[1::2], strict=True)))
    assert lines(call(listener, "--settings", settings, "--wav", path)) == expected
    changes = options not in ("--wake 0",)  # which means something to adaptive depth alone
    assert (expected != adjusted(model, pcm, path, lambda stream: None)) == changes


def test_a_word_has_a_sensitivity_of_its_own(listener: Path, model: FoldedModel, tmp_path: Path) -> None:
    pcm, path = stimulus(8, 60000), tmp_path / "sound.wav"
    soundfile.write(path, pcm, 16000)

    def moved(threshold: float, sensitivity: float) -> float:
        odds = threshold / (1 - threshold) * np.exp(8 * (0.5 - sensitivity))
        return float(odds / (1 + odds))

    for options, at in {
        "--sensitivity word0=0.4": (0.4, 0.5, 0.5),
        "--sensitivity 0.45 --sensitivity word1=0.6": (0.45, 0.6, 0.45),
        "--sensitivity word2=0.35 --sensitivity word1=0.5 --sensitivity 0.7": (0.7, 0.5, 0.35),
    }.items():
        limits = [moved(0.4, sensitivity) for sensitivity in at]
        expected = adjusted(
            model, pcm, path, lambda s, limits=limits: [s.set_threshold(f"word{i}", t) for i, t in enumerate(limits)]
        )
        assert lines(call(listener, *options.split(), "--wav", path)) == expected
        assert {e["word"] for e in expected} >= {"word0"}


def test_a_model_that_listens_adaptively_does_so(listener: Path, tmp_path: Path) -> None:
    model, path = lively_model(), tmp_path / "sound.wav"
    model.listen_delta, model.wake = 4, 0.5
    kws.model.save(model, tmp_path / "adaptive.kws")
    soundfile.write(path, stimulus(8, 40000), 16000)
    expected = adjusted(model, stimulus(8, 40000), path, lambda stream: None)
    assert lines(call(listener, "--model", tmp_path / "adaptive.kws", "--wav", path)) == expected
    assert expected != adjusted(model, stimulus(8, 40000), path, lambda stream: stream.set_depth(1))


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


def test_a_card_at_the_rate_that_is_asked_for(listener: Path, tmp_path: Path) -> None:
    env = card(tmp_path, stimulus(8, 40000)[:, None] / 32768, "s16", 44100)
    assert "16000" not in call(listener, "--rate", 44100, env=env).stderr
    with subprocess.Popen(
        [listener, "--rate", "48000"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {k: str(v) for k, v in env.items()},
    ) as process:
        assert process.stderr is not None
        assert "offers no sampling rate that this program converts" in process.stderr.readline()
        process.terminate()


def test_an_overrun_is_said_and_listening_begins_anew(listener: Path, model: FoldedModel, tmp_path: Path) -> None:
    pcm = np.tile(stimulus(8, 40000), 3)
    result = call(listener, env=card(tmp_path, pcm[:, None] / 32768, "s16", script="39900x 80100x"))
    expected = [event for part in np.split(pcm, [39900, 80100]) for event in heard(model, part)]
    # Times hold how long the listener took, which is another test's.
    assert [event | {"time": 0} for event in lines(result)] == [event | {"time": 0} for event in expected]
    assert "sound was lost: 2 overruns so far" in result.stderr


def test_time_goes_on_while_sound_is_lost(listener: Path, model: FoldedModel, tmp_path: Path) -> None:
    pcm = stimulus(8, 40000)
    result = call(listener, env=card(tmp_path, pcm[:, None] / 32768, "s16", script="900p"))
    found, expected = lines(result), heard(model, pcm[900:])
    assert [event["word"] for event in found] == [event["word"] for event in expected] and len(found) > 5
    shifts = [event["time"] - as_before["time"] for event, as_before in zip(found, expected, strict=True)]
    shifts = [round(shift, 3) for shift in shifts]  # times have three decimals
    assert min(shifts) >= 0.5 and max(shifts) - min(shifts) <= 0.0011


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
    assert "by signal" not in result.stderr  # the listener's own
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
    killed = script(tmp_path / "c", "kill -SEGV $$")
    assert "was ended by signal 11" in call(listener, "--exec", killed, "--wav", path).stderr
    absent = script(tmp_path / "d", "no-such-command")
    assert "ended with status 127" in call(listener, "--exec", absent, "--wav", path).stderr
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


class Server:
    """Takes connections one after another and keeps what each brings."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def accept(self) -> socket.socket:
        self.listening.settimeout(20)
        connection, _ = self.listening.accept()
        connection.settimeout(20)
        return connection


def read_lines(connection: socket.socket, count: int | None = None) -> list[str]:
    """``count`` lines, or all whole ones until the other side closes."""
    text = b""
    while count is None or text.count(b"\n") < count:
        part = connection.recv(65536 if count is None else 1)
        if not part:
            break
        text += part
    return text[: text.rindex(b"\n")].decode().splitlines()


def test_lines_over_a_connection(listener: Path, tmp_path: Path) -> None:
    path, server = tmp_path / "sound.wav", Server()
    soundfile.write(path, stimulus(8, 40000), 16000)
    with subprocess.Popen(
        [listener, "--tcp", f"127.0.0.1:{server.port}", "--wav", path], stdout=subprocess.PIPE, text=True
    ) as process:
        with server.accept() as connection:
            sent = read_lines(connection)
        assert process.stdout is not None
        assert sent == process.stdout.read().splitlines() and len(sent) > 5
        assert process.wait(20) == 0


def endless(tmp_path: Path) -> dict[str, object]:
    """A card that gives sound for a long time, and by far faster than a real one."""
    return card(tmp_path, np.tile(stimulus(8, 40000), 400)[:, None] / 32768, "s16")


def start(listener: Path, tmp_path: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    env = os.environ | {name: str(value) for name, value in endless(tmp_path).items()}
    with log.open("wb") as said, (tmp_path / "out").open("wb") as out:
        return subprocess.Popen([listener, "--tcp", f"127.0.0.1:{port}"], stdout=out, stderr=said, env=env)


def test_a_lost_connection_is_opened_again_and_no_line_comes_in_half(listener: Path, tmp_path: Path) -> None:
    server, log = Server(), tmp_path / "log"
    with start(listener, tmp_path, server.port, log) as process:
        with server.accept() as first:
            before = read_lines(first, 3)
        with server.accept() as second:
            after = read_lines(second, 3)
        process.terminate()
        assert process.wait(20) == 0
    printed = (tmp_path / "out").read_text().splitlines()
    assert printed[:3] == before
    start_again = printed.index(after[0])
    assert start_again >= 3 and printed[start_again : start_again + 3] == after
    said = log.read_text()
    assert said.count(f"connected to 127.0.0.1:{server.port}") >= 2 and "is lost: " in said


def test_nobody_there_at_first(listener: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    log = tmp_path / "log"
    with start(listener, tmp_path, port, log) as process:
        for _ in range(200):
            if "does not answer" in log.read_text():
                break
            time.sleep(0.05)
        server = socket.create_server(("127.0.0.1", port))
        server.settimeout(20)
        connection, _ = server.accept()
        with server, connection:
            connection.settimeout(20)
            found = read_lines(connection, 2)
            said = log.read_text()
        process.terminate()
        assert process.wait(20) == 0
    printed = (tmp_path / "out").read_text().splitlines()
    assert set(found) <= set(printed)  # the queue's, from before there was anybody, or later ones where it was full
    assert said.count("does not answer (Connection refused); trying again") == 1


def test_somebody_who_takes_nothing_holds_nothing_up(listener: Path, tmp_path: Path) -> None:
    path, server = tmp_path / "sound.wav", Server()
    server.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    soundfile.write(path, np.tile(stimulus(8, 40000), 250), 16000)
    with subprocess.Popen(
        [listener, "--refractory", "0", "--release", "1", "--tcp", f"127.0.0.1:{server.port}", "--wav", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        connection = server.accept()
        with connection:
            output, said = process.communicate(timeout=100)  # it ends, though nobody reads
            assert process.returncode == 0, said
            taken = read_lines(connection)
    printed = output.splitlines()
    assert sum(map(len, printed)) > 500_000, "so few that all of them may have gone into the kernel's buffers"
    later = iter(printed)  # the oldest made room: what came is whole, in order, and not all
    assert 5 < len(taken) < len(printed) and all(line in later for line in taken)


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
    ("--rate 44100.5", "8000 to 192000"),
    ("--rate 7999", "8000 to 192000"),
    ("--depth 3", "no such depth"),
    ("--depth 1.5", "no such depth"),
    ("--channel 0", "give 1 to 32"),
    ("--threshold 2", "number from 0 to 1"),
    ("--threshold nobody=0.5", "no such word"),
    ("--threshold x", "number from 0 to 1, or WORD=NUMBER"),
    ("--sensitivity 1.1", "number from 0 to 1"),
    ("--sensitivity word0=", "number from 0 to 1"),
    ("--sensitivity nobody=0.5", "no such word"),
    ("--depth adaptiv", "give one of 1, 2, 4, or adaptive"),
    ("--gate 1", "-100 to 0 decibels"),
    ("--gate x", "-100 to 0 decibels"),
    ("--release 1.5", "share of the threshold"),
    ("--wake -0.1", "a probability"),
    ("--refractory -1", "number from 0 to 3600"),
    ("--refractory word0=1h", "number from 0 to 3600, or WORD=NUMBER"),
    ("--refractory nobody=1", "no such word"),
    ("--smoothing 0", "number of windows, 1 to 16"),
    ("--smoothing 2.5", "number of windows, 1 to 16"),
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
        ("--tcp localhost:9", "tcp 'localhost:9' is no address"),
        ("--tcp 127.0.0.1:x", "is no address"),
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


def test_a_second_settings_file_is_refused(listener: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("device = studio mic\n")
    second.write_text("gain = 3\n")
    result = call(listener, "--settings", first, "--settings", second)
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert f"--settings {second}: give one settings file; {first} is one already" in result.stderr


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
    shown = call(listener, "--show-model").stdout
    assert f"words: {', '.join(model.class_names[: model.n_words])}\n" in shown and "depths: 1 2 4\n" in shown
