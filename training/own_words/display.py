"""What ``kws new`` shows: what there is to learn from, training as ``kws train`` shows it, and what came of it."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from kws.data.audio import SAMPLE_RATE
from kws.data.neural import REMEDY
from kws.features import Preset
from kws.own_words.material import Material
from kws.own_words.project import Project
from kws_training.config import Settings
from kws_training.display import TrainingDisplay
from kws_training.finetune import settings_of
from kws_training.own_words.make import Made, MakeWatcher
from kws_training.topology import Topology


class MakeDisplay(TrainingDisplay, MakeWatcher):
    """A watcher that draws on the terminal; without one, it prints a line for each part and epoch."""

    def __init__(self, project: Project) -> None:
        # Training's own settings are known once there is something to train on.
        super().__init__(settings_of(project.classes, Topology(), project.epochs, project.seed), project.run)
        self.project = project
        self._bars: dict[str, Any] = {}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.progress.stop()
        if kind is KeyboardInterrupt:
            self._say(f"Interrupted. Go on from here with: kws new {self.project.folder}")

    def settings_known(self, settings: Settings) -> None:
        self.settings = settings

    def part(self, title: str) -> None:
        self._clear()
        self._bars[title] = self.progress.add_task(title, total=None)

    def spoken(self, name: str, done: int, total: int) -> None:
        """As ``kws.own_words.spoken`` tells its progress."""
        for bar in self._bars.values():
            self.progress.update(bar, completed=done, total=total, description=f"Speaking {name}")

    def material(self, material: Material, preset: Preset) -> None:
        self._clear()
        counts = ", ".join(f"{count} {kind}" for kind, count in material.counts().items())
        seconds = preset.window_samples / SAMPLE_RATE
        self._say(f"Learning from {counts}; windows of {seconds:.2f} s.")

    def heard(self, seconds: float) -> None:
        for bar in self._bars.values():
            self.progress.update(bar, description=f"Choosing thresholds: {seconds / 60:.0f} minutes heard")

    def made(self, made: Made) -> None:
        """The end: what was found at the chosen thresholds, and which files there are."""
        self._clear()
        result, model = made.calibration, made.model
        depth = result.measured[f"depth {model.deltas[0]}"]
        table = Table("word", "threshold", "held-out takes", "trained takes", "new voices", "near words taken for it")
        for word, one in made.recall.items():
            threshold = f"{depth.thresholds[word]:.3f}"
            table.add_row(
                word, threshold, *(_share(share) for share in (one.held_out, one.takes, one.voices, one.near))
            )
        self.console.print(table)
        rate = depth.point.false_accepts - depth.point.late
        self._say(
            f"Thresholds for {result.target:g} false accepts an hour, chosen on {result.hours:.1f} hours; there it "
            f"makes {rate:.2f} an hour."
        )
        if not any(one.takes.count or one.held_out.count for one in made.recall.values()):
            self._say(
                "No take of a person is in it: synthesised voices alone teach it badly. Record some with: "
                f"kws record {' '.join(map(repr, self.project.words))} --out {self.project.own_recordings}"
            )
            if not made.voices:
                own = REMEDY if self.project.language.startswith("en") else "--voice FILE.onnx, one of Piper's"
                self._say(f"Voices that sound more like people help, too: {own}")
        for path in made.written:
            self._say(f"{path} written")
        self._say(f"Next: kws listen --model {self.project.model}")

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _clear(self) -> None:
        for bar in self._bars.values():
            self.progress.remove_task(bar)
        self._bars.clear()


def _share(share: Any) -> str:
    return str(share) if share.count else "none"
