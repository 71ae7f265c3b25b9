"""The terminal page: what it shows, at any size, and that it leaves a terminal as it was."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from random_model import random_model
from rich.console import Console
from rich.text import Text

from kws.engine import Engine, Event
from kws.listen.listener import Listener
from kws.listen.page import Page, Work
from kws.listen.picture import LEVELS, Picture, colour
from kws.listen.stream import Heard
from kws.model import save

PROGRAM = Path(__file__).with_name("page_program.py")
ENTER, LEAVE, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


def page_on(width, height, color="truecolor", chunks=()):
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=color, legacy_windows=False
    )
    listener = Listener(chunks, Engine(random_model(1)))
    return Page(console, listener), console, listener


def shown(page, console):
    """The page's lines as text."""
    with console.capture() as capture:
        console.print(page.page(), end="")
    return [Text.from_ansi(line).plain for line in capture.get().removesuffix("\n").split("\n")]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (40, 10), (20, 5), (9, 3)])
@pytest.mark.parametrize("color", ["truecolor", "256", "standard", None])
def test_the_page_fits_every_terminal(size, color):
    page, console, _ = page_on(*size, color)
    for number in range(30):
        page.say(f"Sentence {number}.")
    page.warn("'a microphone with a long name' gives silence")
    lines = shown(page, console)
    assert len(lines) == size[1]
    assert max(map(len, lines)) <= size[0]
    if size[1] >= 10:
        assert any(line.lstrip().endswith("Sentence 29.") or "Sentence" in line for line in lines)
        assert any(line.startswith("depth 1") for line in lines)


def test_the_page_holds_all_that_there_is_to_see():
    noise = np.random.default_rng(1).integers(-9000, 9000, 40000).astype(np.int16)
    page, console, listener = page_on(110, 44, chunks=[noise])
    names = page._names
    for heard in listener.heard(page.each_hop):
        page.show(Heard(heard.pcm, [Event(names[0], 1.5, 0.91, 2)], heard.start))
    page.warn("'mic' is too loud and clips")
    lines = shown(page, console)
    text = "\n".join(lines)
    assert lines[0].endswith("0:00:02") and "0:00:01" in text and "1.500 s   score 0.91   depth 2" in text
    assert "dBFS  'mic' is too loud and clips" in lines[1]
    for index, name in enumerate(names):
        bar = next(line for line in lines if re.search(rf"(^| ){re.escape(name)} ", line) and "·" in line)
        assert f" {page._stream.scores[index]:.2f}" in bar
    assert lines[-2].strip() == "depth 1  sensitivity 0.50  gate off"
    assert sum("▀" in line for line in lines) == random_model(1).preset.n_mels // 2
    assert page.lines()[-1].plain.endswith("score 0.91   depth 2")


def test_the_status_says_what_runs_and_what_it_costs():
    page, console, _ = page_on(110, 30)
    page._work.cpu, page._work.shares = 0.0734, {0: 0.4, 1: 0.05, 2: 0.0, 4: 0.6}
    for key in "dddg-":
        page._controls.press(key)
    assert shown(page, console)[-2].strip() == (
        "depth adaptive  sensitivity 0.45  gate -70 dBFS  CPU 7.3 %  windows: none 40 %  depth 1 5 %  depth 4 60 %"
    )


def test_a_score_bar_is_as_long_as_the_score_and_marks_the_threshold():
    page, *_ = page_on(100, 30)
    name = page._names[0]
    page._stream.set_threshold(name, 0.5)
    assert page._bar(0, 0.0, 5).plain == f"{name:<5} " + "·" * 10 + "│" + "·" * 9 + " 0.00"
    assert page._bar(0, 0.75, 5).plain == f"{name:<5} " + "█" * 10 + "│" + "█" * 4 + "·" * 5 + " 0.75"
    page._stream.set_threshold(name, 1.5)
    assert page._bar(0, 1.0, 5).plain == f"{name:<5} " + "█" * 20 + " 1.00"


def test_a_meter_rises_at_once_and_falls_slowly():
    page, *_ = page_on(100, 30)
    page._follow(np.full(1600, 32767, np.int16), 10.0)
    assert page._level == pytest.approx(0.0, abs=0.01)
    page._follow(np.zeros(1600, np.int16), 10.5)
    assert page._level == pytest.approx(-15.0, abs=0.01)
    page._follow(np.full(1600, 16384, np.int16), 10.6)
    assert page._level == pytest.approx(-6.02, abs=0.01)


def test_work_counts_windows_of_late_by_depth(monkeypatch):
    now = iter([0.0, 0.5, 1.5, 3.0, 5.0])
    spent = iter([0.0, 0.3, 0.6, 1.6])
    monkeypatch.setattr("kws.listen.page.time.monotonic", lambda: next(now))
    monkeypatch.setattr("kws.listen.page.time.process_time", lambda: next(spent))
    work = Work()
    work.update({0: 5, 1: 1, 4: 5})
    assert (work.cpu, work.shares) == (0.0, {})  # too soon
    work.update({0: 10, 1: 2, 4: 10})
    assert work.cpu == pytest.approx(0.2)
    assert work.shares == {0: 0.5, 1: 0.1, 4: 0.5}  # the deeper one confirms what the thinner heard
    work.update({0: 10, 1: 2, 4: 20})
    assert work.shares == {0: 0.0, 1: 0.0, 4: 1.0}
    work.update({0: 0, 1: 0, 4: 4})  # began anew
    assert work.cpu == pytest.approx(0.5) and work.shares == {0: 0.0, 1: 0.0, 4: 1.0}


