"""An AArch64 Python with packages from the registry, to run under qemu-aarch64 on any machine: no root, no container.

Debian's packages are downloaded with apt into folders of their own (the machine's package state is neither used nor
changed) and unpacked with dpkg; wheels for AArch64 come through pip. Everything lies in one folder that the user names
and can delete; what is there already is not fetched again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from emulated import retired

PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
PLATFORMS = ("2_34", "2_31", "2_28", "2_27", "2_24", "2_17")

# Libraries choose their kernels by the core, which they read from /proc/cpuinfo. QEMU shows that of the machine it runs
# on; this is a Raspberry Pi 4's, so that they choose as they would there.
CPUINFO = """\
processor\t: {index}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part}
CPU revision\t: 3

"""
PARTS = {"cortex-a53": "0xd03", "cortex-a72": "0xd08", "cortex-a76": "0xd0b"}


@dataclass(frozen=True)
class Sysroot:
    """The unpacked system.

    Attributes:
        root: its root folder.
        python: its Python.
        version: of that Python, as "3.11".
        cache: where packages go, a folder a peer.
    """

    root: Path
    python: Path
    version: str
    cache: Path

    def install(self, name: str, requirements: Sequence[str], dependencies: bool = True) -> Path:
        """Installs wheels for AArch64 into a folder of their own and returns it."""
        folder = self.cache / f"site-{name}"
        done = folder / ".complete"
        wanted = "\n".join(requirements)
        if done.is_file() and done.read_text() == wanted:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder]
        command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", self.version]
        command += [option for glibc in PLATFORMS for option in ("--platform", f"manylinux_{glibc}_aarch64")]
        command += ["--platform", "manylinux2014_aarch64"]
        command += [] if dependencies else ["--no-deps"]
        subprocess.run([str(part) for part in [*command, *requirements]], check=True)
        done.write_text(wanted)
        return folder

    def set_core(self, cpu: str) -> None:
        """Makes /proc/cpuinfo, as programs in here see it, that of ``cpu``."""
        (self.root / "proc").mkdir(exist_ok=True)
        text = "".join(CPUINFO.format(index=index, part=PARTS[cpu]) for index in range(4))
        (self.root / "proc/cpuinfo").write_text(text)
        folder = self.root / "sys/devices/system/cpu"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("possible", "present"):
            (folder / name).write_text("0-3\n")

    def run(
        self, program: Path, arguments: Sequence[object], sites: Sequence[Path], cpu: str = retired.CPU
    ) -> tuple[retired.Counts, str]:
        """Runs a Python program in here, on one thread, and counts what it retires; see ``retired.run``."""
        self.set_core(cpu)
        environment: Mapping[str, str] = {
            "PYTHONPATH": os.pathsep.join(map(str, sites)),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [self.python, program, *map(str, arguments)]
        return retired.run(command, cpu=cpu, sysroot=self.root, environment=environment)


def make(cache: Path) -> Sysroot:
    """The system in ``cache``, downloaded if it is not there (16 MB).

    Raises:
        retired.MissingTool: apt or dpkg is not installed.
    """
    root = cache / "root"
    if not (root / ".complete").is_file():
        _download(cache.resolve(), root)
        (root / ".complete").touch()
    found = sorted(root.glob("usr/bin/python3.[0-9]*"))
    if not found:
        raise retired.MissingTool(f"{root} holds no Python; delete {cache} and try again.")
    return Sysroot(root.resolve(), found[-1].resolve(), found[-1].name.removeprefix("python"), cache.resolve())


def _download(cache: Path, root: Path) -> None:
    apt, dpkg = retired.need("apt-get", "apt (this needs a Debian or a relative of it)"), retired.need("dpkg", "dpkg")
    state = cache / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    config = cache / "apt.conf"
    config.write_text(
        f'Dir::State "{state}";\nDir::State::lists "{state}/lists";\nDir::State::status "{state}/status";\n'
        f'Dir::Cache "{state}";\nAPT::Architecture "arm64";\nAPT::Architectures "arm64";\nAPT::Sandbox::User "";\n'
        'Acquire::Languages "none";\nDebug::NoLocking "true";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(config)}
    subprocess.run([apt, "-qq", "update"], env=environment, check=True)
    fetch = [apt, "-qq", "install", "--download-only", "--no-install-recommends", "--yes", *PACKAGES]
    subprocess.run(fetch, env=environment, check=True, stdout=subprocess.DEVNULL)
    root.mkdir(exist_ok=True)
    for package in sorted((state / "archives").glob("*.deb")):
        subprocess.run([dpkg, "-x", package, root], check=True)
