"""`kws bench`: the engine on this machine, each set of kernels at each depth, and other engines with the same topology.

Everything runs on one thread, in turn (see ``timing``), and is called through Python; the C functions are called with
arguments made beforehand, so that little but C is timed.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import kws
from kws.bench import peers
from kws.bench.graph import Shape
from kws.bench.timing import Timing, in_turn
from kws.engine import library, structs
from kws.engine.engine import ISAS
from kws.errors import KwsError
from kws.model.folded import FoldedModel

AUDIO_SECONDS = 2
"""Length of the sound that one timed call feeds to a stream."""


@dataclass
class Bench:
    """What was measured.

    Attributes:
        model: its name.
        sets: by set of kernels, fastest first: timings by what was timed.
        peers: by peer, then delta: an inference.
        versions: of the peers.
        missing: peers that could not run, and why.
        passes: by delta, how many blocks run.
        rounds: turns that each had.
    """

    model: str
    passes: dict[int, int]
    frames: int
    sets: dict[str, dict[str, Timing]] = field(default_factory=dict)
    peers: dict[str, dict[int, Timing]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    rounds: int = 0

    @property
    def fastest(self) -> str:
        """The set of kernels whose inference at the first depth is the shortest."""
        return min(self.sets, key=lambda isa: self.sets[isa][f"network {next(iter(self.passes))}"].median)

    def ratio(self, peer: str, delta: int) -> float:
        """How many of our inferences fit into one of the peer's."""
        return self.peers[peer][delta].median / self.sets[self.fastest][f"network {delta}"].median

    def stages(self, isa: str) -> dict[str, float]:
        """Seconds of parts that depths with different numbers of blocks tell apart; none with a single depth.

        Returns:
            ``block``: one block; ``around``: quantization, convolutions, linear layer and classifier together.
        """
        timings = self.sets[isa]
        most, least = max(self.passes, key=self.passes.__getitem__), min(self.passes, key=self.passes.__getitem__)
        blocks = self.passes[most] - self.passes[least]
        if not blocks:
            return {}
        shallow = timings[f"network {least}"].median
        block = (timings[f"network {most}"].median - shallow) / blocks
        return {"around": shallow - self.passes[least] * block, "block": block}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        sets: dict[str, Any] = {}
        for isa, timings in self.sets.items():
            sets[isa] = {
                "frame": timings["frame"].as_dict(),
                "window": {str(delta): timings[f"network {delta}"].as_dict() for delta in self.passes},
                "second": {str(delta): timings[f"second {delta}"].as_dict() for delta in self.passes},
                "stages": {f"{name}_us": round(1e6 * value, 3) for name, value in self.stages(isa).items()},
            }
        found = {
            peer: {
                "version": self.versions[peer],
                "window": {str(delta): timing.as_dict() for delta, timing in timings.items()},
                "ratio": {str(delta): round(self.ratio(peer, delta), 2) for delta in timings},
            }
            for peer, timings in self.peers.items()
        }
        return {
            "kws": kws.__version__,
            "processor": processor(),
            "model": self.model,
            "rounds": self.rounds,
            "fastest": self.fastest,
            "sets": sets,
            "peers": found,
            "missing": self.missing,
        }


