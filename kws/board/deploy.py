"""Puts the listener on a device that runs Linux with systemd, over the system's own ssh and scp.

One connection asks what the device is, one copies, and one runs ``INSTALL`` there, which finishes or rolls back even
where the connection breaks.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kws.board.elf import inspect
from kws.board.unit import SETTINGS, UNIT
from kws.errors import KwsError

SERVICE = "kws-listener"

PROBE = """\
set -eu
echo "machine $(uname -m)"
if [ "$(id -u)" = 0 ]; then echo "root yes"
elif sudo -n true 2>/dev/null; then echo "root sudo"
else echo "root no"; fi
if command -v systemctl >/dev/null; then echo "systemd yes"; else echo "systemd no"; fi
echo "folder $(mktemp -d /tmp/kws-XXXXXXXX)"
"""

# KWS_ROOT lets tests run this on a folder in place of the root. Where the connection breaks, nobody reads what is said.
_PLACES = """\
set -eu
trap '' HUP PIPE
say() { echo "$*" || true; }
root=${KWS_ROOT:-}
program=$root/usr/local/bin/kws-listener
unit=$root/etc/systemd/system/kws-listener.service
settings=$root/etc/kws/kws.txt
"""

INSTALL = (
    _PLACES
    + """\
new=$1
touched=
fresh=

keep() { rm -f "$1.previous"; if [ -e "$1" ]; then ln "$1" "$1.previous"; fi; } # a link fits on a full disk too
restore() { rm -f "$1.new"; if [ -e "$1.previous" ]; then mv -f "$1.previous" "$1"; else rm -f "$1"; fi; }
place() { # in one step: no reader sees half a file, and a running program is not written over
    mkdir -p "$(dirname "$3")"
    cp "$2" "$3.new"
    chmod "$1" "$3.new"
    mv -f "$3.new" "$3"
}
log() { journalctl -u kws-listener -n 15 --no-pager -o cat 2>/dev/null || true; }
comes_up() {
    systemctl daemon-reload && systemctl enable --quiet kws-listener && systemctl restart kws-listener || return 1
    for second in 1 2 3; do # ready is not enough: it must stay
        sleep "${KWS_PAUSE:-1}"
        systemctl is-active --quiet kws-listener || return 1
    done
}
roll_back() {
    systemctl stop kws-listener || true
    if [ "$fresh" ]; then
        rm -f "$settings" "$settings.new"
        rmdir "$(dirname "$settings")" || true
    fi
    if [ -e "$program.previous" ] && [ -e "$unit.previous" ]; then
        restore "$program"
        restore "$unit"
        if comes_up; then
            say "--- the previous one listens again"
        else
            say "--- the previous one does not come up either"
        fi
    else
        systemctl disable --quiet kws-listener || true
        restore "$program"
        restore "$unit"
        systemctl daemon-reload || true
        say "--- there was none before; what was copied is removed"
    fi
}
finish() { # however this script ends
    status=$?
    set +e
    trap '' INT TERM
    if [ "$touched" ]; then roll_back 2>/dev/null; fi # the last line on stderr stays what went wrong
    rm -rf "$new" "$program.previous" "$unit.previous"
    exit "$status"
}
trap finish EXIT
trap 'exit 1' INT TERM

groups=
for group in audio gpio; do
    if getent group "$group" >/dev/null; then groups="$groups $group"; fi
done
sed "s/@GROUPS@/${groups# }/" "$new/kws-listener.service" > "$new/unit"

keep "$program"
keep "$unit"
touched=yes
place 755 "$new/kws-listener" "$program"
place 644 "$new/unit" "$unit"
if [ ! -e "$settings" ]; then
    fresh=yes
    place 644 "$new/kws.txt" "$settings"
fi

if ! comes_up; then
    say "--- log of the one that did not come up"
    log
    exit 3
fi
touched=
say "--- log of kws-listener"
log
"""
)

UNINSTALL = (
    _PLACES
    + """\
