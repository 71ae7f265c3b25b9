"""Writes a disk image with one FAT32 partition: what a Raspberry Pi starts from.

The image is made in one go from a list of files and never changed after, so that the same files give the same bytes.
Source: Microsoft, "FAT: General Overview of On-Disk Format", 1.03. Written here because mtools is not on every system,
and pyfatfs stands on a package whose last release is of 2022.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from kws.errors import KwsError

SECTOR = 512
START = 8192
"""First sector of the partition: 4 MiB, which every card's blocks divide."""

_CLUSTER_SECTORS = 2
_CLUSTER = SECTOR * _CLUSTER_SECTORS
_RESERVED = 32
_END_OF_CHAIN = 0x0FFFFFFF
_LEAST_CLUSTERS = 65525  # with fewer, it would be FAT16
_DATE = (2020 - 1980) << 9 | 1 << 5 | 1  # of every file: 1 January 2020
_VOLUME, _FOLDER, _ARCHIVE, _LONG = 0x08, 0x10, 0x20, 0x0F
_LONG_OFFSETS = (1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30)


def disk_image(files: Mapping[str, bytes], size: int, label: str, serial: int) -> bytes:
    """A disk of ``size`` bytes whose one partition holds ``files``.

    Args:
        files: content by name, in ASCII, folders before it with a slash; names differ in more than case.
        size: of the disk in bytes, a multiple of 512.
        label: of the volume, at most 11 ASCII characters.
        serial: of disk and volume, 32 bits.

    Raises:
        KwsError: the files do not fit, or a name is none.
    """
    sectors = size // SECTOR - START
    fat_sectors = _fat_sectors(sectors)
    first_data = _RESERVED + 2 * fat_sectors
    clusters = (sectors - first_data) // _CLUSTER_SECTORS
    if clusters < _LEAST_CLUSTERS:
        raise KwsError(f"An image of {size:,} bytes is too small for FAT32; make it 128 MB or more.")

    volume = _Volume()
    volume.add_folder(_tree(files), _entry(label.upper().ljust(11).encode("ascii"), _VOLUME, 0, 0))
    table, data = volume.table, volume.data
    used = len(table) - 2
    if used > clusters:
        raise KwsError(f"The files need {used * _CLUSTER:,} bytes, and the card's image has {clusters * _CLUSTER:,}.")

    fat = struct.pack(f"<{len(table)}I", *table).ljust(fat_sectors * SECTOR, b"\0")
    boot = _boot_sector(sectors, fat_sectors, label, serial)
    info = _info_sector(clusters - used, len(table))
    head = bytearray(_RESERVED * SECTOR)
    for copy in (0, 6):  # the second is the spare
        head[copy * SECTOR : (copy + 2) * SECTOR] = boot + info
    image = bytearray(size)
    image[:SECTOR] = _partition_table(sectors, serial)
    content = bytes(head) + fat + fat + bytes(data)
    image[START * SECTOR : START * SECTOR + len(content)] = content
    return bytes(image)


def _fat_sectors(sectors: int) -> int:
    """Sectors of one table: large enough for every cluster that is left when both tables are taken away."""
    count = 1
    while (sectors - _RESERVED - 2 * count) // _CLUSTER_SECTORS + 2 > count * SECTOR // 4:
        count += 1
    return count


_Tree = dict[str, "bytes | _Tree"]


def _tree(files: Mapping[str, bytes]) -> _Tree:
    root: _Tree = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        place = root
        for folder in folders:
            below = place.setdefault(folder, {})
            if not isinstance(below, dict):
                raise KwsError(f"'{path}' lies in a file of the card; rename it.")
            place = below
        place[name] = content
    return root


