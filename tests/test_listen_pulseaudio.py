"""The whole microphone path without hardware: a PulseAudio server of the test's own, whose null sink is the microphone.

What is played into the sink comes out of its monitor, through ALSA and PortAudio, at the device's rate of 44.1 kHz in
stereo, as from a sound card. Skips where PulseAudio, its ALSA plugin or PortAudio is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from random_model import random_model

from kws.model import save

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
    """The environment and the process of a running server; stopped afterwards."""
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
    log = (folder / "log").open("w")
    process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], env=env, capture_output=True, timeout=10, check=False).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"no PulseAudio server can be started here: {(folder / 'log').read_text()[-300:]}")
            time.sleep(0.1)
        listed = kws(env, "devices", "--json")
        if '"pulse"' not in listed.stdout:
            pytest.skip(f"PortAudio does not see PulseAudio here: {listed.stdout}{listed.stderr}")
        yield env, process
    finally:
        process.terminate()
        process.wait(timeout=10)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


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
    env, _ = server
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
    env, _ = server
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


def test_a_server_that_goes_away_ends_the_listener_with_a_sentence(server, model):
    env, process = server
    listener = start(env, "-m", "kws", "listen", "--json", "--device", "pulse", "--model", model)
    process.terminate()
    _, errors = listener.communicate(timeout=60)
    assert listener.returncode == 1, errors
    assert "Traceback" not in errors
    assert "Input device 'pulse'" in errors.splitlines()[-1]
