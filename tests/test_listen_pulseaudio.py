"""The whole microphone path without hardware: a PulseAudio server of the test's own, whose null sink is the microphone.

What is played into the sink comes out of its monitor, through ALSA and PortAudio, at the device's rate of 44.1 kHz in
stereo, as from a sound card. Skips where PulseAudio, its ALSA plugin or PortAudio is missing.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from random_model import random_model

from kws.model import save

RECORDINGS = Path(__file__).with_name("recordings")
TOOLS = ("pulseaudio", "pactl", "paplay")
READY = "Listening on"

RECORD = """
import sys, numpy
from kws.listen import microphone
chunks, got = microphone.chunks(microphone.choose("pulse")), []
for chunk in chunks:
    if not got:
        print("Listening on", file=sys.stderr, flush=True)
    got.append(chunk)
    if sum(map(len, got)) > 4 * 16000:
        break
chunks.close()
numpy.save(sys.argv[1], numpy.concatenate(got))
"""


pytestmark = pytest.mark.slow


@pytest.fixture
def server():
    """A running server; stopped afterwards."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    # Not pytest's own folder: the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="kws"))
    env = os.environ | {name: str(folder) for name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH")}
    env |= {"PULSE_SERVER": f"unix:{folder}/native", "COLUMNS": "200"}
    modules = (
        f"module-native-protocol-unix socket={folder}/native",
        "module-null-sink sink_name=spk rate=16000 channels=1 format=s16le",
    )
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    for module in modules:
        command += ["-L", module]
    server = Server(command, env, folder / "log")
    try:
        if not server.start():
            pytest.skip(f"no PulseAudio server can be started here: {(folder / 'log').read_text()[-300:]}")
        listed = kws(env, "devices", "--json")
        if '"pulse"' not in listed.stdout:
            pytest.skip(f"PortAudio does not see PulseAudio here: {listed.stdout}{listed.stderr}")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """A PulseAudio server that can be stopped and started again."""

    def __init__(self, command, env, log):
        self.command, self.env, self.log = command, env, log

    def start(self):
        """Whether it answers."""
        with self.log.open("w") as log:
            self.process = subprocess.Popen(self.command, env=self.env, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], env=self.env, capture_output=True, timeout=10, check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10)


