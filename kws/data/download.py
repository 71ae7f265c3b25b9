"""One file over HTTP, so that an interruption of any kind costs nothing but time.

Bytes go to ``NAME.part``; the next try asks the server for the rest (an HTTP Range request) and appends. Only a file
whose SHA-256 is right gets its real name, so a file under that name is always complete.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from kws.errors import KwsError

Progress = Callable[[str, int, "int | None"], None]
"""Called with the stage ("downloading", "checking", "extracting"), bytes done, and bytes in all where known."""

CHUNK = 1 << 18
_ATTEMPTS = 5
_WAIT_SECONDS = 1.0
_TIMEOUT_SECONDS = 30.0
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_PASSING_STATUS = (408, 425, 429)  # with 5xx: worth another try


def silent(stage: str, done: int, total: int | None) -> None:
    """A ``Progress`` that shows nothing."""


def readable_size(size: float) -> str:
    """``size`` bytes as people write it: "2.43 GB"."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def require_space(folder: Path, needed: float, what: str, option: str = "--dir") -> None:
    """Raises KwsError unless the disk of ``folder``, which ``option`` chooses, has ``needed`` bytes for ``what``."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise KwsError(
            f"{folder}: {readable_size(free)} free, but {what} needs {readable_size(needed)}; "
            f"make room or choose another {option}."
        )


def disk_error(path: Path, error: OSError, option: str = "--dir") -> KwsError:
    """The sentence for a failed write to ``path``, whose folder ``option`` chooses."""
    if error.errno in _DISK_FULL:
        return KwsError(f"{path}: the disk is full; make room and run the command again to go on from there.")
    return KwsError(f"{path}: cannot be written ({error.strerror or error}); choose another {option}.")


def sha256_of(path: Path, progress: Progress = silent) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            progress("checking", done, total)
    return digest.hexdigest()


def download(
    url: str,
    path: Path,
    sha256: str,
    *,
    progress: Progress = silent,
    space_factor: float = 0.0,
    attempts: int = _ATTEMPTS,
    wait: float = _WAIT_SECONDS,
    timeout: float = _TIMEOUT_SECONDS,
    option: str = "--dir",
) -> None:
    """Downloads ``url`` to ``path``, going on from ``path.part`` where an earlier run left one.

    Args:
        url: an http or https address.
        path: where the complete file goes; its folder exists.
        sha256: what the file must hash to, in hexadecimal.
        progress: told of every chunk.
        space_factor: bytes that the caller will write afterwards for each byte of this file; checked against the disk.
        attempts: tries in a row without a new byte before giving up.
        wait: seconds before the second try; doubled at each further one.
        timeout: seconds of silence after which a connection counts as lost.
        option: of the command, that chooses the folder.

    Raises:
        KwsError: the server refuses, the connection stays lost (``.part`` is kept), the disk is too small or full
            (``.part`` is kept), or the complete file has another SHA-256 (``.part`` is removed).
    """
    part = path.with_name(path.name + ".part")
    try:
        part.touch()
    except OSError as error:
        raise disk_error(part, error, option) from error
    best, failures = part.stat().st_size, 0
    while reason := _receive(url, part, progress, space_factor, timeout, option):
        size = part.stat().st_size
        failures = 1 if size > best else failures + 1
        best = max(best, size)
        if failures >= attempts:
            raise KwsError(
                f"{url}: the download stopped at {readable_size(size)} ({reason}); "
                "run the command again to go on from there."
            )
        time.sleep(wait * 2 ** (failures - 1))
    found = sha256_of(part, progress)
    if found != sha256:
        part.unlink()
        raise KwsError(
            f"{url}: the download is damaged (SHA-256 {found[:12]}..., expected {sha256[:12]}...) and was removed; "
            "run the command again."
        )
    part.replace(path)


def _receive(url: str, part: Path, progress: Progress, space_factor: float, timeout: float, option: str) -> str:
    """One connection: appends what it brings to ``part``. Returns "" when the file is complete, else why it is not."""
    offset = part.stat().st_size
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={offset}-"} if offset else {})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            offset, total = _position(response, offset)
            if offset < 0:
                part.write_bytes(b"")
                return "the server answered with another part of the file"
            if total is not None:
                needed = total - offset + space_factor * total
                require_space(part.parent, needed, "the download with what is in it", option)
            done = _copy(response, part, offset, total, progress, option)
        return "the connection closed early" if total is not None and done < total else ""
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _beyond_the_end(part, offset, error.headers.get("Content-Range", ""))
        if error.code < 500 and error.code not in _PASSING_STATUS:
            raise KwsError(
                f"{url}: the server answered {error.code} ({error.reason}); try again later or get the file by hand."
            ) from error
        return f"the server answered {error.code}"
    except urllib.error.URLError as error:
        return str(error.reason)
    except ValueError as error:
        raise KwsError(f"{url}: not a web address ({error}).") from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in _DISK_FULL:
            raise disk_error(part, error, option) from error
        return str(error) or type(error).__name__


def _position(response: http.client.HTTPResponse, offset: int) -> tuple[int, int | None]:
    """Where in the file the body of ``response`` starts (-1: not where asked), and the file's size where it is told."""
    if response.status != http.client.PARTIAL_CONTENT:
        # The server sends the file from its first byte: it knows no ranges, or none was asked for.
        length = response.headers.get("Content-Length")
        return 0, int(length) if length is not None else None
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if not match or int(match[1]) != offset:
        return -1, None
    return offset, int(match[2]) if match[2] != "*" else None


def _copy(
    response: http.client.HTTPResponse, part: Path, offset: int, total: int | None, progress: Progress, option: str
) -> int:
    """Appends the body to the first ``offset`` bytes of ``part``; returns the size reached."""
    try:
        file = part.open("r+b")
        file.truncate(offset)
        file.seek(offset)
    except OSError as error:
        raise disk_error(part, error, option) from error
    with file:
        progress("downloading", offset, total)
        while chunk := response.read1(CHUNK):
            file.write(chunk)
            offset += len(chunk)
            progress("downloading", offset, total)
    return offset


def _beyond_the_end(part: Path, offset: int, content_range: str) -> str:
    """The server has no byte after ``offset``: complete when that is its size, else ``part`` is of another file."""
    if content_range == f"bytes */{offset}":
        return ""
    part.write_bytes(b"")
    return "the partial file is longer than the server's"
