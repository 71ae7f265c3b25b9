"""What a rival costs: parameters, multiply-accumulates, bytes of a deployment."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from kws_training.rivals.int8 import ConvNorm, Dense
from kws_training.rivals.interface import Rival


def parameters(network: nn.Module) -> int:
    """Trainable numbers, as papers count them: batch norms' gains and shifts too, their statistics not."""
    return sum(parameter.numel() for parameter in network.parameters())


def macs(network: Rival, n_mels: int, frames: int) -> int:
    """Multiply-accumulates of convolutions and linear layers in one classification of an [n_mels, frames] map."""
    total = 0

    def count(layer: ConvNorm | Dense, inputs: Any, output: torch.Tensor) -> None:
        nonlocal total
        weight = layer.conv.weight if isinstance(layer, ConvNorm) else layer.weight
        total += output[0].numel() * weight[0].numel()

    handles = [layer.register_forward_hook(count) for layer in _layers(network)]
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, n_mels, frames))
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return total


def deployed_bytes(network: Rival, stage: str) -> dict[str, int]:
    """Bytes of what a program that runs the network must hold, batch norms folded, by part and in all.

    "int8": weights of a byte; an int32 bias an output where a norm or a bias makes one; a 32-bit multiplier an output
    to requantize with. A sub-spectral norm has a bias and a multiplier for each of its bands. Steps and zero points of
    maps, some ten bytes each, and the description of the graph are left out, in the rival's favour.

    "float": the same in float32, multipliers only where a sub-spectral norm leaves some.
    """
    weights = biases = multipliers = 0
    for layer in _layers(network):
        if isinstance(layer, ConvNorm):
            outputs, bands = layer.conv.out_channels, layer.bands
            weights += layer.conv.weight.numel()
        else:
            outputs, bands = layer.out_features, 1
            weights += layer.weight.numel()
        biases += outputs * bands
        multipliers += outputs * max(1, bands) if stage == "int8" or bands > 1 else 0
    parts = {
        "weights": weights * (1 if stage == "int8" else 4),
        "biases": 4 * biases,
        "multipliers": 4 * multipliers,
    }
    return {**parts, "total": sum(parts.values())}


def _layers(network: Rival) -> list[ConvNorm | Dense]:
    return [module for module in network.modules() if isinstance(module, ConvNorm | Dense)]
