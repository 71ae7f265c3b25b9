"""Hard examples that the network finds itself: the other speech that it is nearest to taking for a word.

What sounds like a word to a network is not what sounds like it to a synthesiser: to one that has learned "forward" of
three takes, other people's "four" does. Before every epoch the network as it is then hears speech drawn anew, and what
it takes for a word most is drawn more often in that epoch (the bootstrapping of Sung and Poggio, "Example-based
learning for view-based human face detection", 1998, by the epoch). Nothing is kept from one epoch to the next, so a
training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kws.data.audio import level_dbfs
from kws.data.stream import lay
from kws_training.features import LogMel
from kws_training.networks import BiFSMN
from kws_training.own_words.pieces import Piece, Pieces

HEARD = 2048
"""Pieces and windows of other speech that are heard before an epoch."""
KEPT = 256
"""Of them drawn more often, shared by the words."""

_LEVEL = -26.0
"""dBFS of what is heard."""
_BATCH = 128


def hard_pieces(
    network: BiFSMN, log_mel: LogMel, pieces: Pieces, deltas: tuple[int, ...], samples: int, rng: np.random.Generator
) -> list[Piece]:
    """Of other speech in ``pieces``, what ``network`` is nearest to taking for each word, at the mean of its depths.

    Args:
        network: as it is; its classes are the words, then others.
        log_mel: of the network's preset.
        pieces: whose ``speech`` and ``running`` are drawn from.
        deltas: depths.
        samples: of a window.
        rng: of the draws.

    Returns:
        At most ``KEPT`` pieces, none longer than a window.
    """
    every = _windows(pieces, samples, rng)
    if not every:
        return []
    drawn = rng.choice(len(every), min(HEARD, len(every)), replace=False)
    heard = [_levelled(every[index]) for index in drawn]
    was_training = network.training
    network.eval()
    with torch.no_grad():
        scores = torch.cat([_scores(network, log_mel(batch), deltas) for batch in _batches(heard, samples)])
    network.train(was_training)
    n_words = len(pieces.voices)
    best = torch.argsort(scores[:, :n_words], dim=0, descending=True)[: KEPT // n_words]
    return [heard[index] for index in dict.fromkeys(best.flatten().tolist())]


def _windows(pieces: Pieces, samples: int, rng: np.random.Generator) -> list[Piece | NDArray[np.int16]]:
    """All other speech: pieces, and what is longer than a window cut into windows at drawn places."""
    long = [piece.pcm[piece.first : piece.last] for piece in pieces.speech if piece.length > samples]
    offset = int(rng.integers(samples))
    cut = [
        wave[max(0, start) : start + samples]
        for wave in (*long, *pieces.running)
        for start in range(-offset if len(wave) > samples else 0, len(wave), samples)
    ]
    return [*(piece for piece in pieces.speech if piece.length <= samples), *cut]


def _levelled(window: Piece | NDArray[np.int16]) -> Piece:
    return window if isinstance(window, Piece) else Piece(window, 0, len(window), level_dbfs(window))


def _batches(heard: list[Piece], samples: int) -> Iterator[Tensor]:
    for start in range(0, len(heard), _BATCH):
        yield torch.from_numpy(np.stack([_window(piece, samples) for piece in heard[start : start + _BATCH]]))


def _window(piece: Piece, samples: int) -> NDArray[np.float32]:
    """The piece in the middle of a window, its level even."""
    window = np.zeros(samples)
    gain = 10.0 ** (min(_LEVEL - piece.level, 40.0) / 20.0)
    lay(window, piece.pcm * gain, (samples - piece.length) // 2 - piece.first)
    return np.clip(window, -32768, 32767).astype(np.float32)


def _scores(network: BiFSMN, features: Tensor, deltas: tuple[int, ...]) -> Tensor:
    """Mean of the depths' log probabilities, float32 [batch, classes]."""
    results = network(features.to(next(network.parameters()).device), deltas)
    return torch.stack([results[delta][0].log_softmax(1) for delta in deltas]).mean(0).cpu()
