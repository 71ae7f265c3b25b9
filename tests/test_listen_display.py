"""Lines of detections for people and programs, and the level meter."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from kws.engine import Event
from kws.listen.display import METER_CELLS, Lines, event_line, meter
from kws.listen.stream import Heard


@pytest.mark.parametrize(("level", "cells"), [(-100.0, 0), (-60.0, 0), (-30.0, METER_CELLS // 2), (0.0, METER_CELLS)])
def test_meter_length(level, cells):
    text = meter(level).plain
    assert text.count("█") == cells
    assert text.count("█") + text.count("░") == METER_CELLS
    assert text.endswith(f"{level:.0f} dBFS")


def test_meter_is_red_near_clipping_only():
    assert meter(-1.0).spans[0].style == "red"
    assert meter(-20.0).spans[0].style == "green"


def heard(*words):
    events = [Event(word, float(number), 0.91234, 2) for number, word in enumerate(words)]
    return Heard(np.zeros(160, np.int16), events, 0)


def test_lines_put_words_on_stdout_and_sentences_on_stderr():
    output, errors = (Console(file=io.StringIO(), width=100, highlight=False) for _ in range(2))
    lines = Lines(output, errors)
    lines.show(heard("yes", "[red]no"))
    lines.say("The [bold]microphone is back.")
    assert [row.split() for row in output.file.getvalue().splitlines()] == [
        ["yes", "0.000", "s", "score", "0.91", "depth", "2"],
        ["[red]no", "1.000", "s", "score", "0.91", "depth", "2"],
    ]
    assert errors.file.getvalue() == "The [bold]microphone is back.\n"


def test_lines_for_programs_are_json(capsys):
    silent = Console(file=io.StringIO())
    Lines(silent, silent, as_json=True).show(heard('say "ja"'))
    assert json.loads(capsys.readouterr().out) == {"word": 'say "ja"', "time": 0.0, "score": 0.9123, "depth": 2}
    assert silent.file.getvalue() == ""


def test_a_warning_is_told_once():
    output, errors = (Console(file=io.StringIO(), width=100) for _ in range(2))
    lines = Lines(output, errors)
    for sentence in ("", "silent", "silent", "", "loud", "silent"):
        lines.warn(sentence)
    assert errors.file.getvalue().split() == ["silent", "loud"]


def test_event_line_takes_names_as_they_are():
    event = Event("[red]stop", 12.3456, 0.5, 4)
    assert event_line(event, "[b].wav").plain == "[b].wav  [red]stop    12.346 s   score 0.50   depth 4"
