"""What ``kws train`` shows: a progress bar for the epoch, a line for every epoch done, the time left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kws.model import RUN_MODEL
from kws_training.blocks import obstacle
from kws_training.config import Settings, StageSettings
from kws_training.loop import CHECKPOINT, Watcher
from kws_training.topology import network_name


class TrainingDisplay(Watcher):
    """A watcher that draws on the terminal; without one, it prints a line an epoch."""

    def __init__(self, settings: Settings, out: Path) -> None:
        self.settings, self.out = settings, out
        self.console = Console()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.bar: Any = None
        self.stage_settings: StageSettings | None = None
        self.steps = 0
        self.seconds: list[float] = []

    def __enter__(self) -> TrainingDisplay:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.progress.stop()
        if kind is KeyboardInterrupt:
            if (self.out / CHECKPOINT).exists():
                sentence = f"Every complete epoch is kept: go on with kws train --out {self.out} --resume."
            else:
                sentence = "No epoch was complete: the same command starts again."
            self.console.print(f"Interrupted. {sentence}", markup=False)
        elif kind is None:
            if obstacle(self.settings.topology.binarizer, network_name(self.settings.topology)):
                sentence = f"Wrote {self.out / 'student.pt'} and record.json, and no model: the engine cannot run it."
            else:
                sentence = f"Wrote {self.out / RUN_MODEL}. Next: kws listen --model {self.out}"
            self.console.print(sentence, markup=False)

    def reading(self, items: Iterable, total: int, title: str) -> Iterator:
        """Wraps ``items`` with a bar and says how long they took."""
        started = time.monotonic()
        bar = self.progress.add_task(title, total=total)
        for item in items:
            yield item
            self.progress.advance(bar)
        self.progress.remove_task(bar)
        self.console.print(f"{title}: {total} in {time.monotonic() - started:.0f} s.")

    def warn(self, sentence: str) -> None:
        self.console.print(sentence, style="yellow", markup=False, highlight=False)

    def stage(self, settings: StageSettings, steps: int) -> None:
        self.stage_settings, self.steps, self.seconds = settings, steps, []
        if self.bar is not None:
            self.progress.remove_task(self.bar)
        self.bar = self.progress.add_task(settings.name, total=steps)
        self.console.print(
            f"[bold]{settings.name}[/bold]: {settings.epochs} epochs of {steps} x {self.settings.batch} clips"
        )

    def step(self, loss: float) -> None:
        assert self.stage_settings is not None
        self.progress.update(self.bar, advance=1, description=f"{self.stage_settings.name}, loss {loss:.3f}")

    def epoch(self, row: dict[str, Any]) -> None:
        assert self.stage_settings is not None
        self.progress.reset(self.bar)
        self.seconds.append(row["seconds"])
        left = (self.stage_settings.epochs - row["epoch"]) * sum(self.seconds) / len(self.seconds)
        speed = self.steps * self.settings.batch / row["seconds"]
        self.console.print(
            f"  {row['stage']} {row['epoch']:3d}/{self.stage_settings.epochs}  loss {row['loss']:.3f}  "
            f"{_scores(row['validation'])}  "
            f"{speed:.0f} clips/s, {left / 60:.0f} min left in this stage",
            highlight=False,
        )

    def changed(self, what: str, figures: dict[str, dict]) -> None:
        self.console.print(f"  {what}  {_scores(figures)}", highlight=False)


def _scores(figures: dict[str, dict]) -> str:
    return "  ".join(f"depth {delta}: {100 * one['balanced_accuracy']:.2f} %" for delta, one in figures.items())
