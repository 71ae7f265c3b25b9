"""Hard examples that the network finds itself: what it is most mistaken about is drawn more often.

What sounds like a word to a network is not what sounds like it to a synthesiser: to one that has learned "forward" of
three takes, other people's "four" does. Before every epoch the network as it is then hears speech drawn anew, and what
it takes for a word most is drawn more often in that epoch (the bootstrapping of Sung and Poggio, "Example-based
learning for view-based human face detection", 1998, by the epoch). Where several words are alike, so are their
recordings that it takes for themselves least. Nothing is kept from one epoch to the next, so a training that was
interrupted goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kws.data.audio import level_dbfs
from kws.data.stream import lay
from kws_training.composed.pieces import QUIET, Piece, Pieces
from kws_training.composed.scenes import Scenes
from kws_training.features import LogMel
from kws_training.networks import BiFSMN

ONE_IN = 8
"""Of so many that are heard is drawn more often."""

_RUNNING = 0.5
"""Part of those heard that long recordings have, however long they are."""
_LEVEL, _FLOOR = -26.0, -70.0
"""Of the speech that is heard, and of the hiss below it, dBFS."""
_BATCH = 128


class Ear:
    """What a network that is being trained makes of pieces.

    Args:
        network: left in evaluation. Its classes are the words, then others.
        log_mel: of the network's preset.
        deltas: depths.
    """

    def __init__(self, network: BiFSMN, log_mel: LogMel, deltas: tuple[int, ...]) -> None:
        self.network, self._log_mel, self._deltas = network, log_mel, deltas
        self.samples = log_mel.preset.window_samples

    def scores(self, heard: Sequence[Piece], rng: np.random.Generator) -> Tensor:
        """Mean of the depths' log probabilities, float32 [pieces, classes]; of each piece in the middle of a window."""
        self.network.eval()
        with torch.no_grad():
            return torch.cat([self._scores(batch) for batch in self._batches(heard, rng)])

    def _batches(self, heard: Sequence[Piece], rng: np.random.Generator) -> Iterator[Tensor]:
        for start in range(0, len(heard), _BATCH):
            windows = [_window(piece, self.samples, rng) for piece in heard[start : start + _BATCH]]
            yield torch.from_numpy(np.stack(windows))

    def _scores(self, windows: Tensor) -> Tensor:
        features = self._log_mel(windows).to(next(self.network.parameters()).device)
        results = self.network(features, self._deltas)
        return torch.stack([results[delta][0].log_softmax(1) for delta in self._deltas]).mean(0).cpu()


def hard_pieces(ear: Ear, scenes: Scenes, most: int, runs: int, rng: np.random.Generator) -> list[Piece]:
    """Of other speech in the pieces of ``scenes``, what the network is nearest to taking for each word.

    Args:
        most: pieces of ``speech`` and windows of ``running`` that are heard.
        runs: windows of other speech, stretches of recordings or pieces one after another, that are heard beside them.
        rng: of the draws.

    Returns:
        Pieces none of which is longer than a window, up to as many for each word; some are nearest to several.
    """
    heard = _drawn(scenes.pieces, most, ear.samples, rng)
    if not heard:
        return []
    heard += _loud(_whole(scenes.run(_LEVEL, rng)) for _ in range(runs))
    n_words = len(scenes.pieces.voices)
    count = max(1, len(heard) // ONE_IN // n_words)
    best = torch.argsort(ear.scores(heard, rng)[:, :n_words], dim=0, descending=True)[:count]
    return [heard[index] for index in dict.fromkeys(best.flatten().tolist())]


def hard_words(ear: Ear, pieces: Pieces, most: int, rng: np.random.Generator) -> list[tuple[int, Piece]]:
    """Of recordings of the words, as many of each, what the network takes for its own word least; ``most`` are heard.

    Returns:
        The word's index, and a recording that says it.
    """
    found: list[tuple[int, Piece]] = []
    for word, voices in enumerate(pieces.voices):
        count = min(most // len(pieces.voices), len(voices))
        heard = [voices[index] for index in rng.choice(len(voices), count, replace=False)] if count else []
        heard = [piece for piece in heard if piece.length <= ear.samples]
        if heard:
            worst = torch.argsort(ear.scores(heard, rng)[:, word])[: max(1, len(heard) // ONE_IN)]
            found += [(word, heard[index]) for index in worst.tolist()]
    return found


def _drawn(pieces: Pieces, most: int, samples: int, rng: np.random.Generator) -> list[Piece]:
    """At most ``most`` pieces, each once, and windows of long recordings."""
    from_running = round((_RUNNING if pieces.speech else 1.0) * most) if pieces.running else 0
    count = min(most - from_running, len(pieces.speech))
    drawn = [pieces.speech[index] for index in rng.choice(len(pieces.speech), count, replace=False)] if count else []
    found = [piece if piece.length <= samples else _cut(piece.pcm, samples, rng) for piece in drawn]
    lengths = np.array([len(recording) for recording in pieces.running], np.float64)
    for index in rng.choice(len(lengths), from_running, p=lengths / lengths.sum()) if from_running else ():
        found.append(_cut(pieces.running[index], samples, rng))
    return _loud(found)


def _loud(pieces: Iterable[Piece]) -> list[Piece]:
    """Those that are no pause, which would be heard as loud as speech."""
    return [piece for piece in pieces if piece.level > QUIET]


def _cut(wave: NDArray[np.int16], samples: int, rng: np.random.Generator) -> Piece:
    """A window of ``wave`` from a drawn place, or all of it."""
    start = int(rng.integers(max(0, len(wave) - samples) + 1))
    return _whole(wave[start : start + samples])


def _whole(pcm: NDArray[np.int16]) -> Piece:
    """All of ``pcm`` as speech."""
    return Piece(pcm, 0, len(pcm), level_dbfs(pcm))


def _window(piece: Piece, samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """The piece in the middle of a window, as loud as every other, over a hiss."""
    window = 32768.0 * 10.0 ** (_FLOOR / 20.0) * rng.standard_normal(samples)
    lay(window, piece.pcm * 10.0 ** ((_LEVEL - piece.level) / 20.0), (samples - piece.length) // 2 - piece.first)
    return np.clip(window, -32768, 32767).astype(np.float32)
