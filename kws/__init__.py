"""Keyword spotting in one bit.

    import kws

    for event in kws.Listener("default"):          # the microphone; a device's name, a Path, or chunks of sound
        print(event.word, event.time)              # time in seconds

    model = kws.Model.load("kws12")                # a .kws file, a training run's folder, or a shipped model's name
    print(model.classify(clip).word)               # int16 or float array

    engine = kws.load("kws12_listener")            # the C engine itself: logits, features, streams
    for event in engine.stream().feed(pcm): ...    # int16 samples at 16 kHz, as many or as few as there are

Nothing here needs torch; training lives in ``kws_training`` (``pip install 'kws[train]'``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kws.errors import KwsError

if TYPE_CHECKING:
    from pathlib import Path

    from kws.classifier import Classification, Model
    from kws.engine import Engine, Event
    from kws.listen.listener import Listener

    __version__: str

__all__ = ["Classification", "Event", "KwsError", "Listener", "Model", "__version__", "load"]

# Found on first use, so that `import kws` loads neither numpy nor the engine's shared library.
_LAZY = {
    "Classification": "kws.classifier",
    "Event": "kws.engine",
    "Listener": "kws.listen.listener",
    "Model": "kws.classifier",
}


def load(model: str | Path | None = None) -> Engine:
    """The C engine with a model, ready to classify and to stream.

    Args:
        model: a ``.kws`` file, a training run's folder or a shipped model's name; ``kws12`` if None.

    Raises:
        KwsError: no such model, a file that is not a good one, or no engine library.
    """
    from kws import model as models
    from kws.engine import Engine

    return Engine(models.load(model))


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("kws")
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'kws' has no attribute '{name}'")
