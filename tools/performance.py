"""Writes docs/performance.md: what the engine costs, measured by the tools of this folder.

    python tools/performance.py [--seconds 20]

Needs what tools/emulated needs (a cross compiler, QEMU, llvm-mca). Figures of other engines are read from
docs/performance/*.json, because measuring them downloads much; the page says which command wrote each. Time on the host
is measured here: close other programs first.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import ladder
from emulated import count, mca, retired
from random_model import random_model

from kws.bench.host import bench
from kws.model import FoldedModel, load
from kws.model.state_size import state_size

PAGE = count.ROOT / "docs/performance.md"
PEERS = count.ROOT / "docs/performance"
BANNER = "<!-- written by `python tools/performance.py`, do not edit: change the tool -->"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; integers get thousands separators."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        cells = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def read(name: str) -> dict[str, Any] | None:
    """A file that a program in tools/peers wrote, or None."""
    path = PEERS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def stages(depths: dict[str, Any], kind: str) -> str:
    """Instructions by stage and depth, ``kind`` "window" or "second"."""
    names = [name for name in (*count.STAGES, count.REST) if any(name in depth[kind] for depth in depths.values())]
    rows = [[name, *(depth[kind].get(name, 0) for depth in depths.values())] for name in names]
    rows.append(["**total**", *(f"**{depth[f'{kind}_total']:,}**" for depth in depths.values())])
    return table(["stage", *(f"depth {delta}" for delta in depths)], rows)


def floats(found: dict[str, Any], ours: dict[str, Any]) -> str:
    """Float libraries against the engine."""
    rows = []
    full = found["libraries"][found["lowest"]]["depths"]["1"]["instructions"]
    for name, library in found["libraries"].items():
        if "missing" in library:
            rows.append([name, library["version"], library["missing"], "-", "-"])
            continue
        cost = {depth: row["instructions"] for depth, row in library["depths"].items()}
        rows.append([name, library["version"], *(round(cost[depth]) for depth in ("1", "2", "4"))])
    rows.append(["**kws**, NEON", "", *(ours[delta]["window_total"] for delta in ("1", "2", "4"))])
    text = table(["library", "version", "depth 1", "depth 2", "depth 4"], rows)
    ratios = [f"{full / ours[delta]['window_total']:.1f}" for delta in ("1", "2", "4")]
    vector = [f"{sum(ours[delta]['vector'].values()):,}" for delta in ("1", "2", "4")]
    same = [
        f"{found['libraries'][found['lowest']]['depths'][d]['instructions'] / ours[d]['window_total']:.1f}"
        for d in ("1", "2", "4")
    ]
    return (
        f"{text}\n\nThe lowest is {found['lowest']}. Its full network retires {ratios[0]} times what ours retires at"
        f" depth 1, {ratios[1]} times depth 2 and {ratios[2]} times depth 4; depth for depth the ratios are"
        f" {', '.join(same)}. Vector arithmetic alone is {', '.join(vector)} of ours."
    )


def one_frame(program: count.Program) -> dict[str, str]:
    """Instructions of a frame of features; those that are vector arithmetic, and what these come to in a second."""
    times, preset = 2, program.model.preset
    classes = program.cost("features", program.model.deltas[0], "neon", times)[1].by_class()
    vector = sum(classes[name] for name in retired.VECTOR) / times
    return {
        "frame": f"{round(sum(classes.values()) / times):,}",
        "vector": f"{round(vector):,}",
        "share": f"{round(vector * preset.sample_rate / preset.hop):,}",
    }


def wake_words(found: dict[str, Any]) -> str:
    """CPU time of wake-word engines."""
    engines = found["engines"]
    rows = [
        [name, row["version"], row["note"], f"{row['ms_per_second']:g}", f"{row['least']:g} to {row['most']:g}"]
        for name, row in sorted(engines.items(), key=lambda item: item[1]["ms_per_second"])
    ]
    text = table(["engine", "version", "what runs", "ms of CPU a second of audio", "spread"], rows)
    reference = engines.get("openwakeword", {}).get("ms_per_second")
    if reference:
        ratios = [f"{reference / engines[f'kws depth {depth}']['ms_per_second']:.0f}" for depth in (1, 2, 4)]
        text += f"\n\nopenWakeWord takes {', '.join(ratios)} times the CPU time of depth 1, 2 and 4."
    left_out = "; ".join(f"{name} ({why})" for name, why in found["missing"].items())
    return f"{text}\n\nNot measured: {left_out}."


def hops() -> str:
    """Instructions of a second of the stream by hop."""
    rows: list[list[object]] = []
    for frames in (2, 4, 8, 16):
        model = random_model(0)
        model.hop_frames = frames
        with tempfile.TemporaryDirectory(prefix="kws-hops-") as folder:
            depths = count.measure(count.build(model, Path(folder)), "neon")["depths"]
        milliseconds = round(1000 * frames * model.preset.hop / model.preset.sample_rate)
        rows.append([f"{frames} frames, {milliseconds} ms", *(depth["second_total"] for depth in depths.values())])
    return table(["a classification every", *(f"depth {delta}" for delta in depths)], rows)


def growth(base: dict[str, Any]) -> str:
    """How instructions of a window grow, from random models of other shapes."""
    rows: list[list[object]] = []
    for name, shape in (
        ("the shipped shape", {}),
        ("24 classes", {"n_classes": 24}),
        ("64 channels, 128 hidden", {"channels": 64, "hidden": 128}),
        ("192 channels, 384 hidden", {"channels": 192, "hidden": 384}),
    ):
        with tempfile.TemporaryDirectory(prefix="kws-growth-") as folder:
            depths = count.measure(count.build(random_model(0, **shape), Path(folder)), "neon")["depths"]
        rows.append([name, *(depths[delta]["window_total"] for delta in base)])
    return table(["", *(f"depth {delta}" for delta in base)], rows)


def loops() -> str:
    """llvm-mca's view of the inner loops, and what it says limits them."""
    rows = []
    for row in mca.report():
        cores = [
            f"{core['cycles']:g} ({100 * core['share']:.0f} %, {core['limited_by']})" for core in row["cores"].values()
        ]
        rows.append([row["loop"], row["instructions"], row["vector"], row.get("vector_per_128_macs", "-"), *cores])
    return table(["loop", "instructions", "vector", "vector per 128 binary MACs", *mca.CORES], rows)


