"""Warnings of a microphone that is silent or too loud."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws.listen.health import CLIPPED_SAMPLES, Health


@given(st.lists(st.tuples(st.integers(0, 20000), st.booleans()), min_size=1, max_size=40))
def test_silence_is_five_seconds_without_a_sample_above_the_last_bits(chunks):
    health, quiet = Health(), 0
    for length, sounds in chunks:
        pcm = np.resize(np.array([0, 2, -2, 1], np.int16), length)
        if sounds and length:
            pcm[length // 2] = -3
            quiet = length - 1 - length // 2
        else:
            quiet += length
        health.push(pcm)
        assert health.silent == (quiet >= 80000)
        assert not health.clipping


@pytest.mark.parametrize("peak", [32767, -32768, 32700, -32700])
@pytest.mark.parametrize("chunk", [7, 1600, 100000])
def test_clipping_is_told_while_it_lasts(peak, chunk):
    health = Health()

    def push(pcm):
        for start in range(0, len(pcm), chunk):
            health.push(pcm[start : start + chunk])
        return health.clipping

    room = np.resize(np.array([500, -700, 90], np.int16), 16000)
    loud = room.copy()
    loud[8000 : 8000 + CLIPPED_SAMPLES - 1] = peak
    assert not push(loud)  # one too few
    loud[3] = peak
    assert push(loud) and push(room)
    assert not push(np.tile(room, 3))


def test_loud_but_whole_is_no_clipping():
    health = Health()
    health.push(np.full(32000, 32699, np.int16))
    health.push(np.full(32000, -32699, np.int16))
    assert not health.clipping and not health.silent
