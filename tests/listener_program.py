"""Compiles kws-listener, firmware/boards/rpi, and its resampler, for the tests that run them."""

from __future__ import annotations

import atexit
import ctypes
import functools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from compiled import FLAGS, ROOT, SANITIZE, STRICT, compile_c, shared_library, tool
from random_model import random_model
from reference import liven

from kws.features import Preset
from kws.model import header
from kws.model.folded import FoldedModel

PRESET = Preset("listen", n_fft=256, hop=96, n_mels=8, frames=12)
BOARD = ROOT / "firmware/boards/rpi"
BLOCK, MAX_OUT = 1024, 2050  # RESAMPLE_BLOCK, RESAMPLE_MAX_OUT


def lively_model() -> FoldedModel:
    """A small model of random weights that hears something in most sounds."""
    model = random_model(4, n_classes=5, channels=64, hidden=64, n_blocks=4, preset=PRESET)
    model.hop_frames, model.smoothing, model.refractory = 3, 2, 2000
    liven(model, 4)
    model.word_threshold[:] = 0.4
    return model


def build_listener(folder: Path, model: FoldedModel, flags: Sequence[str | Path]) -> Path:
    """The listener with ``model`` compiled in, on the shared engine that every test uses."""
    header.export(model, folder / "words.h")
    program, engine = folder / "kws-listener", shared_library()
    defines = ['-DKWS_MODEL_HEADER="words.h"', "-DKWS_MODEL=kws_words", "-DKWS_MODEL_STATE_SIZE=KWS_WORDS_STATE_SIZE"]
    command = [tool("cc"), *FLAGS, *STRICT, *defines, *flags, "-I", ROOT / "firmware/include", "-I", folder]
    compile_c([*command, *sorted(BOARD.glob("*.c")), engine, f"-Wl,-rpath,{engine.parent}", "-lm", "-o", program])
    return program


@functools.cache
def watched_listener() -> Path:
    """One with ``lively_model`` for the whole run, with sanitizers, and sound card and GPIO chip of fake_sound.h."""
    folder = tempfile.mkdtemp(prefix="kws-listener-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    fake = ["-D_GNU_SOURCE=", "-include", ROOT / "tests/c/fake_sound.h", "-Wno-unused-function", "-Wno-unused-variable"]
    return build_listener(Path(folder), lively_model(), [*SANITIZE, *fake])


def resample_library(folder: Path) -> ctypes.CDLL:
    """resample.c as a shared library."""
    path = folder / "resample.so"
    source = BOARD / "resample.c"
    compile_c([tool("cc"), *FLAGS, *STRICT, "-O3", "-shared", "-fPIC", source, "-lm", "-o", path])
    library = ctypes.CDLL(str(path))
    library.resample.restype = ctypes.c_size_t
    library.resample.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    return library


class Resampler:
    """A resampler_t in memory of its own (more than it needs)."""

    def __init__(self, library: ctypes.CDLL, rate: int, out: int = 16000) -> None:
        self.library, self.memory = library, ctypes.create_string_buffer(1 << 20)
        self.fits = bool(library.resampler_init(self.memory, rate, out))
        assert self.fits == bool(library.resampler_fits(rate, out))

    def __call__(self, sound: np.ndarray, chunk: int = BLOCK) -> np.ndarray:
        sound, parts = np.ascontiguousarray(sound, np.float32), []
        for start in range(0, len(sound), chunk):
            part, made = sound[start : start + chunk], np.empty(MAX_OUT, np.int16)
            n = self.library.resample(self.memory, part.ctypes.data, len(part), made.ctypes.data)
            assert n <= MAX_OUT
            parts.append(made[:n])
        return np.concatenate(parts)
