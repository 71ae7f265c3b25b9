"""The terminal page of `kws listen`: level, mel picture, scores, events, depth, work, and keys."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from kws.data.audio import SAMPLE_RATE, level_dbfs
from kws.listen.controls import ADAPTIVE, KEYS, Controls
from kws.listen.display import event_line, meter
from kws.listen.keys import Keys, quiet_stderr
from kws.listen.picture import Picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kws.engine import Event, Stream
    from kws.listen.listener import Listener
    from kws.listen.stream import Heard

REFRESH_SECONDS = 0.1
WORK_SECONDS = 1.0
"""How often the figures of the work are counted anew."""

FLASH_SECONDS = 0.8
"""How long a word that was heard stays lit among the scores."""

LOG = 200
"""Events and sentences remembered."""

LEFT_BEHIND = 20
"""Lines of the log that stay on the terminal after the page has gone."""

_BAR_CELLS = 20
_FALL_DB_A_SECOND = 30.0


class Work:
    """What listening costs: the processor's share, and how often each depth ran.

    Attributes:
        cpu: share of one core that this process takes, 0..1 and more.
        shares: share of the windows classified at each delta of late; under 0 those that none classified.
    """

    def __init__(self) -> None:
        self.cpu = 0.0
        self.shares: dict[int, float] = {}
        self._at = time.monotonic()
        self._spent = time.process_time()
        self._classified: dict[int, int] = {}

    def update(self, classified: dict[int, int]) -> None:
        """Takes ``Stream.classified``, and counts once ``WORK_SECONDS`` have passed."""
        now = time.monotonic()
        if now - self._at < WORK_SECONDS:
            return
        spent = time.process_time()
        self.cpu = (spent - self._spent) / (now - self._at)
        done = {delta: count - self._classified.get(delta, 0) for delta, count in classified.items()}
        if min(done.values()) < 0:  # the stream began anew
            done = classified
        # Where two depths classify a window, it is the listening one's, the thinner.
        thin = {delta: done[delta] for delta in done if delta}
        windows = done[0] + max(thin.values(), default=0)
        self.shares = {delta: count / windows for delta, count in done.items()} if windows else {}
        self._at, self._spent, self._classified = now, spent, classified


class Page:
    """A context that shows a listener on a terminal's own screen, and leaves the terminal as it was."""

    def __init__(self, console: Console, listener: Listener) -> None:
        engine = listener.engine
        self._console = console
        self._stream = listener.stream
        self._names = list(engine.class_names)
        self._n_words = engine.n_words
        self._title = f"kws listen: {engine.model.name}"
        self._picture = Picture(engine.preset.n_mels)
        self._controls = Controls(engine, listener.stream, listener.settings)
        self._log: deque[Text] = deque(maxlen=LOG)
        self._lit: dict[str, float] = {}
        self._work = Work()
        self._level, self._levelled = -100.0, 0.0
        self._session = 0.0
        self._drawn = float("-inf")
        self._stack = ExitStack()
        self._keys = Keys()
        self._live = Live(console=console, screen=True, auto_refresh=False, transient=True)
        self._warning = ""

    @property
    def ended(self) -> bool:
        """Whether the key that ends it was pressed."""
        return self._controls.ended

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._keys)
            stack.enter_context(quiet_stderr())
            stack.enter_context(self._live)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def each_hop(self, stream: Stream) -> None:
        """Takes the newest frame; to be called for each."""
        self._picture.push(stream.last_frame)

    def say(self, sentence: str) -> None:
        """Adds a sentence to the log."""
        self._log.append(Text(f"{_clock(self._session)}  {sentence}", style="yellow"))

    def warn(self, sentence: str) -> None:
        """Shows what is wrong with the sound, beside the level, for as long as it is."""
        self._warning = sentence

    def show(self, heard: Heard) -> None:
        """Takes a chunk, does what the keys say, and draws when it is time."""
        now = time.monotonic()
        self._session = heard.end / SAMPLE_RATE
        for event in heard.events:
            self._add(event, now)
        self._follow(heard.pcm, now)
        for key in self._keys.read():
            self._controls.press(key)
        self._work.update(self._stream.classified)
        if now - self._drawn >= REFRESH_SECONDS:
            self._drawn = now
            self._live.update(self.page(), refresh=True)

    def _add(self, event: Event, now: float) -> None:
        line = Text(f"{_clock(event.time)}  ")
        line.append_text(event_line(event))
        self._log.append(line)
        self._lit[event.word] = now + FLASH_SECONDS

    def _follow(self, pcm: NDArray[np.int16], now: float) -> None:
        """Quick to rise, slow to fall: a meter that follows every chunk cannot be read."""
        fallen = self._level - _FALL_DB_A_SECOND * (now - self._levelled if self._levelled else 0.0)
        self._level = max(level_dbfs(pcm), fallen, -100.0)
        self._levelled = now

    def lines(self) -> list[Text]:
        """The last events and sentences, for the terminal that the page gives back."""
        return list(self._log)[-LEFT_BEHIND:]

    def page(self) -> RenderableType:
        """Everything, in exactly as many lines as the terminal has; what matters least gives way first."""
        height, width = self._console.height, self._console.width
        head, foot = [self._head(), self._meter()], [self._status(), Text(KEYS, style="dim")]
        scores = self._scores(width)
        room = height - len(head) - len(foot)
        scores = scores[: max(room - 1, 0)]
        room -= len(scores)
        self._picture.rows = min(self._picture.rows_wanted, room - 4) if room >= 8 else 0
        room -= self._picture.rows
        log = list(self._log)[-room:] if room > 0 else []
        log = [Text()] * (room - len(log)) + log
        lines: list[Text | Picture] = [*head, *([self._picture] if self._picture.rows else []), *scores, *log, *foot]
        for line in lines:
            if isinstance(line, Text):
                line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines[:height])

    def _head(self) -> Text:
        return Text.assemble((f"{self._title}  ", "bold"), (_clock(self._session), "dim"))

    def _meter(self) -> Text:
        line = meter(self._level)
        if self._warning:
            line.append(f"  {self._warning}", style="bold yellow")
        return line

    def _status(self) -> Text:
        controls, shares = self._controls, self._work.shares
        ran = "  ".join(
            f"{'none' if delta == 0 else f'depth {delta}'} {100 * share:.0f} %"
            for delta, share in shares.items()
            if share
        )
        depth = ADAPTIVE if controls.depth == ADAPTIVE else f"{controls.depth}"
        gate = "off" if controls.gate <= -100.0 else f"{controls.gate:.0f} dBFS"
        line = Text(f"depth {depth}  sensitivity {controls.sensitivity:.2f}  gate {gate}", style="bold")
        if ran:  # neither figure is known before the first second has passed
            line.append(f"  CPU {100 * self._work.cpu:.1f} %  ", style="cyan")
            line.append(f"windows: {ran}", style="dim")
        return line

    def _scores(self, width: int) -> list[Text]:
        """A bar a class, in as many columns as fit, down the columns."""
        scores = self._stream.scores
        longest = max(map(len, self._names))
        bars = [self._bar(index, float(scores[index]), longest) for index in range(len(self._names))]
        columns = max(1, min(len(bars), (width + 3) // (longest + _BAR_CELLS + 9)))
        rows = -(-len(bars) // columns)
        return [Text("   ").join(bars[row::rows]) for row in range(rows)]

    def _bar(self, index: int, score: float, longest: int) -> Text:
        """A word's score, 0..1, with a mark where its threshold is."""
        name, word = self._names[index], index < self._n_words
        lit = self._lit.get(name, 0.0) > time.monotonic()
        style = "bold green" if lit else "cyan" if word else "dim"
        filled = round(score * _BAR_CELLS)
        cells = Text("█" * filled + "·" * (_BAR_CELLS - filled))
        cells.stylize(style, 0, filled)
        cells.stylize("dim", filled)
        threshold = self._stream.threshold(name) if word else 2.0
        if threshold <= 1.0:
            mark = min(int(threshold * _BAR_CELLS), _BAR_CELLS - 1)
            cells = Text.assemble(cells[:mark], ("│", "bold"), cells[mark + 1 :])
        ends = style if lit or not word else ""
        return Text.assemble((f"{name:<{longest}} ", ends), cells, (f" {score:.2f}", ends))


def _clock(seconds: float) -> str:
    """Such as 1:02:03."""
    minutes, second = divmod(int(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02d}:{second:02d}"
