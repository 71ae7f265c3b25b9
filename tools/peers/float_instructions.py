"""Counts what float32 inferences of the same topology retire on AArch64, by tuned libraries, under emulation.

    python tools/peers/float_instructions.py --cache DIR [--only xnnpack,ncnn] [--json]

Needs qemu-aarch64, cc, apt and dpkg (a Debian or a relative, of any architecture), pip and the extra `bench`. What is
downloaded, some 100 MB, goes into --cache and is not fetched again.

The libraries run from their own AArch64 wheels in an AArch64 Python: one thread, float32 throughout, every optimisation
on, on an emulated Cortex-A72 (ARMv8.0 with NEON), and told that they are on one. What an inference costs is the
difference between runs with more and with fewer inferences, so that start-up cancels; the Python interpreter's own
instructions are left out, in the peers' favour. Every library is given the topology in the ways that suit it, and the
best counts. Vector multiply-adds are counted too: a quarter of the network's multiply-accumulates is the least that
float32 code with NEON can do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emulated import retired
from peers import ncnn_graph, sysroot

from kws.bench.graph import LAYOUTS, Shape, build

HERE = Path(__file__).resolve().parent
FEWER, MORE = 3, 11
INTERPRETER = ("python3",)
"""Files whose instructions are not the library's."""

BLOCKS = {1: 8, 2: 4, 4: 2}
"""By depth, the blocks that run."""


@dataclass(frozen=True)
class Library:
    """A library to measure.

    Attributes:
        wheels: what pip installs; pinned, so that figures can be repeated.
        program: runs inside the emulator as ``program MODEL TIMES ...``.
        layouts: ways to write the topology.
        write: writes the model of (system, its packages, shape, layout) to a path.
        version: shown with the figures.
        suffix: of the model's path.
        dependencies: whether pip installs what the wheels ask for.
    """

    wheels: tuple[str, ...]
    program: str
    layouts: tuple[str, ...]
    write: Callable[[sysroot.Sysroot, Path, Shape, str, Path], None]
    version: str
    suffix: str = ""
    dependencies: bool = True


def _write_onnx(system: sysroot.Sysroot, site: Path, shape: Shape, layout: str, path: Path) -> None:
    path.write_bytes(build(shape, layout).SerializeToString())


def _write_ncnn(system: sysroot.Sysroot, site: Path, shape: Shape, layout: str, path: Path) -> None:
    ncnn_graph.write(shape, path)


def _write_tflite(system: sysroot.Sysroot, site: Path, shape: Shape, layout: str, path: Path) -> None:
    sizes = (shape.n_mels, shape.frames, shape.channels, shape.hidden, shape.blocks, shape.classes)
    system.run(HERE / "tflite_graph.py", [path, layout, *sizes], [site])


LIBRARIES = {
    # The newest releases that run under QEMU 7.2: later wheels of LiteRT and ONNX Runtime end there with a fault as
    # soon as they are imported.
    "xnnpack": Library(
        ("ai-edge-litert==2.1.6", "numpy==2.4.6"),
        "run_litert.py",
        LAYOUTS,
        _write_tflite,
        "XNNPACK in LiteRT 2.1.6",
        ".tflite",
    ),
    "xnnpack-1.2": Library(
        ("ai-edge-litert==1.2.0", "numpy==2.4.6"),
        "run_litert.py",
        LAYOUTS,
        _write_tflite,
        "XNNPACK in LiteRT 1.2.0",
        ".tflite",
    ),
    "ncnn": Library(
        ("ncnn==1.0.20261020", "numpy==2.4.6"), "run_ncnn.py", ("conv",), _write_ncnn, "ncnn 1.0.20261020", "", False
    ),
    "onnxruntime": Library(
        ("onnxruntime==1.24.4", "numpy==2.4.6"),
        "run_onnxruntime.py",
        LAYOUTS,
        _write_onnx,
        "ONNX Runtime 1.24.4",
        ".onnx",
    ),
}


def measure(library: Library, name: str, system: sysroot.Sysroot, shape: Shape, layout: str) -> dict[str, Any]:
    """What one inference retires, JSON-able."""
    site = system.install(name, library.wheels, library.dependencies)
    path = system.cache / f"{name}-{layout}-{shape.blocks}{library.suffix}"
    library.write(system, site, shape, layout, path)
    more = (1, shape.n_mels, shape.frames) if name == "ncnn" else ()
    return {"layout": layout, **count(library, system, site, path, more)}


