"""Counts what the engine retires on AArch64, by stage: cross-builds it with a model and runs it under QEMU.

    python tools/emulated/count.py [--model MODEL] [--isa neon] [--json]

Needs aarch64-linux-gnu-gcc and qemu-aarch64 (Debian: gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user).
Instructions counted under emulation are exact: the same on every machine and every day. They are not cycles.

The stages are the operators of firmware/src/kernels.h; `linear` is the matrix product before the blocks, for which the
engine uses `project`; `rest` is everything between them: control, copies, smoothing, softmax.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emulated import retired

if TYPE_CHECKING:
    from kws.model import FoldedModel

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ["-std=c11", "-O3", "-ffp-contract=off"]
OPERATORS = ("window", "spectrum", "mel", "quantize", "conv1", "conv2", "expand", "project", "memory", "classifier")
STAGES = (
    "window",
    "spectrum",
    "mel",
    "quantize",
    "conv1",
    "conv2",
    "linear",
    "expand",
    "project",
    "memory",
    "classifier",
)
PARTS = ("products", "edges", "residual")
"""What expand, project, linear and memory of two planes share; of one plane and usual widths it is project's alone."""
FRONT_END = ("window", "spectrum", "mel")
OF_FUNCTION = {
    "kwsi_decibels": "mel",
    "kwsi_count_one_neon": "products",
    "kwsi_count_two_neon": "products",
    "kwsi_compare_two_neon": "edges",
    "kwsi_sign_neon": "edges",
    "kwsi_store_rows_neon": "edges",
    "kwsi_residual_neon": "residual",
    "count_memory": "memory",
    "kwsi_memory_two_neon": "memory",
    "kwsi_conv2_two_neon": "conv2",
}
"""Stages or parts that functions belong to, where the name of their file does not say it."""
REST = "rest"
WINDOWS_PER_SECOND = 8
"""Decisions a second that figures per second are also given for, whatever the model's own hop."""

HARNESS = "measure.c.o"


@dataclass
class Program:
    """The measuring program with one model compiled in."""

    path: Path
    model: FoldedModel
    objects: retired.Ranges
    functions: retired.Ranges

    def run(self, what: str, delta: int, times: int, isa: str) -> tuple[retired.Counts, str]:
        return retired.run([self.path, what, str(delta), str(times), isa])

    def cost(self, what: str, delta: int, isa: str, times: int = 2) -> tuple[Counter[str], retired.Counts]:
        """Instructions by stage of ``times`` repetitions, and the counts behind them without the harness's own."""
        counts = self.run(what, delta, 2 * times, isa)[0] - self.run(what, delta, times, isa)[0]
        counts.times = {at: n for at, n in counts.times.items() if self.objects.name(at) != HARNESS}
        return counts.by(self.stage), counts

    def stage(self, address: int) -> str:
        """The operator that the instruction at ``address`` belongs to, or ``REST``."""
        name = self.objects.name(address)
        operator = re.match(f"({'|'.join(OPERATORS)})_", name)
        if operator:
            return PARTS[0] if operator[1] == "project" and self.model.planes == 2 else operator[1]
        function = self.functions.name(address).split(".")[0]
        stage = OF_FUNCTION.get(function, REST)
        return "project" if self.model.planes == 1 and stage in PARTS else stage


def build(model: FoldedModel, folder: Path, flags: tuple[str, ...] = (), link_flags: tuple[str, ...] = ()) -> Program:
    """Cross-builds the engine and measure.c with ``model`` in ``folder``; ``flags`` come after the usual ones.

    Raises:
        retired.MissingTool: no cross compiler.
    """
    from kws.model import header

    cc = retired.cross_compiler()
    header.export(model, folder / "measured.h")
    includes = [f"-I{ROOT / 'firmware/include'}", f"-I{ROOT / 'firmware/src'}", f"-I{folder}"]
    defines = [
        '-DKWS_MODEL_HEADER="measured.h"',
        "-DKWS_MODEL=kws_measured",
        "-DKWS_MODEL_STATE_SIZE=KWS_MEASURED_STATE_SIZE",
    ]
    compiled = []
    for source in [*engine_sources(), Path(__file__).with_name("measure.c")]:
        compiled.append(folder / f"{source.name}.o")
        command = [cc, *FLAGS, *flags, *defines, *includes, "-c", source, "-o", compiled[-1]]
        subprocess.run([str(part) for part in command], check=True)
    program, link_map = folder / "measure", folder / "measure.map"
    link = [cc, "-static", f"-Wl,-Map={link_map}", *link_flags, *compiled, "-o", program]
    subprocess.run([str(part) for part in link], check=True)
    return Program(program, model, retired.objects(link_map), retired.functions(program))


def engine_sources() -> list[Path]:
    """What makes the engine on AArch64."""
    folder = ROOT / "firmware/src"
    return [*sorted(folder.glob("*.c")), *sorted(folder.glob("*.S"))]


