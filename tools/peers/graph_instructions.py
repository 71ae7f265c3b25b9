"""Counts what an inference of any small network retires on AArch64 by tuned libraries, under emulation; prints JSON.

    python tools/peers/graph_instructions.py --cache DIR [--map 32x32] FILE...

A FILE.onnx, a graph with one input and one output of fixed shapes, is run by ONNX Runtime. A FILE.pt, a TorchScript
module that takes float32 [1, 1, mels, frames], is translated by pnnx, ncnn's own translator, and run by ncnn in
float32. Needs and caveats are those of float_instructions.py; pnnx (x86-64, 28 MB) is downloaded into the cache too.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emulated import retired
from peers import float_instructions, sysroot

PNNX = "pnnx==20261020"
"""Of the day of the ncnn that runs what it writes."""


def by_onnxruntime(system: sysroot.Sysroot, path: Path) -> dict[str, Any]:
    """An ONNX file."""
    library = float_instructions.LIBRARIES["onnxruntime"]
    site = system.install("onnxruntime", library.wheels, library.dependencies)
    return {"version": library.version, **float_instructions.count(library, system, site, path)}


def by_ncnn(system: sysroot.Sysroot, path: Path, shape: tuple[int, int]) -> dict[str, Any]:
    """A TorchScript file; see the module."""
    library = float_instructions.LIBRARIES["ncnn"]
    site = system.install("ncnn", library.wheels, library.dependencies)
    model = translate(path, shape, system.cache / "pnnx")
    return {"version": library.version, **float_instructions.count(library, system, site, model, (1, *shape))}


def translate(path: Path, shape: tuple[int, int], tool: Path) -> Path:
    """Writes ncnn's form beside ``path`` and returns it without its endings; ``tool``: where pnnx is, or comes to be.

    Raises:
        retired.MissingTool: there is no pnnx for this machine.
    """
    if platform.machine() != "x86_64":
        raise retired.MissingTool(f"pnnx is pinned for x86_64, and this machine is {platform.machine()}.")
    program = tool / "pnnx/pnnx"
    if not program.is_file():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--target", str(tool), PNNX], check=True)
    inputs = f"inputshape=[1,1,{shape[0]},{shape[1]}]"
    subprocess.run([program, path, inputs, "fp16=0"], check=True, capture_output=True, text=True, cwd=path.parent)
    model = path.with_suffix(".ncnn")
    text = (path.parent / f"{model.name}.param").read_text(encoding="utf-8")
    # The names that run_ncnn.py feeds and reads.
    for old, new in (("in0", "features"), ("out0", "logits")):
        text = re.sub(rf"(?<=\s){old}(?=\s)", new, text)
    (path.parent / f"{model.name}.param").write_text(text, encoding="utf-8")
    return model


def main() -> None:
    """Downloads what is missing, counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for what is downloaded")
    parser.add_argument("--map", default="32x32", help="mels and frames of a TorchScript module (default: %(default)s)")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    mels, frames = map(int, options.map.split("x"))
    found = []
    try:
        retired.emulator()
        options.cache.mkdir(parents=True, exist_ok=True)
        system = sysroot.make(options.cache)
        for path in map(Path.resolve, options.files):
            is_onnx = path.suffix == ".onnx"
            found.append(by_onnxruntime(system, path) if is_onnx else by_ncnn(system, path, (mels, frames)))
    except retired.MissingTool as error:
        raise SystemExit(str(error)) from None
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or str(error)).strip().splitlines()[-1]
        raise SystemExit(f"{Path(error.cmd[0]).name} failed on {path.name}: {reason}") from None
    about = {"emulator": retired.version_of(retired.EMULATOR), "core": retired.CPU}
    print(json.dumps({**about, "files": found}))


if __name__ == "__main__":
    main()
