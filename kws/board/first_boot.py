"""Adds the listener to an image of Raspberry Pi OS, to be installed by that system's first start.

The image's FAT partition gets a folder ``kws`` and more words in ``cmdline.txt``: ``systemd.run=``, which systemd obeys
(systemd-run-generator(8)) and Raspberry Pi Imager uses too. The script that it names takes the words out again.
mtools reads and changes the partition: the image is somebody else's file system, and not ours to write anew.
"""

from __future__ import annotations

import lzma
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from kws.board.elf import Program, inspect
from kws.board.unit import SETTINGS, UNIT
from kws.errors import KwsError
from kws.files import replacing

WORDS = (
    "systemd.run=/boot/firmware/kws/install.sh systemd.run_success_action=reboot "
    "systemd.run_failure_action=reboot systemd.unit=kernel-command-line.target"
)

SCRIPT = """\
#!/bin/sh
# Runs once, at the first start. KWS_ROOT lets tests run this on a folder in place of the root.
set -u
root=${KWS_ROOT:-}
here=$root/boot/firmware/kws
# First of all, so that a fault below cannot make this run at every start.
line=$root/boot/firmware/cmdline.txt
sed -i 's# systemd\\.run=[^ ]*/kws/install\\.sh##' "$line"
grep -q 'systemd\\.run=' "$line" || # somebody else's, whose words these are too
    sed -i 's# systemd\\.\\(run_success_action\\|run_failure_action\\|unit\\)=[^ ]*##g' "$line"
groups=
for group in audio gpio; do
    if getent group "$group" >/dev/null; then groups="$groups $group"; fi
done
mkdir -p "$root/usr/local/bin" "$root/etc/kws" "$root/etc/systemd/system"
cp "$here/kws-listener" "$root/usr/local/bin/kws-listener" && chmod 755 "$root/usr/local/bin/kws-listener" &&
    tr -d '\\r' < "$here/kws.txt" > "$root/etc/kws/kws.txt" &&
    sed "s/@GROUPS@/${groups# }/" "$here/unit" > "$root/etc/systemd/system/kws-listener.service" &&
    systemctl enable kws-listener &&
    rm -rf "$here"
"""
"""Where it fails, its folder stays on the card for the next look, and the system starts without the listener."""

_FAT_TYPES = (0x0B, 0x0C, 0x0E)


def prepare(source: Path, out: Path, listener: bytes, settings: str = SETTINGS) -> None:
    """Writes to ``out``, whole or not at all, a copy of ``source`` that installs the listener.

    Args:
        source: an image of Raspberry Pi OS, .img or .img.xz.
        out: to be written, another file than ``source``; an earlier one of that name is lost.
        listener: a static program for AArch64.
        settings: text of kws.txt.

    Raises:
        KwsError: not such an image, one that was prepared already, mtools is missing, the card's partition is full, or
            ``out`` cannot be written or is ``source``; an earlier ``out`` is then unchanged.
    """
    if out.exists() and out.samefile(source):
        raise KwsError(f"{out}: is the image to be copied; write the copy to another file.")
    if inspect(listener, "the listener") != Program("aarch64", static=True):
        raise KwsError("The listener is no static program for aarch64; make one with `kws build`.")
    for tool in ("mcopy", "mmd"):
        if shutil.which(tool) is None:
            raise KwsError(f"{tool} is not installed; install mtools to change an image of Raspberry Pi OS.")
    try:
        with lzma.open(source) if source.suffix == ".xz" else source.open("rb") as whole, replacing(out) as image:
            with image.open("wb") as copy:
                shutil.copyfileobj(whole, copy, 1 << 20)
            _add_listener(source, image, listener, settings)
    except (lzma.LZMAError, EOFError) as error:
        raise KwsError(f"{source}: is damaged ({error}); download it again.") from error


def _add_listener(source: Path, image: Path, listener: bytes, settings: str) -> None:
    """Changes ``image``, which messages call ``source``."""
    drive = f"{image}@@{_fat_offset(source, image)}"
    with tempfile.TemporaryDirectory(prefix="kws-os-") as name:
        folder = Path(name)
        _mtools(source, "mcopy", "-n", "-i", drive, "::cmdline.txt", str(folder / "cmdline.txt"))
        line = (folder / "cmdline.txt").read_text().strip()
        if "\n" in line or "root=" not in line:
            raise KwsError(f"{source}: its cmdline.txt names no root; give an image of Raspberry Pi OS.")
        if "systemd.run=" in line:
            raise KwsError(f"{source}: its first start runs something already; give an image as it was downloaded.")
        files = {
            "kws-listener": listener,
            "kws.txt": settings.replace("\n", "\r\n").encode(),
            "unit": UNIT.encode(),
            "install.sh": SCRIPT.encode(),
        }
        _mtools(source, "mmd", "-i", drive, "::kws")
        for file, content in files.items():
            (folder / file).write_bytes(content)
            _mtools(source, "mcopy", "-i", drive, str(folder / file), f"::kws/{file}")
        # Last, so that an image without all the rest does not ask for it.
        (folder / "cmdline.txt").write_text(f"{line} {WORDS}\n")
        _mtools(source, "mcopy", "-o", "-i", drive, str(folder / "cmdline.txt"), "::cmdline.txt")


def _fat_offset(source: Path, image: Path) -> int:
    """Where the first FAT partition begins, in bytes."""
    with image.open("rb") as file:
        table = file.read(512)
    if len(table) == 512 and table[510:] == b"\x55\xaa":
        for at in range(446, 510, 16):
            kind, start = table[at + 4], struct.unpack_from("<I", table, at + 8)[0]
            if kind in _FAT_TYPES and 0 < start * 512 < image.stat().st_size:
                return int(start * 512)
    raise KwsError(f"{source}: has no partition that a Raspberry Pi starts from; give an image of Raspberry Pi OS.")


def _mtools(source: Path, *command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise KwsError(f"{source}: its start partition cannot be changed ({reason}); give an image of Raspberry Pi OS.")