class _Volume:
    """Clusters, and the table that chains them."""

    def __init__(self) -> None:
        self.table = [0x0FFFFFF8, _END_OF_CHAIN]
        self.data = bytearray()

    def add(self, content: bytes) -> int:
        """Adds clusters one after another that hold ``content``; returns the first, 0 for none."""
        first, count = len(self.table), -(-len(content) // _CLUSTER)
        self.table += [first + i + 1 for i in range(count - 1)] + ([_END_OF_CHAIN] if count else [])
        self.data += content.ljust(count * _CLUSTER, b"\0")
        return first if count else 0

    def add_folder(self, tree: _Tree, label: bytes = b"", parent: int | None = None) -> int:
        """Adds a folder and all below it; returns its first cluster.

        Args:
            tree: what it holds.
            label: the first entry of the root folder, which has no ``parent``.
            parent: first cluster of the folder that it lies in; 0 stands for the root folder.
        """
        if len({name.lower() for name in tree}) < len(tree):
            raise KwsError("Two files of the card differ in nothing but the case of their names; rename one.")
        entries = (1 if parent is None else 2) + sum(1 + _long_count(name) for name in tree)
        first = self.add(bytes(32 * entries))
        content = bytearray(label)
        if parent is not None:
            content += _entry(b".".ljust(11), _FOLDER, first, 0) + _entry(b"..".ljust(11), _FOLDER, parent, 0)
        for number, (name, item) in enumerate(tree.items()):
            if isinstance(item, dict):
                place, kind, size = self.add_folder(item, parent=0 if parent is None else first), _FOLDER, 0
            else:
                place, kind, size = self.add(item), _ARCHIVE, len(item)
            content += b"".join(_named_entry(name, number, kind, place, size))
        start = (first - 2) * _CLUSTER
        self.data[start : start + len(content)] = content
        return first


def _partition_table(sectors: int, serial: int) -> bytes:
    beyond = b"\xfe\xff\xff"  # cylinders, heads and sectors cannot say it
    entry = struct.pack("<B3sB3sII", 0x80, beyond, 0x0C, beyond, START, sectors)
    return bytes(440) + struct.pack("<IH", serial, 0) + entry + bytes(48) + b"\x55\xaa"


def _boot_sector(sectors: int, fat_sectors: int, label: str, serial: int) -> bytes:
    parameters = struct.pack(
        "<3s8sHBHBHHBHHHIIIHHIHH12sBBBI11s8s",
        b"\xeb\x58\x90",
        b"MSWIN4.1",
        SECTOR,
        _CLUSTER_SECTORS,
        _RESERVED,
        2,  # tables
        0,
        0,
        0xF8,  # a fixed disk
        0,
        63,
        255,
        START,
        sectors,
        fat_sectors,
        0,
        0,
        2,  # cluster of the root folder
        1,  # sector of the information
        6,  # sector of the spare
        bytes(12),
        0x80,
        0,
        0x29,
        serial,
        label.upper().ljust(11).encode("ascii"),
        b"FAT32   ",
    )
    return parameters.ljust(510, b"\0") + b"\x55\xaa"


def _info_sector(free: int, next_free: int) -> bytes:
    return b"RRaA" + bytes(480) + struct.pack("<4sII12xI", b"rrAa", free, next_free, 0xAA550000)


def _entry(name: bytes, attributes: int, cluster: int, size: int, case: int = 0) -> bytes:
    return struct.pack(
        "<11sBBBHHHHHHHI",
        name,
        attributes,
        case,
        0,
        0,
        _DATE,
        _DATE,
        cluster >> 16,
        0,
        _DATE,
        cluster & 0xFFFF,
        size,
    )


def _split(name: str) -> tuple[str, str]:
    stem, _, extension = name.rpartition(".") if "." in name[1:] else (name, "", "")
    return stem, extension


def _fits(name: str) -> bool:
    """Does the name fit in eight and three characters, were it in capitals?"""
    stem, extension = _split(name)
    legal = all(char.isalnum() or char in "_-" for char in stem + extension)
    return legal and 1 <= len(stem) <= 8 and len(extension) <= 3


def _case_flags(name: str) -> int | None:
    """The flags that make a short name appear as ``name``; None where none do, and it needs a long one."""
    stem, extension = _split(name)
    if not _fits(name) or any(part not in (part.lower(), part.upper()) for part in (stem, extension)):
        return None
    return (0x08 if stem != stem.upper() else 0) | (0x10 if extension != extension.upper() else 0)


def _long_count(name: str) -> int:
    return 0 if _case_flags(name) is not None else -(-len(name) // 13)


def _short_name(name: str, number: int) -> bytes:
    """Eight and three characters: the name itself where it fits, for a Pi's boot ROM knows no other names."""
    stem, extension = _split(name)
    if not _fits(name):
        tail = f"~{number}"  # which no other file here has
        stem = "".join(char for char in stem if char.isalnum())[: 8 - len(tail)] + tail
        extension = "".join(char for char in extension if char.isalnum())[:3]
    return f"{stem.upper():<8}{extension.upper():<3}".encode("ascii")


def _named_entry(name: str, number: int, kind: int, cluster: int, size: int) -> Iterator[bytes]:
    if not name.isascii() or not name.isprintable() or not 1 <= len(name) <= 255 or set(name) & set('\\/:*?"<>|'):
        raise KwsError(f"'{name}' cannot name a file on a FAT card; rename it.")
    short = _short_name(name, number)
    checksum = 0
    for octet in short:
        checksum = ((checksum & 1) << 7 | checksum >> 1) + octet & 0xFF
    count = _long_count(name)
    units = [*name.encode("ascii"), 0]
    units += [0xFFFF] * (13 * count - len(units))
    for part in range(count, 0, -1):
        entry = bytearray(32)
        entry[0] = part | (0x40 if part == count else 0)
        entry[11], entry[13] = _LONG, checksum
        for offset, unit in zip(_LONG_OFFSETS, units[13 * (part - 1) :], strict=False):
            struct.pack_into("<H", entry, offset, unit)
        yield bytes(entry)
    yield _entry(short, kind, cluster, size, _case_flags(name) or 0)
