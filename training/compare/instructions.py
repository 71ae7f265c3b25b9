"""AArch64 instructions of a window, features given, counted under emulation by the tools of the repository.

The tools belong to a checkout and are run as the programs that they are; where one is missing or lacks what it needs,
the answer is a sentence that says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import kws
from kws.features import Preset

TOOLS = Path(kws.__file__).resolve().parents[1] / "tools"


def engine(model: Path) -> dict[str, Any] | str:
    """Of the C engine with its NEON kernels, by depth; or why not."""
    found = _run("emulated/count.py", "--model", model, "--isa", "neon", "--json")
    if isinstance(found, str):
        return found
    depths = found["sets"][0]["depths"]
    return {
        "window": {delta: depth["window_total"] for delta, depth in depths.items()},
        "second_at_8": {delta: depth["second_at_8"] for delta, depth in depths.items()},
        "by": "C engine, neon",
        "emulator": found["about"]["emulator"],
    }


def peer(graphs: list[bytes] | str, script: bytes | None, preset: Preset, cache: Path | None) -> dict[str, Any] | str:
    """Of the leanest of what runs it, ONNX Runtime or ncnn; or why not.

    Args:
        graphs: ONNX, or why there is none.
        script: the same network as TorchScript, for ncnn; None leaves ncnn out.
        preset: features.
        cache: folder of the libraries, or to download them to.
    """
    if isinstance(graphs, str):
        return graphs
    if cache is None:
        return "not counted: that downloads an AArch64 Python and libraries; --peers DIR allows it."
    with tempfile.TemporaryDirectory(prefix="kws-compare-") as folder:
        files = [Path(folder) / f"graph{index}.onnx" for index in range(len(graphs))]
        for file, graph in zip(files, graphs, strict=True):
            file.write_bytes(graph)
        if script is not None:
            files.append(Path(folder) / "network.pt")
            files[-1].write_bytes(script)
        shape = f"{preset.n_mels}x{preset.frames}"
        found = _run("peers/graph_instructions.py", "--cache", cache, "--map", shape, *files)
    if isinstance(found, str):
        return found
    least = min(found["files"], key=lambda one: one["instructions"])
    counts = {one["version"]: one["instructions"] for one in found["files"]}
    return {
        "window": {"1": least["instructions"]},
        "by": least["version"],
        "all": counts,
        "emulator": found["emulator"],
    }


def _run(tool: str, *arguments: object) -> dict[str, Any] | str:
    program = TOOLS / tool
    if not program.is_file():
        return f"tools/{tool} is not here: instructions are counted in a checkout of the repository."
    command = [sys.executable, program, *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        return lines[-1] if lines else f"tools/{tool} ended with status {done.returncode}."
    return json.loads(done.stdout)
