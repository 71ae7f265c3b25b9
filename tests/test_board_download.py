"""The download of `kws flash`: a server on this machine with the layout of Debian's archive, and its faults."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_board_flash import FIRMWARE, KERNEL, deb
from test_data_get import Server
from typer.testing import CliRunner, Result

from kws import cli
from kws.board import build, compiler, image, parts
from kws.errors import KwsError

PACKAGES = {
    "binary": {path: data for path, data in KERNEL.items() if path.endswith("vmlinuz")},
    "modules": {path: data for path, data in KERNEL.items() if ".ko" in path},
    "base": {path: data for path, data in KERNEL.items() if path.endswith((".dtb", "copyright"))},
    "raspi": FIRMWARE,
}


class Archive:
    """A mirror: one server whose content depends on the path, like Debian's below /debian/pool."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.paths: list[str] = []
        self.server = Server(b"")
        answer = self.server.answer

        def choose(request) -> None:
            self.paths.append(request.path)
            if request.path not in files:
                request.send_error(404)
                return
            self.server.content = files[request.path]
            answer(request)

        self.server.answer = choose  # type: ignore[method-assign]

    @property
    def mirror(self) -> str:
        return f"http://127.0.0.1:{self.server.http.server_port}/debian"


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """With every package that the card is made of, under the path that is pinned, and small."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    pinned, files = [], {}
    for package, content in zip((*parts.KERNEL, parts.FIRMWARE), PACKAGES.values(), strict=True):
        whole = deb(content)
        files[f"/debian/{package.path}"] = whole
        pinned.append(dataclasses.replace(package, sha256=hashlib.sha256(whole).hexdigest()))
    monkeypatch.setattr(parts, "KERNEL", tuple(pinned[:-1]))
    monkeypatch.setattr(parts, "FIRMWARE", pinned[-1])
    monkeypatch.setattr(parts, "fetch", functools.partial(parts.fetch, wait=0.001))
    mirror = Archive(files)
    yield mirror
    mirror.server.http.shutdown()
    mirror.server.http.server_close()
    mirror.server.thread.join()


Flash = Callable[..., Result]


@pytest.fixture
def flash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Flash:
    """The command, with the two programs of the card made of nothing."""
    monkeypatch.setattr(build, "build_init", lambda found: b"init")
    monkeypatch.setattr(compiler, "find", lambda target: None)
    monkeypatch.setattr("kws.cli.flash._listener", lambda model, program: b"listener")

    def call(*arguments: object) -> Result:
        options = ["--image", tmp_path / "kws.img", "--parts", tmp_path / "parts", *arguments]
        return CliRunner(env={"KWS_DEBIAN_MIRROR": ""}).invoke(cli.application(), ["flash", *map(str, options)])

    return call


def refused(result: Result, tmp_path: Path) -> str:
    assert isinstance(result.exception, KwsError), result.output
    assert not (tmp_path / "kws.img").exists()
    message = str(result.exception)
    assert "\n" not in message
    return message


def test_the_pinned_paths_are_those_of_debians_pool() -> None:
    for package in (*parts.KERNEL, parts.FIRMWARE):
        assert re.fullmatch(
            r"pool/(main|non-free-firmware)/([a-z])/\2[a-z0-9-]+/[a-z][^/_]+_[^/_]+_(arm64|all)\.deb", package.path
        )
        assert re.fullmatch("[0-9a-f]{64}", package.sha256)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_card_is_made_of_what_a_mirror_gives(archive: Archive, flash: Flash, tmp_path: Path, slash: str) -> None:
    assert flash("--mirror", archive.mirror + slash).exit_code == 0
    expected = image.build(b"listener", b"init", KERNEL, FIRMWARE)
    assert (tmp_path / "kws.img").read_bytes() == expected.image
    assert archive.paths == list(archive.files)
    (tmp_path / "kws.img").unlink()
    archive.paths.clear()
    assert flash().exit_code == 0 and archive.paths == []  # a second card needs no network
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == sorted(
        path.rpartition("/")[2] for path in archive.files
    )


def test_a_connection_that_breaks_is_taken_up_where_it_broke(archive: Archive, flash: Flash, tmp_path: Path) -> None:
    archive.server.breaks = [100, 50]
    assert flash("--mirror", archive.mirror).exit_code == 0
    assert archive.server.asked[:3] == [None, "bytes=100-", "bytes=150-"]


def test_a_server_that_gives_up_leaves_a_part_that_the_next_run_takes_up(
    archive: Archive, flash: Flash, tmp_path: Path
) -> None:
    archive.server.breaks = [100, 0, 0, 0, 0, 0]
    message = refused(flash("--mirror", archive.mirror), tmp_path)
    assert "the download stopped at 100 bytes" in message and "run the command again to go on from there" in message
    archive.server.breaks, archive.server.asked = [], []
    assert flash("--mirror", archive.mirror).exit_code == 0
    assert archive.server.asked[0] == "bytes=100-"


def test_a_version_that_the_mirror_no_longer_has(archive: Archive, flash: Flash, tmp_path: Path) -> None:
    gone = list(archive.files)[1]
    del archive.files[gone]
    message = refused(flash("--mirror", archive.mirror), tmp_path)
    assert f"{gone}: the server answered 404" in message
    assert "its snapshots for ever" in message
    assert f"--parts names a folder that holds {gone.rpartition('/')[2]}" in message


def test_other_bytes_than_are_pinned(archive: Archive, flash: Flash, tmp_path: Path) -> None:
    first = next(iter(archive.files))
    right, archive.files[first] = archive.files[first], b"a page of a hotel's network"
    message = refused(flash("--mirror", archive.mirror), tmp_path)
    assert "the download is damaged (SHA-256" in message and "was removed" in message
    assert list((tmp_path / "parts").iterdir()) == []
    archive.files[first] = right
    assert flash("--mirror", archive.mirror).exit_code == 0


def test_a_package_that_was_changed_meanwhile_is_fetched_again(archive: Archive, flash: Flash, tmp_path: Path) -> None:
    assert flash("--mirror", archive.mirror).exit_code == 0
    (tmp_path / "parts" / parts.FIRMWARE.file).write_bytes(b"worn out")
    archive.paths.clear()
    assert flash("--mirror", archive.mirror).exit_code == 0
    assert archive.paths == [f"/debian/{parts.FIRMWARE.path}"]


@pytest.mark.parametrize(
    ("mirror", "message"),
    [
        ("http://127.0.0.1:9/debian", "Connection refused"),
        ("deb.debian.org/debian", "not a web address"),
        ("ftp//nowhere", "not a web address"),
        ("http://", "no host given"),
    ],
)
def test_a_mirror_that_is_none(archive: Archive, flash: Flash, tmp_path: Path, mirror: str, message: str) -> None:
    assert message in refused(flash("--mirror", mirror), tmp_path)


def test_no_mirror(archive: Archive, flash: Flash, tmp_path: Path) -> None:
    message = refused(flash(), tmp_path)
    assert "is not there; give --mirror" in message and "or put the file there" in message


def test_a_full_disk_and_a_folder_that_is_none(
    archive: Archive, flash: Flash, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    message = refused(flash("--parts", tmp_path / "file"), tmp_path)
    assert "file: " in message or "/file/" in message
    assert "choose another folder with --parts" in message
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10))
    message = refused(flash("--mirror", archive.mirror), tmp_path)
    assert "10 bytes free, but the download" in message and "choose another --parts" in message
