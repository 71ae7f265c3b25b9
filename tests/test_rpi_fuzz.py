"""What the listener reads from others, fuzzed for a few seconds, or for FUZZ_SECONDS."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import soundfile
from compiled import FLAGS, ROOT, compile_c, fresh_engine, run, tool  # noqa: F401  (an autouse fixture)
from listener_program import BOARD, lively_model
from reference import stimulus

from kws.model import header

SETTINGS = b"""\xef\xbb\xbf# mine\r
device = USB\r
channel = mix
gain = -3.5
words = word0, word1
threshold = word0=0.5
threshold=.25
depth=4
exec=/bin/true
exec-seconds = 1e1
gpio = 17,low
udp = [::1]:9
"""


def seeds(folder: Path, kind: str) -> None:
    if kind == "settings":
        (folder / "settings").write_bytes(SETTINGS)
        return
    for number, (rate, channels, subtype) in enumerate(
        [(16000, 1, "PCM_16"), (44100, 2, "PCM_24"), (8000, 1, "PCM_U8"), (48000, 3, "FLOAT"), (11025, 1, "PCM_32")]
    ):
        path = folder / f"{number}.wav"
        soundfile.write(path, stimulus(number, 300 * channels).reshape(-1, channels) / 32768, rate, subtype)


@pytest.mark.parametrize("kind", ["settings", "wav"])
def test_no_input_makes_it_crash(fresh_engine: Path, tmp_path: Path, kind: str) -> None:  # noqa: F811
    probe = run(
        [tool("clang"), "-fsanitize=fuzzer", "-x", "c", "-", "-o", tmp_path / "probe"],
        input="int LLVMFuzzerTestOneInput(void) { return 0; }",
    )
    if probe.returncode != 0:
        pytest.skip("clang has no libFuzzer (libclang-rt-dev)")
    header.export(lively_model(), tmp_path / "words.h")
    defines = ['-DKWS_MODEL_HEADER="words.h"', "-DKWS_MODEL=kws_words", "-DKWS_MODEL_STATE_SIZE=KWS_WORDS_STATE_SIZE"]
    defines += ["-DFUZZ_WAV"] if kind == "wav" else []
    # The resampler's tables would take most of the time under sanitizers; test_rpi_listener.py runs it under them.
    compile_c(["clang", *FLAGS, "-O2", "-c", BOARD / "resample.c", "-o", tmp_path / "resample.o"])
    others = [path for path in sorted(BOARD.glob("*.c")) if path.name not in ("main.c", "resample.c")]
    others.append(tmp_path / "resample.o")
    sanitize = ["-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    includes = ["-I", ROOT / "firmware/include", "-I", tmp_path]
    sources = [ROOT / "tests/c/fuzz_listener.c", *others, fresh_engine, f"-Wl,-rpath,{fresh_engine.parent}", "-lm"]
    compile_c(["clang", *FLAGS, *sanitize, *defines, *includes, *sources, "-o", tmp_path / "fuzz"])
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds(corpus, kind)
    seconds = int(os.environ.get("FUZZ_SECONDS", "4"))
    options = [
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-max_len=20000",
        "-close_fd_mask=2",
        "-print_final_stats=1",
    ]
    # -close_fd_mask hides what the listener says, and libFuzzer speaks on a copy of stderr.
    result = run([tmp_path / "fuzz", *options, f"-artifact_prefix={tmp_path}/", corpus])
    assert result.returncode == 0, result.stderr[-3000:]
    (runs,) = re.findall(r"stat::number_of_executed_units: (\d+)", result.stderr)
    print(f"{kind}: {runs} inputs in {seconds} s")
    assert int(runs) > 10