def count(
    library: Library, system: sysroot.Sysroot, site: Path, path: Path, more: tuple[int, ...] = ()
) -> dict[str, Any]:
    """What one inference of the model at ``path`` retires, JSON-able; ``more``: arguments of the library's program."""
    counts = []
    for times in (FEWER, MORE):
        counts.append(system.run(HERE / library.program, [path, times, *more], [site])[0])
    difference, inferences = counts[1] - counts[0], MORE - FEWER
    by_file = difference.by(difference.file_of)
    own = sum(count for file, count in by_file.items() if not file.startswith(INTERPRETER))
    classes = {kind: round(count / inferences) for kind, count in difference.by_class().most_common()}
    return {
        "instructions": round(own / inferences),
        "vector_multiply_adds": classes.get("vector multiply-add", 0),
        "classes": classes,
        "files": {file: round(count / inferences) for file, count in by_file.items() if abs(count) > 50 * inferences},
    }


def report(cache: Path, only: list[str] | None = None, depths: tuple[int, ...] = (1, 2, 4)) -> dict[str, Any]:
    """Every library at every depth, its best layout; JSON-able.

    Args:
        cache: folder for what is downloaded.
        only: keys of ``LIBRARIES``; all if None.
        depths: keys of ``BLOCKS``.
    """
    cache.mkdir(parents=True, exist_ok=True)
    system = sysroot.make(cache)
    found: dict[str, Any] = {
        "emulator": retired.version_of(retired.EMULATOR),
        "core": retired.CPU,
        "macs": {str(depth): Shape(blocks=BLOCKS[depth]).macs for depth in depths},
        "libraries": {},
    }
    for name in only or LIBRARIES:
        library = LIBRARIES[name]
        row: dict[str, Any] = {"version": library.version, "depths": {}}
        try:
            for depth in depths:
                shape = Shape(blocks=BLOCKS[depth])
                runs = [measure(library, name, system, shape, layout) for layout in library.layouts]
                row["depths"][str(depth)] = min(runs, key=lambda run: run["instructions"])
        except subprocess.CalledProcessError as error:
            row["missing"] = f"{library.version} failed: {(error.stderr or str(error)).strip().splitlines()[-1]}"
        found["libraries"][name] = row
    complete = {name: row for name, row in found["libraries"].items() if "missing" not in row}
    if complete:
        first = str(depths[0])
        found["lowest"] = min(complete, key=lambda name: complete[name]["depths"][first]["instructions"])
    return found


def show(found: dict[str, Any]) -> None:
    """Prints a table."""
    from rich.console import Console
    from rich.table import Table

    depths = list(found["macs"])
    table = Table("library", title="Retired AArch64 instructions of a float32 inference", title_justify="left")
    for depth in depths:
        table.add_column(f"depth {depth}", justify="right")
    table.add_column(f"vector multiply-adds\nat depth {depths[0]}", justify="right")
    for row in found["libraries"].values():
        if "missing" in row:
            table.add_row(row["version"], row["missing"])
            continue
        cells = [f"{row['depths'][depth]['instructions']:,} ({row['depths'][depth]['layout']})" for depth in depths]
        table.add_row(row["version"], *cells, f"{row['depths'][depths[0]]['vector_multiply_adds']:,}")
    table.add_section()
    table.add_row("floor: multiply-accumulates / 4", *(f"{macs // 4:,}" for macs in found["macs"].values()))
    console = Console(highlight=False)
    console.print(table)
    if "lowest" in found:
        console.print(f"Lowest: {found['libraries'][found['lowest']]['version']}. Counted under emulation; not cycles.")


def main() -> None:
    """Downloads what is missing, counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for what is downloaded")
    parser.add_argument("--only", help=f"libraries, by commas: {', '.join(LIBRARIES)}")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    only = options.only.split(",") if options.only else None
    if only and not set(only) <= set(LIBRARIES):
        parser.error(f"--only {options.only}: choose from {', '.join(LIBRARIES)}")
    try:
        found = report(options.cache, only)
    except retired.MissingTool as error:
        raise SystemExit(str(error)) from None
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
