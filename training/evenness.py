"""Removes from the class biases that some words were drawn more often in training than others.

A word of few recordings is drawn less often than others in training, so that it is not learned by heart; but a task
counts all words alike. A network that was trained on words in shares p answers as one of equal shares would once log p
is taken from their logits: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, whose post-hoc form this
is. The classes of no word keep what they have: how often other speech comes is for thresholds to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from kws.model import FoldedModel
from kws_training.networks import BiFSMN

EVENED = "evened_draws"
"""In a model's provenance: draws of each word that was evened out, by name."""


def draws_of(model: FoldedModel) -> dict[str, int]:
    """What was evened out in ``model``: nothing where its provenance, which anybody may write, says nothing usable."""
    draws = model.provenance.get(EVENED)
    if not isinstance(draws, dict) or not all(isinstance(n, int) and n > 0 for n in draws.values()):
        return {}
    return draws


def even_out(network: BiFSMN, class_names: Sequence[str], draws: Mapping[str, int]) -> None:
    """Takes the logarithms of the words' shares of ``draws`` out of the class biases, at every depth.

    Args:
        class_names: of the network, in output order; what is not in ``draws`` keeps its bias.
        draws: of each word in an epoch, above 0, by name. A word of the mean number keeps its bias, too.
    """
    _add(network, class_names, draws, -1.0)


def put_back(network: BiFSMN, class_names: Sequence[str], draws: Mapping[str, int]) -> None:
    """The reverse of ``even_out``: for a network that is to be trained on."""
    _add(network, class_names, draws, 1.0)


@torch.no_grad()
def _add(network: BiFSMN, class_names: Sequence[str], draws: Mapping[str, int], factor: float) -> None:
    for index, name in enumerate(class_names):
        if name in draws:
            share = draws[name] / np.mean(list(draws.values()))
            for bias in network.class_bias.values():
                bias[index] += factor * float(np.float32(np.log(share)))
