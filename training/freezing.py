"""Weights that go to and fro around zero, and keep a sign for good.

The gradient of a weight whose two signs are as good as each other pushes it back as soon as it has changed: it
oscillates for as long as the rate lets it, and with it what every later layer sees, which batch norms' running
statistics then tell wrongly. Nagel et al., "Overcoming Oscillations in Quantization-Aware Training", ICML 2022, section
4.3: the more often a weight changes, the sooner it is frozen, to the value that it mostly had, so that the others can
settle around it.

What is watched is the sign of the latent weight itself. Of a binarizer that moves weights before it takes their signs
(IR-Net, DIR-Net, ReCU) that is nearly the bit; of more bits than one it is not.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from kws_training.layers import BinaryLayer

FIRST = 15.0
"""How many times the last threshold the first one is."""

MOMENTUM = 0.01
"""Of the running means of changes and of signs."""

SMALLEST = 1e-3
"""A frozen weight is at least this: its sign must not hang on the last digit."""


class Freezer:
    """Freezes the oscillating weights of every binary layer of a network, step by step.

    Args:
        network: at the start.
        last: changes of sign a step, as a running mean, above which a weight is frozen at the end; 15 times as many at
            the start, and a cosine between.
        steps: of the whole stage.
    """

    def __init__(self, network: nn.Module, last: float, steps: int) -> None:
        self.last, self.steps, self.done = last, steps, 0
        self.layers = {
            name: _Layer(layer.weight) for name, layer in network.named_modules() if isinstance(layer, BinaryLayer)
        }

    @torch.no_grad()
    def step(self) -> None:
        """Called after every step of the optimizer: puts frozen weights back, and freezes others."""
        self.done += 1
        fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, self.done / self.steps)))
        threshold = self.last + (FIRST - 1.0) * self.last * fall
        for layer in self.layers.values():
            layer.step(threshold)

    def frozen(self) -> float:
        """The share of the weights that are frozen, 0..1."""
        masks = [layer.frozen for layer in self.layers.values()]
        return float(sum(mask.sum() for mask in masks)) / sum(mask.numel() for mask in masks)

    def state(self) -> dict[str, Any]:
        """For a checkpoint, beside the network's weights."""
        layers = {name: (layer.changes, layer.signs, layer.frozen) for name, layer in self.layers.items()}
        return {"done": self.done, "layers": layers}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what ``state`` gave, with a network whose weights are those of that moment."""
        self.done = state["done"]
        for name, layer in self.layers.items():
            for mine, saved in zip((layer.changes, layer.signs, layer.frozen), state["layers"][name], strict=True):
                mine.copy_(saved)


class _Layer:
    """One layer's weights, and what they did.

    Attributes:
        changes, signs: running means, of changes a step and of the sign itself.
        frozen: which weights are.
        held: what those are held at; of the others whatever they were at the start.
    """

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.previous, self.signs = torch.sign(weight.detach()), torch.sign(weight.detach())
        self.changes, self.frozen = torch.zeros_like(self.signs), torch.zeros_like(self.signs, dtype=torch.bool)
        self.held = weight.detach().clone()

    def step(self, threshold: float) -> None:
        weight = self.weight
        weight[self.frozen] = self.held[self.frozen]
        signs = torch.sign(weight)
        self.changes.lerp_((signs != self.previous).float(), MOMENTUM)
        self.signs.lerp_(signs, MOMENTUM)
        new = (self.changes > threshold) & ~self.frozen
        self.held[new] = torch.where(self.signs >= 0, 1.0, -1.0)[new] * weight[new].abs().clamp(min=SMALLEST)
        weight[new] = self.held[new]
        self.frozen |= new
        self.previous = torch.sign(weight)
