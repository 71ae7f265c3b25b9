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
from kws.errors import KwsError
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
@pytest.mark.parametrize("planes", [1, 2])
def test_what_a_hop_need_not_compute_changes_no_score(frames: int, hop: int, planes: int) -> None:
    """The stream keeps what only moves with the window; the simulation computes every window afresh."""
    preset = Preset("hops", n_fft=64, hop=64, n_mels=8, frames=frames)
    shape = {"n_classes": 4, "channels": 64, "hidden": 64, "n_blocks": 2, "preset": preset, "deltas": (1, 2)}
    model = random_model(frames + hop, **shape, planes=planes)
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
@pytest.mark.parametrize("with_gate", [False, True])
def test_chunks_do_not_change_events(chunk: int, with_gate: bool) -> None:
    pcm = stimulus(2, 20000)
    whole, cut = stream_engine().stream(), stream_engine().stream()
    for one in (whole, cut):
        if with_gate:
            one.set_gate(-30.0)
            one.set_adaptive()
            one.set_wake(0.4)
    expected = whole.feed(pcm)
    assert in_chunks(cut, pcm, [chunk]) == expected and len(expected) > (0 if with_gate else 3)
    assert np.array_equal(whole.scores, cut.scores)
    assert np.array_equal(whole.last_frame, cut.last_frame)
    assert whole.classified == cut.classified and (whole.classified[0] > 0) == (whole.classified[4] > 0) == with_gate


@given(st.integers(0, 1000), st.lists(st.integers(0, 3000), min_size=1, max_size=30).filter(any))
def test_random_cuts_do_not_change_events(seed: int, sizes: list[int]) -> None:
    pcm = stimulus(seed, 15000)
    assert in_chunks(stream_engine().stream(), pcm, sizes) == stream_engine().stream().feed(pcm)


FEED = st.tuples(st.just("feed"), st.integers(0, 4000))
ACTIONS = st.one_of(
    FEED,
    FEED,
    FEED,
    st.tuples(st.just("depth"), st.sampled_from([1, 2, 4])),
    st.tuples(st.just("adaptive"), st.sampled_from([(4, 1), (2, 1), (4, 2)])),
    st.tuples(st.just("threshold"), st.integers(0, 2), st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0, 1.5])),
    st.tuples(st.just("wake"), st.sampled_from([0.0, 0.2, 0.35, 0.5, 2.0])),
    st.tuples(st.just("sensitivity"), st.sampled_from([0.0, 0.4, 0.5, 0.55, 0.6, 1.0])),
    st.tuples(st.just("word sensitivity"), st.integers(0, 2), st.sampled_from([0.0, 0.4, 0.5, 0.6, 1.0])),
    st.tuples(st.just("smoothing"), st.sampled_from([1, 2, 3, 5, 16])),
    st.tuples(st.just("refractory"), st.sampled_from([0, 100, 2000, 20000])),
    st.tuples(st.just("word refractory"), st.integers(0, 2), st.sampled_from([0, 2000, 20000])),
    st.tuples(st.just("release"), st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0])),
    st.tuples(st.just("gate"), st.sampled_from([-100.0, -62.0, -47.3, -31.7, -10.0])),
    st.tuples(st.just("reset")),
)


@settings(max_examples=80)
@given(st.integers(0, 1000), st.lists(ACTIONS, min_size=4, max_size=30))
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
            assert stream.classified == simulation.classified
        else:
            apply(stream, simulation, name, *arguments)


