"""A microphone at work: shown, watched, and with consequences."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from kws.data.audio import SAMPLE_RATE
from kws.errors import KwsError
from kws.listen.health import CLIPPING, SILENT, Health

if TYPE_CHECKING:
    from kws.listen.capture import Capture
    from kws.listen.command import Command
    from kws.listen.display import View
    from kws.listen.listener import Listener
    from kws.listen.sources import Microphone
    from kws.listen.stream import Heard


class Session:
    """Listens to a microphone, with what follows from each detection.

    A command that fails, a full disk and a microphone that goes away are told and do not end it.

    Attributes:
        samples: heard so far.
        detections: made so far.
    """

    def __init__(self, listener: Listener, command: Command | None = None, capture: Capture | None = None) -> None:
        """Starts nothing.

        Args:
            listener: to a microphone.
            command: run at every detection.
            capture: keeps the sound around each.
        """
        assert listener.microphone is not None
        self._listener = listener
        self._microphone: Microphone = listener.microphone
        self._command = command
        self._capture = capture
        self._health = Health()
        self._lost = ""
        self.samples = self.detections = 0

    @property
    def seconds(self) -> float:
        return self.samples / SAMPLE_RATE

    def run(self, view: View) -> None:
        """Listens until the view is ended.

        Raises:
            KwsError: the microphone cannot be opened, or went away and is not to be waited for.
        """
        with closing(self._listener.heard(view.each_hop)) as chunks:
            for heard in chunks:
                if heard.note:
                    view.say(heard.note)
                self.samples += len(heard.pcm)
                self.detections += len(heard.events)
                self._watch(heard, view)
                view.show(heard)
                self._act(heard, view)
                if view.ended:
                    return

    def finish(self, view: View) -> None:
        """Keeps what there is of the last detections, waits for the command that runs, and sums up what was lost."""
        if self._capture is not None:
            try:
                self._capture.flush()
            except KwsError as error:
                view.say(str(error))
        losses = self._microphone.losses
        if str(losses) != self._lost:
            view.say(f"Sound was lost in all: {losses}.")
        if self._command is not None:
            for note in self._command.finish():
                view.say(note)

    def _watch(self, heard: Heard, view: View) -> None:
        """Tells when the microphone is silent or clips, and once when sound was lost."""
        if heard.fresh:
            self._health = Health()
        self._health.push(heard.pcm)
        warning = SILENT if self._health.silent else CLIPPING if self._health.clipping else ""
        view.warn(warning.format(name=self._microphone.device.name))
        if self._microphone.losses and not self._lost:
            self._lost = str(self._microphone.losses)
            view.say(f"Sound was lost: {self._lost}.")

    def _act(self, heard: Heard, view: View) -> None:
        if self._command is not None:
            notes = [note for event in heard.events for note in self._command.start(event)]
            for note in notes + self._command.tick():
                view.say(note)
        if self._capture is not None:
            try:
                self._capture.push(heard)
            except KwsError as error:
                view.say(str(error))
