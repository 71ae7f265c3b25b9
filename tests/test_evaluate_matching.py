"""The one rule that matches detections with words spoken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.data.labels import Label, read_labels, write_labels
from kws.engine import Event
from kws.errors import KwsError
from kws.evaluate.matching import are_late, bounds, match, match_times

YES = Label("yes", 16000, 24000)  # 1.0 to 1.5 s


def heard(word: str, *times: float) -> list[Event]:
    return [Event(word, time, 0.9, 1) for time in times]


@pytest.mark.parametrize(("time", "is_hit"), [(0.999, False), (1.0, True), (1.5, True), (2.0, True), (2.001, False)])
def test_a_hit_lies_between_the_start_and_half_a_second_after_the_end(time: float, is_hit: bool) -> None:
    found = match(heard("yes", time), [YES])
    assert (found.hits[0] is not None) == is_hit == (not found.false_accepts)


def test_each_word_is_hit_once_and_then_repeated() -> None:
    events = heard("yes", 1.2, 1.4, 1.9, 2.4)
    found = match(events, [YES])
    assert found.hits == [events[0]] and found.repeats == events[1:3] and found.false_accepts == [events[3]]


def test_another_word_is_a_false_accept() -> None:
    events = heard("no", 1.2)
    found = match(events, [YES])
    assert found.hits == [None] and found.false_accepts == events


def test_a_detection_in_the_time_of_two_words_takes_the_first_that_is_free() -> None:
    second = Label("yes", 28000, 36000)  # 1.75 s, before the first one's time is over
    events = heard("yes", 1.8, 1.9)
    found = match(events, [second, YES])
    assert found.hits == [events[1], events[0]] and not found.repeats and not found.false_accepts
    alone = match(events[:1], [second, YES])
    assert alone.hits == [None, events[0]]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60)), max_size=12),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.integers(0, 12)), max_size=6),
)
def test_every_detection_is_exactly_one_thing(detections, spans) -> None:
    """In steps of an eighth of a second, against the rule taken word for word."""
    events = [Event(word, step / 8, 0.5, 1) for word, step in sorted(detections, key=lambda one: one[1])]
    labels = [Label(word, 2000 * start, 2000 * (start + length)) for word, start, length in spans]
    found = match(events, labels)
    free, hits, repeats, false_accepts = sorted(range(len(labels)), key=lambda i: labels[i].start), {}, [], []
    for event in events:
        fits = [
            i
            for i, label in enumerate(labels)
            if label.word == event.word and label.start <= 16000 * event.time <= label.end + 8000
        ]
        first = next((i for i in free if i in fits), None)
        if first is not None:
            free.remove(first)
            hits[first] = event
        else:
            (repeats if fits else false_accepts).append(event)
    assert found.repeats == repeats and found.false_accepts == false_accepts
    # Labels of one word that start together may swap.
    assert sorted(map(str, found.hits)) == sorted(str(hits.get(i)) for i in range(len(labels)))


def test_a_false_accept_up_to_a_second_after_its_word_is_late() -> None:
    _, ends = bounds([Label("yes", 60000, 70000), YES])
    times = np.array([0.2, 2.01, 2.49, 2.51, 4.0, 4.9, 5.3, 5.5])
    assert are_late(times, ends).tolist() == [False, True, True, False, False, True, True, False]
    assert not are_late(times, np.zeros(0)).any() and len(are_late(np.zeros(0), ends)) == 0


def test_no_label_and_no_detection_are_fine() -> None:
    none = np.zeros(0)
    hit, inside = match_times(none, none, none)
    assert len(hit) == len(inside) == 0
    assert match([], [YES]).hits == [None]
    assert match(heard("yes", 1.0), []).hits == []


def test_labels_travel_through_a_file(tmp_path) -> None:
    labels = [YES, Label("good bye", 40000, 41000)]
    write_labels(labels, tmp_path / "one.txt")
    assert read_labels(tmp_path / "one.txt") == labels


def test_a_label_track_of_audacity_is_read(tmp_path) -> None:
    path = tmp_path / "track.txt"
    path.write_text("2.0\t2.5\tno\r\n\\\t100.0\t2000.0\r\n1.0\t1.5\tyes \r\n\r\n")
    assert read_labels(path) == [YES, Label("no", 32000, 40000)]


@pytest.mark.parametrize("line", ["yes", "1\t2", "1\t2\t ", "2\t1\tyes", "-1\t1\tyes", "a\tb\tyes", "nan\t1\tyes"])
def test_lines_that_are_no_labels_are_named(tmp_path, line) -> None:
    path = tmp_path / "track.txt"
    path.write_text(f"1.0\t1.5\tyes\n{line}\n")
    with pytest.raises(KwsError, match=r"track\.txt:2: .* is no label"):
        read_labels(path)
    with pytest.raises(KwsError, match="cannot be read"):
        read_labels(tmp_path / "none.txt")
