"""The loop and its sources: what a file brings, the level, the watch for a dead microphone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kws.errors import KwsError
from kws.listen.stream import DIGITAL_SILENCE_SECONDS, SilenceWatch, file_chunks, level_dbfs, listen


class Recorder:
    """A stream that remembers what it was fed and answers with the sample count."""

    def __init__(self) -> None:
        self.fed: list[np.ndarray] = []

    def feed(self, pcm):
        self.fed.append(pcm)
        return [sum(len(chunk) for chunk in self.fed)]


def test_listen_pairs_every_chunk_with_its_events_in_order():
    stream = Recorder()
    chunks = [np.arange(n, dtype=np.int16) for n in (3, 1, 5)]
    heard = list(listen(iter(chunks), stream))
    assert [one.events for one in heard] == [[3], [4], [9]]
    assert all(one.pcm is chunk for one, chunk in zip(heard, chunks, strict=True))


def test_file_chunks_are_the_file_and_a_second_of_silence(tmp_path):
    pcm = np.random.default_rng(1).integers(-3000, 3000, 12345).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", pcm, 16000)
    together = np.concatenate(list(file_chunks(tmp_path / "a.wav")))
    assert together.dtype == np.int16
    np.testing.assert_array_equal(together, np.concatenate([pcm, np.zeros(16000, np.int16)]))


def test_a_bad_file_is_refused_before_anything_is_fed(tmp_path):
    (tmp_path / "a.wav").write_text("not sound")
    with pytest.raises(KwsError, match=r"a\.wav"):
        file_chunks(tmp_path / "a.wav")


@pytest.mark.parametrize(("amplitude", "expected"), [(32767, -3.01), (3276.7, -23.01), (0, -100.0)])
def test_level_of_a_sine(amplitude, expected):
    sine = amplitude * np.sin(2 * math.pi * 1000 * np.arange(1600) / 16000)
    assert level_dbfs(np.rint(sine).astype(np.int16)) == pytest.approx(expected, abs=0.01)


def test_level_of_nothing_is_silence():
    assert level_dbfs(np.zeros(0, np.int16)) == -100.0


@given(st.lists(st.integers(1, 16000), min_size=1, max_size=40))
def test_silence_is_told_once_when_five_seconds_are_full(lengths):
    watch = SilenceWatch()
    told = [watch.push(np.zeros(length, np.int16)) for length in lengths]
    totals = np.cumsum(lengths)
    full = np.flatnonzero(totals >= DIGITAL_SILENCE_SECONDS * 16000)
    assert [index for index, one in enumerate(told) if one] == list(full[:1])


def test_one_sample_of_noise_starts_the_silence_again():
    watch = SilenceWatch()
    four_seconds, noise = np.zeros(64000, np.int16), np.array([0, 1, 0], np.int16)
    assert [watch.push(pcm) for pcm in (four_seconds, noise, four_seconds, four_seconds)] == [False, False, False, True]
