"""What the listener reads from others, fuzzed for a few seconds, or for FUZZ_SECONDS.

FUZZ_MODEL is the model inside meanwhile, such as kws12, in place of a small one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import soundfile
from compiled import FLAGS, ROOT, compile_c, fresh_engine, run, tool  # noqa: F401  (an autouse fixture)
from listener_program import BOARD, PRESET, lively_model
from random_model import random_model
from reference import stimulus

import kws.model
from kws.model import file, header

SETTINGS = b"""\xef\xbb\xbf# mine\r
device = USB\r
channel = mix
gain = -3.5
words = word0, word1
threshold = word0=0.5
threshold=.25
sensitivity = word1=0.75
sensitivity=0
depth=4
depth = adaptive
gate = -50
release=.5
wake=0.1
refractory = 2
refractory=word0=.5
smoothing = 4
model = other.kws
exec=/bin/true
exec-seconds = 1e1
gpio = 17,low
udp = [::1]:9
tcp = 127.0.0.1:9
"""

KEYS = (
    "name class_names n_words planes channels hidden hop_frames smoothing refractory release gate wake listen_delta "
    "preset n_blocks depths stream_bits checkpoint_sha256 provenance arrays delta blocks dtype shape offset "
    "sample_rate n_fft hop n_mels frames scale float32 int16 int8 uint16 uint64 word_threshold class_weight"
)


def seeds(folder: Path, kind: str) -> None:
    if kind == "settings":
        (folder / "settings").write_bytes(SETTINGS)
        return
    if kind == "model":
        for planes, classes in ((1, 3), (2, 2)):
            small = random_model(planes, classes, 64, 64, 2, PRESET, deltas=(1, 2), planes=planes)
            small.provenance, small.checkpoint_sha256 = {}, ""
            file.save(small, folder / f"{planes}.kws")
        return
    for number, (rate, channels, subtype) in enumerate(
        [(16000, 1, "PCM_16"), (44100, 2, "PCM_24"), (8000, 1, "PCM_U8"), (48000, 3, "FLOAT"), (11025, 1, "PCM_32")]
    ):
        path = folder / f"{number}.wav"
        soundfile.write(path, stimulus(number, 300 * channels).reshape(-1, channels) / 32768, rate, subtype)


@pytest.mark.parametrize("kind", ["settings", "wav", "model"])
def test_no_input_makes_it_crash(fresh_engine: Path, tmp_path: Path, kind: str) -> None:  # noqa: F811
    probe = run(
        [tool("clang"), "-fsanitize=fuzzer", "-x", "c", "-", "-o", tmp_path / "probe"],
        input="int LLVMFuzzerTestOneInput(void) { return 0; }",
    )
    if probe.returncode != 0:
        pytest.skip("clang has no libFuzzer (libclang-rt-dev)")
    inside = os.environ.get("FUZZ_MODEL")
    header.export(kws.model.load(inside) if inside and kind != "model" else lively_model(), tmp_path / "words.h")
    defines = ['-DKWS_MODEL_HEADER="words.h"', "-DKWS_MODEL=kws_words", "-DKWS_MODEL_STATE_SIZE=KWS_WORDS_STATE_SIZE"]
    defines += ["-DFUZZ_WAV"] if kind == "wav" else []
    source = f"tests/c/fuzz_{'model' if kind == 'model' else 'listener'}.c"
    left_out = ("main.c", "resample.c", *(["model_file.c"] if kind == "model" else []))
    # The resampler's tables would take most of the time under sanitizers; test_rpi_listener.py runs it under them.
    compile_c(["clang", *FLAGS, "-O2", "-c", BOARD / "resample.c", "-o", tmp_path / "resample.o"])
    others = [path for path in sorted(BOARD.glob("*.c")) if path.name not in left_out]
    others.append(tmp_path / "resample.o")
    sanitize = ["-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    includes = ["-I", ROOT / "firmware/include", "-I", tmp_path]
    sources = [ROOT / source, *others, fresh_engine, f"-Wl,-rpath,{fresh_engine.parent}", "-lm"]
    compile_c(["clang", *FLAGS, *sanitize, *defines, *includes, *sources, "-o", tmp_path / "fuzz"])
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds(corpus, kind)
    seconds = int(os.environ.get("FUZZ_SECONDS", "4"))
    options = [
        f"-max_total_time={seconds}",
        "-timeout=20",
        f"-max_len={65536 if kind == 'model' else 20000}",
        "-close_fd_mask=2",
        "-print_final_stats=1",
    ]
    if kind == "model":
        (tmp_path / "keys").write_text("".join(f'"\\"{key}\\""\n' for key in KEYS.split()))
        options.append(f"-dict={tmp_path}/keys")
    # -close_fd_mask hides what the listener says, and libFuzzer speaks on a copy of stderr.
    result = run([tmp_path / "fuzz", *options, f"-artifact_prefix={tmp_path}/", corpus])
    assert result.returncode == 0, result.stderr[-3000:]
    (runs,) = re.findall(r"stat::number_of_executed_units: (\d+)", result.stderr)
    print(f"{kind}: {runs} inputs in {seconds} s")
    assert int(runs) > 10
