"""Composed windows: how much of a word is in them, what they are called, and that every draw is the seed's."""

from __future__ import annotations

import numpy as np
import pytest

from kws.features import PRESETS
from kws_training.composed import scenes as module
from kws_training.composed.pieces import Piece, Pieces
from kws_training.composed.scenes import PART, WHOLE, Manner, Scenes, Shares

RATE = 16000
SAMPLES = PRESETS["bifsmn"].window_samples
LENGTH = 8000
PLAIN = Manner()


def piece(value: int, length: int = LENGTH) -> Piece:
    """A constant: how much of it is in a window can be counted."""
    return Piece(np.full(length, value, np.int16), 0, length, 20 * np.log10(value / 32768))


def pieces(**changes) -> Pieces:
    content = {
        "takes": [[], [piece(4000)]],
        "voices": [[piece(8000)], [piece(2000)]],
        "near": [piece(1000)],
        "speech": [piece(500)],
        "false": [],
        "running": [],
        "noise": np.zeros(0, np.int16),
    }
    return Pieces(**(content | changes))


@pytest.fixture
def bare(monkeypatch):
    """Words alone: no room, no noise, no neighbours, no change of speed."""
    for name in ("_NOISY", "_FLOORED", "_REVERBERANT", "_BEFORE", "_AFTER", "_BABBLE"):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(module, "_SPEED", (1.0, 1.0))


def draws(scenes: Scenes, count: int = 300) -> list[tuple[np.ndarray, int]]:
    rng = np.random.default_rng(0)
    return [scenes.draw(rng) for _ in range(count)]


def only(kind: str, manner: Manner = PLAIN, **changes) -> Scenes:
    kinds = ("words", "near", "parts", "speech", "silence", "false", "hard", "hard_words")
    return Scenes(pieces(**changes), SAMPLES, Shares(**(dict.fromkeys(kinds, 0.0) | {kind: 1.0})), manner)


def test_a_window_called_a_word_holds_nearly_all_of_it_anywhere(bare):
    places, labels = [], set()
    for pcm, label in draws(only("words")):
        loud = np.flatnonzero(pcm)
        assert WHOLE * LENGTH - 2 <= len(loud) <= LENGTH
        places.append(loud[0])
        labels.add(label)
    assert labels == {0, 1}
    # From one end of the window to the other.
    assert min(places) < 0.05 * SAMPLES and max(places) > SAMPLES - 1.05 * LENGTH


def test_a_word_may_be_kept_near_the_end_of_its_window_and_other_speech_is_not(bare):
    shares = Shares(words=0.5, near=0.5, parts=0.0, speech=0.0, silence=0.0)
    silences = {False: [], True: []}
    for pcm, label in draws(Scenes(pieces(), SAMPLES, shares, Manner(latest=0.1))):
        silences[label < 2].append(SAMPLES - 1 - np.flatnonzero(pcm)[-1])
    assert max(silences[True]) <= 1600 < 4000 < max(silences[False])
    assert min(silences[True]) < 200


def test_a_part_of_a_word_is_unknown_and_at_an_edge(bare):
    sides = set()
    for pcm, label in draws(only("parts")):
        loud = np.flatnonzero(pcm)
        assert label == 2
        assert 0 < len(loud) <= PART * LENGTH + 1
        assert loud[0] == 0 or loud[-1] == SAMPLES - 1
        sides.add(bool(loud[0] == 0))
    assert sides == {True, False}


@pytest.mark.parametrize(("kind", "label"), [("near", 2), ("speech", 2), ("silence", 3)])
def test_everything_else_is_unknown_or_silence(bare, kind, label):
    found = draws(only(kind), 50)
    assert {got for _, got in found} == {label}
    assert all(pcm.any() == (kind != "silence") for pcm, _ in found)


@pytest.mark.parametrize("kind", ["false", "hard"])
def test_what_was_taken_for_a_word_is_drawn_where_there_is_some(bare, kind):
    found = draws(only(kind, **{kind: [piece(3000)]}), 20)
    assert {label for _, label in found} == {2}
    assert all(pcm.max() > 0 for pcm, _ in found)
    shares = Shares()
    kinds = Scenes(pieces(), SAMPLES, shares)._kinds
    assert not {"false", "hard"} & set(kinds) and "near" in kinds
    assert "near" not in Scenes(pieces(near=[]), SAMPLES, shares)._kinds


