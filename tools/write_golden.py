"""Writes the golden vectors of the engine: tests/golden/engine.kws and engine.npz.

    PYTHONPATH=.:tests python tools/write_golden.py

Run it only when the definition of the arithmetic changes on purpose: until then, every compiler, processor and kernel
must reproduce these bits. Logits come from the numpy reference and events from the Python simulation of the decision,
both in tests/reference.py; features come from the portable C engine, whose operations IEEE 754 fixes to the bit.

engine.npz: pcm int16 [n]; features float32 [n_mels, frames] and logits_<delta> float32 [n_classes] of its first window;
events_<delta> float64 [k, 3], rows of sample, word, score.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from compiled import ROOT, build_library
from numpy.typing import NDArray
from random_model import random_model
from reference import Simulation, liven, network, stimulus

from kws.engine import Engine
from kws.features import Preset
from kws.model import save
from kws.model.folded import FoldedModel

FOLDER = ROOT / "tests/golden"
PRESET = Preset("golden", n_fft=512, hop=160, n_mels=16, frames=16)


def golden_model() -> FoldedModel:
    """A small model whose stream has many events."""
    model = random_model(7, n_classes=5, channels=64, hidden=128, n_blocks=2, preset=PRESET, deltas=(1, 2))
    model.name = "golden"
    model.hop_frames, model.smoothing, model.refractory = 2, 2, 1600
    model.word_threshold[:] = 0.4
    liven(model, 7)
    return model


def vectors(model: FoldedModel) -> dict[str, NDArray]:
    """Everything in engine.npz."""
    engine = Engine(model, isa="portable")
    pcm = stimulus(7, 12000)
    window = pcm[: engine.window_samples]
    found: dict[str, NDArray] = {"pcm": pcm, "features": engine.features(window)}
    for delta in model.deltas:
        found[f"logits_{delta}"] = network(model, found["features"], delta)[0]
        simulation = Simulation(engine)
        simulation.delta = delta
        found[f"events_{delta}"] = np.array([event[:3] for event in simulation.feed(pcm)], np.float64)
    return found


def main() -> None:
    """Builds the engine, computes the vectors and writes both files."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KWS_ENGINE_LIBRARY"] = str(build_library(Path(folder)))
        model = golden_model()
        FOLDER.mkdir(exist_ok=True)
        save(model, FOLDER / "engine.kws")
        np.savez_compressed(FOLDER / "engine.npz", **vectors(model))
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
