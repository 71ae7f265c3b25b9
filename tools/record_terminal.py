"""Runs commands and draws what they print as a terminal picture (SVG), for the README.

python tools/record_terminal.py docs/listen.svg "kws info" "kws listen recording.wav"
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100
BANNER = "<!-- drawn by `python tools/record_terminal.py`, do not edit -->"


def main() -> None:
    """Runs every command in turn; the picture holds the commands and what they printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("commands", nargs="+")
    options = parser.parse_args()

    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    for command in options.commands:
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        done = subprocess.run(
            command,
            shell=True,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        console.print(Text.from_ansi(done.stdout))
    picture = console.export_svg(title="kws")
    options.picture.write_text(f"{BANNER}\n{picture}", encoding="utf-8")


if __name__ == "__main__":
    main()