def measure(program: Program, isa: str) -> dict[str, Any]:
    """Everything that is counted for one set of kernels, JSON-able.

    Returns:
        ``frame``: by stage, for one frame of features. By delta, ``window``: by stage, for a whole inference from
        features given; ``vector``: vector arithmetic by stage; ``second``: by stage, for a second of the stream
        with everything, at the model's own hop; ``second_at_8``: the sum for 8 windows a second.
    """
    model = program.model
    preset = model.preset
    first = model.deltas[0]
    frame, _ = program.cost("features", first, isa)
    result: dict[str, Any] = {"isa": isa, "frame": _per(frame, 2), "depths": {}}
    linear = program.cost("linear", first, isa)
    for delta in model.deltas:
        window, counts = program.cost("network", delta, isa)
        decisions = 16
        stream, _ = program.cost("stream", delta, isa, decisions)
        hop = model.hop_frames * preset.hop
        per_second = preset.sample_rate / hop / decisions
        own_linear = linear[0]["project"]
        stages = _split(_per(window, 2), own_linear / 2)
        vector: Counter[str] = Counter()
        for address, count in counts.times.items():
            if retired.classify(counts.words[address]) in retired.VECTOR:
                vector[program.stage(address)] += count
        linear_vector = sum(
            count
            for address, count in linear[1].times.items()
            if program.stage(address) == "project" and retired.classify(linear[1].words[address]) in retired.VECTOR
        )
        second = _split(
            {stage: round(count * per_second) for stage, count in stream.items()},
            own_linear / 2 * preset.sample_rate / hop,
        )
        front_end = sum(second.get(stage, 0) for stage in FRONT_END)
        network = sum(second.values()) - front_end
        result["depths"][str(delta)] = {
            "window": stages,
            "window_total": sum(stages.values()),
            "classes": _per(counts.by_class(), 2),
            "vector": _split(_per(vector, 2), linear_vector / 2),
            "second": second,
            "second_total": sum(second.values()),
            "second_at_8": round(front_end + network * WINDOWS_PER_SECOND * hop / preset.sample_rate),
            "front_end": front_end,
        }
    result["windows_per_second"] = preset.sample_rate / (model.hop_frames * preset.hop)
    return result


def _per(counts: Counter[str], times: int) -> dict[str, int]:
    return {name: round(count / times) for name, count in counts.items()}


def _split(stages: dict[str, int], linear: float) -> dict[str, int]:
    """``stages`` in order, with the linear layer's share taken out of `project` where that is a stage."""
    found = dict(stages)
    if "project" in stages:
        found.update(linear=round(linear), project=stages["project"] - round(linear))
    return {stage: found[stage] for stage in (*STAGES, *PARTS, REST) if found.get(stage)}


def stack_bytes(program: Program, delta: int, isa: str) -> int:
    """The most stack that feeding, classifying and their halves use, bytes; measured, not estimated."""
    return int(program.run("stack", delta, 1, isa)[1])


def text_bytes(folder: Path) -> dict[str, int]:
    """Bytes of machine code by object file of the engine built in ``folder``, and of constants, ``.rodata``."""
    found = {"rodata": 0}
    for path in sorted(folder.glob("*.o")):
        if path.name == HARNESS:
            continue
        size = retired.need("aarch64-linux-gnu-size", "binutils-aarch64-linux-gnu")
        listing = subprocess.run([size, "-A", path], capture_output=True, text=True, check=True).stdout
        found[path.name] = 0
        for section, count in re.findall(r"^(\.\S+)\s+(\d+)", listing, re.MULTILINE):
            if section.startswith(".text"):
                found[path.name] += int(count)
            elif section.startswith(".rodata"):
                found["rodata"] += int(count)
    return found


def show(results: list[dict[str, Any]]) -> None:
    """Prints tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for result in results:
        depths = result["depths"]
        rate = result["windows_per_second"]
        for kind, title in (("window", "a window, features given"), ("second", f"a second of audio, {rate:g} windows")):
            table = Table("stage", title=f"{result['isa']}: instructions for {title}", title_justify="left")
            for delta in depths:
                table.add_column(f"depth {delta}", justify="right")
            for stage in (*STAGES, *PARTS, REST):
                if any(stage in depth[kind] for depth in depths.values()):
                    table.add_row(stage, *(f"{depth[kind].get(stage, 0):,}" for depth in depths.values()))
            table.add_section()
            table.add_row("total", *(f"{depth[f'{kind}_total']:,}" for depth in depths.values()))
            if kind == "second":
                name = f"at {WINDOWS_PER_SECOND} windows a second"
                table.add_row(name, *(f"{depth['second_at_8']:,}" for depth in depths.values()))
            console.print(table)
        frame = ", ".join(f"{stage} {count:,}" for stage, count in result["frame"].items())
        console.print(f"One frame of features: {frame}\n")
    console.print("Instructions counted under emulation; they are not cycles.")


def main() -> None:
    """Builds, counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a .kws file, a run folder or a shipped name")
    parser.add_argument("--isa", default="neon,portable", help="sets of kernels, by commas (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()

    from kws.errors import KwsError
    from kws.model import load

    try:
        with tempfile.TemporaryDirectory(prefix="kws-emulated-") as folder:
            program = build(load(options.model), Path(folder))
            results = [measure(program, isa) for isa in options.isa.split(",")]
            text = text_bytes(Path(folder))
            stack = {isa: stack_bytes(program, program.model.deltas[0], isa) for isa in options.isa.split(",")}
    except (retired.MissingTool, KwsError) as error:
        raise SystemExit(str(error)) from None
    if options.json:
        about = {
            "emulator": retired.version_of(retired.EMULATOR),
            "compiler": retired.version_of(retired.CC),
            "flags": FLAGS,
            "model": program.model.name,
        }
        print(json.dumps({"about": about, "sets": results, "text": text, "stack": stack}))
    else:
        show(results)
        code = sum(text.values()) - text["rodata"]
        print(
            f"Code of the engine: {code:,} bytes, constants {text['rodata']:,}. Stack: {max(stack.values()):,} bytes."
        )


if __name__ == "__main__":
    main()
