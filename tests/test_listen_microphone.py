"""The microphone path against a fake sounddevice: rates, channels, devices that fail, and losses."""

from __future__ import annotations

import builtins
import json
import sys
import time
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
import soxr
import typer
from fake_sounddevice import FakeSounddevice, PortAudioError, device
from typer.testing import CliRunner

from kws.cli import devices as devices_command
from kws.errors import KwsError
from kws.listen import microphone


@pytest.fixture
def install(monkeypatch):
    """Makes ``import sounddevice`` give the fake module that it is called with, and returns it."""

    def put(sound=None, devices=None, **options):
        if sound is None:
            sound = np.zeros((0, 1), np.float32)
        fake = FakeSounddevice(
            sound, [device("mic", sound.shape[1], 16000.0)] if devices is None else devices, **options
        )
        monkeypatch.setitem(sys.modules, "sounddevice", fake)
        # The fake plays faster than real time.
        monkeypatch.setattr(microphone, "MOST_WAITING_SECONDS", np.inf)
        return fake

    return put


def record(samples: int) -> np.ndarray:
    """What the default device delivers, until at least ``samples`` have come."""
    got = []
    with closing(microphone.chunks(microphone.choose(None))) as chunks:
        for chunk in chunks:
            got.append(chunk)
            if sum(map(len, got)) >= samples:
                return np.concatenate(got)
    raise AssertionError("the device stopped early")


def tones(seconds: float = 1.5) -> np.ndarray:
    """Speech-band tones that come and go, float64 [n] at 16 kHz, within 0.9 of full scale."""
    t = np.arange(int(seconds * 16000)) / 16000
    return 0.3 * sum(np.sin(2 * np.pi * hertz * t) for hertz in (310, 1270, 3300)) * np.sin(np.pi * t / seconds) ** 2


def test_int16_sound_at_16_khz_mono_arrives_bit_for_bit(install):
    pcm = np.random.default_rng(1).integers(-32768, 32768, 20000).astype(np.int16)
    install((pcm / 32768.0).astype(np.float32)[:, None])
    np.testing.assert_array_equal(record(20000), pcm)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_channels_arrive_as_16_khz_mono(install, rate, channels):
    # The sound is made at the device's rate by formula, so that no second resampler is trusted.
    seconds = 1.5
    t = np.arange(int(seconds * rate)) / rate
    envelope = np.sin(np.pi * t / seconds) ** 2
    sound = 0.3 * sum(np.sin(2 * np.pi * hertz * t) for hertz in (310, 1270, 3300)) * envelope
    # Opposite noise in the two channels vanishes in their mean, and only there.
    noise = np.random.default_rng(2).uniform(-0.05, 0.05, len(sound))
    both = np.stack([sound + noise, sound - noise], axis=1) if channels == 2 else sound[:, None]
    fake = install(both.astype(np.float32), [device("mic", channels, float(rate))])
    got = record(22000) / 32768.0
    assert fake.opened[0]["samplerate"] == rate
    assert fake.closed == 1
    expected = tones(seconds)[: len(got)]
    error = got[: len(expected)] - expected
    assert 10 * np.log10(np.mean(expected**2) / np.mean(error**2)) > 60.0


def test_resampling_has_no_seam_between_blocks(install):
    sound = tones().astype(np.float32)
    fast = soxr.resample(sound, 16000, 44100)
    install(fast[:, None], [device("mic", 1, 44100.0)])
    got = record(22000)
    whole = np.rint(soxr.resample(fast, 44100, 16000) * 32768.0)[: len(got)]
    assert np.abs(got - whole).max() <= 1


def test_loud_float_input_saturates(install):
    install(np.array([[2.0], [-2.0], [0.5]], np.float32))
    assert record(3).tolist() == [32767, -32768, 16384]


def test_nan_from_a_driver_is_silence_and_does_not_stay(install):
    sound = np.full((16000, 1), 0.25, np.float32)
    sound[100] = np.nan
    sound[200] = np.inf
    install(sound, [device("mic", 1, 32000.0)])
    got = record(7000)
    assert np.abs(got[1000:] - 8192).max() <= 1


def test_rates_that_the_device_refuses_are_passed_over(install):
    sound = np.zeros((5000, 1), np.float32)
    fake = install(sound, [device("mic", 2, 44100.0)], refused=((44100.0, 2), (44100.0, 1), (48000.0, 2)))
    record(1000)
    assert (fake.opened[0]["samplerate"], fake.opened[0]["channels"]) == (48000.0, 1)


def test_a_device_of_many_channels_is_opened_with_two(install):
    fake = install(np.zeros((5000, 2), np.float32), [device("pulse", 32, 44100.0)])
    record(1000)
    assert fake.opened[0]["channels"] == 2


