"""Hard examples: what a network is most mistaken about is found, evenly for every word, and reproducibly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kws.features import PRESETS
from kws_training.composed import hard as module
from kws_training.composed.hard import Ear, hard_pieces, hard_words
from kws_training.composed.pieces import QUIET, Piece, Pieces
from kws_training.composed.scenes import Manner, Scenes, Shares
from kws_training.features import LogMel

PRESET = PRESETS["bifsmn"]
SAMPLES = PRESET.window_samples
RATE = 16000
DELTAS = (1, 2)


class Pitch(torch.nn.Module):
    """Takes low tones for its first word and high ones for its second, at either depth: by their power alone."""

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


def ear() -> Ear:
    return Ear(Pitch(), LogMel(PRESET), DELTAS)


def seek(material: Pieces, most: int = 200, seed: int = 0, runs: int = 0) -> list[Piece]:
    scenes = Scenes(material, SAMPLES, Shares(), Manner(joined=1.0))
    return hard_pieces(ear(), scenes, most, runs, np.random.default_rng(seed))


def test_one_in_eight_is_kept_and_sounds_most_like_a_word():
    middle = [tone(1500) for _ in range(70)]
    low, high = [tone(80) for _ in range(5)], [tone(7600) for _ in range(5)]
    found = seek(pieces([*middle[:40], *low, *middle[40:], *high]))
    assert len(found) == 10
    assert {id(piece) for piece in found} == {id(piece) for piece in low + high}


def test_a_quiet_recording_is_as_hard_as_a_loud_one():
    loud = [tone(1500) for _ in range(7)]
    quiet = tone(80, silence=4000)
    quiet = Piece(quiet.pcm // 50, quiet.first, quiet.last, quiet.level - 34.0)
    assert seek(pieces([*loud, quiet]))[0] is quiet


def test_a_pause_of_a_recording_is_not_heard_as_speech():
    rng = np.random.default_rng(1)
    pause = rng.integers(-4, 5, 30 * RATE).astype(np.int16)
    found = seek(pieces([tone(1500)] * 8, [pause]), runs=100)
    assert found and all(piece.level > QUIET for piece in found)


def test_every_piece_is_heard_in_the_middle_of_its_window_over_a_hiss():
    rng = np.random.default_rng(0)
    window = module._window(tone(500, silence=1000), SAMPLES, rng)
    loud = np.flatnonzero(np.abs(window) > 300)
    assert loud[0] == pytest.approx((SAMPLES - 8000) // 2, abs=200) and loud[-1] - loud[0] == pytest.approx(
        8000, abs=400
    )
    assert 20 * np.log10(window[loud[0] : loud[-1]].std() / 32768) == pytest.approx(-26, abs=1)
    assert 20 * np.log10(window[:2000].std() / 32768) == pytest.approx(-70, abs=1)


@pytest.mark.parametrize("kind", ["a sentence", "a recording"])
def test_of_long_recordings_the_window_that_sounds_like_a_word_is_kept(kind):
    long = np.concatenate([tone(1500, 10 * SAMPLES).pcm, tone(80, SAMPLES).pcm])
    sentences = [Piece(long, 0, len(long), -24.0) for _ in range(100)]
    best = seek(pieces(sentences) if kind == "a sentence" else pieces([], [long]))[0]
    assert best.length == len(best.pcm) == SAMPLES
    last = best.pcm[-SAMPLES // 8 :].astype(float)
    assert np.argmax(np.abs(np.fft.rfft(last))) * RATE / len(last) == pytest.approx(80, abs=10)


def test_a_recording_shorter_than_a_window_is_heard_whole():
    short = tone(80, SAMPLES // 3).pcm
    assert {len(piece.pcm) for piece in seek(pieces([], [short]))} == {len(short)}


def test_pauses_of_long_recordings_are_not_heard():
    silence = np.zeros(10 * SAMPLES, np.int16)
    assert seek(pieces([], [silence])) == []
    found = seek(pieces([], [silence, tone(1500, 10 * SAMPLES).pcm]))
    assert found and all(piece.level > -30 for piece in found)


def test_many_hours_of_running_speech_leave_half_of_the_hearing_to_other_words():
    words = [tone(80) for _ in range(100)]
    drawn = module._drawn(
        pieces(words, [np.full(1000 * SAMPLES, 1000, np.int16)]), 64, SAMPLES, np.random.default_rng(0)
    )
    known = {id(piece) for piece in words}
    assert len(drawn) == 64 and sum(id(piece) in known for piece in drawn) == 32
    assert len({id(piece) for piece in drawn}) == 64


def test_runs_of_other_speech_are_heard_beside_single_pieces():
    found = seek(pieces([tone(1500, 4000) for _ in range(16)]), most=16, runs=64)
    assert len(found) == 80 // 8
    windows = [piece for piece in found if piece.length == SAMPLES]
    assert len(windows) >= 5 and all(piece.level == pytest.approx(-26, abs=3) for piece in windows)


def test_without_other_speech_there_is_nothing_to_find():
    assert seek(pieces([]), runs=64) == []


def test_the_recordings_of_a_word_that_sound_least_like_it_are_hard():
    low, high = [tone(80) for _ in range(14)], [tone(7600) for _ in range(14)]
    doubtful = [tone(7600), tone(1500)]
    material = Pieces([[], []], [[*low, *doubtful], [*high, tone(80)]], [], [], [], [], np.zeros(0, np.int16))
    found = hard_words(ear(), material, 32, np.random.default_rng(0))
    assert [word for word, _ in found] == [0, 0, 1]
    assert {id(piece) for word, piece in found if word == 0} == {id(piece) for piece in doubtful}
    assert found[2][1] is material.voices[1][-1]
    assert hard_words(ear(), material, 0, np.random.default_rng(0)) == []


def test_a_word_without_voices_or_too_long_for_a_window_has_no_hard_ones():
    material = Pieces([[tone(80)], []], [[], [tone(80, 2 * SAMPLES)]], [], [], [], [], np.zeros(0, np.int16))
    assert hard_words(ear(), material, 32, np.random.default_rng(0)) == []


def test_the_same_network_and_seed_find_the_same():
    material = pieces([tone(hertz) for hertz in range(60, 7000, 50)])
    first, again, other = (seek(material, 60, seed) for seed in (0, 0, 1))
    assert [id(piece) for piece in first] == [id(piece) for piece in again]
    assert [id(piece) for piece in first] != [id(piece) for piece in other]
