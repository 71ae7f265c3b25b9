"""`kws deploy`: over an invented ssh and over a real sshd, onto a folder that stands for the device's root."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kws.board import deploy
from kws.board.unit import UNIT
from kws.errors import KwsError

SYSTEMCTL = """\
state=$KWS_ROOT/state
echo "systemctl $*" >> "$KWS_ROOT/calls"
program=$KWS_ROOT/usr/local/bin/kws-listener
case "$*" in
*restart*) grep -q BROKEN "$program" && exit 1; cp "$program" "$state" ;;
*stop*|*disable*--now*) rm -f "$state" ;;
*is-active*) [ -e "$state" ] && ! grep -q FLAKY "$state" ;;
esac
"""

FAKES = {
    "systemctl": SYSTEMCTL,
    "journalctl": 'echo "listening on hw:1,0"',
    "uname": 'cat "$KWS_ROOT/machine"',
    "getent": '[ "$2" = audio ]',
    "sudo": '[ -e "$KWS_ROOT/password" ] && exit 1; shift; echo "sudo $1" >> "$KWS_ROOT/calls"; exec "$@"',
}


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def program(text: str = "", machine: int = 183) -> bytes:
    """A static ELF program for that machine that does nothing but hold ``text``."""
    head = (
        b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 0, 0, 0, 64, 56, 0, 0, 0, 0)
    )
    return head + text.encode()


class Place:
    """The device's root folder, and what a test asks of it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "device"
        self.tools = folder / "tools"
        self.root.mkdir()
        self.tools.mkdir()
        (self.root / "machine").write_text("aarch64\n")
        for name, text in FAKES.items():
            script(self.tools / name, text)

    def files(self) -> dict[str, bytes]:
        """Everything that is installed."""
        places = [self.root / "usr", self.root / "etc"]
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for place in places
            for path in place.rglob("*")
            if path.is_file()
        }

    @property
    def running(self) -> bytes | None:
        state = self.root / "state"
        return state.read_bytes() if state.exists() else None


