"""Words heard, as they come: the whole of listening behind one iterator."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from kws.data.audio import SAMPLE_RATE
from kws.errors import KwsError
from kws.listen import sources
from kws.listen.controls import Depth, PerWord, Settings
from kws.listen.stream import Heard, listen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kws.engine import Engine, Event, Stream
    from kws.listen.sources import Sound


class Listener:
    """Words heard in a microphone, a recording or arrays.

        for event in kws.Listener("default"):
            print(event.word, event.time, event.score)

    A microphone is listened to without end (leave the loop to end it): one that is unplugged is waited for, and time
    goes on meanwhile. Each iteration opens the source anew, and its times begin at 0.

    Attributes:
        engine: the C engine with the model.
        stream: what listens. Its ``set_sensitivity``, ``set_depth``, ``set_threshold`` and the rest may be called at
            any time, from any thread.
        settings: those it began with.
        microphone: where the source is one; it knows the device in use and what was lost.
    """

    def __init__(
        self,
        source: str | int | Path | Iterable[NDArray[np.int16]] = "default",
        model: str | Path | Engine | None = None,
        *,
        depth: Depth | None = None,
        threshold: PerWord | None = None,
        sensitivity: PerWord | None = None,
        gate: float | None = None,
        reconnect: bool = True,
    ) -> None:
        """Opens nothing yet.

        Args:
            source: a number or a str is an input device, that number or a part of its name, as `kws devices` lists
                them; a Path a recording in any format that libsndfile reads; anything else chunks of sound, int16 [n]
                at 16 kHz, of any lengths.
            model: a ``.kws`` file, a training run's folder, a shipped model's name, or an engine; ``kws12_listener``
                if None.
            depth: every window's delta, or "adaptive"; as the model says if None.
            threshold: score, 0..1, that makes an event of any word, or a dict of them by word, with that of all others
                under "*"; the model's own for words without one.
            sensitivity: 0..1; 0.5 leaves the thresholds as they are, more hears more; by word like the threshold.
            gate: dBFS; what stays below it is silence, and costs nothing. The model's if None.
            reconnect: wait for a microphone that went away; else that is an error.

        Raises:
            KwsError: no such model or depth, a setting out of range, no engine library; of a device also when it is
                missing.
        """
        from kws.engine import Engine
        from kws.model import LISTENER, load

        self.engine = model if isinstance(model, Engine) else Engine(load(model, LISTENER))
        rate = self.engine.preset.sample_rate
        if rate != SAMPLE_RATE:
            raise KwsError(f"The model hears {rate} Hz, not {SAMPLE_RATE} Hz; train it at that rate.")
        self.settings = Settings(depth, threshold, sensitivity, gate)
        self.stream = self.settings.stream(self.engine)
        self.microphone: sources.Microphone | None = None
        self._open: Callable[[], Generator[Sound]]
        if isinstance(source, str | int):
            self.microphone = sources.Microphone(str(source), reconnect)
            self._open = self.microphone.sounds
        elif isinstance(source, Path):
            self._open = lambda: sources.sounds(sources.file_chunks(source))
        else:
            self._open = lambda: sources.sounds(source)

    def __iter__(self) -> Iterator[Event]:
        """The words, in order.

        Raises:
            KwsError: the recording cannot be read; the microphone cannot be opened, or went away and is not waited for.
        """
        with closing(self.heard()) as heard:
            for chunk in heard:
                yield from chunk.events

    def heard(self, each_hop: Callable[[Stream], None] | None = None) -> Generator[Heard]:
        """Every chunk of sound with the words that it completed, whether or not there are any.

        Args:
            each_hop: called after every frame; see ``kws.listen.stream.listen``.
        """
        self.stream.reset()
        with closing(self._open()) as sounds:
            yield from listen(sounds, self.stream, self.engine.preset.hop, each_hop)
