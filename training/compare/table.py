"""The results as Markdown tables; a row is a network at a depth, the mean of its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from kws.evaluate.report import THIN

NONE = "-"
NOISY = 10  # dB, of the columns that stand for all conditions in the first table


def page(content: dict[str, Any]) -> str:
    """Every table of one ``results.json``, with what each needs to be read."""
    rows = grouped(content["results"])
    if not rows:
        return "No cell is done yet.\n"
    parts = [protocol(content), overview(rows), robustness(rows), recalls(rows), costs(content["results"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def protocol(content: dict[str, Any]) -> str:
    """A paragraph on what all rows share."""
    grid, first = content["grid"], content["results"][0]
    stages = "; ".join(
        f"{kind} {' + '.join(str(stage['epochs']) for stage in many)} epochs"
        for kind, many in grid["schedule"].items()
        if many
    )
    seeds = sorted({result["cell"]["seed"] for result in content["results"]})
    hashes = {result["training"]["data_sha256"][:12] for result in content["results"]}
    text = (
        f"Task {grid['task']['name']}, {len(grid['task']['classes'])} classes, {first['split']} split, "
        f"{first['validation_clips']:,} clips; features `{grid['preset']}`. Schedule: {stages}; batches of "
        f"{grid['batch']}. Seeds: {', '.join(map(str, seeds))}. Recordings: SHA-256 {', '.join(sorted(hashes))}."
    )
    if len(hashes) > 1:
        text += " **The rows were trained on different recordings and must not be compared.**"
    if len(seeds) == 1:
        text += " One seed: differences below about a point say nothing."
    return text


def grouped(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each network and depth: its name, its depth and the results of all its seeds, in order."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for result in results:
        name = _name(result)
        for delta, depth in result["depths"].items():
            row = rows.setdefault((name, delta), {"name": name, "delta": delta, "seeds": []})
            row["seeds"].append((result, depth))
    return list(rows.values())


def mean(row: dict[str, Any], key: str) -> float | None:
    """Of the seeds' figures ``key``; None where one has none."""
    values = [depth[key] for _, depth in row["seeds"]]
    return None if any(value is None for value in values) else fmean(values)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown; whole numbers with thousands separators, None as a dash. All columns but the first to the right."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for row in rows:
        cells = (NONE if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def overview(rows: list[dict[str, Any]]) -> str:
    """Accuracy and cost side by side."""
    body = []
    for row in rows:
        result, depth = row["seeds"][0]
        body.append(
            [
                _label(row),
                percent(row, "balanced_accuracy"),
                percent(row, "covered_accuracy"),
                result["bytes"]["total"],
                depth["macs"],
                depth["binary_macs"] or None,
                None if depth["host_us"] is None else f"{mean(row, 'host_us'):.1f}",
                depth["instructions"],
                _drop(row, f"babble {NOISY} dB"),
                _drop(row, f"music {NOISY} dB"),
            ]
        )
    head = [
        "network",
        "balanced accuracy, %",
        f"classes of {THIN} clips or more, %",
        "bytes",
        "MACs",
        "of them binary",
        "host, µs",
        "A64 instructions",
        f"babble {NOISY} dB, points",
        f"music {NOISY} dB, points",
    ]
    notes = _notes(_results(rows))
    return table(head, body) + "\n\n" + "\n".join(f"- {note}" for note in notes)


def _notes(results: list[dict[str, Any]]) -> list[str]:
    """What stands behind the columns of ``overview``, and why a cell of it is empty."""
    notes = ["Time and instructions are of one window, features given."]
    for processor, makers in _by(results, "host", "processor").items():
        notes.append(f"Time on {processor}: {'; '.join(makers)}.")
    for emulator, makers in _by(results, "counted", "emulator").items():
        notes.append(f"Instructions are counted under emulation ({emulator}) and are no cycles: {'; '.join(makers)}.")
    kinds: dict[str, list[str]] = {}
    for result in results:
        kinds.setdefault(result["bytes"]["is"], []).append(_name(result))
        notes += [f"{_name(result)}, no figure of {what}: {why}" for what, why in result["missing"].items()]
    notes += [f"Bytes, {what}: {', '.join(dict.fromkeys(names))}." for what, names in kinds.items()]
    return list(dict.fromkeys(notes))


def _by(results: list[dict[str, Any]], key: str, place: str) -> dict[str, list[str]]:
    """By where it was measured: which network was run by what."""
    found: dict[str, list[str]] = {}
    for result in results:
        if result[key]:
            makers = found.setdefault(result[key][place], [])
            maker = f"{_name(result)} by {result[key]['by']}"
            if maker not in makers:
                makers.append(maker)
    return found


def _name(result: dict[str, Any]) -> str:
    return result["title"].rpartition("-seed")[0]


def _results(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = {result["hash"]: result for row in rows for result, _ in row["seeds"]}
    return list(found.values())


def _label(row: dict[str, Any]) -> str:
    several = len(row["seeds"][0][0]["depths"]) > 1
    return f"{row['name']}, depth {row['delta']}" if several else row["name"]


def percent(row: dict[str, Any], key: str) -> str | None:
    """The mean and, of several seeds, the lowest and the highest."""
    average = mean(row, key)
    if average is None:
        return None
    if len(row["seeds"]) == 1:
        return f"{100 * average:.2f}"
    values = [100 * depth[key] for _, depth in row["seeds"]]
    return f"{100 * average:.2f} ({min(values):.2f} to {max(values):.2f}, {len(values)} seeds)"


def _degraded(row: dict[str, Any], condition: str) -> float | None:
    values = [depth["robustness"].get(condition, {}).get("balanced_accuracy") for _, depth in row["seeds"]]
    return None if any(value is None for value in values) else fmean(values)


def _drop(row: dict[str, Any], condition: str) -> str | None:
    degraded, clean = _degraded(row, condition), mean(row, "balanced_accuracy")
    return None if degraded is None or clean is None else f"{100 * (degraded - clean):+.1f}"


def robustness(rows: list[dict[str, Any]]) -> str:
    """Balanced accuracy by condition; empty where no row was degraded."""
    conditions = list(dict.fromkeys(name for row in rows for name in row["seeds"][0][1]["robustness"]))
    if len(conditions) < 2:
        return ""
    body = []
    for condition in conditions:
        values = [_degraded(row, condition) for row in rows]
        body.append([condition, *(None if value is None else f"{100 * value:.2f}" for value in values)])
    title = "Balanced accuracy over all classes, %, by condition (`kws/evaluate/robustness.py` defines each):"
    return f"{title}\n\n{table(['condition', *map(_label, rows)], body)}"


def recalls(rows: list[dict[str, Any]]) -> str:
    """Recall of every class."""
    counts = rows[0]["seeds"][0][1]["clips"]
    body = []
    for name, count in counts.items():
        cells: list[object] = [name, count]
        for row in rows:
            values = [depth["recall"][name] for _, depth in row["seeds"]]
            cells.append(None if None in values else f"{100 * fmean(values):.1f}")
        body.append(cells)
    return "Recall, %:\n\n" + table(["class", "clips", *map(_label, rows)], body)


def costs(results: list[dict[str, Any]]) -> str:
    """What training took."""
    body = []
    for result in results:
        cost = result["training"]
        body.append(
            [
                result["title"],
                cost["epochs"],
                cost["clips"],
                f"{cost['seconds']:.0f}",
                f"{cost['device']}, {cost['threads']}",
            ]
        )
    text = "Training, the float network that a cell starts from included:"
    return f"{text}\n\n{table(['network', 'epochs', 'clips', 'seconds', 'device, threads'], body)}"
