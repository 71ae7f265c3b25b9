"""What people and programs are shown of a listener: lines of detections, and a level meter."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from kws.engine import Event, Stream
    from kws.listen.stream import Heard

FLOOR_DBFS = -60.0
METER_CELLS = 20


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


def json_line(event: Event, file: str | None = None) -> str:
    """One detection for programs: an object with the same fields."""
    fields: dict[str, object] = {} if file is None else {"file": file}
    fields |= {
        "word": event.word,
        "time": round(event.time, 3),
        "score": round(float(event.score), 4),
        "depth": event.depth,
    }
    return json.dumps(fields, ensure_ascii=False)


class View(Protocol):
    """What shows a running listener."""

    @property
    def ended(self) -> bool:
        """Whether whoever looks at it wants it to end."""

    def show(self, heard: Heard) -> None:
        """Takes the next chunk and its detections."""

    def say(self, sentence: str) -> None:
        """Takes something to tell."""

    def warn(self, sentence: str) -> None:
        """Takes what is wrong with the sound at this moment; nothing is, where it is empty."""

    @property
    def each_hop(self) -> Callable[[Stream], None] | None:
        """To be called after every frame."""


class Lines:
    """A view of one line a detection, on stdout; what there is to tell goes to stderr, each warning once."""

    ended = False
    each_hop = None

    def __init__(self, output: Console, errors: Console, as_json: bool = False) -> None:
        self._output, self._errors = output, errors
        self._as_json = as_json
        self._warned: set[str] = set()

    def show(self, heard: Heard) -> None:
        for event in heard.events:
            self.event(event)

    def event(self, event: Event, file: str | None = None) -> None:
        """Prints a detection."""
        if self._as_json:
            print(json_line(event, file), flush=True)
        else:
            self._output.print(event_line(event, file), soft_wrap=True)

    def say(self, sentence: str) -> None:
        self._errors.print(sentence, style="yellow", markup=False, soft_wrap=True)

    def warn(self, sentence: str) -> None:
        if sentence and sentence not in self._warned:
            self._warned.add(sentence)
            self.say(sentence)
