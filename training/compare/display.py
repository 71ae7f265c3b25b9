"""What ``kws compare`` shows: a line for every cell, and each run's own bars and lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kws_training.compare.cell import settings
from kws_training.compare.grid import Cell, Grid
from kws_training.compare.run import TABLE, Reporter
from kws_training.display import TrainingDisplay


class CompareDisplay(TrainingDisplay, Reporter):
    """A reporter that draws on the terminal."""

    def __init__(self, grid: Grid, out: Path) -> None:
        self.grid = grid
        super().__init__(settings(grid.plan()[0], grid), out)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.progress.stop()
        if kind is KeyboardInterrupt:
            self.console.print("Interrupted. What is done is kept: the same command goes on.", markup=False)
        elif kind is None:
            self.console.print(f"Wrote {self.out / TABLE}, results.json and plots.", markup=False)

    def cell(self, cell: Cell, number: int, total: int, is_done: bool) -> None:
        self.settings = settings(cell, self.grid)
        state = " (done)" if is_done else ""
        self.console.print(f"[bold]{number}/{total} {cell.title}[/bold]{state}", highlight=False)

    def measuring(self, done: int, total: int) -> None:
        if self.bar is not None:
            self.progress.remove_task(self.bar)
        self.bar: Any = (
            self.progress.add_task("measuring, clips", total=total, completed=done) if done < total else None
        )
