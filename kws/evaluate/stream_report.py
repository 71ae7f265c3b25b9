"""A stream's figures as a JSON object and as tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from kws.data.labels import Label
from kws.evaluate.sounds import Sound
from kws.evaluate.stream import Count, ModeResult, Operation
from kws.model import FoldedModel

MOST_LISTED = 20
"""False accepts that the tables list; the JSON has all."""

MOST_CONFUSED = 8
"""Pairs of words, and clips, that are listed of those taken for another."""


def to_json(model: FoldedModel, sounds: Sequence[Sound], results: Sequence[ModeResult]) -> dict[str, Any]:
    """All figures, JSON-able. Shares lie in 0..1, a share of nothing is null, times are seconds."""
    return {
        "model": model.name,
        "sounds": [{"name": sound.name, "hours": sound.track.hours, "labels": len(sound.labels)} for sound in sounds],
        "hours": sum(sound.track.hours for sound in sounds),
        "modes": {result.mode.name: _mode_json(result, sounds) for result in results},
    }


def _mode_json(result: ModeResult, sounds: Sequence[Sound]) -> dict[str, Any]:
    return {
        "windows": {str(delta): share for delta, share in result.windows.items()},
        "work": result.work,
        "curve": [
            {
                "shift": point.shift,
                "miss_rate": point.misses,
                "false_accepts_per_hour": point.false_accepts,
                "late_per_hour": point.late,
                "repeats_per_word": point.repeats,
            }
            for point in result.curve
        ],
        "operations": [operation_json(operation, sounds) for operation in result.operations],
    }


def operation_json(operation: Operation, sounds: Sequence[Sound]) -> dict[str, Any]:
    """One operation, JSON-able."""
    median, late = latency(list(operation.counts.values()))
    return {
        "target_per_hour": operation.target,
        "shift": operation.point.shift,
        "miss_rate": operation.point.misses,
        "false_accepts_per_hour": operation.point.false_accepts,
        "late_per_hour": operation.point.late,
        "repeats_per_word": operation.point.repeats,
        "latency_median": median,
        "latency_95": late,
        "words": {
            word: {
                "threshold": operation.thresholds[word],
                "said": count.said,
                "hits": count.hits,
                "miss_rate": _misses(count),
                "repeats": count.repeats,
                "false_accepts": len(count.false_accepts),
                "late": count.late,
                "latency_median": latency([count])[0],
                "latency_95": latency([count])[1],
            }
            for word, count in operation.counts.items()
        },
        "false_accepts": [
            {
                "word": false.word,
                "file": false.file,
                "time": round(false.time, 3),
                "said": false.said.word if false.said else None,
                "clip": str(false.said.clip) if false.said and false.said.clip else None,
            }
            for false in false_accepts(operation, sounds)
        ],
    }


@dataclass(frozen=True)
class FalseAccept:
    """One false accept.

    Attributes:
        word: that was detected.
        file: that holds it, or the name of the sound.
        time: seconds from the file's start.
        said: what was, as ``Sound.said`` has it.
    """

    word: str
    file: str
    time: float
    said: Label | None


def false_accepts(operation: Operation, sounds: Sequence[Sound]) -> list[FalseAccept]:
    """Each one, in order of the sounds and of time."""
    found = [(number, time, word) for word, count in operation.counts.items() for number, time in count.false_accepts]
    heard = [(word, sounds[number], time) for number, time, word in sorted(found)]
    return [FalseAccept(word, *sound.place(time), sound.said(time)) for word, sound, time in heard]


def latency(counts: Sequence[Count]) -> tuple[float | None, float | None]:
    """Median and 95th percentile of the hits, seconds after the word's end; None where nothing was hit."""
    every = np.concatenate([count.latencies for count in counts])
    return (float(np.median(every)), float(np.percentile(every, 95))) if len(every) else (None, None)


