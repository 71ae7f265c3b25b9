"""Sound from an input device, whatever its rate and channels, as 16 kHz mono int16 chunks.

PortAudio calls back on a thread of its own, which must never wait: the callback only copies the block into a queue. The
listening thread takes blocks out, mixes their channels down and resamples them as one continuous stream.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from kws.data.audio import SAMPLE_RATE, to_int16
from kws.errors import KwsError

MISSING_PORTAUDIO = (
    "The PortAudio library that reaches microphones is missing: install it (Debian, Ubuntu, Raspberry Pi OS: "
    "sudo apt install libportaudio2), or give recordings: kws listen FILE."
)
NO_INPUT = (
    "No input device was found: connect a microphone and look for it with `kws devices`, "
    "or give recordings: kws listen FILE."
)

DEFAULT = "default"

MOST_WAITING_SECONDS = 5.0
"""Sound that may wait in the queue; a listener that is further behind has to lose some, and says so."""

SILENT_DEVICE_SECONDS = 5.0
"""A device that delivers no block for this long is gone. Sound servers may take 2 s to deliver the first."""

_POLL_SECONDS = 0.2
_FALLBACK_RATES = (48000.0, 44100.0, 32000.0, 16000.0)


@dataclass(frozen=True)
class Input:
    """An input device.

    Attributes:
        index: PortAudio's number, what ``--device N`` takes.
        name: its name, part of which ``--device NAME`` takes.
        host_api: the sound system that offers it, such as "ALSA".
        channels: most channels.
        rate: default rate in Hz.
        default: whether it is used where none is chosen.
    """

    index: int
    name: str
    host_api: str
    channels: int
    rate: float
    default: bool


@dataclass
class Losses:
    """Sound that did not reach the listener.

    Attributes:
        overruns: times that the device had to drop samples before they came here.
        seconds: sound dropped here because the listener was too far behind.
    """

    overruns: int = 0
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.overruns or self.seconds)

    def __str__(self) -> str:
        parts = []
        if self.overruns:
            times = "once" if self.overruns == 1 else f"{self.overruns} times"
            parts.append(f"the device dropped samples {times}")
        if self.seconds:
            parts.append(f"{self.seconds:.1f} s were dropped because this machine was too busy to listen")
        return " and ".join(parts)


def _sounddevice() -> Any:
    """The sounddevice module. Raises KwsError where it or its PortAudio library is missing."""
    try:
        import sounddevice
    except (OSError, ImportError) as error:
        raise KwsError(MISSING_PORTAUDIO) from error
    return sounddevice


def inputs() -> list[Input]:
    """Every input device, in PortAudio's order; empty where there is none.

    Raises:
        KwsError: PortAudio is missing or cannot list the devices.
    """
    sd = _sounddevice()
    try:
        devices, apis = list(sd.query_devices()), list(sd.query_hostapis())
    except sd.PortAudioError as error:
        raise KwsError(f"PortAudio cannot list the sound devices ({error}); restart the sound system.") from error
    default = sd.default.device[0]
    if default is None or default < 0:
        # PortAudio names no default where the first host API has no input, yet another one may have.
        default = next((api["default_input_device"] for api in apis if api["default_input_device"] >= 0), -1)
    return [
        Input(
            index,
            device["name"],
            apis[device["hostapi"]]["name"],
            device["max_input_channels"],
            float(device["default_samplerate"]),
            index == default,
        )
        for index, device in enumerate(devices)
        if device["max_input_channels"] > 0
    ]


def choose(wanted: str | None) -> Input:
    """The input device that ``wanted`` names: a number, a name, or a part of one name.

    None and "default" mean the system's default.

    Raises:
        KwsError: PortAudio is missing, or no device or several match.
    """
    devices = inputs()
    if not devices:
        raise KwsError(NO_INPUT)
    if wanted is None or wanted.lower() == DEFAULT:
        return next((device for device in devices if device.default), devices[0])
    if wanted.isdecimal():
        matches = [device for device in devices if device.index == int(wanted)]
    else:
        lower = wanted.lower()
        matches = [device for device in devices if device.name.lower() == lower]
        matches = matches or [device for device in devices if lower in device.name.lower()]
    if not matches:
        raise KwsError(f"No input device is called '{wanted}'; `kws devices` lists what there is.")
    if len(matches) > 1:
        several = ", ".join(f"{device.index} ({device.name}, {device.host_api})" for device in matches)
        raise KwsError(f"'{wanted}' fits several input devices: {several}; give one's number.")
    return matches[0]


def find_again(device: Input) -> Input:
    """``device`` as it is listed now: its number may have changed since it was unplugged.

    Raises:
        KwsError: it is not there.
    """
    alike = [one for one in inputs() if one.name == device.name]
    for one in alike:
        if one.host_api == device.host_api:
            return one
    if not alike:
        raise KwsError(f"Input device '{device.name}' is not connected; connect it or choose another.")
    return alike[0]


def rescan() -> None:
    """Has PortAudio look for devices again: it lists those of its start until then.

    This ends every stream that this process has open.

    Raises:
        KwsError: PortAudio is missing or does not start again.
    """
    sd = _sounddevice()
    # sounddevice has no public way. Where an earlier start failed there is nothing to end.
    with contextlib.suppress(sd.PortAudioError):
        sd._terminate()
    try:
        sd._initialize()
    except sd.PortAudioError as error:
        raise KwsError(f"PortAudio does not start again ({error}); restart the sound system.") from error


def _settings(sd: Any, device: Input) -> tuple[float, int]:
    """The first (rate, channels) that ``device`` accepts: its default rate and few channels before anything else."""
    channels = dict.fromkeys([min(2, device.channels), 1, device.channels])
    refusal: Exception | None = None
    for rate in dict.fromkeys([device.rate, *_FALLBACK_RATES]):
        for count in channels:
            try:
                sd.check_input_settings(device=device.index, channels=count, dtype="float32", samplerate=rate)
            except sd.PortAudioError as error:
                refusal = refusal or error
            else:
                return rate, count
    raise KwsError(
        f"Input device '{device.name}' cannot be opened ({refusal}); close programs that use it, "
        "or choose another from `kws devices`."
    ) from refusal


def chunks(device: Input, losses: Losses | None = None, ticks: bool = False) -> Generator[NDArray[np.int16]]:
    """Sound from ``device`` as int16 [n] chunks at 16 kHz mono, until the iterator is closed.

    The device runs at its own default rate; channels are averaged, and soxr resamples across chunks without a seam.
    Sound that is dropped here comes as silence of the same length, so that what follows keeps its time.

    Args:
        device: from ``choose``.
        losses: counts what was lost, live.
        ticks: an empty chunk whenever the device has delivered nothing for 0.2 s, for those who have more to do.

    Raises:
        KwsError: the device cannot be opened, stops, or delivers nothing for 5 s.
    """
    sd = _sounddevice()
    rate, channels = _settings(sd, device)
    losses = Losses() if losses is None else losses
    # SimpleQueue.put neither waits nor takes a lock that the reader could hold; each counter has one writer.
    # A number stands for as many frames that were dropped.
    blocks: queue.SimpleQueue[NDArray[np.float32] | int] = queue.SimpleQueue()
    queued = taken = dropped = 0

    def callback(block: NDArray[np.float32], frames: int, timing: Any, status: Any) -> None:
        nonlocal queued, dropped
        if status.input_overflow:
            losses.overruns += 1
        if queued - taken > MOST_WAITING_SECONDS * rate:
            losses.seconds += frames / rate
            dropped += frames
            return
        if dropped:
            blocks.put(dropped)
            dropped = 0
        queued += frames
        blocks.put(block.copy())

    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32") if rate != SAMPLE_RATE else None
    try:
        stream = sd.InputStream(
            device=device.index, samplerate=rate, channels=channels, dtype="float32", callback=callback
        )
    except sd.PortAudioError as error:
        raise KwsError(
            f"Input device '{device.name}' cannot be opened ({error}); choose another from `kws devices`."
        ) from error
    try:
        stream.start()
        deadline = time.monotonic() + SILENT_DEVICE_SECONDS
        while True:
            try:
                block = blocks.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                _check(stream, device, deadline)
                if ticks:
                    yield np.zeros(0, np.int16)
                continue
            deadline = time.monotonic() + SILENT_DEVICE_SECONDS
            if not isinstance(block, int):
                taken += len(block)
            for mono in _mono(block, round(rate)):
                pcm = to_int16(mono if resampler is None else resampler.resample_chunk(mono))
                if len(pcm):
                    yield pcm
    except sd.PortAudioError as error:
        raise KwsError(f"Input device '{device.name}' failed ({error}); choose another from `kws devices`.") from error
    finally:
        # abort, since stop would wait for the last buffer of a device that is gone. Errors here would hide the first.
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)


def _mono(block: NDArray[np.float32] | int, most: int) -> Iterator[NDArray[np.float32]]:
    """A block [n, channels] as float32 [n]; a number of dropped frames as so many zeros, at most ``most`` at once."""
    if isinstance(block, int):
        for start in range(0, block, most):
            yield np.zeros(min(most, block - start), np.float32)
    else:
        # A driver may deliver NaN, and one would stay in the resampler for good.
        yield np.nan_to_num(block.mean(axis=1), posinf=0.0, neginf=0.0)


def _check(stream: Any, device: Input, deadline: float) -> None:
    """Raises KwsError where the device has stopped or has delivered nothing until ``deadline``."""
    if not stream.active:
        raise KwsError(f"Input device '{device.name}' stopped; connect it again or choose another from `kws devices`.")
    if time.monotonic() > deadline:
        raise KwsError(
            f"Input device '{device.name}' delivers no sound; connect it again or choose another from `kws devices`."
        )