def test_a_device_that_refuses_everything_is_one_sentence(install):
    rates = (44100.0, 48000.0, 32000.0, 16000.0)
    install(devices=[device("mic", 1, 44100.0)], refused=tuple((rate, 1) for rate in rates))
    with pytest.raises(KwsError, match=r"'mic' cannot be opened .*Invalid sample rate.*kws devices"):
        next(microphone.chunks(microphone.choose(None)))


def test_a_device_that_vanishes_is_one_sentence_after_its_last_sound(install):
    fake = install(np.full((1000, 1), 0.5, np.float32))
    chunks = microphone.chunks(microphone.choose(None))
    received = []
    with pytest.raises(KwsError, match="'mic' stopped"):
        received.extend(chunks)
    assert sum(map(len, received)) == 1000
    assert fake.closed == 1


def test_a_device_that_falls_silent_without_stopping_is_given_up(install, monkeypatch):
    monkeypatch.setattr(microphone, "SILENT_DEVICE_SECONDS", 0.3)
    install(np.zeros((10, 1), np.float32), at_end=lambda: True)
    chunks = microphone.chunks(microphone.choose(None))
    next(chunks)
    with pytest.raises(KwsError, match="delivers no sound"):
        list(chunks)


def test_an_error_while_running_is_one_sentence(install):
    def fail():
        raise PortAudioError("Unanticipated host error")

    install(np.zeros((10, 1), np.float32), at_end=fail)
    with pytest.raises(KwsError, match=r"failed .*Unanticipated host error"):
        list(microphone.chunks(microphone.choose(None)))


def test_overruns_of_the_device_are_counted(install):
    install(np.zeros((2000, 1), np.float32), overflow_at=2)
    losses = microphone.Losses()
    with pytest.raises(KwsError, match="stopped"):
        list(microphone.chunks(microphone.choose(None), losses))
    assert losses
    assert losses.overruns == 1
    assert "dropped samples once" in str(losses)


def test_the_callback_drops_and_counts_when_nobody_listens(install, monkeypatch):
    install(np.zeros((16000, 1), np.float32))
    monkeypatch.setattr(microphone, "MOST_WAITING_SECONDS", 0.05)
    losses = microphone.Losses()
    chunks = microphone.chunks(microphone.choose(None), losses)
    received = [next(chunks)]
    deadline = time.monotonic() + 10
    while losses.seconds < 0.5 and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(KwsError, match="stopped"):
        received.extend(chunks)
    heard = sum(map(len, received))
    assert heard + round(losses.seconds * 16000) == 16000
    assert heard < 8000


def test_no_losses_is_false():
    assert not microphone.Losses()


THREE = [
    device("HDA Intel: ALC257 Analog (hw:0,0)", 2, 48000.0),
    device("speakers", 0, 48000.0),
    device("USB Mic", 1, 16000.0),
    device("USB Mic Pro", 2, 44100.0),
]


def test_inputs_leave_out_outputs_and_mark_the_default(install):
    install(devices=THREE, default_input=2)
    found = microphone.inputs()
    assert [(one.index, one.name, one.channels, one.rate, one.default) for one in found] == [
        (0, "HDA Intel: ALC257 Analog (hw:0,0)", 2, 48000.0, False),
        (2, "USB Mic", 1, 16000.0, True),
        (3, "USB Mic Pro", 2, 44100.0, False),
    ]
    assert {one.host_api for one in found} == {"Fake"}


@pytest.mark.parametrize(
    ("wanted", "index"), [(None, 2), ("0", 0), ("usb mic", 2), ("USB Mic Pro", 3), ("pro", 3), ("alc257", 0)]
)
def test_choose_by_number_name_or_part_of_a_name(install, wanted, index):
    install(devices=THREE, default_input=2)
    assert microphone.choose(wanted).index == index


@pytest.mark.parametrize("wanted", ["1", "17", "bluetooth"])
def test_choose_refuses_what_is_no_input(install, wanted):
    install(devices=THREE)
    with pytest.raises(KwsError, match=f"'{wanted}'; `kws devices`"):
        microphone.choose(wanted)


def test_choose_names_all_that_an_unclear_name_fits(install):
    install(devices=THREE)
    with pytest.raises(KwsError, match=r"'usb' fits .*2 \(USB Mic, Fake\), 3 \(USB Mic Pro, Fake\)"):
        microphone.choose("usb")


def test_without_a_default_the_first_input_is_used(install):
    install(devices=THREE, default_input=-1)
    assert microphone.choose(None).index == 0


def test_no_input_device_points_to_devices_and_files(install):
    install(devices=[THREE[1]])
    with pytest.raises(KwsError, match=r"No input device.*kws devices.*kws listen FILE"):
        microphone.choose(None)