def show(
    model: FoldedModel, sounds: Sequence[Sound], results: Sequence[ModeResult], console: Console, listed: bool
) -> None:
    """Prints what was heard, a line a mode and operation, and every word's figures; with ``listed`` false accepts."""
    heard = ", ".join(f"{sound.name} {sound.track.hours:.2f} h" for sound in sounds)
    console.print(f"{model.name}: {heard}", style="bold", markup=False, soft_wrap=True)
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("mode", no_wrap=True)
    table.add_column("thresholds", no_wrap=True)
    for head in ("missed", "false\nan hour", "of them\nlate", "repeats\na word", "latency ms\nmedian", "\n95 %"):
        table.add_column(head, justify="right", no_wrap=True)
    for result in results:
        for operation in result.operations:
            table.add_row(result.mode.name, _aim(operation), *_figures(operation))
    console.print(table)
    for result in results:
        work = f"{100 * result.work:.1f} % of the work of depth {model.deltas[0]} alone"
        console.print(f"{result.mode.name}, as set: {_windows(result)}; {work}", soft_wrap=True)
    for result in results:
        for operation in result.operations:
            show_words(f"{result.mode.name}, {_aim(operation)}", operation, console)
    for result in results:
        if listed:
            _list_false_accepts(result, sounds, console)
        else:
            _list_confusions(result, sounds, console)


def show_words(title: str, operation: Operation, console: Console) -> None:
    """Prints one operation word by word."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for head in ("word", "threshold", "said", "missed", "false", "late", "repeats", "latency ms", "95 %"):
        table.add_column(head, justify="left" if head == "word" else "right", no_wrap=True)
    for word, count in operation.counts.items():
        table.add_row(
            word,
            f"{operation.thresholds[word]:.7f}",
            str(count.said),
            _percent(_misses(count)),
            str(len(count.false_accepts)),
            str(count.late),
            str(count.repeats),
            *(_milliseconds(value) for value in latency([count])),
        )
    console.print(table)


def _list_false_accepts(result: ModeResult, sounds: Sequence[Sound], console: Console) -> None:
    found = false_accepts(result.operations[0], sounds)
    console.print(f"{result.mode.name}, as set: {len(found)} false accepts", soft_wrap=True)
    for false in found[:MOST_LISTED]:
        console.print(f"  {false.word} in {false.file} at {false.time:.2f} s", markup=False, soft_wrap=True)
    if len(found) > MOST_LISTED:
        console.print(f"  and {len(found) - MOST_LISTED} more; --json has them", soft_wrap=True)


def _list_confusions(result: ModeResult, sounds: Sequence[Sound], console: Console) -> None:
    """What was taken for what most often, and the clips that were more than once; late detections on their own."""
    found = false_accepts(result.operations[0], sounds)
    others = [false for false in found if not false.said or false.said.word != false.word]
    pairs = Counter((false.word, false.said.word if false.said else "nothing") for false in others)
    clips = Counter(false.said.clip for false in others if false.said and false.said.clip)
    named = ", ".join(
        [f"{word} for {said} {count}" for (word, said), count in pairs.most_common(MOST_CONFUSED)]
        + [f"{len(found) - len(others)} of the word itself, late"] * (len(others) < len(found))
    )
    console.print(
        f"{result.mode.name}, as set: {len(found)} false accepts; {named or 'none'}", markup=False, soft_wrap=True
    )
    for clip, count in clips.most_common(MOST_CONFUSED):
        if count > 1:
            console.print(f"  {count} in {clip}", markup=False, soft_wrap=True)


def _aim(operation: Operation) -> str:
    return "as set" if operation.target is None else f"moved for {operation.target:g}/h"


def _figures(operation: Operation) -> tuple[str, ...]:
    point = operation.point
    repeats = "-" if point.repeats is None else f"{point.repeats:.4f}"
    late = (_milliseconds(value) for value in latency(list(operation.counts.values())))
    return _percent(point.misses), f"{point.false_accepts:.2f}", f"{point.late:.2f}", repeats, *late


def _windows(result: ModeResult) -> str:
    shares = [(f"at depth {delta}" if delta else "at none", share) for delta, share in result.windows.items()]
    return ", ".join(f"{100 * share:.1f} % of the windows {name}" for name, share in shares if share)


def _misses(count: Count) -> float | None:
    return 1.0 - count.hits / count.said if count.said else None


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.0f}"