def steps() -> str:
    """The ladder."""
    rows = []
    for row in ladder.climb():
        cycles = [f"{row['cycles'][core]:g}" if core in row["cycles"] else "-" for core in mca.CORES]
        rows.append([row["inputs"], row["what"], f"{row['instructions']:g}", f"{row['vector']:g}", *cycles])
    return table(["K", "rung", "instructions", "vector", *mca.CORES], rows)


def host(model: FoldedModel, seconds: float) -> str:
    """`kws bench`."""
    found = bench(model, seconds).as_dict()
    depths = list(next(iter(found["sets"].values()))["window"])
    rows = [
        [isa, f"{row['frame']['us']:g}", *(f"{row[kind][d]['us']:g}" for kind in ("window", "second") for d in depths)]
        for isa, row in found["sets"].items()
    ]
    head = ["kernels", "a frame", *(f"window, depth {d}" for d in depths), *(f"second, depth {d}" for d in depths)]
    text = f"{found['processor']}, one thread, microseconds, medians of {found['rounds']} turns:\n\n{table(head, rows)}"
    for peer, row in found["peers"].items():
        ratios = ", ".join(f"{ratio:g}" for ratio in row["ratio"].values())
        text += f"\n\n{peer} ({row['version']}) takes {ratios} times as long for the same network"
        text += f" at depth {', '.join(depths)}."
    for peer, why in found.get("missing", {}).items():
        text += f"\n\n{peer} was not measured: {why.rstrip('.')}."
    return text


