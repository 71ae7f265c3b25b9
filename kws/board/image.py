"""The appliance: an image for a card that a Raspberry Pi starts from, with the listener as its only service."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from kws.board import initramfs, overlay
from kws.board.fat import disk_image
from kws.board.unit import SETTINGS
from kws.errors import KwsError

SIZE = 128 << 20
"""Bytes: a power of two, which QEMU's card reader wants, and less than any card has."""

FIRMWARE_FILES = ("bootcode.bin", "fixup.dat", "fixup4.dat", "start.elf", "start4.elf")
BOARDS = {
    "bcm2837-rpi-zero-2-w.dtb": "bcm2837-rpi-zero-2-w.dtb",
    "bcm2837-rpi-3-a-plus.dtb": "bcm2837-rpi-3-a-plus.dtb",
    "bcm2837-rpi-3-b.dtb": "bcm2837-rpi-3-b.dtb",
    "bcm2837-rpi-3-b-plus.dtb": "bcm2837-rpi-3-b-plus.dtb",
    "bcm2711-rpi-4-b.dtb": "bcm2711-rpi-4-b.dtb",
    "bcm2711-rpi-400.dtb": "bcm2711-rpi-400.dtb",
    "bcm2712-rpi-5-b.dtb": "bcm2712-rpi-5-b.dtb",
    "bcm2712-d-rpi-5-b.dtb": "bcm2712-d-rpi-5-b.dtb",
    "bcm2712d0-rpi-5-b.dtb": "bcm2712-d-rpi-5-b.dtb",  # as Raspberry Pi's own kernels call it
}
"""Device trees of the boards it is for: name on the card, and in Debian's package."""

CONFIG = """\
# What the Raspberry Pi's firmware reads. The listener's own settings are in kws.txt.
arm_64bit=1
enable_uart=1
upstream_kernel=1
disable_splash=1
kernel=kernel8.img
initramfs initrd.gz
# For an I2S microphone (Zero 2 W, 3, 4), remove the # before the next line.
#dtoverlay=kws-i2s-microphone

[pi5]
cmdline=cmdline5.txt

[all]
"""

COMMAND_LINES = {
    "cmdline.txt": "console=tty0 console=ttyS1,115200 quiet panic=10",
    "cmdline5.txt": "console=tty0 console=ttyAMA10,115200 quiet panic=10",
}
"""A Pi 5's serial console has a connector of its own, between the two for displays."""

KERNEL_PREFIXES = ("usr/lib/modules/", "usr/share/doc/")
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
        kernel: files of Debian's kernel packages, by path.
        firmware: files of its firmware package.
        settings: text of kws.txt.
        extra: more files for the card, such as a recording.

    Raises:
        KwsError: a part lacks a file, or the card is too small for all.
    """
    files = {name: _find(firmware, f"usr/lib/raspi-firmware/{name}") for name in FIRMWARE_FILES}
    files |= {name: _find(kernel, f"/broadcom/{source}") for name, source in BOARDS.items()}
    files |= {name: f"{line}\n".encode() for name, line in COMMAND_LINES.items()}
    drivers = initramfs.modules(kernel, initramfs.DRIVERS)
    files |= {
        "kernel8.img": _find(kernel, "/vmlinuz"),
        "initrd.gz": initramfs.build(listener, init, drivers, settings),
        "config.txt": CONFIG.encode(),
        "overlays/kws-i2s-microphone.dtbo": overlay.i2s_microphone(),
        "kws.txt": settings.replace("\n", "\r\n").encode(),  # for the editors of every system
        "LICENCE-firmware.txt": _find(firmware, "usr/share/doc/raspi-firmware/copyright"),
        "LICENCE-kernel.txt": _find(kernel, "/copyright"),
    }
    files |= extra or {}
    serial = int.from_bytes(hashlib.sha256(files["initrd.gz"]).digest()[:4], "little")
    return Appliance(disk_image(files, SIZE, "KWS", serial), files)


def _find(files: Mapping[str, bytes], end: str) -> bytes:
    for path, content in files.items():
        if path.endswith(end):
            return content
    raise KwsError(f"The downloaded package lacks {end.lstrip('/')}; this version of kws pins one that has it.")
