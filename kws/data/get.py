"""Speech Commands onto this disk, exactly where and as torchaudio would put it.

The address and the SHA-256 come from the installed torchaudio. The download itself is ours (`kws.data.download`),
because torchaudio's starts from the first byte again after an interruption. So is the extraction: it goes to a hidden
folder that gets its real name when complete, so that ``SPEECHCOMMANDS(root)`` never takes half a data set for a whole
one.
"""

from __future__ import annotations

import ast
import importlib.util
import shutil
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kws.data.download import Progress, disk_error, download, require_space, sha256_of, silent
from kws.data.untar import UnsafeMember, unpack_member
from kws.errors import KwsError

FOLDER = "SpeechCommands"
VERSIONS = (1, 2)

# Both versions unpack to some 1.5 times their archive; small files round up to whole disk blocks.
_UNPACKED_PER_BYTE = 1.7


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        url: of a .tar.gz archive.
        sha256: of that archive, in hexadecimal.
    """

    url: str
    sha256: str

    @property
    def archive(self) -> str:
        """The archive's file name."""
        return Path(urlsplit(self.url).path).name

    @property
    def name(self) -> str:
        """The data set's folder name, as torchaudio derives it: the file name less ``.tar.gz``."""
        return self.archive.rsplit(".", 2)[0]


def source_of(version: int) -> Source:
    """What the installed torchaudio knows of Speech Commands version 1 or 2.

    Raises:
        KwsError: another version, no torchaudio, or one that does not know the version.
    """
    if version not in VERSIONS:
        raise KwsError(f"There is no Speech Commands version {version}; choose --version 1 or --version 2.")
    spec = importlib.util.find_spec("torchaudio")
    if spec is None or not spec.submodule_search_locations:
        raise KwsError(
            "The address of the data set comes from torchaudio, which is not installed; "
            "install it with: pip install 'kws[train]'."
        )
    for url, sha256 in _checksums(Path(spec.submodule_search_locations[0])).items():
        if url.endswith(f"_v0.0{version}.tar.gz"):
            return Source(url, sha256)
    raise KwsError(
        f"The installed torchaudio does not know Speech Commands version {version}; install torchaudio 2.11 "
        "with: pip install 'kws[train]'."
    )


def _checksums(torchaudio: Path) -> dict[str, str]:
    """SHA-256 by address, as the package in the folder ``torchaudio`` has them; empty where it has none.

    Read and not imported: its compiled part loads only beside a torch built as it was, and a build for the CPU is not.
    """
    file = torchaudio / "datasets" / "speechcommands.py"
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else ast.Module([], [])
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "_CHECKSUMS" for t in node.targets):
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    return {}


def get_speech_commands(
    folder: str | Path,
    version: int = 2,
    *,
    source: Source | None = None,
    keep_archive: bool = False,
    progress: Progress = silent,
    wait: float = 1.0,
) -> Path:
    """Downloads, verifies and extracts Speech Commands; does nothing where it already is.

    May be interrupted at any time: the next call goes on from the bytes already here, or extracts the verified archive.

    Args:
        folder: the root that torchaudio's ``SPEECHCOMMANDS(root)`` takes; made if missing.
        version: 1 or 2.
        source: another archive of the same form, instead of torchaudio's.
        keep_archive: whether the archive stays beside the data (2.4 GB for version 2).
        progress: told of every step; see `kws.data.download.Progress`.
        wait: seconds before the first new try of a lost connection.

    Returns:
        The folder that holds the word folders, ``folder/SpeechCommands/speech_commands_v0.0<version>``.

    Raises:
        KwsError: see `source_of` and `download`; also an archive of the right name but the wrong content.
    """
    source = source or source_of(version)
    root = Path(folder)
    target = root / FOLDER / source.name
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(target.parent, error) from error
    archive = root / source.archive
    if not archive.is_file():
        download(source.url, archive, source.sha256, progress=progress, space_factor=_UNPACKED_PER_BYTE, wait=wait)
    elif sha256_of(archive, progress) != source.sha256:
        # Ours only ever gets this name once verified, so this file is the user's: say so, and leave it.
        raise KwsError(
            f"{archive}: not the archive of {source.name} (wrong SHA-256); remove it or choose another --dir."
        )
    extract(archive, target, progress)
    if not keep_archive:
        archive.unlink()
    return target


def extract(archive: Path, target: Path, progress: Progress = silent) -> None:
    """Unpacks a tar archive to the new folder ``target``, which appears only when complete.

    Members that would land outside ``target``, links and devices are refused; see `kws.data.untar`.

    Raises:
        KwsError: a damaged or unsafe archive, or a disk that is too small or full.
    """
    staging = target.with_name(f".{target.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    size = archive.stat().st_size
    require_space(target.parent, _UNPACKED_PER_BYTE * size, f"extracting {archive.name}")
    try:
        staging.mkdir()
        with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as tar:
            for member in tar:
                unpack_member(tar, member, staging)
                progress("extracting", raw.tell(), size)
        staging.rename(target)
    except UnsafeMember as error:
        raise KwsError(f"{archive}: unsafe archive ({error}); remove it and download it again.") from error
    except (tarfile.TarError, EOFError, zlib.error, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise KwsError(f"{archive}: damaged archive ({error}); remove it and download it again.") from error
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        raise disk_error(staging, error) from error
    progress("extracting", size, size)
