"""The stream of the C engine: chunking, decision, settings, against a Python simulation."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
import pytest
from compiled import fresh_engine  # noqa: F401  (an autouse fixture)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from random_model import random_model
from reference import Simulation, liven, stimulus

from kws.engine import Engine, structs
from kws.engine.engine import Event, Stream
from kws.features import Preset
from kws.model.folded import FoldedModel

PRESET = Preset("stream", n_fft=256, hop=96, n_mels=8, frames=12)
RATE = PRESET.sample_rate


def stream_model(seed: int = 0) -> FoldedModel:
    """A small model whose streams have many events, refusals for every reason, and re-arming."""
    model = random_model(seed, n_classes=5, channels=64, hidden=64, n_blocks=4, preset=PRESET)
    model.hop_frames, model.smoothing, model.refractory = 3, 3, 2000  # three: the order of the sum shows
    liven(model, seed)
    model.word_threshold[:] = [0.35, 0.4, 0.45]
    return model


@cache
def stream_engine() -> Engine:
    return Engine(stream_model())


def expected_events(pcm: NDArray[np.int16], engine: Engine) -> list[Event]:
    return [as_event(engine, *event) for event in Simulation(engine).feed(pcm)]


def as_event(engine: Engine, sample: int, word: int, score: float, delta: int) -> Event:
    return Event(engine.class_names[word], sample / RATE, score, delta)


def in_chunks(stream: Stream, pcm: NDArray[np.int16], sizes: list[int]) -> list[Event]:
    """Events of ``pcm`` fed in chunks of ``sizes``, over and over."""
    events, at, turn = [], 0, 0
    while at < len(pcm):
        size = sizes[turn % len(sizes)]
        events += stream.feed(pcm[at : at + size])
        at, turn = at + size, turn + 1
    return events


def test_events_are_those_of_the_simulation() -> None:
    pcm = stimulus(1, 60000)
    expected = expected_events(pcm, stream_engine())
    assert stream_engine().stream().feed(pcm) == expected
    assert len(expected) > 10 and len({event.word for event in expected}) == 3


@pytest.mark.parametrize(
    ("frames", "hop"),
    [(16, 4), (20, 4), (32, 4), (32, 8), (32, 16), (32, 20), (32, 6), (40, 12), (100, 4), (100, 84)],
)
def test_what_a_hop_need_not_compute_changes_no_score(frames: int, hop: int) -> None:
    """The stream keeps what only moves with the window; the simulation computes every window afresh."""
    preset = Preset("hops", n_fft=64, hop=64, n_mels=8, frames=frames)
    model = random_model(frames + hop, n_classes=4, channels=64, hidden=64, n_blocks=2, preset=preset, deltas=(1, 2))
    model.hop_frames, model.smoothing = hop, 1
    engine = Engine(model)
    stream, simulation = engine.stream(), Simulation(engine)
    sound, seen = stimulus(hop, 16 * hop * preset.hop), set()
    for turn, part in enumerate(np.split(sound, 16)):
        assert stream.feed(part) == [
            Event(engine.class_names[word], sample / RATE, score, delta)
            for sample, word, score, delta in simulation.feed(part)
        ]
        assert np.array_equal(stream.scores, simulation.decision.scores)
        seen.add(stream.scores.tobytes())
        if turn == 9:
            stream.reset()
            simulation.reset()
    assert len(seen) > 8


@pytest.mark.parametrize("chunk", [1, 95, 96, 97, 160, 288, 512, 4001])
def test_chunks_do_not_change_events(chunk: int) -> None:
    pcm = stimulus(2, 20000)
    whole, cut = stream_engine().stream(), stream_engine().stream()
    expected = whole.feed(pcm)
    assert in_chunks(cut, pcm, [chunk]) == expected and len(expected) > 3
    assert np.array_equal(whole.scores, cut.scores)
    assert np.array_equal(whole.last_frame, cut.last_frame)


@given(st.integers(0, 1000), st.lists(st.integers(0, 3000), min_size=1, max_size=30).filter(any))
def test_random_cuts_do_not_change_events(seed: int, sizes: list[int]) -> None:
    pcm = stimulus(seed, 15000)
    assert in_chunks(stream_engine().stream(), pcm, sizes) == stream_engine().stream().feed(pcm)


ACTIONS = st.one_of(
    st.tuples(st.just("feed"), st.integers(0, 4000)),
    st.tuples(st.just("depth"), st.sampled_from([1, 2, 4])),
    st.tuples(st.just("threshold"), st.integers(0, 2), st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0, 1.5])),
    st.tuples(st.just("reset")),
)


@settings(max_examples=60)
@given(st.integers(0, 1000), st.lists(ACTIONS, min_size=4, max_size=25))
def test_settings_between_any_two_calls(seed: int, actions: list[tuple]) -> None:
    engine = stream_engine()
    stream, simulation = engine.stream(), Simulation(engine)
    sound, at = stimulus(seed, 4000 * len(actions)), 0
    for name, *arguments in actions:
        if name == "feed":
            part = sound[at : at + arguments[0]]
            at += arguments[0]
            assert stream.feed(part) == [as_event(engine, *event) for event in simulation.feed(part)]
            assert np.array_equal(stream.scores, simulation.decision.scores)
        elif name == "depth":
            stream.set_depth(arguments[0])
            simulation.delta = arguments[0]
        elif name == "threshold":
            word, threshold = arguments
            stream.set_threshold(engine.class_names[word], threshold)
            simulation.decision.thresholds[word] = threshold
        else:
            stream.reset()
            simulation.reset()


def test_reset_is_a_fresh_start_that_keeps_depth_and_thresholds() -> None:
    engine = stream_engine()
    stream, fresh = engine.stream(delta=2), engine.stream(delta=2)
    for one in (stream, fresh):
        one.set_threshold("word1", 0.2)
    stream.feed(stimulus(3, 12345))
    stream.reset()
    assert not stream.scores.any() and (stream.last_frame == -100.0).all()
    pcm = stimulus(4, 20000)
    expected = fresh.feed(pcm)
    assert stream.feed(pcm) == expected
    assert expected and {event.depth for event in expected} == {2}


def test_a_stream_starts_as_after_endless_silence() -> None:
    engine = stream_engine()
    step = PRESET.hop * engine.model.hop_frames
    silence = np.zeros(step * 50, np.int16)
    stream = engine.stream(thresholds=dict.fromkeys(engine.class_names[:3], 2.0))
    stream.feed(silence[:step])
    first = stream.scores
    stream.feed(silence)
    assert np.allclose(stream.scores, first, rtol=1e-6)  # a mean of three equals rounds


def test_the_last_frame_is_the_newest() -> None:
    engine = stream_engine()
    pcm = stimulus(9, 96 * 40)
    stream = engine.stream()
    stream.feed(pcm)
    newest = engine.features(pcm[-engine.window_samples :])[:, -1]
    assert np.array_equal(stream.last_frame, newest)


# --- the decision, word by word ---------------------------------------------------------------------------------------


class Puppet:
    """A stream whose scores the test sets: each depth has a score of its own, whatever the sound.

    One classification a call of ``step``; depth 1 hears word0, depth 2 hears silence, depth 4 hears word1.
    """

    HIGH = 0.9

    def __init__(self, refractory: int, smoothing: int = 1) -> None:
        model = random_model(0, n_classes=4, channels=64, hidden=64, n_blocks=4, preset=PRESET)
        model.hop_frames, model.smoothing, model.refractory = 1, smoothing, refractory
        model.word_threshold[:] = 0.5
        for depth, winner in zip(model.depths, (0, 3, 1), strict=True):
            depth.class_scale[:] = 0.0
            depth.class_bias[:] = np.where(np.arange(4) == winner, np.log(self.HIGH), np.log((1 - self.HIGH) / 3))
        self.model, self.stream = model, Engine(model).stream()

    def step(self, depth: int) -> list[str]:
        self.stream.set_depth(depth)
        return [event.word for event in self.stream.feed(np.zeros(PRESET.hop, np.int16))]


WORD0, SILENCE, WORD1 = 1, 2, 4


def test_a_word_fires_once_until_its_score_drops() -> None:
    puppet = Puppet(refractory=0)
    assert puppet.step(WORD0) == ["word0"]
    assert [puppet.step(WORD0) for _ in range(20)] == [[]] * 20
    assert puppet.step(SILENCE) == []
    assert puppet.step(WORD0) == ["word0"]


def test_a_word_is_rearmed_below_half_its_threshold_only() -> None:
    puppet = Puppet(refractory=0)
    puppet.stream.set_threshold("word0", 0.06)  # the low score is 0.033: half of it is 0.03
    assert puppet.step(WORD0) == ["word0"]
    assert puppet.step(SILENCE) == puppet.step(WORD0) == []
    puppet.stream.set_threshold("word0", 0.07)  # half of it is 0.035
    assert puppet.step(SILENCE) == []
    assert puppet.step(WORD0) == ["word0"]


def test_refractory_time_counts_from_the_words_own_last_event() -> None:
    puppet = Puppet(refractory=10 * PRESET.hop)
    assert puppet.step(WORD0) == ["word0"]
    assert puppet.step(WORD1) == ["word1"]  # one word does not silence another
    assert [puppet.step(depth) for depth in [SILENCE, WORD0] * 4] == [[]] * 8
    assert puppet.step(WORD0) == ["word0"]  # ten classifications after the first


def test_a_word_held_back_by_refractory_time_fires_when_it_ends() -> None:
    puppet = Puppet(refractory=5 * PRESET.hop)
    heard = [puppet.step(depth) for depth in (WORD0, SILENCE, WORD0, WORD0, WORD0, WORD0, WORD0)]
    assert heard == [["word0"], [], [], [], [], ["word0"], []]


def test_classes_that_are_no_words_never_fire() -> None:
    puppet = Puppet(refractory=0)
    for word in ("word0", "word1"):
        puppet.stream.set_threshold(word, 0.0)
    assert [puppet.step(SILENCE) for _ in range(5)] == [[]] * 5


def test_of_two_equal_scores_the_first_class_wins() -> None:
    puppet = Puppet(refractory=0)
    model = puppet.model
    for depth in model.depths:
        depth.class_bias[:] = 1.0
    stream = Engine(model).stream(thresholds={"word0": 0.1, "word1": 0.1})
    assert [event.word for event in stream.feed(np.zeros(PRESET.hop, np.int16))] == ["word0"]
    assert stream.scores.tolist() == [0.25] * 4


def test_smoothing_averages_and_starts_with_what_there_is() -> None:
    puppet = Puppet(refractory=0, smoothing=4)
    low = (1 - Puppet.HIGH) / 3
    averages = []
    for depth in (WORD0, SILENCE, SILENCE, WORD0, SILENCE, SILENCE):
        puppet.step(depth)
        averages.append(puppet.stream.scores[0])
    high = Puppet.HIGH
    parts = [
        [high],
        [high, low],
        [high, low, low],
        [high, low, low, high],
        [low, low, high, low],
        [low, high, low, low],
    ]
    assert averages == pytest.approx([np.mean(part) for part in parts], abs=1e-6)


def test_a_threshold_above_one_never_fires() -> None:
    puppet = Puppet(refractory=0)
    puppet.stream.set_threshold("word0", 1.01)
    assert [puppet.step(WORD0) for _ in range(5)] == [[]] * 5


# --- the C interface itself -------------------------------------------------------------------------------------------


def raw_feed(stream: Stream, pcm: NDArray[np.int16], capacity: int) -> int:
    events = (structs.Event * max(1, capacity))()
    samples = pcm.ctypes.data_as(ctypes.POINTER(ctypes.c_int16))
    return stream._state.c.kws_feed(stream._state.pointer, samples, len(pcm), events, capacity)


def test_too_few_event_slots_consume_nothing() -> None:
    pcm = stimulus(5, 20000)
    refused, fresh = stream_engine().stream(), stream_engine().stream()
    for n in (0, 63, 64, 20000):
        assert raw_feed(refused, pcm[:n], n // 64) == -5
    assert refused.feed(pcm) == fresh.feed(pcm)
    assert raw_feed(fresh, pcm[:0], 1) == 0


def test_arguments_out_of_range_change_nothing() -> None:
    stream, fresh = stream_engine().stream(), stream_engine().stream()
    c, state = stream._state.c, stream._state.pointer
    assert [c.kws_set_depth(state, delta) for delta in (0, 3, -1, 8)] == [-1] * 4
    assert [c.kws_set_threshold(state, word, 0.1) for word in (-1, 3, 1000)] == [-1] * 3
    assert [c.kws_set_threshold(state, 0, value) for value in (-0.1, np.nan, np.inf)] == [-1] * 3
    pcm = stimulus(6, 20000)
    assert stream.feed(pcm) == fresh.feed(pcm)


def test_null_pointers_are_refused() -> None:
    stream = stream_engine().stream()
    c, state = stream._state.c, stream._state.pointer
    events, floats = (structs.Event * 4)(), (ctypes.c_float * 8)()
    pcm = (ctypes.c_int16 * 64)()
    assert c.kws_feed(None, pcm, 64, events, 4) == -1
    assert c.kws_feed(state, None, 64, events, 4) == -1
    assert c.kws_feed(state, pcm, 64, None, 4) == -1
    for function in (c.kws_classify, c.kws_features):
        assert function(None, pcm, floats) == function(state, None, floats) == function(state, pcm, None) == -1
    assert c.kws_network(None, floats, floats) == -1
    assert c.kws_network(state, None, floats) == -1
    assert c.kws_network(state, floats, None) == -1
    assert c.kws_network_traced(state, floats, floats, None) == -1
    assert c.kws_set_depth(None, 1) == c.kws_set_threshold(None, 0, 0.5) == -1
    assert not c.kws_scores(None) and not c.kws_last_frame(None)
    c.kws_reset(None)
    c.kws_softmax(None, 3, floats)
    c.kws_softmax(floats, 0, floats)
