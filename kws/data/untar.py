"""Members of a tar archive onto this disk, whatever the archive says.

tarfile's own "data" filter came with Python 3.11.4, and Debian 12 has 3.11.2. So every Python takes this way: a data
set is made of files and folders, and nothing else is ever made of a member. Without links among what is written, a
member stays below the folder if its name does.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path


class UnsafeMember(Exception):
    """A member that no data set has."""


def unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Writes ``member`` below ``folder``, with the permissions that a new file or folder gets here.

    Raises:
        UnsafeMember: a link, a device or another special file, or a name that is absolute, leads up, or is none.
        OSError: the disk refuses it.
    """
    place = folder / _relative(member)
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    content = tar.extractfile(member)
    assert content is not None, "tarfile gives None only where a member is no file"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)


def _relative(member: tarfile.TarInfo) -> Path:
    """Where ``member`` belongs, below whatever folder."""
    if not (member.isfile() or member.isdir()):
        kind = "a link" if member.issym() or member.islnk() else "a device or another special file"
        raise UnsafeMember(f"{member.name!r} is {kind}")
    path = Path(member.name)
    if path.anchor or ".." in path.parts or "\0" in member.name:
        raise UnsafeMember(f"{member.name!r} lies outside the folder")
    if not path.parts and not member.isdir():
        raise UnsafeMember("a file has no name")
    return path