def kws(env, *arguments):
    """Runs the command to its end."""
    command = [sys.executable, "-m", "kws", *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def start(env, *arguments):
    """Starts Python and returns it once its microphone delivers."""
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The test may itself run where Ctrl-C is ignored; the listener must not inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    line = process.stderr.readline()
    assert READY in line, line + process.stderr.read()
    return process


def speech_like(seconds):
    """A sweep of tones in the voice's band with a pulse of noise, int16 [n] at 16 kHz, silent at both ends."""
    t = np.arange(int(seconds * 16000)) / 16000
    sweep = np.sin(2 * np.pi * (200 * t + 900 * t**2))
    noise = np.random.default_rng(5).normal(0, 0.2, len(t)) * (np.abs(t - seconds / 2) < 0.1)
    sound = 9000 * (sweep + noise) * np.hanning(len(t))
    return np.concatenate([np.zeros(4800), sound, np.zeros(4800)]).astype(np.int16)


def play(env, path):
    subprocess.run(["paplay", str(path)], env=env, check=True, timeout=30, capture_output=True)


def test_what_is_played_arrives(server, tmp_path):
    env = server.env
    sound = speech_like(1.5)
    soundfile.write(tmp_path / "sound.wav", sound, 16000)
    recorder = start(env, "-c", RECORD, tmp_path / "got.npy")
    play(env, tmp_path / "sound.wav")
    _, errors = recorder.communicate(timeout=30)
    assert recorder.returncode == 0, errors
    got = np.load(tmp_path / "got.npy").astype(np.float64)
    wanted = sound.astype(np.float64)
    correlation = np.correlate(got, wanted, "valid")
    at = int(correlation.argmax())
    heard = got[at : at + len(wanted)]
    alike = correlation[at] / np.sqrt(np.sum(heard**2) * np.sum(wanted**2))
    # Resampled twice on the way, to 44.1 kHz by the server and back here, each time a fraction of a sample late.
    assert alike > 0.98
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(np.sqrt(np.mean(wanted**2)), rel=0.1)


@pytest.fixture
def model(tmp_path):
    """A random model that hears something in everything."""
    model = random_model(1)
    model.word_threshold[:] = 0.05
    save(model, tmp_path / "model.kws")
    return tmp_path / "model.kws"


def test_listen_prints_detections_and_ctrl_c_stops_it(server, model, tmp_path):
    env = server.env
    soundfile.write(tmp_path / "sound.wav", speech_like(2.0), 16000)
    listener = start(env, "-m", "kws", "listen", "--json", "--device", "pulse", "--model", model)
    play(env, tmp_path / "sound.wav")
    time.sleep(0.5)
    listener.send_signal(signal.SIGINT)
    output, errors = listener.communicate(timeout=30)
    assert listener.returncode == 0, errors
    assert "Traceback" not in errors
    found = [json.loads(line) for line in output.splitlines()]
    assert found
    assert all(list(one) == ["word", "time", "score", "depth"] for one in found)


@pytest.fixture
def words(tmp_path):
    """A recording of "yes" and "stop" in a quiet room, and what `kws listen` hears in it."""
    rng = np.random.default_rng(3)
    clips = [soundfile.read(RECORDINGS / f"{name}.flac", dtype="int16")[0] for name in ("yes", "stop", "yes")]
    parts = [part for clip in clips for part in (rng.normal(0, 20, 16000), clip + rng.normal(0, 20, len(clip)))]
    # The quiet at the end is the second that `kws listen` lets follow a file.
    soundfile.write(tmp_path / "words.wav", np.rint(np.concatenate(parts)).astype(np.int16), 16000)
    listed = kws(os.environ, "listen", tmp_path / "words.wav", "--json")
    heard = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [one["word"] for one in heard] == ["yes", "stop", "yes"]
    return tmp_path / "words.wav", heard


def check_same(live, filed):
    """The same words, as far apart, at scores that two resamplers and another place between windows leave alike."""
    assert [one["word"] for one in live] == [one["word"] for one in filed]
    for one, other in zip(live, filed, strict=True):
        assert one["time"] - live[0]["time"] == pytest.approx(other["time"] - filed[0]["time"], abs=0.26)
        assert one["score"] == pytest.approx(other["score"], abs=0.25)


def test_the_microphone_hears_the_words_of_the_file(server, words):
    recording, filed = words
    listener = start(server.env, "-m", "kws", "listen", "--json", "--device", "pulse")
    play(server.env, recording)
    time.sleep(1.5)
    listener.send_signal(signal.SIGINT)
    output, errors = listener.communicate(timeout=30)
    assert listener.returncode == 0, errors
    check_same([json.loads(line) for line in output.splitlines()], filed)


def test_the_page_hears_the_words_of_the_file(server, words):
    recording, filed = words
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    command = [sys.executable, "-m", "kws", "listen", "--device", "pulse"]
    listener = subprocess.Popen(
        command,
        env=server.env | {"TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    os.close(terminal)
    output = until(master, b"Listening on pulse")
    # The terminal has to be read meanwhile: a page that nobody takes waits.
    player = subprocess.Popen(["paplay", str(recording)], env=server.env)
    output += until_ended(master, player)
    output += read(master, 1.5)
    listener.send_signal(signal.SIGINT)
    output += read(master, 30.0)
    assert listener.wait(timeout=30) == 0, output
    screen, _, left = output.rpartition(b"\x1b[?1049l")
    assert screen.startswith(b"\x1b[?1049h")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", left.decode())
    rows = re.findall(r"(\w+) +(\d+\.\d+) s   score (\d\.\d\d)   depth \d", plain)
    check_same([{"word": row[0], "time": float(row[1]), "score": float(row[2])} for row in rows], filed)


def read(master, seconds):
    """What a terminal is sent for so long, or until its program has gone."""
    output, deadline = b"", time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([master], [], [], left)[0]:
            try:
                output += os.read(master, 65536)
            except OSError:  # the program has gone
                break
    return output


def until_ended(master, process):
    """What a terminal is sent until ``process`` has ended."""
    output, deadline = b"", time.monotonic() + 60
    while process.poll() is None:
        assert time.monotonic() < deadline, output
        output += read(master, 0.1)
    assert process.returncode == 0
    return output


def until(master, text):
    """What a terminal is sent until ``text`` was."""
    output, deadline = b"", time.monotonic() + 60
    while text not in output:
        assert time.monotonic() < deadline, output
        output += read(master, 0.2)
    return output


def test_a_server_that_goes_away_and_comes_back_is_heard_again(server, words):
    recording, filed = words
    listener = start(server.env, "-m", "kws", "listen", "--json", "--device", "pulse")
    try:
        server.stop()
        assert "Waiting for it" in next(line for line in listener.stderr if "Input device 'pulse'" in line)
        assert server.start()
        assert any(READY in line for line in listener.stderr)
        play(server.env, recording)
        time.sleep(1.5)
    finally:
        listener.send_signal(signal.SIGINT)
    output, errors = listener.communicate(timeout=30)
    assert listener.returncode == 0, errors
    assert "Traceback" not in errors
    live = [json.loads(line) for line in output.splitlines()]
    check_same(live, filed)
    assert live[0]["time"] > filed[0]["time"] + 1.0  # time went on while it was away


def test_a_server_that_goes_away_ends_the_listener_with_a_sentence_where_none_waits(server, model):
    command = ["-m", "kws", "listen", "--json", "--no-reconnect", "--device", "pulse", "--model", model]
    listener = start(server.env, *command)
    server.stop()
    _, errors = listener.communicate(timeout=60)
    assert listener.returncode == 1, errors
    assert "Traceback" not in errors
    assert "Input device 'pulse'" in errors.splitlines()[-1]
