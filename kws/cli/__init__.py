"""The `kws` command. Each command is a module of this package with ``register(app)``, and a line in ``COMMANDS``."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated

import typer

from kws.errors import KwsError

COMMANDS = (
    "data",
    "record",
    "new",
    "mine",
    "train",
    "eval",
    "calibrate",
    "compare",
    "export",
    "build",
    "deploy",
    "flash",
    "info",
    "bench",
    "listen",
    "devices",
)
"""Modules of this package, in the order that `kws --help` shows (groups of commands come last)."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as a shell gives it."""

EXTRAS = {
    "espeakng_loader": "train",
    "matplotlib": "train",
    "tensorboard": "train",
    "torch": "train",
    "torchaudio": "train",
}
"""Extra that installs an optional package, by import name."""


def application() -> typer.Typer:
    """The application with every command."""
    app = typer.Typer(
        name="kws",
        help="Keyword spotting in one bit: recordings in, a C header out, and the same C listening everywhere.",
        epilog="First steps: kws listen · kws data synth · kws train · kws eval · kws export. Help: kws COMMAND --help",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    for name in COMMANDS:
        import_module(f"kws.cli.{name}").register(app)
    return app


def main() -> None:
    """Runs the command line of this process; what the user can put right is one line on stderr and exit status 1."""
    try:
        try:
            application()()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does. Nothing may be written any more, not even on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as stop:
        # Typer turns Ctrl-C inside a command into this exit status, without a word.
        if isinstance(stop, SystemExit) and stop.code != INTERRUPTED:
            raise
        typer.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except KwsError as error:
        fail(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        fail(f"This needs {package}, which is not installed: run pip install 'kws[{EXTRAS[package]}]'.")
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"{error.filename}: {error.strerror}.")


def fail(message: str) -> None:
    """Prints ``message`` as one line on stderr, red on a terminal, and ends the process with status 1."""
    typer.secho(" ".join(message.split()), fg=typer.colors.RED, err=True)
    sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        from kws import __version__

        typer.echo(f"kws {__version__}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command; Typer shows the help given in ``build``."""
