"""C compilers that make programs for a target, wherever they come from."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass

from kws.errors import KwsError

TARGETS = ("aarch64", "host")


@dataclass(frozen=True)
class Compiler:
    """A command and the options that its target needs.

    Attributes:
        name: for people.
        command: program and first arguments.
        arm: compiles for AArch64.
        slow_start: the first run of an installation builds its C library, which takes minutes.
    """

    name: str
    command: tuple[str, ...]
    arm: bool
    slow_start: bool = False


def find(target: str, wanted: str | None = None) -> Compiler:
    """The compiler for ``target``: ``wanted`` ("zig" or "cc"), or the first of them that is there.

    Raises:
        KwsError: an unknown target or compiler, or none installed.
    """
    if target not in TARGETS:
        raise KwsError(f"--target {target} is unknown; choose from {', '.join(TARGETS)}.")
    if target == "host" and not sys.platform.startswith("linux"):
        raise KwsError("--target host: the listener is a Linux program; build it with --target aarch64.")
    finders = {"zig": _zig, "cc": _cross if target == "aarch64" else _native}
    if wanted is not None and wanted not in finders:
        raise KwsError(f"--compiler {wanted} is unknown; choose zig or cc.")
    # Zig first: its C library is a third of the size, and the same everywhere.
    for name in [wanted] if wanted else finders:
        found = finders[name](target)
        if found is not None:
            return found
    if target == "host":
        raise KwsError("No compiler for host: install a C compiler that is called cc.")
    raise KwsError("No compiler for aarch64: run pip install 'kws[build]' for Zig's, or install aarch64-linux-gnu-gcc.")


def _zig(target: str) -> Compiler | None:
    if target == "host" or importlib.util.find_spec("ziglang") is None:
        return None
    command = (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl", "-mcpu=cortex_a53", "-static")
    return Compiler(f"zig {_zig_version()}", command, arm=True, slow_start=True)


def _zig_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ziglang")
    except PackageNotFoundError:
        return "of unknown version"


def _cross(target: str) -> Compiler | None:
    gcc = "aarch64-linux-gnu-gcc"
    if _machine() in ("aarch64", "arm64") and sys.platform.startswith("linux") and shutil.which(gcc) is None:
        gcc = "gcc"  # the device itself
    return Compiler(gcc, (gcc, "-mcpu=cortex-a53", "-static"), arm=True) if shutil.which(gcc) else None


def _native(target: str) -> Compiler | None:
    return Compiler("cc", ("cc",), _machine() in ("aarch64", "arm64")) if shutil.which("cc") else None


def _machine() -> str:
    import platform

    return platform.machine().lower()
