"""Compiles kws-listener with a model inside: one program, the same bytes whenever and wherever it is built."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from kws.board.compiler import Compiler
from kws.errors import KwsError
from kws.files import write_atomically
from kws.model import header
from kws.model.folded import FoldedModel

_PACKAGE = Path(__file__).resolve().parents[1]

FLAGS = (
    "-std=c11",
    "-O2",
    "-ffp-contract=off",  # the same logits on every target
    "-DKWS_NO_ABI",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    "-s",
)


def firmware_folder() -> Path:
    """The C sources: those of the checkout that this package runs from, else those installed inside it.

    Raises:
        KwsError: neither is there.
    """
    for folder in (_PACKAGE.parent / "firmware", _PACKAGE / "firmware"):
        if (folder / "include/kws.h").is_file() and (folder / "boards/rpi/main.c").is_file():
            return folder
    raise KwsError(f"{_PACKAGE / 'firmware'}: the C sources are missing; install kws again.")


def build(model: FoldedModel, compiler: Compiler) -> bytes:
    """The listener with ``model`` compiled in.

    Raises:
        KwsError: the compiler is missing or fails.
    """
    firmware = firmware_folder()
    engine = sorted(firmware.glob("src/*.c")) + (sorted(firmware.glob("src/*.S")) if compiler.arm else [])
    with tempfile.TemporaryDirectory(prefix="kws-build-") as name:
        header.export(model, Path(name) / "words.h")
        options = [
            '-DKWS_MODEL_HEADER="words.h"',
            "-DKWS_MODEL=kws_words",
            "-DKWS_MODEL_STATE_SIZE=KWS_WORDS_STATE_SIZE",
            *(["-DKWS_FASTEST_ONLY"] if compiler.arm else []),
        ]
        return _compile([*sorted(firmware.glob("boards/rpi/*.c")), *engine], options, compiler, Path(name))


def build_init(compiler: Compiler) -> bytes:
    """The first process of the appliance.

    Raises:
        KwsError: the compiler is missing or fails.
    """
    with tempfile.TemporaryDirectory(prefix="kws-build-") as name:
        return _compile([firmware_folder() / "boards/rpi/init/init.c"], [], compiler, Path(name))


def _compile(sources: list[Path], options: list[str], compiler: Compiler, folder: Path) -> bytes:
    """The program made of ``sources``, built in ``folder``, which may hold headers."""
    firmware = firmware_folder()
    command = [
        *compiler.command,
        *FLAGS,
        *options,
        "-Iinclude",
        f"-I{folder}",
        f"-ffile-prefix-map={folder}=.",
        # Relative, so that no path of this machine gets into the program.
        *(source.relative_to(firmware).as_posix() for source in sources),
        "-lm",
        "-o",
        str(folder / "program"),
    ]
    _run(command, firmware, compiler)
    return (folder / "program").read_bytes()


def _run(command: list[str], folder: Path, compiler: Compiler) -> None:
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise KwsError(f"{compiler.name}: cannot be run ({error.strerror}); install it again.") from error
    if result.returncode != 0:
        errors = [line for line in result.stderr.splitlines() if "error" in line.lower()] or result.stderr.splitlines()
        raise KwsError(f"{compiler.name} could not compile the listener: {' '.join(errors[:1]) or 'it said nothing'}.")


def write(program: bytes, out: Path) -> None:
    """Writes ``program`` to ``out``, to be run by everybody."""
    write_atomically(out, program)
    out.chmod(0o755)