def fake_ssh(folder: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    here = folder / "here"
    here.mkdir()
    environment = f"KWS_ROOT={place.root} KWS_PAUSE=0 PATH={place.tools}:$PATH"
    script(here / "ssh", f'while [ "$1" != -- ]; do shift; done; shift 2; {environment} exec sh -c "$1"')
    # scp -q -- FILE... HOST:FOLDER/
    script(
        here / "scp",
        'shift 2; for last; do :; done; for file; do [ "$file" = "$last" ] || cp "$file" "${last#*:}"; done',
    )
    monkeypatch.setenv("PATH", str(here), prepend=os.pathsep)


def real_ssh(folder: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[bytes]:
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None or shutil.which("ssh") is None:
        pytest.skip("openssh-server is not installed")
    if os.geteuid() != 0:
        pytest.skip("only root can run an sshd of its own here")
    Path("/run/sshd").mkdir(exist_ok=True)
    here = folder / "here"
    here.mkdir()
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", here / key], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (here / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host\nAuthorizedKeysFile {here}/user.pub\n"
        "UsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
        f'PidFile none\nSetEnv KWS_ROOT={place.root} KWS_PAUSE=0 "PATH={place.tools}:/usr/bin:/bin"\n'
    )
    (here / "config").write_text(
        f"Host *\nPort {port}\nUser root\nIdentityFile {here}/user\nStrictHostKeyChecking no\n"
        f"UserKnownHostsFile {here}/known\nLogLevel ERROR\n"
    )
    tools = folder / "clients"
    tools.mkdir()
    for name in ("ssh", "scp"):
        script(tools / name, f'exec {shutil.which(name)} -F {here}/config "$@"')
    server = subprocess.Popen([sshd, "-D", "-e", "-f", here / "sshd_config"], stderr=subprocess.DEVNULL)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    server.kill()
    pytest.fail("sshd does not answer")


@pytest.fixture(params=["fake", "sshd"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place, before = Place(tmp_path), set(Path("/tmp").glob("kws-*"))
    server = None
    if request.param == "fake":
        fake_ssh(tmp_path, place, monkeypatch)
    else:
        server = real_ssh(tmp_path, place, monkeypatch)
    yield place
    if server is not None:
        server.terminate()
        server.wait()
    left = [path for path in set(Path("/tmp").glob("kws-*")) - before if len(path.name) == len("kws-12345678")]
    assert left == []  # nothing of what was copied is left behind


def install(content: bytes) -> str:
    return deploy.install(deploy.Connection("root@127.0.0.1"), content, "it", lambda text: None)


PROGRAM, SERVICE, SETTINGS = (
    "usr/local/bin/kws-listener",
    "etc/systemd/system/kws-listener.service",
    "etc/kws/kws.txt",
)


def test_install_upgrade_rollback_uninstall(place: Place) -> None:
    assert "listening on hw:1,0" in install(program("first"))
    files = place.files()
    assert files.keys() == {PROGRAM, SERVICE, SETTINGS}
    assert files[PROGRAM] == place.running == program("first")
    assert files[SERVICE].decode() == UNIT.replace("@GROUPS@", "audio")  # no group gpio there
    assert os.access(place.root / PROGRAM, os.X_OK)
    settings = place.root / SETTINGS
    settings.write_text("words = yes\n")

    install(program("second"))
    assert place.running == program("second")
    assert settings.read_text() == "words = yes\n"

    before = place.files()
    for fault in ("BROKEN", "FLAKY"):
        with pytest.raises(KwsError, match=r"did not come up.*the previous one listens again"):
            install(program(fault))
        assert place.files() == before and place.running == program("second")

    assert deploy.uninstall(deploy.Connection("root@127.0.0.1")) == "removed"
    assert place.files() == {} and place.running is None
    assert not (place.root / "etc/kws").exists()
    assert deploy.uninstall(deploy.Connection("root@127.0.0.1")) == "nothing was installed"


@pytest.fixture
def faked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(tmp_path)
    fake_ssh(tmp_path, place, monkeypatch)
    return place


def test_a_first_one_that_does_not_come_up_leaves_nothing(faked: Place) -> None:
    with pytest.raises(KwsError, match="there was none before"):
        install(program("BROKEN"))
    assert faked.files() == {} and not (faked.root / "etc/kws").exists() and faked.running is None


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("content", [program("second"), program("FLAKY")], ids=["good", "bad"])
def test_a_connection_that_breaks_leaves_the_new_one_or_the_old_one(
    faked: Place, tmp_path: Path, shell: str, content: bytes
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    install(program("first"))
    before, folder, (reader, writer) = faked.files(), tmp_path / "copied", os.pipe()
    os.close(reader)
    folder.mkdir()
    for name, data in {"kws-listener": content, "kws-listener.service": UNIT.encode(), "kws.txt": b""}.items():
        (folder / name).write_bytes(data)
    environment = os.environ | {"KWS_ROOT": str(faked.root), "KWS_PAUSE": "0"}
    environment["PATH"] = f"{faked.tools}:{environment['PATH']}"
    subprocess.run(
        [shell, "-s", "--", folder],
        input=deploy.INSTALL.encode(),
        stdout=writer,
        stderr=writer,
        env=environment,
        check=False,
    )
    os.close(writer)
    assert not folder.exists()
    if b"FLAKY" in content:
        assert faked.files() == before and faked.running == program("first")
    else:
        assert faked.files() == before | {PROGRAM: content} and faked.running == content


@pytest.mark.parametrize("full", [PROGRAM, SERVICE, SETTINGS])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_device_that_is_full_keeps_what_it_had(faked: Place, full: str, is_first: bool) -> None:
    if not is_first:
        install(program("first"))
        (faked.root / SETTINGS).unlink()
    before = faked.files()
    # Whatever would take more room under this name gets half of it.
    script(
        faked.tools / "cp",
        f'for last; do :; done; case "$last" in {faked.root}/{full}*) '
        'echo half > "$last"; echo "cp: No space left on device" >&2; exit 1;; esac; '
        f'exec {shutil.which("cp")} "$@"',
    )
    left = "there was none before" if is_first else "the previous one listens again"
    with pytest.raises(KwsError, match=rf"installing failed: cp: No space left on device \| --- {left}"):
        install(program("second"))
    assert faked.files() == before and faked.running == (None if is_first else program("first"))
    assert not (faked.root / "etc/kws").exists() or not is_first


@pytest.mark.parametrize(
    ("machine", "content", "message"),
    [
        ("armv7l", program(), "is armv7l, and it is for aarch64; install a 64-bit system"),
        ("aarch64", program(machine=62), "is aarch64, and it is for x86_64"),
        ("aarch64", b"#!/bin/sh", "is not a Linux program"),
    ],
    ids=["32-bit", "other", "script"],
)
def test_a_program_for_another_machine_is_refused(faked: Place, machine: str, content: bytes, message: str) -> None:
    (faked.root / "machine").write_text(f"{machine}\n")
    with pytest.raises(KwsError, match=message):
        install(content)
    assert faked.files() == {} and not (faked.root / "calls").exists()


def test_an_ordinary_user_needs_sudo(faked: Place) -> None:
    script(faked.tools / "id", "echo 1000")
    install(program("first"))
    assert "sudo sh" in (faked.root / "calls").read_text()
    (faked.root / "password").touch()
    with pytest.raises(KwsError, match="sudo wants a password"):
        install(program("second"))
    assert faked.running == program("first")


def test_a_connection_that_fails_is_one_sentence(faked: Place, tmp_path: Path) -> None:
    script(tmp_path / "here/ssh", "echo 'ssh: connect to host x port 22: No route to host' >&2; exit 255")
    with pytest.raises(KwsError, match="cannot be reached: ssh: connect to host x port 22: No route to host"):
        install(program())
    script(tmp_path / "here/ssh", "echo Welcome to this router; exit 1")
    with pytest.raises(KwsError, match="did not answer as expected"):
        install(program())


def test_copying_that_fails_changes_nothing(faked: Place, tmp_path: Path) -> None:
    script(tmp_path / "here/scp", "echo 'No space left on device' >&2; exit 1")
    before = set(Path("/tmp").glob("kws-????????"))
    with pytest.raises(KwsError, match="copying failed: No space left on device"):
        install(program())
    assert faked.files() == {} and set(Path("/tmp").glob("kws-????????")) == before


@pytest.mark.parametrize("host", ["", "-oProxyCommand=x", "pi@", "pi@a b", "a'b"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(KwsError, match="is no host"):
        deploy.Connection(host)


def test_the_command(faked: Place, tmp_path: Path) -> None:
    kws = [sys.executable, "-m", "kws", "deploy", "pi@device"]
    path = tmp_path / "listener"
    path.write_bytes(program("first"))

    def call(*options: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*kws, *options], capture_output=True, text=True, check=False)

    for options, fault in (
        (("--program", path.with_name("none")), "cannot be read"),
        (("--program", __file__), "is not a Linux program"),
        (("--program", path, "--model", "kws12"), "a program has its model inside"),
        (("--model", "nope"), "no such model"),
        (("--uninstall", "--model", "kws12"), "--uninstall takes the listener away"),
    ):
        refused = call("--dry-run", *options)
        assert refused.returncode == 1 and fault in refused.stderr.replace("\n", " ") and faked.files() == {}
    dry = call("--dry-run", "--program", path)
    assert dry.returncode == 0 and "systemctl restart kws-listener" in dry.stdout and faked.files() == {}
    done = call("--program", path)
    assert done.returncode == 0 and "pi@device listens" in done.stdout and faked.running == program("first")
    removed = call("--uninstall")
    assert removed.returncode == 0 and "removed" in removed.stdout and faked.files() == {}


def test_the_unit_is_closed(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / "kws-listener.service"
    path.write_text(UNIT.replace("@GROUPS@", "audio").replace("/usr/local/bin/kws-listener", "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert verified.stderr == ""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", path]
    scored = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in scored.stderr:
        pytest.skip("this systemd-analyze scores no files")
    assert scored.returncode == 0, scored.stdout  # exposure at most 2.0 of 10
