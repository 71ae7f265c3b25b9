"""The loop: what a file brings, where hops end, what a gap does to time, the level."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kws.data.audio import level_dbfs
from kws.engine import Event
from kws.errors import KwsError
from kws.listen.sources import Sound, file_chunks, sounds
from kws.listen.stream import listen


class Recorder:
    """A stream that remembers what it was fed since its last start, and hears a word in every piece."""

    def __init__(self) -> None:
        self.fed: list[np.ndarray] = []
        self.resets = 0

    def feed(self, pcm):
        self.fed.append(pcm)
        return [Event("yes", sum(map(len, self.fed)) / 16000, 0.9, 1)] if len(pcm) else []

    def reset(self):
        self.fed = []
        self.resets += 1


def test_listen_pairs_every_chunk_with_its_events_in_order():
    stream = Recorder()
    chunks = [np.arange(n, dtype=np.int16) for n in (3, 1, 0, 5)]
    heard = list(listen(sounds(chunks), stream))
    assert [[event.time * 16000 for event in one.events] for one in heard] == [[3], [4], [], [9]]
    assert [(one.start, one.end, one.fresh) for one in heard] == [
        (0, 3, False),
        (3, 4, False),
        (4, 4, False),
        (4, 9, False),
    ]
    assert all(one.pcm is chunk for one, chunk in zip(heard, chunks, strict=True))
    assert stream.resets == 0


def test_after_a_gap_the_stream_starts_anew_and_time_goes_on():
    stream = Recorder()
    ones = np.ones(160, np.int16)
    given_ = [Sound(ones, 0, "begins"), Sound(ones), Sound(ones, 16000), Sound(ones)]
    heard = list(listen(given_, stream))
    assert [one.start for one in heard] == [0, 160, 16000, 16160]
    assert [one.fresh for one in heard] == [True, False, True, False]
    assert [event.time for one in heard for event in one.events] == [0.01, 0.02, 1.01, 1.02]
    assert [one.note for one in heard] == ["begins", "", "", ""]
    assert stream.resets == 2


@given(st.lists(st.integers(0, 700), max_size=30), st.integers(1, 300), st.integers(0, 40))
def test_every_whole_hop_is_seen_once_however_sound_is_cut(lengths, hop, gap_before):
    stream, seen = Recorder(), []
    pcm = np.arange(sum(lengths), dtype=np.int16)
    cut = np.split(pcm, np.cumsum(lengths)[:-1]) if lengths else []
    given_ = [Sound(chunk, 10**6 if index == gap_before else None) for index, chunk in enumerate(cut)]
    for _ in listen(given_, stream, hop, lambda one: seen.append(sum(map(len, one.fed)))):
        pass
    parts = [sum(lengths[:gap_before]), sum(lengths[gap_before:])] if gap_before < len(lengths) else [sum(lengths)]
    assert seen == [hop * (number + 1) for part in parts for number in range(part // hop)]
    np.testing.assert_array_equal(np.concatenate([pcm[:0], *stream.fed]), pcm[len(pcm) - parts[-1] :])


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
