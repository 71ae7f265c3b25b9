"""What is said where in a long recording, and the file that says so.

The file is a label track as Audacity imports and exports it: a line a word, ``start<TAB>end<TAB>word``, in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kws.data.audio import SAMPLE_RATE
from kws.errors import KwsError
from kws.files import write_atomically


@dataclass(frozen=True)
class Label:
    """Where a word is.

    Attributes:
        word: what was said.
        start: its first sample, at 16 kHz.
        end: the first sample after it.
        clip: the recording that says it, where that is known; no label track has it, and equal labels may differ in it.
    """

    word: str
    start: int
    end: int
    clip: Path | None = field(default=None, compare=False)

    @property
    def time(self) -> float:
        """Where it starts, in seconds."""
        return self.start / SAMPLE_RATE


def read_labels(path: str | Path) -> list[Label]:
    """The labels in the file at ``path``, by start.

    Raises:
        KwsError: no such file, or a line that is none of a label track.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KwsError(
            f"{path}: cannot be read ({error}); give a label track, start<TAB>end<TAB>word a line."
        ) from error
    labels = []
    for number, line in enumerate(text.splitlines(), 1):
        # Audacity writes a second line, led by a backslash, for a label that has a range of frequencies.
        if line.strip() and not line.startswith("\\"):
            labels.append(_parsed(line, f"{path}:{number}"))
    return sorted(labels, key=lambda label: (label.start, label.end))


def _parsed(line: str, where: str) -> Label:
    parts = line.split("\t")
    try:
        start, end, word = float(parts[0]), float(parts[1]), parts[2].strip()
        if not (word and 0.0 <= start <= end < math.inf):
            raise ValueError("not a word between two times")
    except (ValueError, IndexError) as error:
        raise KwsError(f"{where}: '{line}' is no label; write start<TAB>end<TAB>word, in seconds.") from error
    return Label(word, round(start * SAMPLE_RATE), round(end * SAMPLE_RATE))


def write_labels(labels: Sequence[Label], path: str | Path) -> None:
    """Writes a label track, whole or not at all. Raises KwsError where it cannot."""
    lines = [f"{label.start / SAMPLE_RATE:.6f}\t{label.end / SAMPLE_RATE:.6f}\t{label.word}\n" for label in labels]
    write_atomically(Path(path), "".join(lines).encode())
