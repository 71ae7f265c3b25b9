"""``make upgrade``, on a Python that only pretends to install and to test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAKE = shutil.which("make")

# Is told by the environment which version it is and how the tests end; keeps what it was asked for in `asked`.
PYTHON = f"""#!/bin/sh
case "$*" in
"-c "*) exec {sys.executable} -c "import sys; sys.version_info = (3, $MINOR, 1)
$2" ;;
"-m venv .venv")
    mkdir -p .venv/bin
    cp "$0" .venv/bin/python
    for tool in ruff mypy clang-format; do printf '#!/bin/sh\\necho %s $* >>asked\\n' $tool >.venv/bin/$tool; done
    chmod +x .venv/bin/* ;;
*"pip list"*) printf 'torch==2.14.0+cpu\\nnumpy==2.5.0\\nMarkdown==4.0\\nmarkdown-it-py==5.0\\n' ;;
*) echo "$*" >>asked ;;
esac
case "$*" in *pytest*) cp tools/constraints.txt tested; eval "$TESTS" ;; esac
"""
FORMER = "# Versions.\nnumpy==2.4.0\n"
NEW = "# Versions.\nmarkdown-it-py==5.0\nMarkdown==4.0\nnumpy==2.5.0\ntorch==2.14.0\n"


class Checkout:
    """A folder with the project's Makefile, and what is in it after ``make``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pins = folder, folder / "tools/constraints.txt"
        for name in ("kws", "training", "tests", "tools", "firmware/include", "firmware/src", ".venv/bin"):
            (folder / name).mkdir(parents=True)
        for name in ("pyproject.toml", "CMakeLists.txt", "firmware/src/a.c", ".venv/old"):
            (folder / name).touch()
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "python").write_text(PYTHON)
        (folder / "python").chmod(0o755)
        self.pins.write_text(FORMER)

    def make(self, *arguments: str, minor: int = 11, tests: str = "true") -> subprocess.CompletedProcess[str]:
        # Nothing of a make that runs these tests.
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        return subprocess.run(
            [MAKE, "PYTHON=./python", *arguments],
            cwd=self.folder,
            env={**outer, "MINOR": str(minor), "TESTS": tests},
            capture_output=True,
            text=True,
            check=False,
            # For the test that interrupts all of it: alone, and also where these tests run with SIGINT ignored, as the
            # background jobs of a shell do.
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    if MAKE is None:
        pytest.skip("make is not installed")
    return Checkout(tmp_path)


def test_an_upgrade_pins_what_was_checked_and_tested(checkout: Checkout) -> None:
    done = checkout.make("upgrade")
    assert done.returncode == 0, done.stderr
    assert checkout.pins.read_text() == NEW
    # The tests check the pins themselves: a requirement that was raised is not that of the former ones.
    assert (checkout.folder / "tested").read_text() == NEW
    assert not (checkout.folder / ".venv/old").exists()
    asked = (checkout.folder / "asked").read_text()
    assert "constraint" not in asked and "install --no-build-isolation --editable .[train,dev]" in asked
    assert [tool for tool in ("ruff check", "ruff format", "mypy", "clang-format", "pytest") if tool not in asked] == []
    # And all is installed: there is nothing left to do.
    assert checkout.make("--question", "install").returncode == 0


@pytest.mark.parametrize("tests", ["exit 1", "kill -INT 0; sleep 9"])
def test_an_upgrade_that_fails_or_is_interrupted_pins_nothing(checkout: Checkout, tests: str) -> None:
    assert checkout.make("upgrade", tests=tests).returncode != 0
    assert (checkout.folder / "tested").read_text() == NEW
    assert checkout.pins.read_text() == FORMER
    assert checkout.make("--question", "install").returncode == 1


@pytest.mark.parametrize("minor", [10, 12])
def test_versions_of_another_python_are_not_pinned(checkout: Checkout, minor: int) -> None:
    refused = checkout.make("upgrade", minor=minor)
    assert refused.returncode != 0 and "make PYTHON=python3.11 upgrade" in refused.stderr
    assert (checkout.folder / ".venv/old").exists() and checkout.pins.read_text() == FORMER