def test_a_hard_word_is_itself_and_as_near_to_the_end_as_every_word(bare):
    found = draws(only("hard_words", Manner(latest=0.1), hard_words=[(1, piece(3000))]), 50)
    assert {label for _, label in found} == {1}
    assert all(SAMPLES - 1 - np.flatnonzero(pcm)[-1] <= 1600 for pcm, _ in found)
    assert "hard word" not in Scenes(pieces(), SAMPLES, Shares())._kinds


@pytest.mark.parametrize("joined", [0.0, 1.0])
def test_pieces_of_a_run_may_run_into_each_other(bare, joined):
    pauses, overlaps = 0, 0
    scenes = only("speech", Manner(joined=joined), speech=[piece(500, 3000)])
    rng = np.random.default_rng(0)
    for pcm in (scenes.run(piece(500).level, rng) for _ in range(50)):
        loud = np.flatnonzero(pcm)
        between = np.diff(loud)
        pauses += int((between > 0.025 * RATE).sum())
        overlaps += int((pcm > 600).sum())
        # Fades of ten milliseconds begin and end at nothing.
        assert joined == 0.0 or between.max() <= 0.02 * RATE + 2
    assert (pauses > 50, overlaps > 0) == (joined == 0.0, joined == 1.0)


def test_a_run_of_clicks_ends(bare):
    scenes = only("speech", Manner(joined=1.0), speech=[piece(500, 20)])
    assert scenes.run(-26.0, np.random.default_rng(0)).any()


def test_takes_by_people_are_drawn_more_the_more_there_are(monkeypatch):
    def share(count: int) -> float:
        scenes = Scenes(pieces(takes=[[piece(4000)] * count, []]), SAMPLES, Shares())
        rng = np.random.default_rng(0)
        return sum(scenes._word(0, rng).pcm[0] == 4000 for _ in range(4000)) / 4000

    assert share(0) == 0.0
    assert share(3) == pytest.approx(2 / 3, abs=0.03)
    assert share(12) == pytest.approx(12 / 13.5, abs=0.03)


def test_a_word_without_a_voice_is_taken_from_people(bare):
    assert {label for _, label in draws(only("words", voices=[[piece(8000)], []]), 50)} == {0, 1}


def test_the_levels_are_those_that_are_drawn(bare, monkeypatch):
    monkeypatch.setattr(module, "LEVEL", (-20.0, -20.0))
    for pcm, _ in draws(only("words"), 40):
        loud = pcm[pcm != 0][400:-400].astype(float)
        assert 20 * np.log10(np.abs(loud).mean() / 32768) == pytest.approx(-20.0, abs=0.05)


def test_noise_lies_as_far_below_as_is_drawn(bare, monkeypatch):
    rng = np.random.default_rng(1)
    noise = (1000 * rng.standard_normal(10 * RATE)).astype(np.int16)
    for name, value in (("_NOISY", 1.0), ("LEVEL", (-20.0, -20.0)), ("SNR", (12.0, 12.0))):
        monkeypatch.setattr(module, name, value)
    for pcm, _ in draws(only("words", noise=noise), 20):
        # The word is constant, so that neighbouring samples differ by the noise alone, which is white.
        level = np.median(np.abs(np.diff(pcm.astype(float)))) / 0.6745 / np.sqrt(2)
        assert 20 * np.log10(level / 32768) == pytest.approx(-32.0, abs=0.4)
    silent = [pcm for pcm, _ in draws(only("silence", noise=noise), 60)]
    levels = [20 * np.log10(np.sqrt(np.mean(pcm.astype(float) ** 2)) / 32768 + 1e-9) for pcm in silent]
    assert min(levels) < -60 and max(levels) > -35


def test_one_seed_gives_one_sequence(monkeypatch):
    noise = (1000 * np.random.default_rng(1).standard_normal(5 * RATE)).astype(np.int16)
    running = [(2000 * np.random.default_rng(2).standard_normal(9 * RATE)).astype(np.int16)]
    scenes = Scenes(pieces(noise=noise, running=running), SAMPLES, Shares())
    first, second = draws(scenes, 60), draws(scenes, 60)
    assert all(np.array_equal(a, b) and i == j for (a, i), (b, j) in zip(first, second, strict=True))
    assert all(pcm.dtype == np.int16 and pcm.shape == (SAMPLES,) for pcm, _ in first)
    assert {label for _, label in first} == {0, 1, 2, 3}
