"""What a network owes to some words having been drawn more often than others, taken out of its class biases.

A word of few recordings is drawn less often than others in training, so that it is not learned by heart; but a task
counts all words alike. A network that was trained on words in shares p answers as one of equal shares would once log p
is taken from their logits: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, whose post-hoc form this
is. The classes of no word keep what they have: how often other speech comes is for thresholds to say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from kws_training.networks import BiFSMN


@torch.no_grad()
def even_out(network: BiFSMN, draws: Sequence[float]) -> None:
    """Takes the shares of ``draws`` out of the class biases, at every depth.

    Args:
        network: whose first classes are the words.
        draws: of each word in an epoch, above 0; their mean word's bias stays.
    """
    shares = np.asarray(draws, np.float64) / np.mean(draws)
    adjustment = torch.from_numpy(np.log(shares)).float()
    for bias in network.class_bias.values():
        bias[: len(shares)] -= adjustment.to(bias.device)
