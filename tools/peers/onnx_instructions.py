"""Counts what an inference of ONNX files retires on AArch64 by ONNX Runtime, under emulation; prints JSON.

    python tools/peers/onnx_instructions.py --cache DIR FILE...

A file is a graph with one input and one output of fixed shapes. Needs and caveats are those of float_instructions.py.
ONNX Runtime is not the leanest library: for BiFSMN's topology in float32 it retires 1.6 to 1.7 times what XNNPACK does
(docs/performance.md). It is the one that runs any graph, in float32 and in int8.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emulated import retired
from peers import float_instructions, sysroot

NAME = "onnxruntime"


def main() -> None:
    """Downloads what is missing, counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder for what is downloaded")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    library = float_instructions.LIBRARIES[NAME]
    try:
        retired.emulator()
        options.cache.mkdir(parents=True, exist_ok=True)
        system = sysroot.make(options.cache)
        site = system.install(NAME, library.wheels, library.dependencies)
        found = [float_instructions.count(library, system, site, path.resolve()) for path in options.files]
    except retired.MissingTool as error:
        raise SystemExit(str(error)) from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{library.version} failed: {(error.stderr or str(error)).strip().splitlines()[-1]}") from None
    about = {"version": library.version, "emulator": retired.version_of(retired.EMULATOR), "core": retired.CPU}
    print(json.dumps({**about, "files": found}))


if __name__ == "__main__":
    main()
