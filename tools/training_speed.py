"""Says where a training step's time goes.

    python tools/training_speed.py --data DIR [--task 12] [--steps 30]

Times the parts of a step of the binary stage, one after another in turn so that a busy machine slows all alike, and
prints the median of each, its share, and the clips a second that follow.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from kws.data.tasks import TASKS, scan
from kws.features import PRESETS
from kws_training.augment import MODERATE
from kws_training.dataset import TrainingData
from kws_training.distillation import answer_loss, enhanced_loss
from kws_training.networks import BiFSMN
from kws_training.run import new_settings


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", default="12", choices=TASKS)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()

    settings = new_settings(TASKS[options.task])
    data = TrainingData(scan(options.data), TASKS[options.task], PRESETS["bifsmn"], 0, 0.25, lambda items, *_: items)
    student, teacher = BiFSMN(settings.topology), BiFSMN(settings.topology).eval().requires_grad_(False)
    student.set_stage("binary")
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    batches = data.epoch(0, 0, settings.batch, 0.2, MODERATE)
    seconds: dict[str, list[float]] = {}

    def timed(part: str, call: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = call()
        seconds.setdefault(part, []).append(time.perf_counter() - started)
        return result

    def forward(features: torch.Tensor, labels: torch.Tensor, targets: tuple) -> torch.Tensor:
        losses = []
        for logits, outputs in student(features).values():
            loss = torch.nn.functional.cross_entropy(logits, labels)
            losses.append(loss + answer_loss(logits, targets[0], 2.0) + enhanced_loss(outputs, targets[1]))
        return torch.stack(losses).sum()

    for _ in range(options.steps):
        features, labels, _ = timed("reading, augmentation and features", lambda: next(batches))
        targets = timed("teacher", lambda: teacher(features, (1,))[1])  # noqa: B023 (called at once)
        loss = timed("student at three depths, forwards", lambda: forward(features, labels, targets))  # noqa: B023
        optimizer.zero_grad(set_to_none=True)
        timed("backwards", loss.backward)
        timed("optimizer", optimizer.step)
    median = {part: statistics.median(values) for part, values in seconds.items()}
    total = sum(median.values())
    print(
        json.dumps(
            {
                "clips_per_second": round(settings.batch / total),
                "threads": torch.get_num_threads(),
                "share": {part: round(value / total, 3) for part, value in median.items()},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
