"""Finds the C engine's shared library, checks that it fits, and declares its functions to ctypes."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_float, c_int, c_int16, c_int32, c_size_t, c_uint64, c_void_p
from pathlib import Path

import kws.engine
from kws.engine.structs import C_NAMES, Event, Model
from kws.errors import KwsError

VARIABLE = "KWS_ENGINE_LIBRARY"
"""Environment variable: path of a shared library to use in place of the installed one."""

FILE_NAMES = ("libkws_engine.so", "libkws_engine.dylib", "kws_engine.dll", "libkws_engine.dll")

_status = c_int
_state = c_void_p
_pcm = POINTER(c_int16)
_floats = POINTER(c_float)

PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "kws_state_size": (c_size_t, [POINTER(Model)]),
    "kws_init": (_status, [c_void_p, c_size_t, POINTER(Model), POINTER(_state)]),
    "kws_reset": (None, [_state]),
    "kws_feed": (c_int, [_state, _pcm, c_size_t, POINTER(Event), c_size_t]),
    "kws_window_samples": (c_size_t, [POINTER(Model)]),
    "kws_classify": (_status, [_state, _pcm, _floats]),
    "kws_features": (_status, [_state, _pcm, _floats]),
    "kws_network": (_status, [_state, _floats, _floats]),
    "kws_trace_size": (c_size_t, [POINTER(Model), c_int]),
    "kws_network_traced": (_status, [_state, _floats, _floats, POINTER(c_int16)]),
    "kws_softmax": (None, [_floats, c_int, _floats]),
    "kws_set_depth": (_status, [_state, c_int]),
    "kws_set_adaptive": (_status, [_state, c_int, c_int]),
    "kws_set_wake": (_status, [_state, c_float]),
    "kws_set_threshold": (_status, [_state, c_int, c_float]),
    "kws_set_sensitivity": (_status, [_state, c_float]),
    "kws_set_word_sensitivity": (_status, [_state, c_int, c_float]),
    "kws_set_smoothing": (_status, [_state, c_int32]),
    "kws_set_refractory": (_status, [_state, c_int32]),
    "kws_set_word_refractory": (_status, [_state, c_int, c_int32]),
    "kws_set_release": (_status, [_state, c_float]),
    "kws_set_gate": (_status, [_state, c_float]),
    "kws_set_isa": (_status, [_state, c_char_p]),
    "kws_isa": (c_char_p, [_state]),
    "kws_scores": (_floats, [_state]),
    "kws_last_frame": (_floats, [_state]),
    "kws_level": (c_float, [_state]),
    "kws_threshold": (c_float, [_state, c_int]),
    "kws_classified": (c_uint64, [_state, c_int]),
    "kws_abi_sizeof": (c_size_t, [c_char_p]),
    "kws_abi_offsetof": (c_size_t, [c_char_p, c_char_p]),
}
"""Result and argument types of every function of kws.h, and of the two that describe its structs."""


def find() -> Path:
    """Path of the shared library: the one that ``KWS_ENGINE_LIBRARY`` names, else the installed one.

    Raises:
        KwsError: there is none, or the variable names a file that does not exist.
    """
    override = os.environ.get(VARIABLE)
    if override:
        if not Path(override).is_file():
            raise KwsError(f"{override}: {VARIABLE} names this file but it does not exist; correct or unset it.")
        return Path(override)
    for path in _candidates():
        if path.is_file():
            return path
    raise KwsError(
        f"The C engine ({FILE_NAMES[0]}) is not beside {Path(kws.engine.__file__).parent}; "
        f"build and install it with `pip install .` in the repository, or set {VARIABLE} to a library."
    )


def _candidates() -> Iterator[Path]:
    # An editable install keeps the sources where they are and builds into site-packages: __path__ holds both.
    for folder in kws.engine.__path__:
        for name in FILE_NAMES:
            yield Path(folder) / name


def load(path: Path | None = None) -> ctypes.CDLL:
    """The engine at ``path`` (found by ``find`` if None), with every function declared; the same object every time.

    Raises:
        KwsError: no library, one that cannot be loaded, or one whose structs differ from those of this package.
    """
    return _load(path or find())


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise KwsError(f"{path}: cannot be loaded ({error}); build the engine again with `pip install .`.") from error
    for name, (result, arguments) in PROTOTYPES.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise KwsError(f"{path}: lacks {name}; build the engine again with `pip install .`.") from error
        function.restype, function.argtypes = result, arguments
    _check_structs(path, library)
    return library


def _check_structs(path: Path, library: ctypes.CDLL) -> None:
    """A library of another release would read wild pointers: compare every struct before passing it one."""
    for c_name, struct in C_NAMES.items():
        same = library.kws_abi_sizeof(c_name.encode()) == ctypes.sizeof(struct) and all(
            library.kws_abi_offsetof(c_name.encode(), field[0].encode()) == getattr(struct, field[0]).offset
            for field in struct._fields_
        )
        if not same:
            raise KwsError(
                f"{path}: its {c_name} is not the one of this kws package; build the engine again with `pip install .`."
            )