def two_planes() -> tuple[str, int]:
    """Instructions of `kws12`, as a table, and bytes of its stack."""
    model = load(None)
    with tempfile.TemporaryDirectory(prefix="kws-planes-") as folder:
        program = count.build(model, Path(folder))
        depths = count.measure(program, "neon")["depths"]
        stack = count.stack_bytes(program, model.deltas[0], "neon")
    rows = [
        ["a window, features given", *(depth["window_total"] for depth in depths.values())],
        ["a second of audio, 8 windows", *(depth["second_at_8"] for depth in depths.values())],
    ]
    return table(["instructions", *(f"depth {delta}" for delta in depths)], rows), stack


def device_bytes(model: FoldedModel, optimization: str) -> int:
    """Bytes of the engine's code in a program for a device, without what that program never calls."""
    flags = (optimization, "-DKWS_NO_ABI", "-DKWS_FASTEST_ONLY", "-ffunction-sections", "-fdata-sections")
    with tempfile.TemporaryDirectory(prefix="kws-device-") as folder:
        program = count.build(model, Path(folder), flags, ("-Wl,--gc-sections",))
        own = set()
        for source in count.engine_sources():
            own |= {name for _, _, name in retired.functions(Path(folder) / f"{source.name}.o").ranges}
    return sum(end - start for start, end, name in program.functions.ranges if name in own)


def page(seconds: float) -> str:
    """The whole page."""
    model = load("kws12_lite")
    with tempfile.TemporaryDirectory(prefix="kws-performance-") as folder:
        program = count.build(model, Path(folder))
        neon = count.measure(program, "neon")
        text = count.text_bytes(Path(folder))
        stack = count.stack_bytes(program, model.deltas[0], "neon")
        frame = one_frame(program)
    planes, stack_of_two = two_planes()
    depths, rate = neon["depths"], neon["windows_per_second"]
    found_floats, found_words = read("float"), read("wake_words")
    second = table(
        ["at 8 windows a second", *(f"depth {delta}" for delta in depths)],
        [
            ["instructions a second of audio", *(depth["second_at_8"] for depth in depths.values())],
            ["of them in the front end", *(depth["front_end"] for depth in depths.values())],
        ],
    )
    parts = [
        BANNER,
        "# What it costs",
        TEXT["opening"].format(emulator=retired.version_of(retired.EMULATOR), cc=retired.version_of(retired.CC)),
        "## A window, features given\n\n" + stages(depths, "window"),
        "## Two planes an input\n\n" + TEXT["planes"],
        planes,
        "## Against float32\n\n" + TEXT["floats"],
        floats(found_floats, depths) if found_floats else "Not measured on the machine that wrote this page.",
        TEXT["bound"],
        f"## A second of audio\n\n{TEXT['second'].format(rate=f'{rate:g}', **frame)}\n\n" + stages(depths, "second"),
        second,
        "## The inner loops\n\n" + TEXT["loops"],
        loops(),
        mca.CAVEAT,
        "## From naive to final\n\n" + TEXT["ladder"],
        steps(),
        "## How it grows\n\n" + TEXT["growth"],
        growth(depths),
        "Instructions of a second of audio, features included, by hop:",
        hops(),
        "## On the host\n\n" + TEXT["host"],
        host(model, seconds),
        "## Other wake-word engines\n\n" + TEXT["words"],
        wake_words(found_words) if found_words else "Not measured on the machine that wrote this page.",
        "## Memory\n\n"
        + table(
            ["what", "bytes"],
            [
                ["AArch64 code with the NEON operators alone (KWS_FASTEST_ONLY), -O2", device_bytes(model, "-O2")],
                ["the same, -O3", device_bytes(model, "-O3")],
                ["AArch64 code, portable and NEON, -O3", sum(text.values()) - text["rodata"]],
                ["constants", text["rodata"]],
                ["state, the caller's memory", state_size(model)],
                ["stack, deepest measured under emulation", stack],
                ["the same of `kws12`, with two planes", stack_of_two],
                ["allocated", 0],
            ],
        ),
    ]
    return "\n\n".join(parts) + "\n"


