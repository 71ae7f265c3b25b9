"""The listener in an image of Raspberry Pi OS: what is added, and what its first start makes of it."""

from __future__ import annotations

import lzma
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from compiled import run
from typer.testing import CliRunner

from kws import cli
from kws.board import fat, first_boot
from kws.board.unit import SETTINGS, UNIT
from kws.errors import KwsError

MIB = 1 << 20
CMDLINE = "console=serial0,115200 console=tty1 root=PARTUUID=0123-02 rootfstype=ext4 fsck.repair=yes rootwait quiet\n"
LISTENER = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0, 0, 0, 0, 64, 56, 0, 0, 0, 0)


def os_image(path: Path, cmdline: str = CMDLINE) -> Path:
    """As Raspberry Pi OS: a FAT partition to start from, and beyond it a system that is nobody's to touch."""
    files = {"cmdline.txt": cmdline.encode(), "config.txt": b"arm_64bit=1\n", "kernel8.img": os.urandom(MIB)}
    path.write_bytes(fat.disk_image(files, 128 * MIB, "bootfs", 7) + b"system" * MIB)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    if shutil.which("mcopy") is None:
        pytest.skip("mtools is not installed")
    return os_image(tmp_path / "raspios.img")


def start_partition(image: Path, folder: Path) -> Path:
    """What the system sees as /boot/firmware."""
    boot = folder / "boot/firmware"
    boot.mkdir(parents=True)
    copied = run(["mcopy", "-i", f"{image}@@{fat.START * 512}", "-s", "::*", boot])
    assert copied.returncode == 0, copied.stderr
    return boot


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def first_start(root: Path, folder: Path, command: str = "true") -> subprocess.CompletedProcess[str]:
    """Runs the script as the first start would, on ``root``; ``command`` is what systemctl does."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    script(tools / "systemctl", f'echo "$*" >> {root}/calls; {command}')
    script(tools / "getent", "true")
    environment = os.environ | {"KWS_ROOT": str(root), "PATH": f"{tools}:{os.environ['PATH']}"}
    return run(["sh", root / "boot/firmware/kws/install.sh"], env=environment)


@pytest.mark.parametrize("compressed", [False, True])
def test_the_first_start_installs_the_listener_and_no_other_does(
    source: Path, tmp_path: Path, compressed: bool
) -> None:
    before, out, root = source.read_bytes(), tmp_path / "out.img", tmp_path / "root"
    if compressed:
        source = tmp_path / "raspios.img.xz"
        source.write_bytes(lzma.compress(before, preset=0))
    first_boot.prepare(source, out, LISTENER, "gain = 3\n")
    after = out.read_bytes()
    assert after[: fat.START * 512] == before[: fat.START * 512] and after[128 * MIB :] == before[128 * MIB :]
    fsck = shutil.which("fsck.vfat", path=f"{os.environ['PATH']}:/usr/sbin")
    if fsck is not None:
        (tmp_path / "partition").write_bytes(after[fat.START * 512 : 128 * MIB])
        assert run([fsck, "-n", tmp_path / "partition"]).returncode == 0
    boot = start_partition(out, root)
    assert (boot / "cmdline.txt").read_text() == f"{CMDLINE.strip()} {first_boot.WORDS}\n"
    assert "systemd.run=/boot/firmware/kws/install.sh" in first_boot.WORDS and (boot / "kws/install.sh").is_file()

    done = first_start(root, tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    assert (boot / "cmdline.txt").read_text() == CMDLINE
    assert {path.name for path in boot.iterdir()} == {"cmdline.txt", "config.txt", "kernel8.img"}
    program = root / "usr/local/bin/kws-listener"
    assert program.read_bytes() == LISTENER and os.access(program, os.X_OK)
    assert (root / "etc/kws/kws.txt").read_bytes() == b"gain = 3\n"
    unit = (root / "etc/systemd/system/kws-listener.service").read_text()
    assert unit == UNIT.replace("@GROUPS@", "audio gpio")
    assert (root / "calls").read_text() == "enable kws-listener\n"


def test_a_first_start_that_fails_is_not_tried_for_ever(source: Path, tmp_path: Path) -> None:
    out, root = tmp_path / "out.img", tmp_path / "root"
    first_boot.prepare(source, out, LISTENER)
    boot = start_partition(out, root)
    assert first_start(root, tmp_path, "false").returncode != 0
    assert (boot / "cmdline.txt").read_text() == CMDLINE
    assert (boot / "kws/kws.txt").read_bytes() == SETTINGS.replace("\n", "\r\n").encode()


def test_what_the_imager_added_to_the_first_start_stays(source: Path, tmp_path: Path) -> None:
    out, root = tmp_path / "out.img", tmp_path / "root"
    first_boot.prepare(source, out, LISTENER)
    boot = start_partition(out, root)
    imager = "systemd.run=/boot/firmware/firstrun.sh systemd.run_success_action=reboot"
    line = (boot / "cmdline.txt").read_text().strip()
    (boot / "cmdline.txt").write_text(f"{line} {imager}\n")
    assert first_start(root, tmp_path).returncode == 0
    left = (boot / "cmdline.txt").read_text()
    assert imager in left and "/kws/" not in left


def test_images_of_other_kinds_are_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.img"
    first_boot.prepare(source, out, LISTENER)
    with pytest.raises(KwsError, match="runs something already"):
        first_boot.prepare(out, tmp_path / "again.img", LISTENER)
    with pytest.raises(KwsError, match="names no root"):
        first_boot.prepare(os_image(tmp_path / "a.img", "quiet\n"), out, LISTENER)
    (tmp_path / "b.img").write_bytes(fat.disk_image({"a.txt": b"a"}, 128 * MIB, "KWS", 1))
    with pytest.raises(KwsError, match="cannot be changed"):
        first_boot.prepare(tmp_path / "b.img", out, LISTENER)
    for content in (b"", bytes(2 * MIB), b"\xff" * 512):
        (tmp_path / "c.img").write_bytes(content)
        with pytest.raises(KwsError, match="no partition that a Raspberry Pi starts from"):
            first_boot.prepare(tmp_path / "c.img", out, LISTENER)
    (tmp_path / "d.img.xz").write_bytes(lzma.compress(bytes(MIB))[:-20])
    with pytest.raises(KwsError, match="is damaged"):
        first_boot.prepare(tmp_path / "d.img.xz", out, LISTENER)
    with pytest.raises(KwsError, match="no static program for aarch64"):
        first_boot.prepare(source, out, LISTENER.replace(b"\xb7", b"\x3e"))


def test_the_source_and_an_earlier_copy_stay_where_it_cannot_be_done(source: Path, tmp_path: Path) -> None:
    before, link, earlier = source.read_bytes(), tmp_path / "link.img", tmp_path / "earlier.img"
    link.symlink_to(source)
    app = cli.application()
    (tmp_path / "listener").write_bytes(LISTENER)
    for out in (source, link):
        options = ["flash", "--os", source, "--program", tmp_path / "listener", "--image", out]
        refused = CliRunner().invoke(app, [str(part) for part in options])
        assert isinstance(refused.exception, KwsError) and "write the copy to another file" in str(refused.exception)
    assert source.read_bytes() == before and link.is_symlink()

    earlier.write_bytes(b"mine")
    (tmp_path / "cut.img.xz").write_bytes(lzma.compress(bytes(MIB))[:-20])
    for bad in (os_image(tmp_path / "a.img", "quiet\n"), tmp_path / "cut.img.xz"):
        with pytest.raises(KwsError):
            first_boot.prepare(bad, earlier, LISTENER)
        assert earlier.read_bytes() == b"mine" and not list(tmp_path.glob(".*"))
    with pytest.raises(KwsError, match=r"x\.img: cannot be written"):
        first_boot.prepare(source, tmp_path / "no/x.img", LISTENER)


def test_without_mtools_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(KwsError, match="install mtools"):
        first_boot.prepare(tmp_path / "x.img", tmp_path / "y.img", LISTENER)


def test_the_command_writes_a_prepared_image_and_leaves_the_source_alone(source: Path, tmp_path: Path) -> None:
    before, program, out = source.read_bytes(), tmp_path / "listener", tmp_path / "out.img"
    program.write_bytes(LISTENER)
    app = cli.application()
    options = ["flash", "--os", source, "--program", program, "--image", out]
    dry = CliRunner().invoke(app, [str(part) for part in [*options, "--dry-run"]])
    assert dry.exit_code == 0 and "would write" in dry.stdout and not out.exists()
    done = CliRunner().invoke(app, [str(part) for part in options])
    assert done.exit_code == 0 and f"{out} written" in done.stdout
    assert (start_partition(out, tmp_path / "root") / "kws/kws-listener").read_bytes() == LISTENER
    assert source.read_bytes() == before