def test_missing_portaudio_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(KwsError, match="libportaudio2"):
        microphone.inputs()


@pytest.fixture
def devices_app():
    app = typer.Typer()
    devices_command.register(app)
    return app


def test_devices_lists_inputs(install, devices_app):
    install(devices=THREE, default_input=3)
    result = CliRunner(env={"COLUMNS": "120"}).invoke(devices_app, [])
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if "USB Mic Pro" in line]
    assert len(lines) == 1
    assert "default" in lines[0]
    assert "44100 Hz" in lines[0]
    assert "speakers" not in result.stdout


def test_devices_as_json(install, devices_app):
    install(devices=THREE)
    result = CliRunner().invoke(devices_app, ["--json"])
    found = json.loads(result.stdout)
    assert [one["index"] for one in found] == [0, 2, 3]
    assert found[0] == {
        "index": 0,
        "name": "HDA Intel: ALC257 Analog (hw:0,0)",
        "host_api": "Fake",
        "channels": 2,
        "rate": 48000.0,
        "default": True,
    }


def test_devices_without_any_is_a_sentence(install, devices_app):
    install(devices=[])
    result = CliRunner().invoke(devices_app, [])
    assert isinstance(result.exception, KwsError)
    assert "No input device" in str(result.exception)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_sound_dropped_here_is_silence_of_the_same_length(monkeypatch, rate):
    callbacks = []

    class ByHand(FakeSounddevice):
        def InputStream(self, callback, **settings):
            callbacks.append(callback)
            nothing = {"start": lambda: None, "active": True, "abort": lambda **_: None, "close": lambda **_: None}
            return SimpleNamespace(**nothing)

    monkeypatch.setitem(sys.modules, "sounddevice", ByHand(np.zeros((0, 1)), [device("mic", 1, float(rate))]))
    monkeypatch.setattr(microphone, "MOST_WAITING_SECONDS", 0.1)
    monkeypatch.setattr(microphone, "_POLL_SECONDS", 0.0)
    second = np.full((rate, 1), 0.25, np.float32)
    losses = microphone.Losses()
    chunks = microphone.chunks(microphone.choose(None), losses, ticks=True)
    assert len(next(chunks)) == 0  # opened, and nothing there
    parts = []
    for _ in range(6):  # one fits: the others come while it waits
        callbacks[0](second, rate, None, SimpleNamespace(input_overflow=False))
    assert losses.seconds == 5.0
    while len(pcm := next(chunks)):
        parts.append(pcm)
    callbacks[0](second, rate, None, SimpleNamespace(input_overflow=False))
    while len(pcm := next(chunks)):
        parts.append(pcm)
    chunks.close()
    sound = np.concatenate(parts).astype(float)
    assert losses.seconds == 5.0 and 7 * 16000 - len(sound) < 600  # what a resampler keeps
    level = [np.abs(sound[second * 16000 + 4000 : second * 16000 + 12000]).mean() for second in range(7)]
    assert level == pytest.approx([8192, 0, 0, 0, 0, 0, 8192], abs=2)
    assert max(map(len, parts)) <= 16600


def test_ticks_come_while_a_device_is_quiet_and_only_where_wanted(install):
    fake = install(np.zeros((160, 1), np.float32), at_end=lambda: True)
    with closing(microphone.chunks(microphone.choose(None), ticks=True)) as chunks:
        assert [len(next(chunks)) for _ in range(7)][-2:] == [0, 0]
    assert fake.closed == 1


@pytest.mark.parametrize("wanted", ["default", "Default"])
def test_default_is_the_system_s(install, wanted):
    install(devices=THREE, default_input=2)
    assert microphone.choose(wanted).index == 2


def test_a_device_is_found_again_by_name_and_system(install):
    install(devices=THREE, default_input=2)
    old = microphone.Input(9, "USB Mic", "Fake", 1, 16000.0, False)
    assert microphone.find_again(old).index == 2
    assert microphone.find_again(microphone.Input(2, "USB Mic", "JACK", 1, 16000.0, False)).index == 2
    with pytest.raises(KwsError, match="'webcam' is not connected"):
        microphone.find_again(microphone.Input(2, "webcam", "Fake", 1, 16000.0, False))


def test_a_portaudio_that_does_not_start_again_is_one_sentence(install, monkeypatch):
    fake = install()

    def fail():
        raise PortAudioError("Host error")

    monkeypatch.setattr(fake, "_initialize", fail, raising=False)
    with pytest.raises(KwsError, match=r"does not start again .*Host error"):
        microphone.rescan()
    # After a failed start there is nothing to end, which must not keep it from starting.
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    monkeypatch.setattr(fake, "_terminate", fail, raising=False)
    before = fake.rescans
    microphone.rescan()
    assert fake.rescans == before + 1