TEXT = {
    "opening": """
Nobody here has the boards. What is said of ARM comes from instructions counted under emulation ({emulator}, -cpu
cortex-a72; {cc}) and from llvm-mca's models of the cores. Counts are exact and the same on every machine; they are no
cycles, and they know nothing of caches.
""",
    "planes": """
The tables of this page are those of `kws12_lite`, whose inputs have one plane of bits, but for this one.
`kws12` has two planes: twice the binary products, at 3.0 vector operations for 128 of them
(`firmware/src/count_neon.S`), and three comparisons wherever bits are made (`firmware/src/finish_neon.S`).
""",
    "floats": """
The same topology in float32 by tuned libraries, one thread, all optimisations, batch norms folded, counted in the same
way, as the difference between runs of more and of fewer inferences (`tools/peers/float_instructions.py`). All of them
use NEON: every four multiply-accumulates of the network are one vector FMLA. The goal was 12 times fewer at depth 1 and
25 times fewer at depth 4 than the lowest float32 inference of the full network.
""",
    "bound": """
What is left is arithmetic. A binary product of 128 inputs takes one EOR, one CNT and nearly one addition, however they
are arranged; carry-save adders before CNT, with parities of inputs and weights made beforehand, come out even at three
registers and dearer at two or seven. That is 47 operations for sixteen products of 128 inputs, 48 for eight of 256 and
75 for eight of 400: in the shipped shape 122,624 at depth 1 and 49,664 at depth 4. The first convolution multiplies
102,400 times, eight at once: 12,800; the classifier 12,288 times, eight at once, and adds what four multiplications
left: 1,920. Epilogues take seven or eight operations for eight numbers of the residual stream, after project and memory
alike.
""",
    "second": """
{rate} windows a second is the model's own hop. The convolutions compute only what a hop changes
(`firmware/src/front.c`): compare conv1 and conv2 with the table above, times the windows. The front end, 31.25 frames a
second at any depth, is window, spectrum and mel; it costs less than the network at depths 1 and 2, and more than the
network at depth 4. Of the {frame} instructions of a frame {vector} are vector arithmetic, in an order on which the bits
of the features depend; those alone are {share} a second.
""",
    "loops": """
Cycles an iteration by llvm-mca; in brackets the share of the port limit that they reach, the fewest cycles in which
the core's ports can take these instructions, and what limits the loop. Port limits, 128-bit operations a cycle: A53
one, A72 and A76 two in llvm-mca's model. Vector operations per 128 binary multiply-accumulates include, for expand and
conv2 of one plane, comparison and packing; up to the integer sums, which stay in registers, they are 2.94 for expand
(47 for 16 products) and 3.0 for conv2. Project, and all that has two planes, reduces and stores its sums within 3.0
(`count_neon.S`), and finishes them in loops of their own, eight numbers an operation (`finish_neon.S`). daBNN's loop
takes 4.0, Larq Compute Engine's 3.0 before its epilogue.
""",
    "ladder": """
`python tools/ladder.py`, by 128 binary multiply-accumulates, one tile of 8 rows and 128 outputs. The last rung of each
width is what the engine runs, epilogue included.
""",
    "growth": """
Instructions of a window, features given, for models of other shapes with random weights. Products of 128 and of 256
inputs have kernels of their own; 192 and 384 inputs are counted 128 at a time.
""",
    "host": "`kws bench`.",
    "words": """
`tools/peers/wake_words.py`: CPU time of the process, one core, the same sound in chunks of 80 ms, in turn. These are
engines that install and run offline. Of an earlier day than the table above, and engine version 2: compare within
the table.
""",
}
TEXT = {name: text.strip() for name, text in TEXT.items()}


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="for the host's timings (default: %(default)s)")
    options = parser.parse_args()
    try:
        PAGE.write_text(page(options.seconds))
    except retired.MissingTool as missing:
        raise SystemExit(f"performance: {missing}") from None
    print(f"Wrote {PAGE.relative_to(count.ROOT)}.")


if __name__ == "__main__":
    main()
