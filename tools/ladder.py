"""The binary matrix product from naive to final: what each step brought on AArch64.

    python tools/ladder.py [--json]

Cross-builds tools/ladder, runs each rung under QEMU on the same random bits, checks that all give the same sums (the
last rung: the same outputs as portable C), and prints for one tile of 8 rows and 128 outputs, by 128 binary
multiply-accumulates: instructions retired, vector operations among them, and for the innermost loop what llvm-mca
expects in cycles (where llvm-mca is installed; it is a model, and its Cortex-A53 serves comparisons only).

The last rung also scales, adds, compares and packs: its figures include the whole epilogue. Needs
aarch64-linux-gnu-gcc and qemu-aarch64. Instructions are counted under emulation; they are not cycles.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from emulated import count, mca, retired

OUTPUTS, ROWS = 128, 8
SUMS = {
    "words": "portable C, 64 bits at a time",
    "dots": "NEON, each dot product by itself",
    "tree": "eight outputs folded together",
    "rows": "eight rows folded together, a weight loaded once",
}
ENGINE = {
    2: "the engine's expand: by hand, with comparison and packing",
    4: "the engine's project: by hand, with epilogue",
}
ENGINE_LOOPS = {
    2: [("expand_neon.S", "kwsi_expand_neon_2", 0)],
    4: [
        ("count_neon.S", "kwsi_count_one_neon", 0),
        ("finish_neon.S", "kwsi_residual_neon", 16),
    ],
}
"""Loops that make the engine's rung, and how many outputs a turn finishes; 0 where it counts products."""


def build(folder: Path) -> Path:
    """Cross-builds the ladder in ``folder``."""
    here, program = Path(__file__).parent / "ladder", folder / "ladder"
    includes = [f"-I{count.ROOT / 'firmware/include'}", f"-I{count.ROOT / 'firmware/src'}"]
    sources = [here / "ladder.c", here / "rungs.c", *count.engine_sources()]
    command = [retired.cross_compiler(), *count.FLAGS, *includes, "-static", *sources, "-o", program]
    subprocess.run([str(part) for part in command], check=True)
    return program


def answer(program: Path, rung: str, words: int) -> str:
    """The hash that ``rung`` prints after one run."""
    command = [retired.emulator(), str(program), rung, str(words), "1"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def cost(program: Path, rung: str, words: int) -> dict[str, float]:
    """Instructions and vector operations by 128 binary multiply-accumulates."""
    runs = [retired.run([program, rung, str(words), str(times)])[0] for times in (2, 4)]
    difference = runs[1] - runs[0]
    units = 2 * ROWS * OUTPUTS * words / 2
    vector = sum(n for at, n in difference.times.items() if retired.classify(difference.words[at]) in retired.VECTOR)
    return {"instructions": round(difference.total / units, 2), "vector": round(vector / units, 2)}


def cycles(folder: Path, rung: str, words: int) -> dict[str, float]:
    """What llvm-mca expects of the loop that does the work, by 128 binary multiply-accumulates and core."""
    source, name = Path(__file__).parent / "ladder/rungs.c", f"rung_{rung}_{words}"
    parts = [(source, name, 0)]
    if rung == "engine":
        parts = [(count.ROOT / "firmware/src" / file, name, outputs) for file, name, outputs in ENGINE_LOOPS[words]]
    tool, total = mca.find_llvm_mca(), dict.fromkeys(mca.CORES, 0.0)
    for source, name, outputs in parts:
        loops = [loop for loop in mca.loops_of(source, folder) if loop.name.startswith(name) and loop.vector]
        if not outputs:
            loops = [loop for loop in loops if loop.products]
        if not loops:
            return {}
        loop = max(loops, key=lambda found: found.products)
        units = outputs * ROWS * words / 2 or loop.products
        for core in mca.CORES:
            total[core] += mca.analyse(loop, core, tool)["cycles"] / units
    return {core: round(value, 2) for core, value in total.items()}


def climb() -> list[dict[str, Any]]:
    """Every rung for K = 128 and K = 256.

    Raises:
        retired.MissingTool: no cross compiler or emulator.
        SystemExit: a rung gives other sums.
    """
    rows = []
    with tempfile.TemporaryDirectory(prefix="kws-ladder-") as name:
        folder = Path(name)
        program = build(folder)
        for words in (2, 4):
            for rung, what in [*SUMS.items(), ("engine", ENGINE[words])]:
                truth = "truth" if rung == "engine" else "words"
                if answer(program, rung, words) != answer(program, truth, words):
                    raise SystemExit(
                        f"ladder: rung '{rung}' with {64 * words} inputs gives other results than portable C."
                    )
                row: dict[str, Any] = {"inputs": 64 * words, "rung": rung, "what": what, **cost(program, rung, words)}
                try:
                    row["cycles"] = cycles(folder, rung, words)
                except retired.MissingTool as missing:
                    row["cycles"], row["note"] = {}, str(missing)
                rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Prints a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("K", "rung", "instructions", "vector", *mca.CORES, title="per 128 binary MACs", title_justify="left")
    for row in rows:
        expected = [f"{row['cycles'][core]:g}" if core in row["cycles"] else "-" for core in mca.CORES]
        table.add_row(str(row["inputs"]), row["what"], f"{row['instructions']:g}", f"{row['vector']:g}", *expected)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"Instructions counted under emulation. {mca.CAVEAT}")


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    try:
        rows = climb()
    except retired.MissingTool as missing:
        raise SystemExit(f"ladder: {missing}") from None
    if options.json:
        print(json.dumps({"ladder": rows}, indent=1))
    else:
        show(rows)


if __name__ == "__main__":
    main()
