"""Settings that every test shares."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import shutil
from collections.abc import Iterator

import hypothesis
import pytest

from kws.data import neural

# Figures are drawn without a display.
os.environ.setdefault("MPLBACKEND", "Agg")

# A slow machine is no failure, hence no deadline. CI tries the same examples every time; elsewhere they vary.
hypothesis.settings.register_profile("kws", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("kws")

OPTIONAL_TOOLS = ("cc", "clang", "aarch64-linux-gnu-gcc", "qemu-aarch64")


def pytest_report_header() -> str:
    """One line that says which tests this machine cannot run."""
    absent = [tool for tool in OPTIONAL_TOOLS if shutil.which(tool) is None]
    if ctypes.util.find_library("portaudio") is None:
        absent.append("libportaudio2")
    absent += [name for name in ("piper", "hibari") if importlib.util.find_spec(name) is None]
    return f"absent tools, whose tests skip: {', '.join(absent) or 'none'}"


@pytest.fixture(autouse=True, scope="session")
def without_neural_voices() -> Iterator[None]:
    """What is installed here does not change what a project has spoken, nor for how long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neural, "_installed", lambda package: False)
        yield