def bench(
    model: FoldedModel, seconds: float, others: Mapping[str, Callable[[Shape], peers.Peer]] | None = None
) -> Bench:
    """Measures.

    Args:
        model: to run; the peers run its topology with random weights.
        seconds: to spend on measuring, about.
        others: peers by name; ``peers.PEERS`` if None.
    """
    others = peers.PEERS if others is None else others
    result = Bench(
        model.name,
        {depth.delta: len(depth.passes) for depth in model.depths},
        model.preset.frames,
    )
    functions: dict[str, Callable[[], object]] = {}
    for isa in available(model):
        native = _Native(model, isa)
        functions[f"set {isa} frame"] = native.features
        for delta in result.passes:
            functions[f"set {isa} network {delta}"] = partial(native.network, delta)
            functions[f"set {isa} second {delta}"] = partial(native.feed, delta)
    for delta, passes in result.passes.items():
        shape = Shape(
            model.preset.n_mels, model.preset.frames, model.channels, model.hidden, passes, len(model.class_names)
        )
        for peer, load in others.items():
            try:
                found = load(shape)
            except peers.Missing as missing:
                result.missing[peer] = str(missing)
                continue
            result.versions[peer] = found.version
            for layout, run in found.runs.items():
                functions[f"peer {peer}/{layout}/{delta}"] = run
    timings = in_turn(functions, seconds)
    for name, timing in timings.items():
        kind, _, rest = name.partition(" ")
        result.rounds = timing.rounds
        if kind == "set":
            isa, _, what = rest.partition(" ")
            # A call takes a whole window's frames, or AUDIO_SECONDS of sound.
            parts = {"frame": result.frames, "second": AUDIO_SECONDS}.get(what.partition(" ")[0], 1)
            result.sets.setdefault(isa, {})[what] = Timing(timing.median / parts, timing.spread, timing.rounds)
        else:
            peer, _, delta_text = rest.split("/")
            best = result.peers.setdefault(peer, {})
            if int(delta_text) not in best or timing.median < best[int(delta_text)].median:
                best[int(delta_text)] = timing
    return result


def available(model: FoldedModel) -> list[str]:
    """The sets of kernels that this build holds and this processor runs, the fastest first."""
    found = []
    for isa in reversed(ISAS):
        try:
            _Native(model, isa)
        except KwsError:
            continue
        found.append(isa)
    return found


def processor() -> str:
    """This machine's processor, as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class _Native:
    """A C state with the arguments of its calls ready made."""

    def __init__(self, model: FoldedModel, isa: str) -> None:
        self.c = library.load()
        self.view = structs.ModelView(model)
        size = self.c.kws_state_size(self.view.struct)
        self.memory = structs.aligned_bytes(size)
        self.state = ctypes.c_void_p()
        if self.c.kws_init(ctypes.c_void_p(self.memory.ctypes.data), size, self.view.struct, self.state) < 0:
            raise KwsError(f"The C engine does not run the model '{model.name}'.")
        if self.c.kws_set_isa(self.state, isa.encode()) < 0:
            raise KwsError(f"This engine and processor have no '{isa}'.")
        preset = model.preset
        rng = np.random.default_rng(0)
        samples = max(preset.window_samples, AUDIO_SECONDS * preset.sample_rate)
        # Noise that swells and fades: the front end meets loud and quiet frames.
        swell = 1000.0 + 900.0 * np.sin(np.arange(samples) / 3000.0)
        self.sound = (swell * rng.standard_normal(samples)).astype(np.int16)
        self.map = np.empty((preset.frames, preset.n_mels), np.float32)
        self.logits = np.empty(len(model.class_names), np.float32)
        self.n = AUDIO_SECONDS * preset.sample_rate
        self.events = (structs.Event * (self.n // structs.SAMPLES_PER_EVENT + 1))()
        floats = ctypes.POINTER(ctypes.c_float)
        self.pcm = self.sound.ctypes.data_as(ctypes.POINTER(ctypes.c_int16))
        self.map_pointer, self.logits_pointer = self.map.ctypes.data_as(floats), self.logits.ctypes.data_as(floats)
        self.features()

    def features(self) -> None:
        """The features of one window."""
        self.c.kws_features(self.state, self.pcm, self.map_pointer)

    def network(self, delta: int) -> None:
        """One inference, features given."""
        self.c.kws_set_depth(self.state, delta)
        self.c.kws_network(self.state, self.map_pointer, self.logits_pointer)

    def feed(self, delta: int) -> None:
        """``AUDIO_SECONDS`` of a stream."""
        self.c.kws_set_depth(self.state, delta)
        self.c.kws_feed(self.state, self.pcm, self.n, self.events, len(self.events))