def test_the_picture_scrolls_low_bands_below_and_the_newest_right():
    picture = Picture(4)
    for frame in ([-50.0, -110.0, -110.0, -110.0], [-110.0, -110.0, -110.0, -80.0]):
        picture.push(np.array(frame, np.float32))
    levels = picture.levels(3, 2)
    assert levels.shape == (4, 3)
    assert levels[3].tolist() == [0, LEVELS - 1, 0]  # the low band, a frame ago
    assert levels[0, 2] == round((LEVELS - 1) / 2)  # the high one, 30 dB below
    assert levels.sum() == levels[3, 1] + levels[0, 2]
    assert picture.levels(3, 1).tolist() == [[0, 0, levels[0, 2]], [0, LEVELS - 1, 0]]  # the louder of two bands
    assert picture.levels(1, 2)[:, 0].tolist() == levels[:, 2].tolist()


def test_colours_grow_brighter():
    brightness = [sum(colour(level)) for level in range(LEVELS)]
    assert brightness == sorted(brightness) and len(set(brightness)) == LEVELS
    assert colour(0) == (0, 0, 4)


@pytest.fixture
def model(tmp_path):
    """A random model that hears something in everything."""
    model = random_model(1)
    model.word_threshold[:] = 0.05
    save(model, tmp_path / "model.kws")
    return tmp_path / "model.kws"


class Terminal:
    """A pseudo-terminal with a program in it."""

    def __init__(self, *arguments, stdin_is_terminal=True):
        self.fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.modes = termios.tcgetattr(child)
        self.output = b""
        self.child = child

        def enter():
            os.setsid()
            fcntl.ioctl(child, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # These tests may themselves run under nohup, whose children never hear it.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *map(str, arguments)],
            stdin=child if stdin_is_terminal else subprocess.DEVNULL,
            stdout=child,
            stderr=child,
            env=environment | {"TERM": "xterm-256color"},
            preexec_fn=enter,
        )

    def read(self, seconds=0.1):
        if select.select([self.fd], [], [], seconds)[0]:
            self.output += os.read(self.fd, 65536)

    def until(self, text):
        """Reads until ``text`` was shown after what was read before."""
        start, deadline = len(self.output), time.monotonic() + 60
        while text not in self.output[start:]:
            assert time.monotonic() < deadline and self.process.poll() is None, self.output[-3000:]
            self.read()

    def press(self, keys):
        os.write(self.fd, keys)

    def finish(self):
        """The exit status; the output is complete then."""
        deadline = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            self.read()
        while select.select([self.fd], [], [], 0.1)[0]:
            self.read()
        self.left = termios.tcgetattr(self.child)
        os.close(self.fd)
        os.close(self.child)
        return self.process.returncode


def check_left_as_it_was(terminal):
    assert terminal.left == terminal.modes
    page, _, after = terminal.output.rpartition(LEAVE)
    assert ENTER in page and SHOW_CURSOR in page[page.rindex(ENTER) :] + after
    assert b"ALSA" not in terminal.output and b"Traceback" not in terminal.output
    return after


def test_keys_work_and_ctrl_c_leaves_the_terminal_as_it_was(model):
    terminal = Terminal(model)
    terminal.until(b"sensitivity 0.50")
    terminal.press(b"+\x1b[A")
    terminal.until(b"sensitivity 0.60")
    terminal.press(b"dg\x1a")  # and Ctrl-Z, which does nothing
    terminal.until(b"gate -70 dBFS")
    assert b"depth 2  sensitivity 0.60" in terminal.output
    terminal.press(b"\x03")
    assert terminal.finish() == 0
    after = check_left_as_it_was(terminal)
    assert re.search(rb"score [01]\.\d\d   depth \d", after) and re.search(rb"detections? in 2\.", after)
    assert b"Listening on mic." in after


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_the_terminal_as_it_was(model, number, status):
    terminal = Terminal(model)
    terminal.until(b"sensitivity 0.50")
    terminal.process.send_signal(number)
    assert terminal.finish() == status
    check_left_as_it_was(terminal)


def test_without_keys_there_is_still_a_page(model):
    terminal = Terminal(model, stdin_is_terminal=False)
    terminal.until(b"sensitivity 0.50")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.finish() == 0
    check_left_as_it_was(terminal)


def test_plain_is_lines_on_a_terminal_too(model):
    terminal = Terminal(model, "--plain")
    terminal.until(b"depth 1")
    terminal.press(b"\x03")
    assert terminal.finish() == 0
    assert ENTER not in terminal.output and terminal.left == terminal.modes