def apply(stream: Stream, simulation: Simulation, name: str, *arguments) -> None:
    """One setting of the stream and of what simulates it."""
    decision, value = simulation.decision, arguments[0] if arguments else None
    match name:
        case "depth":
            stream.set_depth(value)
            simulation.delta, simulation.listen = value, None
        case "adaptive":
            stream.set_adaptive(*value)
            simulation.listen, simulation.delta = value
        case "threshold":
            stream.set_threshold(simulation.engine.class_names[value], arguments[1])
            decision.thresholds[:, value] = arguments[1]
        case "wake":
            stream.set_wake(value)
            simulation.wake = value
        case "sensitivity":
            stream.set_sensitivity(value)
            decision.sensitivity, decision.sensitivities = value, [value] * 3
        case "word sensitivity":
            stream.set_sensitivity(arguments[1], simulation.engine.class_names[value])
            decision.sensitivities[value] = arguments[1]
        case "smoothing":
            stream.set_smoothing(value)
            decision.smoothing = value
        case "refractory":
            stream.set_refractory(value / RATE)
            decision.refractory = [value] * 3
        case "word refractory":
            stream.set_refractory(arguments[1] / RATE, simulation.engine.class_names[value])
            decision.refractory[value] = arguments[1]
        case "release":
            stream.set_release(value)
            decision.release = value
        case "gate":
            stream.set_gate(value)
            simulation.gate = value
        case "reset":
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
        return self.hear()

    def hear(self, level: int = 0) -> list[str]:
        """The words of the next window, with a square wave of this amplitude in its newest hop."""
        return [event.word for event in self.stream.feed(np.full(PRESET.hop, level, np.int16))]


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
    heard = [puppet.step(depth) for depth in (WORD0, SILENCE, SILENCE, SILENCE, WORD0, WORD0, WORD0)]
    assert heard == [["word0"], [], [], [], [], ["word0"], []]


def test_a_word_held_back_for_long_is_not_heard_afterwards() -> None:
    puppet = Puppet(refractory=5 * PRESET.hop)
    assert [puppet.step(depth) for depth in (WORD0, SILENCE, *[WORD0] * 9)] == [["word0"], *[[]] * 10]
    assert [puppet.step(depth) for depth in (SILENCE, WORD0)] == [[], ["word0"]]


@pytest.mark.parametrize(("smoothing", "windows"), [(1, 2), (2, 3), (3, 3), (4, 4), (5, 4), (16, 10)])
def test_a_score_has_a_few_windows_to_rise(smoothing: int, windows: int) -> None:
    """From half the threshold on: a threshold that falls below the score within them is reached, later it is not."""
    for wait in (windows - 1, windows):
        puppet = Puppet(refractory=0, smoothing=smoothing)
        puppet.stream.set_threshold("word0", 1.2)
        puppet.stream.set_release(0.5)
        for _ in range(smoothing):
            puppet.step(SILENCE)
        steps = 0
        while puppet.stream.scores[0] < 0.6:
            puppet.step(WORD0)
            steps += 1
        for _ in range(wait - 1):
            assert puppet.step(WORD0) == []
        puppet.stream.set_threshold("word0", 0.6)
        assert puppet.step(WORD0) == (["word0"] if wait < windows else [])


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


def test_no_word_is_heard_before_the_smoothing_is_full() -> None:
    """A mean of fewer windows jumps higher: streams that began amid sound had false events."""
    puppet = Puppet(refractory=0, smoothing=4)
    assert [puppet.step(WORD0) for _ in range(5)] == [[], [], [], ["word0"], []]
    puppet.stream.reset()
    assert [puppet.step(WORD1) for _ in range(5)] == [[], [], [], ["word1"], []]


def test_a_stream_that_starts_amid_sound_waits() -> None:
    engine = stream_engine()
    step, sound = PRESET.hop * engine.model.hop_frames, stimulus(5, 20000)
    stream = engine.stream(thresholds=dict.fromkeys(engine.class_names[:3], 0.0))
    assert stream.feed(sound[: 2 * step]) == []
    assert stream.scores.any()


def test_release_says_how_far_a_score_must_fall() -> None:
    puppet = Puppet(refractory=0)  # thresholds 0.5, low score 0.033
    puppet.stream.set_release(0.06)
    assert [puppet.step(depth) for depth in (WORD0, SILENCE, WORD0)] == [["word0"], [], []]
    puppet.stream.set_release(0.07)
    assert [puppet.step(depth) for depth in (SILENCE, WORD0)] == [[], ["word0"]]


