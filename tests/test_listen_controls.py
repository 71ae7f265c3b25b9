"""Keys that change a running stream, against what the stream then does."""

from __future__ import annotations

import numpy as np
import pytest
from random_model import random_model

from kws.engine import Engine
from kws.errors import KwsError
from kws.listen.controls import ADAPTIVE, GATES, Controls, Settings
from kws.listen.keys import split


@pytest.fixture(scope="module")
def engine():
    return Engine(random_model(1))


def controls(engine, **settings):
    chosen = Settings(**settings)
    stream = chosen.stream(engine)
    return Controls(engine, stream, chosen), stream


def ran(stream):
    """Which depths classify a second of noise now."""
    before = stream.classified
    stream.feed(np.random.default_rng(1).integers(-9000, 9000, 32000).astype(np.int16))
    return {delta for delta, count in stream.classified.items() if count > before[delta]}


def test_plus_and_minus_move_the_thresholds_and_stay_in_range(engine):
    keys, stream = controls(engine)
    word = engine.class_names[0]
    start = stream.threshold(word)
    keys.press("+")
    assert keys.sensitivity == 0.55 and stream.threshold(word) < start
    keys.press("down")
    assert keys.sensitivity == 0.5 and stream.threshold(word) == start
    for _ in range(15):
        keys.press("-")
    assert keys.sensitivity == 0.0
    least = stream.threshold(word)
    for _ in range(30):
        keys.press("up")
    assert keys.sensitivity == 1.0 and stream.threshold(word) < start < least


def test_a_word_keeps_its_distance_from_the_others(engine):
    word, other = engine.class_names[:2]
    keys, stream = controls(engine, sensitivity={"*": 0.4, word: 0.625})
    start = [stream.threshold(name) for name in (word, other)]
    keys.press("+")
    reference = engine.stream()
    reference.set_sensitivity(0.45)
    reference.set_sensitivity(0.675, word)
    moved = [stream.threshold(name) for name in (word, other)]
    assert moved == pytest.approx([reference.threshold(name) for name in (word, other)])
    keys.press("0")
    assert [stream.threshold(name) for name in (word, other)] == start


def test_thresholds_by_word_leave_the_others_to_the_model_or_to_what_stands_for_all(engine):
    word, other = engine.class_names[:2]
    alone = Settings(threshold={word: 0.25}).stream(engine)
    assert (alone.threshold(word), alone.threshold(other)) == (0.25, engine.stream().threshold(other))
    both = Settings(threshold={word: 0.25, "*": 0.75}).stream(engine)
    assert (both.threshold(word), both.threshold(other)) == (0.25, 0.75)


def test_d_goes_round_every_depth_and_adaptive(engine):
    keys, stream = controls(engine)
    seen = [keys.depth]
    for _ in range(4):
        alone = {keys.depth} if keys.depth != ADAPTIVE else {4}
        assert alone <= ran(stream)
        keys.press("d")
        seen.append(keys.depth)
    assert seen == [1, 2, 4, ADAPTIVE, 1]
    assert ran(stream) == {1}


def test_g_goes_through_the_gates(engine):
    keys, stream = controls(engine, gate=-65.0)
    seen = []
    for _ in range(6):
        keys.press("g")
        seen.append(keys.gate)
    assert seen == [-60.0, -50.0, -40.0, *GATES[:3]]
    keys.press("g")
    keys.press("g")
    keys.press("g")
    quiet = np.random.default_rng(1).integers(-20, 20, 64000).astype(np.int16)
    stream.feed(quiet)
    assert (keys.gate, stream.classified[0] > 20) == (-100.0, False)
    keys.press("g")  # -70 dBFS; the noise is at -69
    stream.feed(quiet)
    assert stream.classified[0] == 0
    keys.press("g")
    stream.feed(quiet)
    assert stream.classified[0] > 20


def test_0_brings_back_what_was_at_the_start(engine):
    keys, stream = controls(engine, depth=2, sensitivity=0.3, gate=-60.0)
    threshold = stream.threshold(engine.class_names[0])
    for key in "++dddg":
        keys.press(key)
    keys.press("0")
    assert (keys.depth, keys.sensitivity, keys.gate) == (2, 0.3, -60.0)
    assert stream.threshold(engine.class_names[0]) == threshold
    assert ran(stream) == {2}


def test_a_model_that_listens_adaptively_starts_and_returns_with_its_own_pair():
    model = random_model(1)
    model.listen_delta, model.wake = 2, 0.0
    keys, stream = controls(Engine(model))
    assert keys.depth == ADAPTIVE and ran(stream) == {1, 2}
    keys.press("d")
    assert keys.depth == 1 and ran(stream) == {1}
    keys.press("0")
    assert keys.depth == ADAPTIVE and ran(stream) == {1, 2}


def test_other_keys_do_nothing_and_q_ends(engine):
    keys, _ = controls(engine)
    for key in ("x", "\r", "left", "é"):
        keys.press(key)
    assert (keys.depth, keys.sensitivity, keys.gate, keys.ended) == (1, 0.5, -100.0, False)
    keys.press("q")
    assert keys.ended


@pytest.mark.parametrize(
    "settings",
    [{"threshold": 1.5}, {"threshold": float("nan")}, {"sensitivity": {"cat": 0.5}}, {"depth": 3}, {"gate": 1e9}],
)
def test_settings_out_of_range_are_one_sentence(engine, settings):
    with pytest.raises(KwsError):
        Settings(**settings).stream(engine)


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("", []),
        ("+d", ["+", "d"]),
        ("\x1b[A\x1b[B", ["up", "down"]),
        ("\x1bOA-", ["up", "-"]),
        ("\x1b[1;5Cq", ["q"]),
        ("\x1b[15~d\x1b", ["d"]),
        ("\x1b[", []),
        ("é\x1bxé", ["é", "é"]),  # Alt-x
    ],
)
def test_keys_out_of_what_a_terminal_sends(sent, keys):
    assert split(sent) == keys
