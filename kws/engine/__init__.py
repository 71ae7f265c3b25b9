"""The C engine in Python, through ctypes."""

from kws.engine.engine import Engine, Event, Stream

__all__ = ["Engine", "Event", "Stream"]
