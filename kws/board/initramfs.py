"""What the kernel of the appliance starts: drivers, the listener, and the first process, as one compressed archive."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterable, Mapping

from kws.errors import KwsError

DRIVERS = (
    # the card, of Pi 3 and Zero 2 W, and of Pi 4 with the regulators of its slot
    *("gpio-raspberrypi-exp", "fixed", "gpio-regulator", "bcm2835", "sdhci-iproc"),
    *("nls_cp437", "nls_ascii", "vfat"),
    # USB, of Pi 3 and Zero 2 W, and of Pi 4 behind PCI Express
    *("phy-generic", "dwc2", "reset-raspberrypi", "xhci-pci-renesas", "xhci-pci"),
    # of Pi 5: its card, and USB behind the chip RP1
    *("pinctrl-brcmstb-bcm2712", "sdhci-brcmstb"),
    *("irq-bcm2712-mip", "clk-rp1", "pinctrl-rp1", "rp1_pci", "xhci-plat-hcd", "dwc3"),
    "snd-usb-audio",
    # an I2S microphone, of Pi 3, Zero 2 W and Pi 4
    *("snd-soc-bcm2835-i2s", "snd-soc-dmic", "snd-soc-simple-card"),
    "bcm2835_wdt",
)
"""Kernel modules that the appliance loads, beside what they need. Those that a kernel has built in are passed over."""

PASSWD = "root:x:0:0:root:/:/bin/false\nkws:x:1000:1000:kws:/:/bin/false\n"
GROUP = "root:x:0:\naudio:x:29:kws\nkws:x:1000:\n"

_FOLDER, _FILE, _DEVICE = 0o040755, 0o100000, 0o020600


def modules(files: Mapping[str, bytes], wanted: Iterable[str]) -> dict[str, bytes]:
    """Kernel modules by name, what each needs before it, ready for the kernel to load.

    Args:
        files: a kernel package's, by path; modules are those that end in ``.ko``, ``.ko.xz``.
        wanted: names of modules.

    Raises:
        KwsError: a module that another needs is missing.
    """
    known = {_module_name(path): path for path in files if path.endswith((".ko", ".ko.xz"))}
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in found:
            return
        data = files[known[name]]
        if known[name].endswith(".xz"):
            data = lzma.decompress(data)
        for needed in _needs(data):
            if needed not in known:
                raise KwsError(f"The kernel's module {name} needs {needed}, which its package lacks; pin another.")
            add(needed)
        found[name] = data

    for name in wanted:
        if _module_name(name) in known:
            add(_module_name(name))
    return found


def _module_name(path: str) -> str:
    """The kernel counts a hyphen for an underscore."""
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def _needs(module: bytes) -> list[str]:
    """The modules that the section .modinfo of ``module`` names."""
    start = module.find(b"\0depends=")
    if start < 0:
        return []
    text = module[start + 9 : module.index(b"\0", start + 9)].decode("ascii")
    return [_module_name(name) for name in text.split(",") if name]


def build(listener: bytes, init: bytes, drivers: Mapping[str, bytes], settings: str) -> bytes:
    """The archive, gzip-compressed cpio in the form "newc" (the kernel's Documentation/driver-api/early-userspace)."""
    archive = _Archive()
    for folder in ("boot", "dev", "etc", "modules", "proc", "sys", "tmp"):
        archive.add(folder, _FOLDER)
    archive.add("dev/console", _DEVICE, device=(5, 1))  # what the first process finds open
    archive.add("init", _FILE | 0o755, init)
    archive.add("kws-listener", _FILE | 0o755, listener)
    archive.add("kws.txt", _FILE | 0o644, settings.encode())
    archive.add("etc/passwd", _FILE | 0o644, PASSWD.encode())
    archive.add("etc/group", _FILE | 0o644, GROUP.encode())
    for name, data in drivers.items():
        archive.add(f"modules/{name}.ko", _FILE | 0o644, data)
    archive.add("modules/list", _FILE | 0o644, "".join(f"/modules/{name}.ko\n" for name in drivers).encode())
    return gzip.compress(archive.finish(), 6, mtime=0)


class _Archive:
    def __init__(self) -> None:
        self._data = bytearray()
        self._number = 0

    def add(self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._number += 1
        links = 2 if mode == _FOLDER else 1
        path = name.encode("ascii") + b"\0"
        fields = (self._number, mode, 0, 0, links, 0, len(content), 0, 0, *device, len(path), 0)
        self._data += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        self._pad()
        self._data += content
        self._pad()

    def _pad(self) -> None:
        self._data += bytes(-len(self._data) % 4)

    def finish(self) -> bytes:
        self._number = -1
        self.add("TRAILER!!!", 0)
        return bytes(self._data)
