"""Hard examples: what a network is nearest to taking for a word is found, evenly for every word, and reproducibly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kws.features import PRESETS
from kws_training.features import LogMel
from kws_training.own_words import hard as module
from kws_training.own_words.hard import hard_pieces
from kws_training.own_words.pieces import Piece, Pieces

PRESET = PRESETS["bifsmn"]
SAMPLES = PRESET.window_samples
RATE = 16000
DELTAS = (1, 2)


class Pitch(torch.nn.Module):
    """Takes low tones for its first word and high ones for its second, at either depth; counts nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(0.1))

    def forward(self, features, deltas):
        power = features.mean(2)
        low, high = power[:, :8].amax(1), power[:, -8:].amax(1)
        nothing = torch.full_like(low, -200.0)
        logits = self.scale * torch.stack([low, high, nothing, nothing], 1)
        return {delta: (logits, {}) for delta in deltas}


def tone(hertz: float, length: int = 8000, silence: int = 0) -> Piece:
    wave = 3000.0 * np.sin(2 * np.pi * hertz * np.arange(length) / RATE)
    pcm = np.concatenate([np.zeros(silence), wave, np.zeros(silence)]).astype(np.int16)
    return Piece(pcm, silence, silence + length, -24.0)


def pieces(speech, running=()) -> Pieces:
    return Pieces([[], []], [[tone(500)], [tone(500)]], [], list(speech), [], list(running), np.zeros(0, np.int16))


def seek(monkeypatch, material: Pieces, kept: int = 20, seed: int = 0, heard: int = 2048) -> list[Piece]:
    monkeypatch.setattr(module, "HEARD", heard)
    monkeypatch.setattr(module, "KEPT", kept)
    network = Pitch().train()
    found = hard_pieces(network, LogMel(PRESET), material, DELTAS, SAMPLES, np.random.default_rng(seed))
    assert network.training
    return found


def test_what_sounds_most_like_each_word_is_kept(monkeypatch):
    middle = [tone(1500) for _ in range(90)]
    low, high = [tone(80) for _ in range(5)], [tone(7600) for _ in range(5)]
    found = seek(monkeypatch, pieces([*middle[:40], *low, *middle[40:], *high]), kept=10)
    assert len(found) == 10
    assert {id(piece) for piece in found} == {id(piece) for piece in low + high}


def test_loudness_and_silence_around_do_not_matter(monkeypatch):
    quiet = tone(80, silence=4000)
    quiet = Piece(quiet.pcm // 50, quiet.first, quiet.last, quiet.level - 34.0)
    found = seek(monkeypatch, pieces([tone(1500), quiet]), kept=2)
    assert found[0] is quiet


@pytest.mark.parametrize("kind", ["a sentence", "a recording"])
def test_of_long_recordings_the_window_that_sounds_like_a_word_is_kept(monkeypatch, kind):
    long = np.concatenate([tone(1500, 10 * SAMPLES).pcm, tone(80, SAMPLES).pcm])
    material = pieces([Piece(long, 0, len(long), -24.0)]) if kind == "a sentence" else pieces([], [long])
    best = seek(monkeypatch, material, kept=2)[0]
    assert best.length == len(best.pcm) <= SAMPLES
    last = best.pcm[-SAMPLES // 8 :].astype(float)
    assert np.argmax(np.abs(np.fft.rfft(last))) * RATE / len(last) == pytest.approx(80, abs=10)


def test_a_recording_shorter_than_a_window_is_heard_whole(monkeypatch):
    short = tone(80, SAMPLES // 3).pcm
    assert {len(piece.pcm) for piece in seek(monkeypatch, pieces([], [short]), kept=2)} == {len(short)}


def test_without_other_speech_there_is_nothing_to_find(monkeypatch):
    assert seek(monkeypatch, pieces([])) == []


def test_the_same_network_and_seed_find_the_same(monkeypatch):
    material = pieces([tone(hertz) for hertz in range(60, 7000, 50)])
    first, again, other = (seek(monkeypatch, material, seed=seed, heard=60) for seed in (0, 0, 1))
    assert [id(piece) for piece in first] == [id(piece) for piece in again]
    assert [id(piece) for piece in first] != [id(piece) for piece in other]
