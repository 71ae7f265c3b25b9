"""The `kws` command as a whole: help, version, and how errors reach the user."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import kws
from kws import cli
from kws.errors import KwsError
from kws.model import DEFAULT, LISTENER


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kws", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def test_help_names_every_command() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for name in cli.COMMANDS:
        assert f" {name} " in shown.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str) -> None:
    shown = run(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "Usage: " in shown.stdout


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        (LISTENER, ["listen", "x.wav"]),
        (LISTENER, ["export", "--out", "x.h"]),
        (LISTENER, ["build", "--out", "x"]),
        (LISTENER, ["deploy", "pi@device"]),
        (LISTENER, ["flash", "--image", "x.img"]),
        (DEFAULT, ["eval", "--data", "."]),
        (DEFAULT, ["info"]),
        (DEFAULT, ["bench"]),
    ],
)
def test_the_model_that_is_used_where_none_is_named_is_the_one_that_the_help_names(
    expected: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(model: str | None = None, default: str = DEFAULT) -> None:
        assert model is None
        loaded.append(default)
        raise KwsError("Seen enough.")

    monkeypatch.setattr("kws.model.load", load)
    monkeypatch.setattr("kws.board.compiler.find", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    app = cli.application()
    done = CliRunner().invoke(app, arguments)
    assert str(done.exception) == "Seen enough." and loaded == [expected]
    command = typer.main.get_command(app).commands[arguments[0]]  # type: ignore[attr-defined]
    assert next(one for one in command.params if one.name == "model").show_default == expected


def test_a_listener_takes_the_model_that_listens() -> None:
    assert kws.Listener([]).engine.model.name == LISTENER


def test_without_a_command_the_help_is_shown() -> None:
    shown = run()
    assert "listen" in shown.stdout
    assert not shown.stderr


def test_version() -> None:
    shown = run("--version")
    assert (shown.returncode, shown.stdout) == (0, f"kws {kws.__version__}\n")


def test_unknown_command_is_a_usage_error() -> None:
    shown = run("liste")
    assert shown.returncode == 2
    assert "liste" in shown.stderr


def test_train_lists_its_binarizers_and_refuses_others(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from kws_training.quantizers import BINARIZERS

    listed = run("train", "--list-binarizers", env={**os.environ, "COLUMNS": "120"})
    assert listed.returncode == 0, listed.stderr
    for name in BINARIZERS:
        assert f"\n{name} " in listed.stdout
    refused = run("train", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--binarizer", "none")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "'none' is no binarizer; choose bireal," in refused.stderr and refused.stderr.count("\n") == 1


def test_an_error_is_one_line_on_stderr(tmp_path: Path) -> None:
    missing = tmp_path / "no such model.kws"
    shown = run("info", str(missing))
    assert shown.returncode == 1
    assert shown.stdout == ""
    assert shown.stderr.count("\n") == 1
    assert str(missing) in shown.stderr


def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        command = [sys.executable, "-m", "kws", "--help"]
        shown = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert shown.stderr == ""
    assert shown.returncode == 1


def _raise(error: BaseException) -> Callable[[], typer.Typer]:
    """A stand-in for `cli.application` whose one command raises ``error``."""

    def build() -> typer.Typer:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def command() -> None:
            raise error

        return app

    return build


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KwsError("x.wav: is empty;\nrecord it [again]."), 1, "x.wav: is empty; record it [again].\n"),
        (ModuleNotFoundError("", name="torch.nn"), 1, "pip install 'kws[train]'.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (OSError(errno.ENOSPC, "No space left on device", "run/last.pt"), 1, "run/last.pt: No space left on device.\n"),
    ],
)
def test_what_a_command_may_raise(
    error: BaseException,
    status: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "application", _raise(error))
    monkeypatch.setattr(sys, "argv", ["kws"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith(line)
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("error", [ModuleNotFoundError("", name="kws.nothing"), ZeroDivisionError(), OSError("odd")])
def test_a_fault_of_the_program_is_not_disguised(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "application", _raise(error))
    monkeypatch.setattr(sys, "argv", ["kws"])
    with pytest.raises(type(error)):
        cli.main()
