"""An average of a network's weights over the steps of a stage, with batch norms measured anew.

While the learning rate is high, signs of weights that matter little flip from epoch to epoch; the sign of a latent
weight's average is the one that most steps agree on. Averages of weights: Izmailov et al., "Averaging Weights Leads to
Wider Optima and Better Generalization", UAI 2018; section 3.2 measures batch norms anew, since no step ever saw the
averaged weights' statistics. How much each step counts: Karras et al., "Analyzing and Improving the Training Dynamics
of Diffusion Models", CVPR 2024, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)

MEASURED_BATCHES = 64


class Average:
    """The average of a network's parameters over the steps so far, in which step t counts as t ** ``power``.

    Whatever a stage's length, the same share of it counts: at a power of 7, half of the weight lies on its last 8 %.

    Args:
        network: whose parameters are averaged; they are not kept.
        power: 0 for all steps alike, or more.
    """

    def __init__(self, network: nn.Module, power: float) -> None:
        self.power, self.steps = power, 0
        self.weights = {name: weight.detach().clone() for name, weight in network.named_parameters()}

    @torch.no_grad()
    def add(self, network: nn.Module) -> None:
        """Counts ``network`` as it is after one more step."""
        self.steps += 1
        share = 1.0 - (1.0 - 1.0 / self.steps) ** (self.power + 1.0)
        for name, weight in network.named_parameters():
            self.weights[name].lerp_(weight, share)

    @torch.no_grad()
    def put_into(self, network: nn.Module) -> None:
        """Gives ``network`` the averaged parameters; its buffers stay."""
        for name, weight in network.named_parameters():
            weight.copy_(self.weights[name])

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"steps": self.steps, "weights": self.weights}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state`` gave."""
        self.steps = state["steps"]
        for name, weight in self.weights.items():
            weight.copy_(state["weights"][name])


@torch.no_grad()
def measure_norms(network: nn.Module, features: Iterable[Tensor], deltas: tuple[int, ...]) -> None:
    """Gives every batch norm the mean statistics of ``features``, which it normalises by each batch's own meanwhile.

    Args:
        network: left in eval mode.
        features: float32 [batch, n_mels, frames] each.
        deltas: depths to run.
    """
    network.eval()  # no dropout, whose draws would differ after an interruption
    norms = [module for module in network.modules() if isinstance(module, NORMS)]
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        # A mean of all batches, which starts anew where a norm runs, and else leaves it as it was.
        norm.num_batches_tracked.zero_()
        norm.momentum = None
    for batch in features:
        network(batch, deltas)
    for norm, value in zip(norms, momentum, strict=True):
        norm.momentum = value
    network.eval()
