"""Which disks of this machine are cards, and which of them may be written to. Linux alone, from /sys and /proc."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

_NEVER = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "nvme")


@dataclass(frozen=True)
class Disk:
    """A whole disk.

    Attributes:
        name: as in /dev, such as "sdb" or "mmcblk0".
        model: for people.
        size: bytes; 0 where no card is in the reader.
        removable: a card or a stick, not a disk that is built in.
        read_only: its switch or the kernel forbids writing.
        uses: what it serves now: where it is mounted, as swap, or what stands on it.
    """

    name: str
    model: str
    size: int
    removable: bool
    read_only: bool
    uses: tuple[str, ...]

    def refusal(self, needed: int) -> str | None:
        """Why ``needed`` bytes must not be written there, or None."""
        if not self.removable:
            return "is no removable disk"
        if self.uses:
            return f"is in use ({', '.join(self.uses)}); unmount it first"
        if self.size == 0:
            return "has no card in it"
        if self.size < needed:
            return f"holds {self.size:,} bytes, and the image has {needed:,}"
        if self.read_only:
            return "is write-protected; look for its switch"
        return None


@dataclass(frozen=True)
class Machine:
    """Where a machine tells about its disks; others than the real ones are for tests.

    Attributes:
        sys: /sys.
        proc: /proc.
        dev: /dev.
    """

    sys: Path = field(default=Path("/sys"))
    proc: Path = field(default=Path("/proc"))
    dev: Path = field(default=Path("/dev"))

    def disks(self) -> list[Disk]:
        """Every disk that could be meant, by name."""
        folder = self.sys / "block"
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return [self._disk(folder / name) for name in names if not name.startswith(_NEVER)]

    def _disk(self, path: Path) -> Disk:
        parts = [path, *(part for part in path.iterdir() if (part / "partition").is_file())]
        # A card in a built-in reader counts as not removable for the kernel, but says what it is.
        card = path.name.startswith("mmcblk") and _text(path / "device/type") == "SD"
        names = ("device/vendor", "device/model", "device/name")
        return Disk(
            name=path.name,
            model=" ".join(filter(None, (_text(path / name) for name in names))) or "unknown model",
            size=512 * int(_text(path / "size") or 0),
            removable=card or _text(path / "removable") == "1",
            read_only=_text(path / "ro") == "1",
            uses=tuple(use for part in parts for use in self._uses(part)),
        )

    def _uses(self, part: Path) -> list[str]:
        number, device = _text(part / "dev"), f"/dev/{part.name}"
        uses = []
        for line in _text(self.proc / "self/mountinfo").splitlines():
            before, _, after = line.partition(" - ")
            fields, source = before.split(), after.split()[1:2]
            # By number and by name: some file systems show a number of their own.
            if len(fields) > 4 and (fields[2] == number or source == [device]):
                uses.append(f"{part.name} on {_unescaped(fields[4])}")
        if any(line.split()[:1] == [device] for line in _text(self.proc / "swaps").splitlines()):
            uses.append(f"{part.name} as swap")
        holders = part / "holders"
        uses += [f"{part.name} below {held.name}" for held in holders.iterdir()] if holders.is_dir() else []
        return uses


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _unescaped(text: str) -> str:
    return text.replace("\\040", " ")
