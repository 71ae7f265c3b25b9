"""Counts the instructions that an emulated AArch64 program retires, by address, function and class.

Built on counter.c, a QEMU plugin that is compiled when needed. Counts are exact and do not depend on this machine's
speed or load; they say nothing of caches or of how many instructions a core runs in a cycle.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EMULATOR, CC, NM = "qemu-aarch64", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-nm"
CPU = "cortex-a72"
"""ARMv8.0 with NEON and nothing newer: no half floats, no dot product, no SVE."""


class MissingTool(Exception):
    """A program that this needs is not installed, or cannot do what is needed; the message is for the user."""


def need(name: str, package: str) -> str:
    """The path of program ``name``.

    Raises:
        MissingTool: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingTool(f"{name} is not installed; it comes with Debian's package {package}.")
    return path


def emulator() -> str:
    """The path of the emulator."""
    return need(EMULATOR, "qemu-user")


def cross_compiler() -> str:
    """The path of the cross compiler."""
    return need(CC, "gcc-aarch64-linux-gnu, and libc6-dev-arm64-cross")


def version_of(command: str) -> str:
    """The first line that ``command --version`` prints."""
    return subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


@dataclass
class Counts:
    """What one run retired, or the difference between two.

    Attributes:
        times: by address, how often the instruction there was retired.
        words: by address, the instruction.
        maps: (from, to, file) of every mapped file.
    """

    times: dict[int, int]
    words: dict[int, int]
    maps: list[tuple[int, int, str]] = field(default_factory=list)

    def __sub__(self, other: Counts) -> Counts:
        times = {address: count - other.times.get(address, 0) for address, count in self.times.items()}
        return Counts({address: count for address, count in times.items() if count}, self.words, self.maps)

    @property
    def total(self) -> int:
        return sum(self.times.values())

    def by(self, key: Callable[[int], str]) -> Counter[str]:
        """Retired instructions by what ``key`` makes of their address, most first."""
        found: Counter[str] = Counter()
        for address, count in self.times.items():
            found[key(address)] += count
        return Counter(dict(found.most_common()))

    def by_class(self, addresses: Iterable[int] | None = None) -> Counter[str]:
        """Retired instructions by ``classify``, of all addresses or only of ``addresses``."""
        found: Counter[str] = Counter()
        for address in self.times if addresses is None else addresses:
            found[classify(self.words[address])] += self.times.get(address, 0)
        return found

    def file_of(self, address: int) -> str:
        """Name of the program or library that ``address`` lies in."""
        for start, end, path in self.maps:
            if start <= address < end:
                return path.rsplit("/", 1)[-1]
        return "?"


def classify(word: int) -> str:
    """The class of an instruction word, by the encoding groups of ARMv8-A.

    Returns:
        "vector" (Advanced SIMD arithmetic but multiply-add), "vector multiply-add" (FMLA), "vector load/store", "float"
        (scalar), "load/store", "branch" or "integer".
    """
    group = word >> 25 & 0b1111
    if group & 0b0111 == 0b0111:
        if word >> 28 & 1 and word >> 30 & 1 == 0:
            return "float"
        is_fmla = word & 0xBFA0FC00 == 0x0E20CC00 or word & 0xBF80F400 == 0x0F801000
        return "vector multiply-add" if is_fmla else "vector"
    if group & 0b0101 == 0b0100:
        return "vector load/store" if word >> 26 & 1 else "load/store"
    return "branch" if group & 0b1110 == 0b1010 else "integer"


VECTOR = ("vector", "vector multiply-add")


@functools.cache
def plugin() -> Path:
    """counter.c, compiled into a folder that lives as long as this process."""
    cc = need("cc", "gcc")
    folder = tempfile.TemporaryDirectory(prefix="kws-counter-")
    _folders.append(folder)
    path = Path(folder.name) / "counter.so"
    source = Path(__file__).with_name("counter.c")
    subprocess.run([cc, "-O2", "-shared", "-fPIC", source, "-o", path], check=True)
    return path


_folders: list[tempfile.TemporaryDirectory[str]] = []


def run(
    command: Sequence[str | Path],
    cpu: str = CPU,
    sysroot: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[Counts, str]:
    """Runs an AArch64 program, and counts.

    Args:
        command: program and arguments.
        cpu: that QEMU emulates.
        sysroot: where the program's interpreter and libraries lie, if it is not static.
        environment: in place of this process's.

    Returns:
        the counts and what the program printed.

    Raises:
        MissingTool: no emulator, or one that refuses the plugin.
        subprocess.CalledProcessError: the program failed.
    """
    with tempfile.TemporaryDirectory(prefix="kws-counts-") as folder:
        out = Path(folder) / "counts.txt"
        emulate: list[str | Path] = [emulator(), "-cpu", cpu, "-plugin", f"{plugin()},out={out}"]
        if sysroot is not None:
            emulate += ["-L", sysroot]
        done = subprocess.run(
            [str(part) for part in [*emulate, *command]],
            capture_output=True,
            text=True,
            env=None if environment is None else {"PATH": os.environ.get("PATH", ""), **environment},
            check=False,
        )
        if "plugin" in done.stderr and not out.exists():
            raise MissingTool(f"{EMULATOR} refuses the plugin of this repository: {done.stderr.strip()}")
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        return _read(out), done.stdout


def _read(path: Path) -> Counts:
    counts = Counts({}, {})
    lines = iter(path.read_text().splitlines())
    for line in lines:
        if line == "maps":
            break
        address, word, times = line.split()
        at = int(address, 16)
        counts.words[at] = int(word, 16)
        counts.times[at] = counts.times.get(at, 0) + int(times)
    for line in lines:
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and parts[5].startswith("/"):
            start, _, end = parts[0].partition("-")
            counts.maps.append((int(start, 16), int(end, 16), parts[5]))
    return counts


class Ranges:
    """Names of address ranges, to look addresses up in."""

    def __init__(self, ranges: Iterable[tuple[int, int, str]]) -> None:
        self.ranges = sorted(ranges)
        self._names = functools.cache(self._find)

    def name(self, address: int) -> str:
        """The name of the range that ``address`` lies in, or "" of none."""
        return self._names(address)

    def _find(self, address: int) -> str:
        import bisect

        at = bisect.bisect_right(self.ranges, (address, 1 << 64, "")) - 1
        if at >= 0:
            start, end, name = self.ranges[at]
            if start <= address < end:
                return name
        return ""


def functions(program: Path) -> Ranges:
    """The functions of a static program, by its symbol table."""
    listing = subprocess.run(
        [need(NM, "binutils-aarch64-linux-gnu"), "-n", "-S", program], capture_output=True, text=True, check=True
    ).stdout
    found = []
    for line in listing.splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[2] in "tTwW":
            found.append((int(parts[0], 16), int(parts[0], 16) + int(parts[1], 16), parts[3]))
    return Ranges(found)


def objects(link_map: Path) -> Ranges:
    """The object files of a program's code, by the map that ``-Wl,-Map=`` made the linker write."""
    found = []
    pattern = re.compile(r"^ \.text\S*\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*)$", re.MULTILINE)
    text = re.sub(r"\n\s{16,}0x", " 0x", link_map.read_text())  # long section names go on in the next line
    for start, size, name in pattern.findall(text):
        if int(size, 16):
            found.append((int(start, 16), int(start, 16) + int(size, 16), re.split(r"[/(]", name.rstrip(")"))[-1]))
    return Ranges(found)
