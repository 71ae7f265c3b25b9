"""A stand-in for the sounddevice module: devices from a list, and streams that play an array into their callback."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Uneven on purpose: a driver promises no block size.
BLOCKS = (441, 37, 1024, 1, 300)


class PortAudioError(Exception):
    """As in sounddevice."""


@dataclass
class Status:
    """sounddevice.CallbackFlags, as far as it is read."""

    input_overflow: bool = False


@dataclass
class FakeSounddevice(types.ModuleType):
    """The module.

    Attributes:
        sound: float32 [n, channels], what every device records.
        devices: as query_devices gives them.
        refused: (rate, channels) pairs that no device accepts.
        at_end: called in the listening thread once the sound is played and it asks whether the stream lives; returns
            whether it does.
        overflow_at: number of the block that comes with the overflow flag.
        opened: settings of every stream that was opened.
        closed: streams closed.
        rescans: times that PortAudio was started again.
    """

    sound: NDArray[np.float32]
    devices: list[dict[str, Any]]
    refused: tuple[tuple[float, int], ...] = ()
    at_end: Callable[[], bool] = lambda: False
    overflow_at: int = -1
    opened: list[dict[str, Any]] = field(default_factory=list)
    closed: int = 0
    rescans: int = 0
    default_input: int = 0

    PortAudioError = PortAudioError

    def __post_init__(self) -> None:
        super().__init__("sounddevice")
        self.default = types.SimpleNamespace(device=[self.default_input, -1])

    def query_devices(self) -> list[dict[str, Any]]:
        return self.devices

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "Fake", "default_input_device": self.default_input}]

    def _terminate(self) -> None:
        assert len(self.opened) == self.closed, "PortAudio was ended under an open stream"

    def _initialize(self) -> None:
        self.rescans += 1

    def check_input_settings(self, device: int, channels: int, dtype: str, samplerate: float) -> None:
        if (samplerate, channels) in self.refused or channels > self.devices[device]["max_input_channels"]:
            raise PortAudioError("Invalid sample rate")

    def InputStream(self, **settings: Any) -> FakeStream:
        self.opened.append(settings)
        return FakeStream(self, settings["callback"], settings["channels"])


class FakeStream:
    """A stream that plays the module's sound from a thread, as PortAudio does."""

    def __init__(self, module: FakeSounddevice, callback: Callable[..., None], channels: int) -> None:
        assert module.sound.shape[1] == channels, "the device was opened with other channels than the test records"
        self._module = module
        self._callback = callback
        self._thread = threading.Thread(target=self._play, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _play(self) -> None:
        start = number = 0
        # One buffer for all blocks: sounddevice's own is only valid during the callback.
        buffer = np.empty((max(BLOCKS), self._module.sound.shape[1]), np.float32)
        while start < len(self._module.sound):
            block = self._module.sound[start : start + BLOCKS[number % len(BLOCKS)]]
            view = buffer[: len(block)]
            view[:] = block
            self._callback(view, len(view), None, Status(number == self._module.overflow_at))
            view[:] = np.nan
            start += len(block)
            number += 1

    @property
    def active(self) -> bool:
        return self._thread.is_alive() or self._module.at_end()

    def abort(self, ignore_errors: bool = True) -> None:
        self._thread.join()

    def close(self, ignore_errors: bool = True) -> None:
        self._module.closed += 1


def device(name: str, channels: int, rate: float) -> dict[str, Any]:
    """An entry of query_devices."""
    return {"name": name, "hostapi": 0, "max_input_channels": channels, "default_samplerate": rate}
