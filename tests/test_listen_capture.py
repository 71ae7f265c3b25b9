"""What --capture keeps: exactly the sound around each detection, however it came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kws.engine import Event
from kws.errors import KwsError
from kws.listen.capture import Capture, file_name
from kws.listen.stream import Heard

SOUND = np.random.default_rng(1).integers(-9000, 9000, 16000 * 6).astype(np.int16)


@pytest.fixture
def keep(monkeypatch):
    """Collects files in place of writing them, in order."""
    written = []
    monkeypatch.setattr("kws.data.audio.write_atomically", lambda path, data: written.append((path.name, data)))
    return written


def samples(data, tmp_path):
    path = tmp_path / "one.wav"
    path.write_bytes(data)
    pcm, rate = soundfile.read(path, dtype="int16")
    assert rate == 16000 and soundfile.info(path).subtype == "PCM_16"
    return pcm


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.lists(st.integers(0, 9000), max_size=40),
    st.lists(st.integers(1, len(SOUND)), max_size=12, unique=True),
    st.integers(0, 10**9),
)
def test_every_chunking_keeps_the_same(keep, tmp_path, lengths, ends, start):
    keep.clear()
    lengths, ends, at, turn = [*lengths, 7000], sorted(ends), 0, 0
    capture = Capture(tmp_path)
    while at < len(SOUND):
        chunk = SOUND[at : at + lengths[turn % len(lengths)]]
        events = [Event("yes", (start + end) / 16000, 0.5, 1) for end in ends if at < end <= at + len(chunk)]
        capture.push(Heard(chunk, events, start + at, fresh=turn == 0))
        at, turn = at + len(chunk), turn + 1
        assert sum(map(len, capture._recent)) <= 2 * 16000 + 2 * 9000  # whatever the session's length
    capture.flush()
    assert len(keep) == len(ends)
    for (_, data), end in zip(keep, ends, strict=True):
        np.testing.assert_array_equal(samples(data, tmp_path), SOUND[max(end - 24000, 0) : end + 8000])


def test_a_gap_ends_what_waits_and_nothing_crosses_it(keep, tmp_path):
    capture = Capture(tmp_path)
    capture.push(Heard(SOUND[:16000], [Event("yes", 1.0, 0.9, 1)], 0, fresh=True))
    assert keep == []
    capture.push(Heard(SOUND[16000:16100], [Event("no", 60.0 + 100 / 16000, 0.8, 1)], 960000, fresh=True))
    np.testing.assert_array_equal(samples(keep[0][1], tmp_path), SOUND[:16000])
    capture.push(Heard(SOUND[16100:30000], [], 960100))
    np.testing.assert_array_equal(samples(keep[1][1], tmp_path), SOUND[16000:24100])
    times = [datetime.strptime(name[:20], "%Y%m%dT%H%M%S.%fZ") for name, _ in keep]
    assert [name[20:] for name, _ in keep] == ["_yes_0.90.wav", "_no_0.80.wav"]
    now = datetime.now(UTC).replace(tzinfo=None)
    # Both were delivered now, and the clock rules after a gap.
    assert all(abs(time - now) < timedelta(seconds=30) for time in times)


def test_names_are_the_time_the_word_and_the_score():
    moment = datetime(2026, 1, 31, 14, 0, 0, 250400, timezone(timedelta(hours=2)))
    assert file_name(moment, "yes", 0.934) == "20260131T120000.250Z_yes_0.93.wav"
    assert file_name(moment, "hey pi", 1.0) == "20260131T120000.250Z_hey pi_1.00.wav"
    assert file_name(moment, '../a\\b:"\n', 0.0) == "20260131T120000.250Z_..-a-b---_0.00.wav"


def test_names_sort_as_the_detections_came(keep, tmp_path):
    capture = Capture(tmp_path)
    for second in range(1, 12):
        chunk = SOUND[(second - 1) * 16000 : second * 16000]
        capture.push(Heard(chunk, [Event("yes", float(second), 0.5, 1)], (second - 1) * 16000, fresh=second == 1))
    capture.flush()
    names = [name for name, _ in keep]
    assert len(set(names)) == 11 and names == sorted(names)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KwsError, match="choose another --capture folder"):
        Capture(tmp_path / "file" / "kept")


def test_a_file_that_cannot_be_written_costs_no_other(tmp_path):
    capture = Capture(tmp_path)
    twice = [Event("yes", 1.0, 0.9, 1), Event("no", 1.0, 0.9, 1)]
    capture.push(Heard(SOUND[:16000], twice, 0, fresh=True))
    capture._folder = tmp_path / "gone"
    with pytest.raises(KwsError, match="choose another place"):
        capture.push(Heard(SOUND[16000:16100], [Event("go", 60.0 + 100 / 16000, 0.8, 1)], 960000, fresh=True))
    capture._folder = tmp_path
    (written,) = capture.push(Heard(SOUND[16100:30000], [], 960100))
    np.testing.assert_array_equal(soundfile.read(written, dtype="int16")[0], SOUND[16000:24100])