if [ ! -e "$program" ] && [ ! -e "$unit" ] && [ ! -e "$settings" ]; then say "nothing was installed"; exit 0; fi
systemctl disable --now --quiet kws-listener 2>/dev/null || true
rm -f "$program" "$unit" "$settings" "$program.previous" "$unit.previous"
rmdir "$(dirname "$settings")" 2>/dev/null || true
systemctl daemon-reload || true
systemctl reset-failed kws-listener 2>/dev/null || true
say "removed"
left=$(dirname "$settings")
if [ -d "$left" ]; then say "$left stays: it holds other files"; fi
"""
)


@dataclass(frozen=True)
class Device:
    """What a device answered.

    Attributes:
        machine: as ``uname -m`` says.
        sudo: commands need sudo before them.
        folder: a new folder there for what is copied.
    """

    machine: str
    sudo: bool
    folder: str


class Connection:
    """ssh and scp to one device.

    Args:
        host: ``user@host``, a host, or a name of ~/.ssh/config.
        port: in place of the configured one.

    Raises:
        KwsError: ``host`` is none, or ssh or scp is not installed.
    """

    def __init__(self, host: str, port: int | None = None) -> None:
        # A leading hyphen would be an option of ssh.
        if not re.fullmatch(r"[A-Za-z0-9_.][^\s'\"]*", host) or host.endswith("@"):
            raise KwsError(f"'{host}' is no host; give user@host, such as pi@raspberrypi.local.")
        for program in ("ssh", "scp"):
            if shutil.which(program) is None:
                raise KwsError(f"{program} is not installed; install the OpenSSH client.")
        self.host = host
        self._ssh = ["ssh", *(["-p", str(port)] if port else []), "--", host]
        self._scp = ["scp", "-q", *(["-P", str(port)] if port else []), "--"]

    def run(self, script: str, arguments: Sequence[str] = (), sudo: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs ``script`` there with /bin/sh.

        Raises:
            KwsError: the device cannot be reached.
        """
        command = shlex.join([*(["sudo", "-n"] if sudo else []), "sh", "-s", "--", *arguments])
        result = subprocess.run(
            [*self._ssh, command], input=script, capture_output=True, text=True, errors="replace", check=False
        )
        if result.returncode == 255:  # ssh's own
            raise KwsError(f"{self.host}: cannot be reached: {_last_line(result.stderr)}.")
        return result

    def copy(self, files: Sequence[Path], folder: str) -> None:
        """Copies ``files`` to ``folder`` there.

        Raises:
            KwsError: it did not work; the device may be full, or gone.
        """
        command = [*self._scp, *map(str, files), f"{self.host}:{folder}/"]
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if result.returncode != 0:
            raise KwsError(f"{self.host}: copying failed: {_last_line(result.stderr)}.")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1].strip().rstrip(".")


def probe(connection: Connection) -> Device:
    """What the device is, and a new folder there.

    Raises:
        KwsError: it cannot be reached, has no systemd, or gives this user no root rights without a password.
    """
    result = connection.run(PROBE)
    found = dict(line.split(" ", 1) for line in result.stdout.splitlines() if " " in line)
    if result.returncode != 0 or not {"machine", "root", "systemd", "folder"} <= found.keys():
        raise KwsError(f"{connection.host}: its shell did not answer as expected: {_last_line(result.stderr)}.")
    device = Device(found["machine"], found["root"] == "sudo", found["folder"])
    try:
        if found["systemd"] != "yes":
            raise KwsError(f"{connection.host}: has no systemd; copy the program there and start it your own way.")
        if found["root"] == "no":
            raise KwsError(f"{connection.host}: sudo wants a password; log in as root, or allow sudo without one.")
        if not re.fullmatch("/tmp/kws-[A-Za-z0-9]+", device.folder):
            raise KwsError(f"{connection.host}: mktemp answered '{device.folder}'; clear its /tmp.")
    except KwsError:
        discard(connection, device)
        raise
    return device


def discard(connection: Connection, device: Device) -> None:
    """Removes the folder that ``probe`` made."""
    if re.fullmatch("/tmp/kws-[A-Za-z0-9]+", device.folder):
        connection.run('rm -rf "$1"', [device.folder])


def install(connection: Connection, program: bytes, name: str, say: Callable[[str], None]) -> str:
    """Installs ``program``, called ``name`` in messages, and starts it. Returns the log's first lines.

    Raises:
        KwsError: it is not for this device, or did not come up; what was there before then listens again.
    """
    made_for = inspect(program, name)
    say(f"Asking {connection.host} what it is")
    device = probe(connection)
    try:
        if device.machine != made_for.machine:
            remedy = "install a 64-bit system there" if made_for.machine == "aarch64" else "build for that"
            raise KwsError(f"{connection.host}: is {device.machine}, and {name} is for {made_for.machine}; {remedy}.")
        with tempfile.TemporaryDirectory(prefix="kws-deploy-") as folder:
            files = {SERVICE: program, f"{SERVICE}.service": UNIT.encode(), "kws.txt": SETTINGS.encode()}
            for file, content in files.items():
                (Path(folder) / file).write_bytes(content)
            say(f"Copying {len(program):,} bytes")
            connection.copy([Path(folder) / file for file in files], device.folder)
    except BaseException:
        discard(connection, device)
        raise
    say("Starting it")
    result = connection.run(INSTALL, [device.folder], device.sudo)
    if result.returncode == 3:
        raise KwsError(f"{connection.host}: the new listener did not come up: {' | '.join(result.stdout.splitlines())}")
    if result.returncode != 0:
        said = " | ".join([_last_line(result.stderr), *result.stdout.splitlines()])
        raise KwsError(f"{connection.host}: installing failed: {said}.")
    return result.stdout


def uninstall(connection: Connection) -> str:
    """Stops the listener and removes all that ``install`` brought, settings included. Returns what was done.

    Raises:
        KwsError: the device cannot be reached or refuses.
    """
    device = probe(connection)
    discard(connection, device)
    result = connection.run(UNINSTALL, sudo=device.sudo)
    if result.returncode != 0:
        raise KwsError(f"{connection.host}: removing failed: {_last_line(result.stderr)}.")
    return result.stdout.strip()
