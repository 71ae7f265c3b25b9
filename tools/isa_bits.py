"""Runs a random model on every set of kernels over many random inputs, and compares the bits of all logits.

    PYTHONPATH=.:tests python tools/isa_bits.py --count 10000

tests/test_isa_bits.py does the same, with fewer inputs where an emulator runs them. Prints a checksum for each set of
the host and, with aarch64-linux-gnu-gcc and qemu-aarch64 installed, of AArch64; ends with 1 where two differ.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from compiled import build_program, run
from random_model import random_model

SETS = ("portable", "avx2", "avx512", "neon")
CROSS, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"


def main() -> None:
    """Builds, runs and compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10000, help="random feature maps, each run at every depth")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    model = random_model(arguments.seed, n_classes=12)
    targets: list[tuple[str, list[str]]] = [("cc", [])]
    if shutil.which(CROSS) and shutil.which(EMULATOR):
        targets.append((CROSS, [EMULATOR]))
    seen = set()
    with tempfile.TemporaryDirectory() as folder:
        for cc, emulator in targets:
            at = Path(folder) / cc
            at.mkdir()
            flags = ["-O3", "-static"] if emulator else ["-O3"]
            program = build_program(at, "tests/c/isa_bits.c", model, cc, flags)
            for isa in SETS:
                result = run([*emulator, program, arguments.seed, arguments.count, isa])
                if result.returncode == 0:
                    seen.add(result.stdout.split()[1])
                    print(f"{cc:24}{result.stdout}", end="", flush=True)
    if len(seen) != 1:
        sys.exit("the sets differ")


if __name__ == "__main__":
    main()
