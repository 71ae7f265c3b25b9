"""What llvm-mca says of every inner loop of the AArch64 kernels, on Cortex-A53, A72 and A76.

    python tools/emulated/mca.py [--only expand,project] [--json]

Needs llvm-mca (Debian: llvm-19) and the cross binutils and compiler. The loops are found in the compiled objects: code
from the target of a backward branch to that branch, with no other such loop inside. A loop without a loop of its own,
or a part of one, can be marked in a .S file with the comment lines

    // LLVM-MCA-BEGIN name
    // LLVM-MCA-END

For each loop: cycles an iteration; the port limit, the fewest cycles that the core's ports and its decoder allow for
these instructions; the share of it, limit / cycles; and for binary products, vector operations and cycles per 128
multiply-accumulates, of which each costs one EOR of a whole vector.

What to make of it: llvm-mca is a model. It knows no caches and no branch prediction. Its A53 gives every vector
operation a latency of six cycles, far more than the core needs, so its figures there serve to compare one loop with
another and not as cycle counts. It has one model for A72 and A76 with two vector ports.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emulated import count, retired

CORES = ("cortex-a53", "cortex-a72", "cortex-a76")
ITERATIONS = 200
CAVEAT = (
    "llvm-mca is a model without caches. Its Cortex-A53 gives every vector operation a latency of six cycles: those "
    "figures compare loops with each other and are no cycle counts. A72 and A76 share one model."
)
NEAR = 0.9
"""Share of the limit from which on the limit is what counts."""

UNITS = {
    "A53UnitFPALU": "vector unit",
    "A53UnitFPMDS": "vector multiplier",
    "A53UnitLdSt": "loads and stores",
    "A57UnitW": "vector units",
    "A57UnitX": "vector units",
    "A57UnitL": "loads",
    "A57UnitS": "stores",
    "A57UnitI": "integer units",
}
"""What llvm's models call the units of these cores."""

_MARK = "kws_mca_"
_BRANCH = re.compile(r"^(b\.\w+|b|cbn?z|tbn?z)$")


@dataclass
class Loop:
    """Code to be analysed.

    Attributes:
        name: of the function, with a number where it has several loops, or of the marker.
        source: file that it is from.
        lines: assembly, a label first.
        words: instruction words.
    """

    name: str
    source: str
    lines: list[str]
    words: list[int]

    @property
    def vector(self) -> int:
        """Vector operations, loads and stores not counted."""
        return sum(retired.classify(word) in retired.VECTOR for word in self.words)

    @property
    def products(self) -> int:
        """Times 128 binary multiply-accumulates in an iteration: EORs of whole vectors, if bits are counted at all."""
        counts_bits = any(line.split()[0] == "cnt" for line in self.lines[1:])
        return sum(bool(re.match(r"eor\s+v\d+\.16b", line)) for line in self.lines) if counts_bits else 0


def find_llvm_mca() -> str:
    """The newest llvm-mca that is installed.

    Raises:
        retired.MissingTool: none is.
    """
    for name in [*(f"llvm-mca-{version}" for version in range(30, 13, -1)), "llvm-mca"]:
        path = shutil.which(name)
        if path:
            return path
    raise retired.MissingTool("llvm-mca is not installed; it comes with Debian's package llvm-19.")


def loops_of(source: Path, folder: Path) -> list[Loop]:
    """The inner loops of one C or assembly file, which is compiled in ``folder``."""
    text = source.read_text()
    copy, out = folder / source.name, folder / f"{source.name}.o"
    copy.write_text(_labelled(text) if source.suffix == ".S" else text)
    includes = [f"-I{count.ROOT / 'firmware/include'}", f"-I{count.ROOT / 'firmware/src'}", f"-I{source.parent}"]
    command = [retired.cross_compiler(), *count.FLAGS, *includes, "-c", copy, "-o", out]
    subprocess.run([str(part) for part in command], check=True)
    found = []
    for function, code in _disassemble(out):
        found += _marked(source.name, function, code) or _inner_loops(source.name, function, code)
    return found


def _labelled(text: str) -> str:
    """Marker comments as labels, which the object file keeps: the marked part lies between two of them."""
    number = iter(range(1 << 30))
    text = re.sub(r"^\s*// *LLVM-MCA-BEGIN +(\w+).*$", rf"{_MARK}begin_\1:", text, flags=re.MULTILINE)
    return re.sub(r"^\s*// *LLVM-MCA-END.*$", lambda _: f"{_MARK}end_{next(number)}:", text, flags=re.MULTILINE)


_Code = list[tuple[int, int, str]]
"""(address, word, text) of instructions."""


def _disassemble(path: Path) -> list[tuple[str, _Code]]:
    """Functions of an object file, in order; labels of markers make functions of their own."""
    objdump = retired.need("aarch64-linux-gnu-objdump", "binutils-aarch64-linux-gnu")
    listing = subprocess.run([objdump, "-d", path], capture_output=True, text=True, check=True).stdout
    found: list[tuple[str, _Code]] = []
    for line in listing.splitlines():
        head = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if head:
            found.append((head[1], []))
            continue
        parts = re.match(r"^\s*([0-9a-f]+):\t([0-9a-f]{8}) \t(.*)$", line)
        if parts and found:
            text = re.sub(r"\s*(//.*|<.*>)", "", parts[3]).strip()
            found[-1][1].append((int(parts[1], 16), int(parts[2], 16), text))
    return found


