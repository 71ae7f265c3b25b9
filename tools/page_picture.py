"""Draws the page of `kws listen` as it looks some seconds into a recording (SVG), for the documentation.

python tools/page_picture.py docs/page.svg recording.wav 6.2
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from rich.console import Console

from kws.data.audio import SAMPLE_RATE
from kws.listen.listener import Listener
from kws.listen.page import Page

COLUMNS, LINES = 84, 32
BANNER = "<!-- drawn by `python tools/page_picture.py`, do not edit -->"


def main() -> None:
    """Listens to the recording up to the moment wanted and saves the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("recording", type=Path)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()

    console = Console(
        record=True, width=COLUMNS, height=LINES, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    listener = Listener(options.recording)
    page = Page(console, listener)
    for heard in listener.heard(page.each_hop):
        page.show(heard)
        if heard.end >= options.seconds * SAMPLE_RATE:
            break
    console.print(page.page(), end="")
    picture = console.export_svg(title="kws listen")
    options.picture.write_text(f"{BANNER}\n{picture}", encoding="utf-8")


if __name__ == "__main__":
    main()
