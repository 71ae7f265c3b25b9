"""The command of --exec: what it is told, that no shell sees a word, one at a time, and its limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from kws.engine import Event
from kws.errors import KwsError
from kws.listen.command import Command


def event(word="yes"):
    return Event(word, 12.34567, 0.98765, 2)


def python(code):
    return f"{sys.executable} -c '{code}'"


def wait(command):
    """What the command has to say once it has ended by itself."""
    notes, deadline = [], time.monotonic() + 30
    while command._process is not None:
        assert time.monotonic() < deadline
        notes += command.tick()
        time.sleep(0.005)
    return notes


@pytest.mark.parametrize("word", ["yes", "hey pi", "$(touch hacked); `touch hacked`", "|& touch hacked", 'ä "x" \\'])
def test_the_word_is_in_the_environment_as_it_is(tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    code = 'import os; names = "WORD SCORE TIME DEPTH".split(); '
    code += 'open("told", "w").write("|".join(os.environ["KWS_" + name] for name in names))'
    command = Command(python(code))
    assert command.start(event(word)) == []
    assert wait(command) == []
    assert (tmp_path / "told").read_text() == f"{word}|0.9877|12.346|2"
    assert [path.name for path in tmp_path.iterdir()] == ["told"]


def test_arguments_reach_it_unexpanded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = 'import sys; open("told", "w").write("|".join(sys.argv[1:]))'
    command = Command(python(code) + " $KWS_WORD '*' 'two words' ';' touch hacked")
    command.start(event())
    wait(command)
    assert (tmp_path / "told").read_text() == "$KWS_WORD|*|two words|;|touch|hacked"


def test_one_at_a_time(tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = Command(f"cat {gate}")
    assert command.start(event("first")) == []
    assert command.start(event("second")) == ["cat still runs: 'second' is not passed on."]
    gate.write_text("")
    assert wait(command) == []
    assert command.start(event("third")) == []
    gate.write_text("")
    wait(command)


def test_what_it_prints_goes_to_stderr_and_its_stdin_is_empty(tmp_path):
    # In a process of its own, whose streams are known.
    program = (
        "from kws.listen.command import Command; from kws.engine import Event\n"
        f"command = Command({python('import sys; print(repr(sys.stdin.read()))')!r})\n"
        "command.start(Event('yes', 1.0, 0.5, 1)); command.finish()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], input="not for you", capture_output=True, text=True, check=True
    )
    assert (result.stdout, result.stderr) == ("", "''\n")


@pytest.mark.parametrize("stubborn", [False, True])
def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path, monkeypatch, stubborn):
    monkeypatch.setattr("kws.listen.command.GRACE_SECONDS", 0.1)
    script = tmp_path / "slow"
    ignoring = "trap '' TERM\n" if stubborn else ""
    script.write_text(
        f"#!/bin/sh\n{ignoring}echo $$ > {tmp_path}/ready\nsleep 60 &\necho $! > {tmp_path}/child\nwait\n"
    )
    script.chmod(0o755)
    command = Command(str(script), 1.5)
    command.start(event())
    assert command.finish() == [f"{script} takes longer than 1.5 s and is ended."]
    for name in ("ready", "child"):
        assert not running(int((tmp_path / name).read_text()))


def running(pid):
    """Whether the process is there and no zombie that nobody buries."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("code", "sentence"),
    [("exit(3)", "ended with status 3."), ("import os; os.kill(os.getpid(), 9)", "was ended by signal 9.")],
)
def test_a_failure_is_told(code, sentence):
    command = Command(python(code))
    command.start(event())
    assert wait(command) == [f"{sys.executable} {sentence}"]


def test_interrupted_while_it_waits_it_ends_the_command(monkeypatch):
    command = Command("sleep 60")
    command.start(event())
    process = command._process

    def ctrl_c(seconds):
        raise KeyboardInterrupt

    clock = SimpleNamespace(monotonic=time.monotonic, sleep=ctrl_c)
    monkeypatch.setattr("kws.listen.command.time", clock)
    with pytest.raises(KeyboardInterrupt):
        command.finish()
    assert process.wait(timeout=10) == -signal.SIGKILL


@pytest.mark.parametrize("line", ["", "no-such-program-here", "/etc/passwd", "'open"])
def test_what_cannot_run_is_refused_at_once(line):
    with pytest.raises(KwsError, match="--exec"):
        Command(line)


def test_a_program_that_vanishes_later_is_told(tmp_path):
    script = tmp_path / "once"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    command = Command(str(script))
    script.unlink()
    assert command.start(event()) == [f"{script} cannot be started: No such file or directory."]
    assert command.tick() == []


def test_one_that_runs_as_another_user_is_told_once_and_not_waited_for(monkeypatch):
    def refuse(process, number):
        raise PermissionError

    command = Command("sleep 60", limit_seconds=0.01)
    command.start(event())
    process = command._process
    time.sleep(0.05)
    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", refuse)
        assert command.tick() == ["sleep takes longer than 0.01 s and runs as another user: it cannot be ended."]
        assert command.tick() == [] and command.finish() == []
        assert command.start(event("no")) == ["sleep still runs: 'no' is not passed on."]
    process.kill()
    assert process.wait(timeout=10) == -signal.SIGKILL
    assert command.tick() == [] and command.start(event()) == []
    command.finish()
