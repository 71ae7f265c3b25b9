"""Writes docs/compare.md from the results of `kws compare` and `kws eval --robustness`; nothing is trained here.

python tools/compare_page.py                                # from docs/compare/*.json
python tools/compare_page.py --results runs/short           # first takes over a folder that kws compare wrote
python tools/compare_page.py --binarizers runs/binarizers   # takes over that grid; so do the other three
python tools/compare_page.py --robustness shipped.json      # first takes over what kws eval --robustness --json printed
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from statistics import fmean
from typing import Any

from kws.features import PRESETS
from kws_training.compare import table
from kws_training.compare.plots import PLOTS
from kws_training.compare.run import RESULTS
from kws_training.rivals import NETWORKS, RivalTopology, build
from kws_training.rivals.counting import deployed_bytes, macs, parameters

ROOT = Path(__file__).resolve().parents[1]
PAGE, FIGURES = ROOT / "docs/compare.md", ROOT / "docs/compare"
SIDE_GRIDS = ("binarizers", "blocks", "bits", "distillation")
"""Grids of one question each, beside the short one, kept as ``docs/compare/<name>.json``."""
SHIPPED = FIGURES / "shipped-robustness.json"
BANNER = "<!-- written by `python tools/compare_page.py` from docs/compare/, do not edit: change the tool -->"


def take_over(folder: Path) -> None:
    """Copies results and plots of a grid into docs/compare."""
    for name in (RESULTS, *PLOTS):
        (FIGURES / name).unlink(missing_ok=True)
        if (folder / name).is_file():
            shutil.copyfile(folder / name, FIGURES / name)


def take_over_robustness(path: Path) -> None:
    """Keeps, of what ``kws eval --robustness --json`` printed, what the page shows."""
    found = json.loads(path.read_text(encoding="utf-8"))
    content = {"model": found["model"], "robustness": found["robustness"]}
    SHIPPED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def by_depth(content: dict[str, Any], is_ranked: bool = False) -> str:
    """A row a network: balanced accuracy of the well covered classes at each depth, and means of depths."""
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for row in table.grouped(content["results"]):
        if len(row["seeds"][0][0]["depths"]) > 1:
            rows.setdefault(row["name"], {})[row["delta"]] = row

    def average(name: str, key: str) -> float:
        return fmean(table.mean(row, key) or 0.0 for row in rows[name].values())

    names = list(rows)
    if is_ranked:
        names.sort(key=lambda name: -average(name, "covered_accuracy"))
    depths = list(rows[names[0]])
    head = ["network", *(f"depth {delta}, %" for delta in depths), "mean, %", "mean of all classes, %"]
    body = []
    for name in names:
        covered = [table.percent(rows[name][delta], "covered_accuracy") for delta in depths]
        means = [f"{100 * average(name, key):.2f}" for key in ("covered_accuracy", "balanced_accuracy")]
        body.append([name, *covered, *means])
    return table.table(head, body)


def in_float(content: dict[str, Any]) -> str:
    """What the networks of ``by_depth`` have before they give up precision, in one sentence."""
    rows = [row for row in table.grouped(content["results"]) if len(row["seeds"][0][0]["depths"]) == 1]
    found = [f"`{row['name']}` {table.percent(row, 'covered_accuracy')}" for row in rows]
    return f"The float networks that they start from, at full depth, in %: {'; '.join(found)}."


def work(content: dict[str, Any]) -> str:
    """What a window of each network costs at depth 1, and what it is kept in."""
    head = ["network", "bytes", "MACs", "of them binary", "A64 instructions", "runs in"]
    body = []
    for row in table.grouped(content["results"]):
        result, depth = row["seeds"][0]
        if row["delta"] == "1":
            costs = [depth["macs"], depth["binary_macs"] or None, depth["instructions"]]
            body.append([row["name"], result["bytes"]["total"], *costs, result["runs_in"]])
    return table.table(head, body)


def shipped(content: dict[str, Any]) -> str:
    """The shipped model under every condition."""
    found = content["robustness"]
    conditions = found["conditions"]
    depths = list(conditions["clean"])
    head = ["condition", *(f"depth {delta}" for delta in depths), *(f"well covered, depth {d}" for d in depths)]
    rows = []
    for name, scores in conditions.items():
        kinds = ("balanced_accuracy", "covered_accuracy")
        rows.append([name, *(f"{100 * scores[delta][kind]:.2f}" for kind in kinds for delta in depths)])
    clips = f"{found['clips']:,} clips, {found['split']} split"
    return f"`{content['model']}` in the C engine, {clips}, balanced accuracy in %:\n\n{table.table(head, rows)}"


def page() -> str:
    """The whole page."""
    parts = [BANNER, TEXT["head"]]
    results = FIGURES / RESULTS
    if results.is_file():
        parts.append(table.page(json.loads(results.read_text(encoding="utf-8"))).strip())
        parts += [f"![{label}](compare/{name})" for name, (_, label) in PLOTS.items() if (FIGURES / name).is_file()]
        parts.append(TEXT["front"])
    else:
        parts.append("No results are kept in docs/compare yet.")
    for name in SIDE_GRIDS:
        path = FIGURES / f"{name}.json"
        if path.is_file():
            content = json.loads(path.read_text(encoding="utf-8"))
            parts += [TEXT[name], table.protocol(content), by_depth(content, is_ranked=name == "binarizers")]
            parts.append(in_float(content))
            parts += [work(content)] if name in ("blocks", "bits") else []
    parts.append(TEXT["robustness"])
    if SHIPPED.is_file():
        parts.append(shipped(json.loads(SHIPPED.read_text(encoding="utf-8"))))
    return "\n\n".join([*parts, TEXT["rivals"], rivals(), TEXT["method"]]) + "\n"


def rivals() -> str:
    """What each rival needs for this project's map, computed from its layers."""
    rows = []
    for name in NETWORKS:
        topology = RivalTopology(name)
        network, preset = build(topology), PRESETS[topology.preset]
        work = macs(network, preset.n_mels, preset.frames)
        sizes = [deployed_bytes(network, stage)["total"] for stage in ("float", "int8")]
        rows.append([name, parameters(network), work, *sizes])
    return table.table(["network", "parameters", "MACs", "bytes, float32", "bytes, int8"], rows)


