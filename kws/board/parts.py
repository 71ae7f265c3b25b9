"""What the appliance is made of that others made: Debian's packages of kernel and firmware, pinned."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kws.data.download import Progress, download, sha256_of, silent
from kws.errors import KwsError


@dataclass(frozen=True)
class Package:
    """One Debian package.

    Attributes:
        path: below the mirror.
        sha256: of the file, as Debian's signed index of that release states it.
    """

    path: str
    sha256: str

    @property
    def file(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]


FIRMWARE = Package(
    "pool/non-free-firmware/r/raspi-firmware/raspi-firmware_1.20240424+ds-6_all.deb",
    "f95a3d3c41df10bac33580be91b595efa1e126ad5e4b7eca75ce26fbbc69af06",
)
KERNEL = (
    Package(  # the kernel
        "pool/main/l/linux-signed-arm64/linux-binary-7.3.4+deb13-arm64_7.3.4-1~bpo13+1_arm64.deb",
        "0bbfeddbecdea8ab294daf09eb5cc1f4405af5c044b4b7aa57f5d1eaa205530f",
    ),
    Package(  # its drivers
        "pool/main/l/linux/linux-modules-7.3.4+deb13-arm64_7.3.4-1~bpo13+1_arm64.deb",
        "df2a118b535e735230717512a9fe4d30b0c24a3c6e68470d5d13e9a08ddfd29a",
    ),
    Package(  # device trees
        "pool/main/l/linux/linux-base-7.3.4+deb13-arm64_7.3.4-1~bpo13+1_arm64.deb",
        "84e0027833982d189bd1b2285511fc2e0c1f785c9adf66acd9d9243026706bb6",
    ),
)
"""Of Debian 13's backports: the stable release's own, 6.12, drives neither the card nor the USB ports of a Pi 5."""


def fetch(package: Package, folder: Path, mirror: str | None, progress: Progress = silent, wait: float = 1.0) -> Path:
    """The package in ``folder``, downloaded from ``mirror`` where it is not there yet. Its SHA-256 has been checked.

    A download that was interrupted goes on where it stopped. ``wait`` is as in `kws.data.download.download`.

    Raises:
        KwsError: it is not there and there is no mirror, it cannot be downloaded, or is another file.
    """
    path = folder / package.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and sha256_of(path, progress) == package.sha256:
            return path
    except OSError as error:
        raise KwsError(f"{path}: cannot be read ({error.strerror}); choose another folder with --parts.") from error
    if mirror is None:
        raise KwsError(
            f"{path}: is not there; give --mirror with the address of a mirror of Debian's archive, from which to "
            "download it, or put the file there."
        )
    address = f"{mirror.rstrip('/')}/{package.path}"
    try:
        download(address, path, package.sha256, progress=progress, wait=wait, option="--parts")
    except KwsError as error:
        raise KwsError(
            f"{error} Debian's mirrors keep a version for some months, its snapshots for ever; "
            f"--parts names a folder that holds {package.file}."
        ) from error
    return path


def unpack(path: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """Files of a package by their path in it, without the leading "./": those that begin with one of ``wanted``.

    Raises:
        KwsError: not a Debian package, or one that is damaged.
    """
    prefixes = tuple(wanted)
    try:
        data = _member(path.read_bytes(), "data.tar")
        found = {}
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isfile() and name.startswith(prefixes):
                    file = archive.extractfile(member)
                    assert file is not None
                    found[name] = file.read()
    except (tarfile.TarError, lzma.LZMAError, EOFError, ValueError) as error:
        raise KwsError(f"{path}: is no Debian package, or a damaged one ({error}); delete it and try again.") from error
    return found


def _member(data: bytes, wanted: str) -> bytes:
    """The member of an ar archive whose name begins with ``wanted``."""
    if data[:8] != b"!<arch>\n":
        raise ValueError("it does not begin as one")
    at = 8
    while at + 60 <= len(data):
        name, size = data[at : at + 16].decode("latin-1").strip(), int(data[at + 48 : at + 58])
        if name.startswith(wanted):
            return data[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    raise ValueError(f"it has no {wanted}")
