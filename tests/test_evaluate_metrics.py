"""Metrics against plain loops over the definition, and the properties that they must have."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.evaluate import metrics

N = 4
NAMES = ["a", "b", "c", "d"]
pairs = st.lists(st.tuples(st.integers(0, N - 1), st.integers(0, N - 1)), min_size=1, max_size=60)


def matrix_of(answers):
    return metrics.confusion_matrix([truth for truth, _ in answers], [guess for _, guess in answers], N)


def test_a_worked_example():
    # Class a: 3 clips, 2 right, 1 as b. Class b: 1 clip, right. Class c: 2 clips, both as a. Class d: none.
    matrix = matrix_of([(0, 0), (0, 1), (0, 0), (1, 1), (2, 0), (2, 0)])
    assert matrix.tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]]
    assert metrics.accuracy(matrix) == pytest.approx(3 / 6)
    assert metrics.balanced_accuracy(matrix) == pytest.approx((2 / 3 + 1 + 0) / 3)
    a, b, c, d = metrics.class_scores(matrix)
    assert (a.count, a.predicted, a.correct, a.recall, a.precision) == (3, 4, 2, 2 / 3, 2 / 4)
    assert (b.recall, b.precision) == (1.0, 1 / 2)
    assert (c.count, c.recall, c.precision) == (2, 0.0, None)
    assert (d.count, d.recall, d.precision) == (0, None, None)
    assert metrics.worst_confusions(matrix, NAMES) == [metrics.Confusion("c", "a", 2), metrics.Confusion("a", "b", 1)]


@given(pairs)
def test_figures_agree_with_loops_over_the_definition(answers):
    matrix = matrix_of(answers)
    assert metrics.accuracy(matrix) == pytest.approx(sum(truth == guess for truth, guess in answers) / len(answers))
    recalls = []
    for index, score in enumerate(metrics.class_scores(matrix)):
        of_class = [guess for truth, guess in answers if truth == index]
        taken_for = [truth for truth, guess in answers if guess == index]
        assert (score.count, score.predicted) == (len(of_class), len(taken_for))
        assert score.recall == (of_class.count(index) / len(of_class) if of_class else None)
        assert score.precision == (taken_for.count(index) / len(taken_for) if taken_for else None)
        if of_class:
            recalls.append(of_class.count(index) / len(of_class))
    assert metrics.balanced_accuracy(matrix) == pytest.approx(sum(recalls) / len(recalls))


@given(pairs, st.randoms())
def test_the_order_of_clips_does_not_matter(answers, random):
    shuffled = answers.copy()
    random.shuffle(shuffled)
    np.testing.assert_array_equal(matrix_of(answers), matrix_of(shuffled))


@given(pairs, st.integers(2, 5))
def test_balanced_accuracy_ignores_how_often_a_class_comes(answers, times):
    repeated = answers + [answer for answer in answers if answer[0] == answers[0][0]] * (times - 1)
    assert metrics.balanced_accuracy(matrix_of(repeated)) == pytest.approx(
        metrics.balanced_accuracy(matrix_of(answers))
    )


@given(st.lists(st.integers(0, N - 1), min_size=1))
def test_all_right_is_one(truth):
    matrix = metrics.confusion_matrix(truth, truth, N)
    assert metrics.accuracy(matrix) == metrics.balanced_accuracy(matrix) == 1.0
    assert metrics.worst_confusions(matrix, NAMES) == []


@given(pairs, st.integers(1, 20))
def test_worst_confusions_are_the_most_frequent_wrong_pairs(answers, most):
    counted = Counter((NAMES[truth], NAMES[guess]) for truth, guess in answers if truth != guess)
    found = metrics.worst_confusions(matrix_of(answers), NAMES, most)
    assert [one.count for one in found] == sorted(counted.values(), reverse=True)[:most]
    assert all(counted[one.truth, one.predicted] == one.count for one in found)


def test_no_clip_has_no_accuracy():
    empty = metrics.confusion_matrix([], [], N)
    for figure in (metrics.accuracy, metrics.balanced_accuracy):
        with pytest.raises(ValueError, match="no clip"):
            figure(empty)


@pytest.mark.parametrize(("truth", "guess"), [([0], [4]), ([-1], [0]), ([0, 1], [0]), ([[0]], [[0]])])
def test_bad_indices_are_refused(truth, guess):
    with pytest.raises(ValueError, match=r"outside|vectors"):
        metrics.confusion_matrix(truth, guess, N)


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=8), st.floats(-1000, 1000))
def test_softmax_is_a_distribution_that_a_shift_leaves_alone(logits, shift):
    probabilities = metrics.softmax(logits)
    assert probabilities.sum() == pytest.approx(1.0)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(metrics.softmax(np.add(logits, shift)), probabilities, atol=1e-9)


def test_softmax_by_hand():
    np.testing.assert_allclose(metrics.softmax([[0.0, math.log(3.0)]]), [[0.25, 0.75]])