def _marked(source: str, function: str, code: _Code) -> list[Loop]:
    name = function.removeprefix(f"{_MARK}begin_")
    if name == function:
        return []
    return [_loop(name, source, code)]


def _inner_loops(source: str, function: str, code: _Code) -> list[Loop]:
    if function.startswith(_MARK):
        return []
    spans = []
    for address, _, text in code:
        operation, _, operands = text.partition("\t")
        target = re.search(r"([0-9a-f]+)$", operands)
        if _BRANCH.match(operation) and target and code[0][0] <= int(target[1], 16) < address:
            spans.append((int(target[1], 16), address))
    inner = [span for span in spans if not any(span[0] <= a and b <= span[1] and (a, b) != span for a, b in spans)]
    loops = []
    for number, (start, end) in enumerate(dict.fromkeys(inner), 1):
        name = function if len(inner) == 1 else f"{function} {number}"
        loops.append(_loop(name, source, [part for part in code if start <= part[0] <= end]))
    return loops


def _loop(name: str, source: str, code: _Code) -> Loop:
    """Branches, wherever they lead, become branches to the loop's label: the model knows no other path."""
    lines = [".L0:"]
    for _, _, text in code:
        operation, _, operands = text.partition("\t")
        if _BRANCH.match(operation):
            text = f"{operation}\t" + re.sub(r"[0-9a-f]+$", ".L0", operands)
        elif operation in ("adr", "adrp"):
            text = f"{operation}\t" + re.sub(r",.*", ", .L0", operands)
        lines.append(text)
    return Loop(name, source, lines, [word for _, word, _ in code])


def analyse(loop: Loop, core: str, llvm_mca: str) -> dict[str, Any]:
    """What llvm-mca says of ``loop`` on ``core``, JSON-able."""
    options = ["-mtriple=aarch64", f"-mcpu={core}", f"-iterations={ITERATIONS}", "-json"]
    text = "\n".join(loop.lines) + "\n"
    done = subprocess.run([llvm_mca, *options, "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise retired.MissingTool(f"{llvm_mca} cannot read {loop.name}: {done.stderr.strip().splitlines()[0]}")
    document = json.loads(done.stdout)
    region, units = document["CodeRegions"][0], document["TargetInfo"]["Resources"]
    summary = region["SummaryView"]
    cycles, limit = summary["TotalCycles"] / summary["Iterations"], summary["BlockRThroughput"]
    found: dict[str, Any] = {"cycles": round(cycles, 2), "limit": round(limit, 2), "share": round(limit / cycles, 3)}
    # The last entries are sums over the loop.
    pressure = region["ResourcePressureView"]["ResourcePressureInfo"]
    sums = {
        units[entry["ResourceIndex"]].partition(".")[0]: entry["ResourceUsage"]
        for entry in pressure
        if entry["InstructionIndex"] == len(region["Instructions"])
    }
    busiest = max(sums, key=lambda unit: sums[unit])
    port = UNITS.get(busiest, busiest) if sums[busiest] > limit - 0.5 else "decoding"
    found["limited_by"] = port if found["share"] >= NEAR else "waiting for results"
    if loop.products:
        found["cycles_per_128_macs"] = round(cycles / loop.products, 2)
    return found


def report(only: list[str] | None = None) -> list[dict[str, Any]]:
    """Every inner loop of the NEON kernels, or of the operators ``only``, on every core; JSON-able."""
    llvm_mca = find_llvm_mca()
    rows = []
    with tempfile.TemporaryDirectory(prefix="kws-mca-") as folder:
        for source in sorted((count.ROOT / "firmware/src").glob("*_neon.[cS]")):
            if only and source.name.partition("_")[0] not in only:
                continue
            for loop in loops_of(source, Path(folder)):
                if not loop.vector:
                    continue  # copies bytes or counts tiles
                row: dict[str, Any] = {
                    "loop": loop.name,
                    "source": loop.source,
                    "instructions": len(loop.words),
                    "vector": loop.vector,
                    "cores": {core: analyse(loop, core, llvm_mca) for core in CORES},
                }
                if loop.products:
                    row["macs"] = 128 * loop.products
                    row["vector_per_128_macs"] = round(loop.vector / loop.products, 2)
                rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Prints a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table("loop", "instructions", "vector", "vector per\n128 MACs", title="llvm-mca", title_justify="left")
    for core in CORES:
        table.add_column(f"{core}\ncycles", justify="right")
        table.add_column("share of\nlimit", justify="right")
    for row in rows:
        cells = [row["loop"], str(row["instructions"]), str(row["vector"]), str(row.get("vector_per_128_macs", "-"))]
        for core in CORES:
            found = row["cores"][core]
            cells += [f"{found['cycles']:g}", f"{100 * found['share']:.0f} %"]
        table.add_row(*cells)
    console = Console(highlight=False)
    console.print(table)
    console.print(CAVEAT)


def main() -> None:
    """Analyses and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="operators, by commas")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    try:
        rows = report(options.only.split(",") if options.only else None)
        version = re.search(
            r"LLVM version \S+", subprocess.run([find_llvm_mca(), "--version"], capture_output=True, text=True).stdout
        )
    except retired.MissingTool as error:
        raise SystemExit(str(error)) from None
    if options.json:
        print(json.dumps({"llvm": version[0] if version else "", "note": CAVEAT, "loops": rows}))
    else:
        show(rows)


if __name__ == "__main__":
    main()
