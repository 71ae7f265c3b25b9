"""The decision over recorded scores gives the events of the C engine, to the bit, in every mode."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_model import random_model
from reference import liven, stimulus

from kws.engine import Engine, Event
from kws.evaluate.adaptive import AdaptiveDecision
from kws.evaluate.decision import Decision, answers
from kws.evaluate.track import record
from kws.features import Preset
from kws.model import FoldedModel

PRESET = Preset("decide", n_fft=256, hop=96, n_mels=8, frames=12)


@cache
def lively_model() -> FoldedModel:
    model = random_model(0, n_classes=5, channels=64, hidden=64, n_blocks=4, preset=PRESET)
    model.hop_frames = 2
    liven(model, 0)
    return model


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    mode=st.sampled_from([(1, 0), (2, 0), (4, 0), (1, 4), (1, 2), (2, 4)]),
    smoothing=st.integers(1, 5),
    refractory=st.sampled_from([0, 100, 191, 192, 193, 2000, 9000]),
    release=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    gate=st.sampled_from([-100.0, -60.0, -40.0, -20.0]),
    wake=st.sampled_from([0.0, 0.2, 0.35, 0.5, 0.8, 2.0]),
    thresholds=st.lists(st.sampled_from([0.0, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5]), min_size=3, max_size=3),
)
def test_events_are_those_of_the_engine(seed, mode, smoothing, refractory, release, gate, wake, thresholds) -> None:
    model = replace(lively_model(), smoothing=smoothing, refractory=refractory, release=release, gate=gate, wake=wake)
    model = replace(model, word_threshold=np.tile(np.array(thresholds, np.float32), (3, 1)))
    confirm, listen = mode
    pcm = stimulus(seed, 20011)
    stream = Engine(model).stream(confirm)
    if listen:
        stream.set_adaptive(listen, confirm)
    expected = stream.feed(pcm)

    cuts = np.random.default_rng(seed).integers(0, len(pcm), 9)
    track = record(model, np.split(pcm, np.sort(cuts)))
    found = []
    if listen:
        adaptive = AdaptiveDecision(track, model, confirm, listen, model.wake, model.word_threshold[0])
        for word, windows in enumerate(adaptive.events):
            depths = [int(depth) or confirm for depth in adaptive.depths[windows]]
            scored = zip(track.times(windows), adaptive.event_scores[word], depths, strict=True)
            found += [Event(model.class_names[word], time, score, depth) for time, score, depth in scored]
        classified, scores = adaptive.classified, adaptive.scores
    else:
        given_answers = answers(track, confirm, model.gate)
        decision = Decision(track, given_answers, model)
        for word, threshold in enumerate(thresholds):
            windows = decision.events(word, threshold)
            for window, time in zip(windows, track.times(windows), strict=True):
                found.append(Event(model.class_names[word], time, float(decision.scores[window, word]), confirm))
        classified, scores = given_answers.classified, decision.scores[-1]
    assert sorted(found, key=lambda event: event.time) == expected
    assert classified == stream.classified
    assert np.array_equal(scores, stream.scores)
    assert track.samples == len(pcm)


def test_the_examples_have_events() -> None:
    model = lively_model()
    stream = Engine(replace(model, smoothing=3, refractory=2000)).stream(thresholds={"word0": 0.4, "word1": 0.4})
    assert len(stream.feed(stimulus(1, 20011))) > 3


def test_a_stream_without_a_window_has_no_event() -> None:
    model = lively_model()
    track = record(model, [np.zeros(100, np.int16)])
    assert track.samples == 100 and len(track.levels) == 0
    assert len(Decision(track, answers(track, 1), model).events(0, 0.0)) == 0
    assert [len(one) for one in AdaptiveDecision(track, model, 1, 4, 0.5, model.word_threshold[0]).events] == [0] * 3
