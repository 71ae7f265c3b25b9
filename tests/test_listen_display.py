"""The live line: the meter's length, what the line holds, and that it keeps to the terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from kws.engine import Event
from kws.listen.display import METER_CELLS, LiveLine, event_line, meter
from kws.listen.stream import Heard

NAMES = ["yes", "no", "_unknown_", "_silence_"]
SCORES = SimpleNamespace(scores=np.array([0.05, 0.8, 0.12, 0.03], np.float32))


@pytest.mark.parametrize(("level", "cells"), [(-100.0, 0), (-60.0, 0), (-30.0, METER_CELLS // 2), (0.0, METER_CELLS)])
def test_meter_length(level, cells):
    text = meter(level).plain
    assert text.count("█") == cells
    assert text.count("█") + text.count("░") == METER_CELLS
    assert text.endswith(f"{level:.0f} dBFS")


def test_meter_is_red_near_clipping_only():
    assert meter(-1.0).spans[0].style == "red"
    assert meter(-20.0).spans[0].style == "green"


def line_after(words, width=120, loudness=8192):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    live = LiveLine(console, SCORES, NAMES, 2)
    for number, word in enumerate(words):
        live.show(Heard(np.full(160, loudness, np.int16), [Event(word, float(number), 0.9, 2)]))
    return live.line().plain, console.file.getvalue()


def test_line_holds_level_depth_best_scores_and_last_words():
    line, printed = line_after(["yes", "no"])
    assert "-12 dBFS" in line
    assert "depth 2" in line
    assert line.index("no 0.80") < line.index("_unknown_ 0.12") < line.index("yes 0.05")
    assert line.endswith("heard: yes no")
    assert "_silence_" not in line
    assert [row.split()[0] for row in printed.splitlines()] == ["yes", "no"]


def test_line_forgets_old_words():
    line, _ = line_after([f"w{number}" for number in range(9)])
    assert "w3" not in line
    assert line.endswith("w4 w5 w6 w7 w8")


@pytest.mark.parametrize("width", [10, 40, 80])
def test_line_keeps_to_the_terminal(width):
    line, _ = line_after(["yes"] * 9, width=width)
    assert len(line) <= width


def test_level_falls_slowly():
    console = Console(file=io.StringIO(), width=120)
    live = LiveLine(console, SCORES, NAMES, 1)
    live.show(Heard(np.full(160, 32767, np.int16), []))
    live.show(Heard(np.zeros(160, np.int16), []))
    assert "-3 dBFS" in live.line().plain


def test_a_terminal_shows_the_line_and_keeps_the_words():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with LiveLine(console, SCORES, NAMES, 1) as live:
        live.show(Heard(np.full(160, 8192, np.int16), [Event("yes", 1.5, 0.91, 1)]))
    shown = console.file.getvalue()
    assert "1.500 s   score 0.91   depth 1" in shown
    assert "dBFS" in shown


def test_event_line_takes_names_as_they_are():
    event = Event("[red]stop", 12.3456, 0.5, 4)
    assert event_line(event, "[b].wav").plain == "[b].wav  [red]stop    12.346 s   score 0.50   depth 4"
