"""The appliance: an image for a card that a Raspberry Pi starts from, with the listener as its only service."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from kws.board import initramfs
from kws.board.fat import disk_image
from kws.board.unit import SETTINGS
from kws.errors import KwsError

SIZE = 128 << 20
"""Bytes: a power of two, which QEMU's card reader wants, and less than any card has."""

FIRMWARE_FILES = ("bootcode.bin", "fixup.dat", "fixup4.dat", "start.elf", "start4.elf")
BOARDS = (
    "bcm2837-rpi-zero-2-w.dtb",
    "bcm2837-rpi-3-a-plus.dtb",
    "bcm2837-rpi-3-b.dtb",
    "bcm2837-rpi-3-b-plus.dtb",
    "bcm2711-rpi-4-b.dtb",
    "bcm2711-rpi-400.dtb",
)
"""Device trees of the boards it is for. A Pi 5's USB ports need a driver that this kernel does not have yet."""

CONFIG = """\
# What the Raspberry Pi's firmware reads. The listener's own settings are in kws.txt.
arm_64bit=1
enable_uart=1
upstream_kernel=1
disable_splash=1
kernel=kernel8.img
initramfs initrd.gz
"""

COMMAND_LINE = "console=tty0 console=ttyS1,115200 quiet panic=10"

KERNEL_PREFIXES = ("boot/vmlinuz-", "usr/lib/modules/", "usr/lib/linux-image-", "usr/share/doc/")
FIRMWARE_PREFIXES = ("usr/lib/raspi-firmware/", "usr/share/doc/")


@dataclass(frozen=True)
class Appliance:
    """An image and what is in it.

    Attributes:
        image: the bytes of the card.
        files: content by name of every file on it.
    """

    image: bytes
    files: dict[str, bytes]

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file, by name."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}


def build(
    listener: bytes,
    init: bytes,
    kernel: Mapping[str, bytes],
    firmware: Mapping[str, bytes],
    settings: str = SETTINGS,
    extra: Mapping[str, bytes] | None = None,
) -> Appliance:
    """Puts the card together; the same parts give the same bytes.

    Args:
        listener: the program, for AArch64 and static.
        init: the first process, likewise.
        kernel: files of Debian's kernel package, by path.
        firmware: files of its firmware package.
        settings: text of kws.txt.
        extra: more files for the card, such as a recording.

    Raises:
        KwsError: a part lacks a file, or the card is too small for all.
    """
    files = {name: _find(firmware, f"usr/lib/raspi-firmware/{name}") for name in FIRMWARE_FILES}
    files |= {name: _find(kernel, f"/broadcom/{name}") for name in BOARDS}
    drivers = initramfs.modules(kernel, initramfs.DRIVERS)
    files |= {
        "kernel8.img": _find(kernel, "boot/vmlinuz-", at_start=True),
        "initrd.gz": initramfs.build(listener, init, drivers, settings),
        "config.txt": CONFIG.encode(),
        "cmdline.txt": f"{COMMAND_LINE}\n".encode(),
        "kws.txt": settings.replace("\n", "\r\n").encode(),  # for the editors of every system
        "LICENCE-firmware.txt": _find(firmware, "usr/share/doc/raspi-firmware/copyright"),
        "LICENCE-kernel.txt": _find(kernel, "/copyright"),
    }
    files |= extra or {}
    serial = int.from_bytes(hashlib.sha256(files["initrd.gz"]).digest()[:4], "little")
    return Appliance(disk_image(files, SIZE, "KWS", serial), files)


def _find(files: Mapping[str, bytes], part: str, at_start: bool = False) -> bytes:
    for path, content in files.items():
        if path.startswith(part) if at_start else path.endswith(part):
            return content
    raise KwsError(f"The downloaded package lacks {part.lstrip('/')}; this version of kws pins one that has it.")
