"""Keyword spotting in one bit.

    import kws

    engine = kws.load()                  # the shipped model; or a .kws file, a training run's folder, a shipped name
    stream = engine.stream()
    for event in stream.feed(pcm):       # int16 samples at 16 kHz, as many or as few as there are
        print(event.word, event.time)    # time in seconds

Nothing here needs torch; training lives in ``kws_training`` (``pip install 'kws[train]'``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kws.errors import KwsError

if TYPE_CHECKING:
    from pathlib import Path

    from kws.engine import Engine

    __version__: str

__all__ = ["KwsError", "__version__", "load"]


def load(model: str | Path | None = None) -> Engine:
    """The C engine with a model, ready to classify and to stream.

    Args:
        model: a ``.kws`` file, a training run's folder or a shipped model's name; the default shipped model if None.

    Raises:
        KwsError: no such model, a file that is not a good one, or no engine library.
    """
    # Imported on use: `import kws` loads neither numpy nor the engine's shared library.
    from kws import model as models
    from kws.engine import Engine

    return Engine(models.load(model))


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("kws")
    raise AttributeError(f"module 'kws' has no attribute '{name}'")
