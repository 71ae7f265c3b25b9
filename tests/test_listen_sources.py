"""A microphone that is unplugged, plugged in elsewhere, refused and stopped, a thousand times over."""

from __future__ import annotations

import itertools
import random
import sys
import types
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from fake_sounddevice import PortAudioError, Status, device
from hypothesis import given, settings
from hypothesis import strategies as st
from random_model import random_model
from reference import liven, stimulus

from kws.engine import Engine, Event
from kws.errors import KwsError
from kws.features import Preset
from kws.listen import microphone, sources
from kws.listen.listener import Listener
from kws.listen.sources import Microphone


class Clock:
    """Stands for the ``time`` module: sleeping passes time at once."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Bench(types.ModuleType):
    """sounddevice over a bench where one microphone is plugged in and out.

    A stream delivers its whole stretch at once when it starts; then the microphone has gone, unless Ctrl-C comes.

    Attributes:
        clock: moved by waiting for the microphone.
        stretches: sound of each stream that comes, int16.
        away: times that PortAudio is started again before the microphone is back, for each return.
        refuse: which returns are refused at first, though the device is listed.
        interrupt: which streams end by Ctrl-C, not by unplugging.
    """

    clock: Clock
    stretches: list[np.ndarray]
    away: list[int]
    refuse: set[int] = field(default_factory=set)
    interrupt: set[int] = field(default_factory=set)
    block: int = 1024
    opened: int = 0
    closed: int = 0
    begins: list[float] = field(default_factory=list)
    _absent: int = 0

    PortAudioError = PortAudioError

    def __post_init__(self) -> None:
        super().__init__("sounddevice")
        self.default = types.SimpleNamespace(device=[0, -1])
        self.number = 0

    def query_devices(self) -> list[dict[str, Any]]:
        others = [device(f"other {index}", 1, 16000.0) for index in range(self.opened % 3)]
        return others if self._absent else [*others, device("USB mic", 1, 16000.0)]

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "Fake", "default_input_device": -1}]

    def check_input_settings(self, device: int, **settings: Any) -> None:
        assert self.query_devices()[device]["name"] == "USB mic"

    def _terminate(self) -> None:
        assert self.opened == self.closed

    def _initialize(self) -> None:
        self._absent = max(self._absent - 1, 0)

    def InputStream(self, callback: Any, **settings: Any) -> Any:
        if self.opened in self.refuse:
            self.refuse.remove(self.opened)
            raise PortAudioError("Device unavailable")
        number, self.opened = self.opened, self.opened + 1

        def start() -> None:
            self.begins.append(self.clock.now)
            sound = (self.stretches[number] / 32768.0).astype(np.float32)[:, None]
            for at in range(0, len(sound), self.block):
                callback(sound[at : at + self.block], len(sound[at : at + self.block]), None, Status())
            self._absent = self.away[number]

        def close(ignore_errors: bool) -> None:
            self.closed += 1

        def active(_: Any) -> bool:
            if number in self.interrupt:
                raise KeyboardInterrupt
            return False

        stream = type("Stream", (), {"active": property(active)})()
        stream.start, stream.abort, stream.close = start, lambda ignore_errors: None, close
        return stream


@pytest.fixture
def bench(monkeypatch):
    """Puts a bench in place of sounddevice, and its clock in place of time."""

    def put(stretches, away, **options):
        clock = Clock()
        fake = Bench(clock, stretches, away, **options)
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        for module in (microphone, sources):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(microphone, "_POLL_SECONDS", 0.0)
        monkeypatch.setattr(microphone, "MOST_WAITING_SECONDS", np.inf)
        return fake

    return put


def until_ctrl_c(given):
    """What comes before Ctrl-C does."""
    try:
        yield from given
    except KeyboardInterrupt:
        return
    raise AssertionError("the source ended by itself")


PRESET = Preset("sources", n_fft=256, hop=96, n_mels=8, frames=12)


def lively_engine() -> Engine:
    model = random_model(4, n_classes=5, channels=64, hidden=64, n_blocks=4, preset=PRESET)
    model.hop_frames, model.smoothing, model.refractory = 3, 2, 2000
    liven(model, 4)
    model.word_threshold[:] = 0.4
    return Engine(model)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_thousand_starts_stops_and_unplugs_lose_no_sample_and_no_time(bench, seed):
    """Every stretch arrives whole and is heard as a stream of its own would hear it; times follow the clock."""
    draw = random.Random(seed)
    count = 500  # stretches, each begun by a start or a return, and ended by Ctrl-C or by unplugging
    noise = stimulus(seed, 16000 * 30)
    lengths = [draw.choice([1, 95, 1024, 5000, 12000]) for _ in range(count)]
    starts = [draw.randrange(len(noise) - length) for length in lengths]
    stretches = [noise[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    away = [draw.choice([0, 1, 1, 2, 7]) for _ in range(count)]
    interrupt = {number for number in range(count) if draw.random() < 0.3} | {count - 1}
    refuse = {number for number in range(1, count) if number - 1 not in interrupt and draw.random() < 0.2}
    refused = len(refuse)
    fake = bench(stretches, away, interrupt=interrupt, refuse=refuse, block=draw.choice([37, 512, 1024]))
    engine = lively_engine()

    turns: list[list[tuple[int, np.ndarray, list[Event]]]] = []  # a listener started, its stretches
    while fake.opened < count:
        fake._absent = 0  # who starts has plugged it in
        listener, stretch = Listener("USB", engine), []
        turns.append(stretch)
        for heard in until_ctrl_c(listener.heard()):
            if heard.fresh:
                stretch.append((heard.start, [], []))
            if stretch:
                stretch[-1][1].append(heard.pcm)
                stretch[-1][2].extend(heard.events)
                assert heard.end == stretch[-1][0] + sum(map(len, stretch[-1][1]))

    assert fake.opened == fake.closed == count and not fake.refuse and refused > 20
    assert len(turns) == len(interrupt) > 100
    number = events = 0
    for turn in turns:
        began, heard_until, first = fake.begins[number], 0, min(fake.block, lengths[number])
        for start, pcm, found in turn:
            np.testing.assert_array_equal(np.concatenate(pcm), stretches[number])
            # A block has ended by the time that it is delivered, and here the first is delivered at once.
            clock = (fake.begins[number] - began) * 16000 + first - min(fake.block, lengths[number])
            assert start == max(heard_until, round(clock))
            alone = engine.stream().feed(stretches[number])
            times = [event.time + start / 16000 for event in alone]
            assert [(e.word, e.time, e.score) for e in found] == [
                (e.word, time, e.score) for e, time in zip(alone, times, strict=True)
            ]
            heard_until, number, events = start + len(stretches[number]), number + 1, events + len(found)
    assert number == count and events > 300


def test_one_that_is_not_waited_for_ends_with_a_sentence(bench):
    fake = bench([np.ones(1000, np.int16)], [0])
    got = []
    with pytest.raises(KwsError, match="'USB mic' stopped"):
        got.extend(sound.pcm for sound in Microphone("USB", reconnect=False).sounds())
    assert sum(map(len, got)) == 1000 and fake.closed == 1


def test_one_that_never_opens_is_not_waited_for(bench):
    bench([], [], refuse={0})
    with pytest.raises(KwsError, match=r"'USB mic' cannot be opened .*Device unavailable"):
        next(Microphone("USB").sounds())


def test_what_is_said_is_said_once_for_each_loss_and_return(bench):
    bench([np.ones(500, np.int16)] * 3, [4, 2, 0], interrupt={2})
    notes = [sound.note for sound in until_ctrl_c(Microphone("USB").sounds()) if sound.note]
    lost, back = "'USB mic' stopped", "Listening on USB mic."
    assert [next(word for word in (lost, back) if word in note) for note in notes] == [back, lost, back, lost, back]


@pytest.mark.parametrize("wanted", [None, "default"])
def test_the_default_may_be_another_device_after_a_return(bench, monkeypatch, wanted):
    fake = bench([np.ones(500, np.int16)] * 2, [0, 0], interrupt={1})
    monkeypatch.setattr(Bench, "check_input_settings", lambda self, **settings: None)
    one = Microphone(wanted)
    assert one.device.name == "USB mic"  # alone before the first stream
    list(until_ctrl_c(one.sounds()))
    assert one.device.name == "other 0" and fake.opened == 2


def test_a_numbered_device_is_found_by_its_name_when_its_number_has_changed(bench):
    bench([np.ones(500, np.int16)] * 3, [1, 1, 0], interrupt={2})
    one = Microphone("0")
    assert (one.device.index, one.device.name) == (0, "USB mic")
    list(until_ctrl_c(one.sounds()))
    assert (one.device.index, one.device.name) == (2, "USB mic")


ENGINE = lively_engine()


@settings(max_examples=60)
@given(
    st.integers(0, 1000),
    st.lists(st.integers(0, 4000), min_size=1, max_size=40).filter(any),
    st.booleans(),
    st.sampled_from([None, 2, "adaptive"]),
)
def test_every_chunking_is_heard_alike(seed, sizes, watched, depth):
    sound, at, chunks = stimulus(seed, 20000), 0, []
    for size in itertools.cycle(sizes):
        if at >= len(sound):
            break
        chunks.append(sound[at : at + size])
        at += size
    whole = Listener([sound], ENGINE, depth=depth)
    wanted, wanted_scores, scores = list(whole), [], []
    for _ in Listener([sound], ENGINE, depth=depth).heard(lambda stream: wanted_scores.append(stream.scores)):
        pass
    listener = Listener(chunks, ENGINE, depth=depth)
    each_hop = (lambda stream: scores.append(stream.scores)) if watched else None
    heard = list(listener.heard(each_hop))
    assert [event for one in heard for event in one.events] == wanted
    assert heard[-1].end == len(sound) and listener.stream.classified == whole.stream.classified
    if watched:
        np.testing.assert_array_equal(scores, wanted_scores)