TEXT = {
    "head": """
# Networks compared

`kws compare` trains a grid of networks under one schedule and measures them alike. The figures below come out of its
result files by `python tools/compare_page.py`; to make the files:

    kws compare tools/grids/short.toml --data DIR --out runs/short --peers runs/peers
    python tools/compare_page.py --results runs/short

## A short schedule

It is short: it ranks networks after a few epochs on two cores and shows what none of them can reach. All are compared
on validation, which is also what recipes were chosen on. Where a cell of the grid is missing below, it was not
trained yet. Seconds of training were taken on a machine that did much else besides.
""",
    "front": """
**Who wins.** By bytes the rivals do: DS-CNN in int8 is four points ahead of 8 x 128 with one plane, in less than a
quarter of its bytes, and BC-ResNet-1 in int8 as good in a seventh. [4 x 64 with two planes](#what-a-block-is), under
the same schedule but of answers alone, has 90.0 % of the well covered classes at depth 1 (mean of three seeds; the
rivals have one) in 33,408 bytes: 2.7 points more than BC-ResNet-1 in int8, in twice its bytes, and 1.8 less than
DS-CNN in int8, in a quarter more. By work the binary networks do: it takes 135,556 instructions, 15 times fewer than
the fewest counted for either rival, in float32; 8 x 128 with one plane takes 11 times fewer. None of them is as
accurate as DS-CNN after so few epochs. BC-ResNet-1.5 and larger were not trained, and int8 instructions of the rivals
were not counted.
""",
    "robustness": """
## The shipped model, degraded

    kws eval kws12 --data DIR --robustness --json > shipped.json
    python tools/compare_page.py --robustness shipped.json

Every clip of the validation set, the two fillers too, is degraded and classified again. Signal-to-noise ratios are
over the whole clip, as in training; a clip is mostly silence, so that a word itself is some decibels further above
the noise. Babble is six clips of other speakers at once, of words that the task does not have; music is synthetic
(chords, a melody, a drum). The shipped model's training mixed in neither. Reverberation is an exponentially falling
noise tail as strong as the direct sound, named by the time it takes to fall by 60 dB. Speed changes pitch and length.
Clipping takes the peaks off at so many decibels below the highest; level lowers or raises the whole clip, and the
converter cuts what is too high.
""",
    "binarizers": """
## What makes the bits

    kws compare tools/grids/binarizers.toml --data DIR --out runs/binarizers --no-robustness --keep runs/clips
    python tools/compare_page.py --binarizers runs/binarizers

Every one-bit binarizer in the same small network, from the same float network of its seed, on the same clips, with the
teacher's answers and no hidden maps. Columns are balanced accuracy of the classes of 30 clips or more by depth, their
mean, and the mean over all twelve classes; in brackets the lowest and the highest of the seeds. The best come first.

A binarizer matters less here than its paper says: nine of the twelve lie within 0.9 points, no further than seeds of
one may. The three that rank last, 1.2 to 1.5 points behind the first, are IR-Net and DIR-Net, whose surrogate narrows
as training goes on, and BiPointNet's one scale a layer. Two planes of bits an input gain more than any choice of a
binarizer, below. Eighteen epochs rank rules that settle fast before those that need time.
""",
    "blocks": """
## What a block is

    kws compare tools/grids/blocks.toml --data DIR --out runs/blocks --no-robustness --keep runs/clips
    python tools/compare_page.py --blocks runs/blocks

BiFSMN's memory with one plane of bits an input and with two, and other papers' blocks in its place
(`training/blocks/`); columns as above. The second plane gains 3.2 points for 1.76 times the instructions, counted
under emulation. With its paper's own binarizer and hidden maps, too (`lpb`, `independent`), it has 0.6 less than with
Bi-Real's and answers alone, no further than seeds are apart, in so short a schedule. BiBERT's attention loses 1.6 for
a third more multiply-accumulates: over eight time steps five taps of memory say more than agreement does. BiMatting's
shortcuts around every layer gain nothing on a network whose stream has one already, and hold the hidden layer in
values. Multiply-accumulates, instructions and what it runs in are of depth 1, bytes of all depths.
""",
    "bits": """
## What bits are worth

    kws compare tools/grids/bits.toml --data DIR --out runs/bits --no-robustness --keep runs/clips
    python tools/compare_page.py --bits runs/bits

Weights and inputs of the inner layers in one, two, four and eight bits on the binarizers' ground, of one seed: DoReFa,
uniform levels with scale and zero point, and symmetric int8. Columns as above.

DoReFa's two bits gain 2.9 points for 1.8 times the bytes; a second plane of one-bit inputs, in the table above, has
90.2 for 1.2 times. Four bits of either kind are 0.6 to 0.8 points above the float network that they started from, which
trained ten epochs less, and eight are 1.6 above. `uniform` takes its range from the extremes: with two bits it hardly
learns, probably since nearly all falls on the level of zero. The engine runs one bit alone; the arithmetic of the
others is emulated.
""",
    "distillation": """
## What is distilled

    kws compare tools/grids/distillation.toml --data DIR --out runs/distillation --no-robustness
    python tools/compare_page.py --distillation runs/distillation

A small network of one plane under the same short schedule, each student from the float network of its seed. Beside the
labels and the teacher's answers it learns the teacher's hidden maps, enhanced (BiFSMN; the rows without a suffix), or
band by band (`independent`, BiFSMNv2), or not at all (`answers`). In brackets the lowest and the highest of the seeds.

On the well covered classes all three lie within half a point of each other at every depth, about as far as seeds do: so
small a network, trained so short, gains nothing from hidden maps that answers alone do not give. On all twelve the
enhanced maps are a point behind the others, which `on` and `off` decide with 15 and 19 clips. Columns as above.
""",
    "rivals": """
## The rivals in numbers

Twelve classes, the 32 x 32 map, nothing trained: parameters as papers count them, work, and what a deployment holds.
""",
    "method": """
## Method

**The grid file** is TOML: `task` or `words`, `preset`, `batch`; under `schedule` the stages by kind, each with the
settings of `kws_training.config.StageSettings` and an `augmentation` of "gentle", "moderate" or "strong"; and
`cells`, each entry the product of its axes `network`, `bits`, `binarizer`, `channels`, `blocks`, `seed`,
`distillation`. `tools/grids/short.toml` is one, `all.toml` a large one that shares what is done with it. `bits` are
32 for float, 8 for int8, and for BiFSMN also 1 (any one-bit `binarizer`) and 2 to 7 (`dorefa` or `uniform`); networks
with two planes or with attention have only the one-bit form beside their float one.
`distillation`, of BiFSMN below 32 bits, is "enhanced" unless named, "independent" or "answers". BiFSMN learns all its
depths at once and has a row for each. A cell that gives up precision starts from its float twin, which is trained
first if the grid does not name it.

**Resuming.** A cell's folder is named by a hash of everything that its result depends on but the recordings. What has
a `result.json` is skipped; a run that was interrupted goes on at its last complete epoch; a cell that fails is named
at the end and keeps no other back. What `--no-robustness` or no `--peers` left out is measured by a later run that asks
for it, and only that; asking for less throws nothing away. Where all is done, the command needs no recordings and only
writes the table and the plots again.

**`--keep DIR`** keeps augmented clips for cells that draw the same, 83 MB an epoch here: the first cell to see an epoch
makes it, and small networks after it train about twice as fast. The weights are the same to the bit, but seconds of
training then no longer compare. Delete the folder when the grid is done.

**The rivals** (`training/rivals/`) are BC-ResNet (Kim et al., Interspeech 2021) and MLPerf Tiny's DS-CNN. Built for
their papers' inputs they have the papers' parameters and work (`tests/test_rivals.py`). Here they read the same 32 x
32 map as BiFSMN, which takes BC-ResNet a quarter of its work and gives DS-CNN twice as much; each module says what
else had to change. They learn as BiFSMN's float teacher does: the same clips, draws, augmentation, epochs, label
smoothing, AdamW and second task. Their papers train longer, BC-ResNet 200 epochs with SGD.

**int8** is quantization-aware training from the float weights: symmetric weights with a step an output channel, maps
of 8 bits with running ranges, batch norms folded into multiplier and bias. It is emulated in float32; bytes are
computed as a deployment would have them: a byte a weight, an int32 bias and a 32-bit multiplier an output channel.
BC-ResNet's sub-spectral norms want four of each a channel: biases and multipliers are more than half of what
BC-ResNet-1 needs in int8.

**Time and instructions** of BiFSMN below float are the C engine's. Those of the short schedule, and its figures of
noise, are of version 3: version 4 reads the classifier's input in 8 bits and takes 4 % fewer instructions
([costs](performance.md)). A rival's time is ONNX Runtime's, and its instructions the fewer of ONNX Runtime's and
ncnn's, in float32 (`tools/peers/graph_instructions.py`), for ncnn without what normalises the input. Those of
BiFSMN's own topology in float32 are ONNX Runtime's alone; ncnn takes a third less, and XNNPACK, a third library, an
eighth less than ncnn ([costs](performance.md)): read a ratio with that in mind. There is no count for int8: ONNX
Runtime's quantization leaves so much of these networks unfused that its int8 retires more than its float32 of
BC-ResNet-1, which says nothing of int8.
""",
}
TEXT = {name: text.strip() for name, text in TEXT.items()}


def main() -> None:
    """Takes over what is given and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="folder that kws compare wrote")
    for name in SIDE_GRIDS:
        parser.add_argument(f"--{name}", type=Path, help=f"folder that kws compare wrote for tools/grids/{name}.toml")
    parser.add_argument("--robustness", type=Path, help="file with what kws eval --robustness --json printed")
    options = parser.parse_args()
    FIGURES.mkdir(exist_ok=True)
    if options.results:
        take_over(options.results)
    for name in SIDE_GRIDS:
        if folder := getattr(options, name):
            shutil.copyfile(folder / RESULTS, FIGURES / f"{name}.json")
    if options.robustness:
        take_over_robustness(options.robustness)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(ROOT)}.")


if __name__ == "__main__":
    main()
