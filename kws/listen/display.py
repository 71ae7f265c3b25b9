"""The live line of a listening terminal: level meter, depth, best scores, and the words heard last."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from kws.listen.stream import Heard, level_dbfs

if TYPE_CHECKING:
    from kws.engine import Event, Stream

FLOOR_DBFS = -60.0
METER_CELLS = 20
TOP_SCORES = 3
LAST_WORDS = 5
_REFRESH_HZ = 12
_FALL_DB = 3.0


def meter(level: float) -> Text:
    """A level bar from -60 dBFS to full scale with its figure; red where the input is about to clip."""
    share = min(max(1.0 - level / FLOOR_DBFS, 0.0), 1.0)
    filled = round(share * METER_CELLS)
    style = "red" if level > -3.0 else "yellow" if level > -12.0 else "green"
    bar = Text()
    bar.append("█" * filled, style=style)
    bar.append("░" * (METER_CELLS - filled), style="dim")
    bar.append(f" {level:4.0f} dBFS")
    return bar


def event_line(event: Event, file: str | None = None) -> Text:
    """One detection for people: ``[file  ]word  time  score  depth``."""
    line = Text(f"{file}  " if file is not None else "")
    line.append(f"{event.word:<10}", style="bold green")
    line.append(f" {event.time:8.3f} s   score {event.score:.2f}   depth {event.depth}")
    return line


class LiveLine:
    """A context manager that prints detections and, on a terminal, keeps one live line below them."""

    def __init__(self, console: Console, stream: Stream, class_names: list[str], depth: int | str) -> None:
        self._console = console
        self._stream = stream
        self._names = class_names
        self._depth = depth
        self._level = -100.0
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        # Not a terminal: detections only, for a log.
        self._live = (
            Live(console=console, refresh_per_second=_REFRESH_HZ, transient=True) if console.is_terminal else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, heard: Heard) -> None:
        """Prints the detections of one chunk and brings the line up to date."""
        for event in heard.events:
            self._words.append(event.word)
            self._console.print(event_line(event), soft_wrap=True)
        # Quick to rise, slow to fall: a meter that follows every chunk cannot be read.
        self._level = max(level_dbfs(heard.pcm), self._level - _FALL_DB)
        if self._live:
            self._live.update(self.line())

    def line(self) -> Text:
        """The live line, cut to the console's width."""
        scores = self._stream.scores
        best = sorted(range(len(self._names)), key=lambda index: -scores[index])[:TOP_SCORES]
        text = meter(self._level)
        text.append(f"  depth {self._depth}  ", style="dim")
        text.append("  ".join(f"{self._names[index]} {scores[index]:.2f}" for index in best))
        if self._words:
            text.append("  heard: ", style="dim")
            text.append(" ".join(self._words), style="bold green")
        text.truncate(self._console.width, overflow="ellipsis")
        return text