def test_refractory_time_can_change_between_two_windows() -> None:
    puppet = Puppet(refractory=2**30)
    assert [puppet.step(depth) for depth in (WORD0, SILENCE, WORD0)] == [["word0"], [], []]
    puppet.stream.set_refractory(0)
    assert puppet.step(WORD0) == ["word0"]


@pytest.mark.parametrize("threshold", [0.001, 0.3, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("sensitivity", [0.0, 0.25, 0.5, 0.51, 1.0])
def test_sensitivity_moves_the_logit_of_the_threshold(threshold: float, sensitivity: float) -> None:
    puppet = Puppet(refractory=0)
    stream = puppet.stream
    stream.set_threshold("word1", threshold)
    stream.set_sensitivity(sensitivity)
    odds = threshold / (1 - threshold) * np.exp(8 * (0.5 - sensitivity))
    assert stream.threshold("word1") == pytest.approx(odds / (1 + odds), rel=1e-5)
    stream.set_sensitivity(0.5)
    assert stream.threshold("word1") == np.float32(threshold)


@pytest.mark.parametrize("threshold", [0.0, 1.0, 1.5])
def test_sensitivity_leaves_always_and_never_alone(threshold: float) -> None:
    stream = Puppet(refractory=0).stream
    stream.set_threshold("word0", threshold)
    for sensitivity in (0.0, 0.3, 1.0):
        stream.set_sensitivity(sensitivity)
        assert stream.threshold("word0") == threshold


def test_every_depth_has_thresholds_of_its_own() -> None:
    puppet = Puppet(refractory=0)
    puppet.model.word_threshold[:] = [[0.1], [0.2], [0.3]]
    stream = Engine(puppet.model).stream()
    found = []
    for delta in puppet.model.deltas:
        stream.set_depth(delta)
        found.append(stream.threshold("word1"))
    assert found == [np.float32(0.1), np.float32(0.2), np.float32(0.3)]
    stream.set_adaptive(4, 2)
    assert stream.threshold("word1") == np.float32(0.2)
    stream.set_threshold("word1", 0.7)
    stream.set_depth(4)
    assert stream.threshold("word1") == np.float32(0.7) and stream.threshold("word0") == np.float32(0.3)


def test_the_deeper_depth_answers_with_what_wakes_it() -> None:
    puppet = Puppet(refractory=0)
    stream = puppet.stream
    stream.set_wake(0.5)
    stream.set_adaptive(WORD1, WORD0)  # the thin one hears word1 and wakes the deep one, which hears word0
    assert [event.word for event in stream.feed(np.zeros(PRESET.hop, np.int16))] == ["word0"]
    assert stream.classified == {0: 0, 1: 1, 2: 0, 4: 1}
    high, low = Puppet.HIGH, (1 - Puppet.HIGH) / 3
    mixed = [0.75 * high + 0.25 * low, 0.75 * low + 0.25 * high, low, low]
    assert stream.scores == pytest.approx(mixed, abs=1e-6)
    stream.set_wake(0.95)  # nothing wakes it
    assert stream.feed(np.zeros(PRESET.hop, np.int16))[0].word == "word1"
    assert stream.classified == {0: 0, 1: 1, 2: 0, 4: 2}
    stream.set_depth(SILENCE)
    puppet.hear()  # left out all the same
    assert stream.classified == {0: 1, 1: 1, 2: 0, 4: 2}
    puppet.hear()
    assert stream.classified == {0: 1, 1: 1, 2: 1, 4: 2}
    stream.reset()
    stream.set_sensitivity(1.0)  # moves the wake threshold to 0.26
    stream.set_adaptive(WORD1, WORD0)
    puppet.hear()
    assert stream.classified == {0: 0, 1: 1, 2: 0, 4: 1}
    stream.reset()
    assert stream.classified == {0: 0, 1: 0, 2: 0, 4: 0}


def test_no_other_class_than_a_word_wakes_the_deeper_depth() -> None:
    puppet = Puppet(refractory=0)
    for depth in puppet.model.depths[1:]:
        depth.class_bias[:] = np.log([0.1, 0.1, 0.4, 0.4])
    stream = Engine(puppet.model).stream()
    stream.set_adaptive(4, 1)
    stream.set_wake(0.2)
    stream.feed(np.zeros(10 * PRESET.hop, np.int16))
    assert stream.classified == {0: 5, 1: 0, 2: 0, 4: 5}


def test_only_a_word_that_may_make_an_event_wakes_the_deeper_depth() -> None:
    puppet = Puppet(refractory=0)
    stream = puppet.stream
    stream.set_adaptive(WORD1, WORD0)
    stream.set_wake(0.5)
    stream.set_threshold("word1", 0.0)  # no score is low enough to arm it again: it is armed for three windows
    stream.feed(np.zeros(9 * PRESET.hop, np.int16))
    assert stream.classified == {0: 3, 1: 3, 2: 0, 4: 6}


def test_a_word_in_its_refractory_time_wakes_nobody() -> None:
    puppet = Puppet(refractory=5 * PRESET.hop)
    assert [puppet.step(depth) for depth in (WORD1, SILENCE)] == [["word1"], []]
    puppet.stream.set_adaptive(WORD1, SILENCE)
    puppet.stream.set_wake(0.5)
    puppet.stream.feed(np.zeros(4 * PRESET.hop, np.int16))
    assert puppet.stream.classified == {0: 2, 1: 0, 2: 1, 4: 3}
    puppet.hear()  # the time is over
    assert puppet.stream.classified == {0: 2, 1: 0, 2: 2, 4: 4}


def test_a_rest_leaves_a_window_out() -> None:
    """The stream's front catches up two hops at once: what is heard next is what a window of its own gives."""
    engine, sound = stream_engine(), stimulus(12, 40000)
    step = PRESET.hop * engine.model.hop_frames
    stream = engine.stream()
    stream.set_adaptive()
    stream.set_wake(2.0)
    size = engine.model.smoothing
    expected = []
    for end in range(step, len(sound) + 1, step):
        stream.feed(sound[end - step : end])
        if end // step % 2:
            window = np.concatenate([np.zeros(engine.window_samples, np.int16), sound[:end]])[-engine.window_samples :]
            expected.append(engine.softmax(engine.network(engine.features(window), 4)))
        assert np.allclose(stream.scores, np.mean(expected[-size:], axis=0), atol=1e-6)


def test_a_model_may_start_adaptive() -> None:
    puppet = Puppet(refractory=0)
    model = puppet.model
    model.listen_delta, model.wake, model.gate, model.release = 4, 0.95, -90.0, 0.25
    stream = Engine(model).stream()
    stream.feed(np.full(PRESET.hop, 100, np.int16))
    stream.feed(np.zeros(20 * PRESET.hop, np.int16))
    # The last of the 12 frames of a window with sound in it is the 12th; the listening depth rests in every second.
    assert stream.classified == {0: 15, 1: 0, 2: 0, 4: 6}


def test_the_gate_goes_by_the_loudest_hop_of_the_window() -> None:
    puppet = Puppet(refractory=0)
    stream = puppet.stream
    stream.set_gate(-40.0)
    assert puppet.hear() == [] and stream.level == -100.0 and not stream.scores.any()
    assert puppet.hear(level=327) == [] and stream.level == pytest.approx(20 * np.log10(327 / 32768), abs=1e-4)
    assert puppet.hear(level=328) == ["word0"] and stream.level == pytest.approx(20 * np.log10(328 / 32768), abs=1e-4)
    for _ in range(PRESET.frames - 1):
        puppet.hear()
        assert stream.scores.any()
    puppet.hear()
    assert not stream.scores.any() and stream.classified[0] == 3
    stream.set_gate(-100.0)
    puppet.hear()
    assert stream.scores.any()


def test_silence_is_no_word_even_at_a_threshold_of_zero() -> None:
    puppet = Puppet(refractory=0)
    for word in ("word0", "word1"):
        puppet.stream.set_threshold(word, 0.0)
    puppet.stream.set_gate(0.0)
    assert [puppet.hear() for _ in range(5)] == [[]] * 5
    puppet.stream.reset()  # no score is below a threshold of 0, so only a new stream's words may be heard at it
    assert [puppet.hear(level=-32768) for _ in range(2)] == [["word0"], []]  # full scale is not below 0 dBFS


def test_settings_that_are_none_are_one_sentence() -> None:
    stream = stream_engine().stream()
    for call in (
        lambda: stream.set_wake(-0.1),
        lambda: stream.set_sensitivity(1.1),
        lambda: stream.set_sensitivity(float("nan")),
        lambda: stream.set_release(2.0),
        lambda: stream.set_refractory(-1.0),
        lambda: stream.set_refractory(1e6),
        lambda: stream.set_refractory(1.0, "cat"),
        lambda: stream.set_sensitivity(0.4, "cat"),
        lambda: stream.set_smoothing(0),
        lambda: stream.set_smoothing(17),
        lambda: stream.set_smoothing(2.5),
        lambda: stream.set_gate(float("inf")),
        lambda: stream.set_adaptive(1, 4),
        lambda: stream.set_adaptive(8),
        lambda: stream.threshold("cat"),
    ):
        with pytest.raises(KwsError, match=r"\.$|choose one"):
            call()


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
    assert [c.kws_set_adaptive(state, *pair) for pair in ((1, 4), (2, 2), (3, 1), (4, 3), (0, 1))] == [-1] * 5
    not_numbers = (np.nan, np.inf, -np.inf)
    assert [c.kws_set_threshold(state, 0, value) for value in (-0.1, *not_numbers)] == [-1] * 4
    assert [c.kws_set_wake(state, value) for value in (-0.1, *not_numbers)] == [-1] * 4
    assert [c.kws_set_sensitivity(state, value) for value in (-0.1, 1.1, *not_numbers)] == [-1] * 5
    assert [c.kws_set_release(state, value) for value in (-0.1, 1.1, *not_numbers)] == [-1] * 5
    assert [c.kws_set_gate(state, value) for value in not_numbers] == [-1] * 3
    assert c.kws_set_refractory(state, -1) == -1
    assert [c.kws_set_smoothing(state, windows) for windows in (-1, 0, 17)] == [-1] * 3
    assert [c.kws_set_word_sensitivity(state, word, 0.5) for word in (-1, 3)] == [-1] * 2
    assert [c.kws_set_word_sensitivity(state, 0, value) for value in (-0.1, 1.1, *not_numbers)] == [-1] * 5
    assert [c.kws_set_word_refractory(state, *pair) for pair in ((-1, 0), (3, 0), (0, -1))] == [-1] * 3
    assert [c.kws_threshold(state, word) for word in (-1, 3)] == [-1.0] * 2 and c.kws_classified(state, 3) == 0
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
    assert c.kws_set_depth(None, 1) == c.kws_set_threshold(None, 0, 0.5) == c.kws_set_adaptive(None, 4, 1) == -1
    for function in (c.kws_set_wake, c.kws_set_sensitivity, c.kws_set_refractory, c.kws_set_release, c.kws_set_gate):
        assert function(None, 1) == -1
    assert c.kws_set_smoothing(None, 1) == -1
    assert c.kws_set_word_sensitivity(None, 0, 0.5) == c.kws_set_word_refractory(None, 0, 1) == -1
    assert not c.kws_scores(None) and not c.kws_last_frame(None)
    assert (c.kws_threshold(None, 0), c.kws_classified(None, 1), c.kws_level(None)) == (-1.0, 0, -100.0)
    c.kws_reset(None)
    c.kws_softmax(None, 3, floats)
    c.kws_softmax(floats, 0, floats)
