from __future__ import annotations

import errno
import hashlib
import http.server
import importlib
import io
import shutil
import tarfile
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from kws.data import download as downloads
from kws.data.get import Source, extract, get_speech_commands, source_of
from kws.errors import KwsError

NAME = "speech_commands_v0.02"
CLIPS = {
    f"{word}/{speaker}_nohash_0.wav": word for word in ("yes", "no") for speaker in ("0a7c2a8d", "1b4c9b89", "c50f55b8")
}


def tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture(scope="module")
def archive() -> bytes:
    """A small archive of the official form; noise, so that it does not compress to nothing."""
    rng = np.random.default_rng(0)
    members = {f"./{name}": b"" for name in ("testing_list.txt",)}
    members["./validation_list.txt"] = b"yes/0a7c2a8d_nohash_0.wav\n"
    for name in CLIPS:
        wav = io.BytesIO()
        soundfile.write(wav, rng.integers(-20000, 20000, 16000).astype(np.int16), 16000, format="WAV")
        members[f"./{name}"] = wav.getvalue()
    return tar(members)


class Server:
    """A file server on this machine with the faults that real ones have."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.ranges = True  # honours Range requests
        self.wrong_range = False  # answers with another part than was asked for
        self.breaks: list[int] = []  # the next answers stop after so many bytes
        self.statuses: list[int] = []  # the next answers are these errors
        self.tell_length = True
        self.asked: list[str | None] = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.asked.append(asked)
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.end_headers()
            return
        body = self.content[start:]
        request.send_response(206 if asked and self.ranges else 200)
        if asked and self.ranges:
            told = start + 7 if self.wrong_range else start
            request.send_header("Content-Range", f"bytes {told}-{len(self.content) - 1}/{len(self.content)}")
        if self.tell_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.breaks.pop(0)] if self.breaks else body)

    @property
    def source(self) -> Source:
        url = f"http://127.0.0.1:{self.http.server_port}/{NAME}.tar.gz"
        return Source(url, hashlib.sha256(self.content).hexdigest())


@pytest.fixture
def server(archive, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server(archive)
    yield server
    server.http.shutdown()
    server.http.server_close()
    server.thread.join()


def get(server: Server, folder: Path, **arguments) -> Path:
    return get_speech_commands(folder, source=arguments.pop("source", server.source), wait=0.001, **arguments)


def part_of(folder: Path) -> Path:
    return folder / f"{NAME}.tar.gz.part"


def assert_complete(folder: Path) -> None:
    wavs = sorted(str(p.relative_to(folder / "SpeechCommands" / NAME)) for p in folder.rglob("*.wav"))
    assert wavs == sorted(CLIPS)
    assert sorted(p.name for p in folder.iterdir()) == ["SpeechCommands"]
    assert [p.name for p in (folder / "SpeechCommands").iterdir()] == [NAME]


def imported(name: str):
    """A module of torchaudio, where its compiled part fits the torch that is installed."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        pytest.skip(f"torchaudio does not load beside this torch ({error})")


def test_the_layout_is_the_one_that_torchaudio_takes(server, tmp_path):
    torchaudio_datasets = imported("torchaudio.datasets")
    path = get(server, tmp_path)
    assert path == tmp_path / "SpeechCommands" / NAME
    assert_complete(tmp_path)
    data = torchaudio_datasets.SPEECHCOMMANDS(tmp_path, download=False)
    assert sorted((data.get_metadata(i)[2], data.get_metadata(i)[3]) for i in range(len(data))) == sorted(
        (word, name.split("/")[1].split("_")[0]) for name, word in CLIPS.items()
    )
    assert len(torchaudio_datasets.SPEECHCOMMANDS(tmp_path, download=False, subset="validation")) == 1
    assert len(torchaudio_datasets.SPEECHCOMMANDS(tmp_path, download=False, subset="training")) == 5


@pytest.mark.parametrize("version", [1, 2])
def test_the_address_and_the_checksum_are_torchaudios(version):
    source = source_of(version)
    assert source.name == f"speech_commands_v0.0{version}"
    assert len(bytes.fromhex(source.sha256)) == 32
    assert imported("torchaudio.datasets.speechcommands")._CHECKSUMS[source.url] == source.sha256


def test_another_version_is_refused(tmp_path):
    with pytest.raises(KwsError, match="version 3"):
        get_speech_commands(tmp_path, 3)


def test_what_is_there_is_not_downloaded_again(server, tmp_path):
    get(server, tmp_path)
    server.asked.clear()
    get(server, tmp_path)
    assert server.asked == []


def test_the_archive_can_be_kept_and_serves_again(server, tmp_path):
    path = get(server, tmp_path, keep_archive=True)
    shutil.rmtree(path)
    server.asked.clear()
    get(server, tmp_path)
    assert server.asked == []
    assert_complete(tmp_path)


def test_a_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    server.breaks = [1000, 70000, 1]
    get(server, tmp_path)
    assert server.asked == [None, "bytes=1000-", "bytes=71000-", "bytes=71001-"]
    assert_complete(tmp_path)


def test_ctrl_c_leaves_a_part_that_the_next_run_takes_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "CHUNK", 5000)
    positions = []

    def interrupt(stage: str, done: int, total: int | None) -> None:
        positions.append(done)
        if done > 50000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, progress=interrupt)
    size = part_of(tmp_path).stat().st_size
    assert size == positions[-1] > 50000
    assert part_of(tmp_path).read_bytes() == server.content[:size]
    get(server, tmp_path)
    assert server.asked[-1] == f"bytes={size}-"
    assert_complete(tmp_path)


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    part_of(tmp_path).write_bytes(b"x" * 4000)
    server.breaks = [9000]
    get(server, tmp_path)
    assert server.asked == ["bytes=4000-", "bytes=9000-"]
    assert_complete(tmp_path)


def test_a_server_that_tells_no_length(server, tmp_path):
    server.tell_length = False
    get(server, tmp_path)
    assert_complete(tmp_path)


def test_a_complete_part_needs_only_its_checksum(server, tmp_path):
    part_of(tmp_path).write_bytes(server.content)
    get(server, tmp_path)
    assert_complete(tmp_path)


def test_a_part_longer_than_the_file_is_dropped(server, tmp_path):
    part_of(tmp_path).write_bytes(server.content + b"more")
    get(server, tmp_path)
    assert_complete(tmp_path)


def test_an_answer_from_another_place_is_not_appended(server, tmp_path):
    server.wrong_range = True
    part_of(tmp_path).write_bytes(server.content[:4000])
    get(server, tmp_path)
    assert server.asked == ["bytes=4000-", None]
    assert_complete(tmp_path)


def test_a_passing_server_fault_is_waited_out(server, tmp_path):
    server.statuses = [503, 429]
    get(server, tmp_path)
    assert_complete(tmp_path)


def test_a_refusal_is_final(server, tmp_path):
    server.statuses = [404]
    with pytest.raises(KwsError, match="404"):
        get(server, tmp_path)
    assert len(server.asked) == 1


def test_a_lost_server_ends_with_the_way_to_go_on(server, tmp_path):
    server.breaks = [30000] + [0] * 10
    with pytest.raises(KwsError, match=r"stopped at 30 kB .*run the command again to go on from there"):
        get(server, tmp_path)
    assert part_of(tmp_path).read_bytes() == server.content[:30000]
    server.breaks = []
    get(server, tmp_path)
    assert_complete(tmp_path)


def test_a_server_that_is_not_there(tmp_path, server):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(KwsError, match="run the command again"):
        get(server, tmp_path)


def test_a_wrong_checksum_removes_the_download(server, tmp_path):
    with pytest.raises(KwsError, match="damaged") as caught:
        get(server, tmp_path, source=Source(server.source.url, "0" * 64))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.rglob("*.tar.gz*")) == []
    get(server, tmp_path)
    assert_complete(tmp_path)


def test_a_damaged_part_is_found_out_and_removed(server, tmp_path):
    part_of(tmp_path).write_bytes(b"x" * 4000)
    with pytest.raises(KwsError, match="damaged"):
        get(server, tmp_path)
    get(server, tmp_path)
    assert_complete(tmp_path)


def test_a_users_own_archive_is_verified_and_left_alone(server, tmp_path):
    own = tmp_path / f"{NAME}.tar.gz"
    own.write_bytes(b"something else")
    with pytest.raises(KwsError, match="wrong SHA-256"):
        get(server, tmp_path)
    assert own.read_bytes() == b"something else"


def test_too_small_a_disk_is_said_before_anything_is_written(server, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, len(server.content) + 1))
    with pytest.raises(KwsError, match="free, but the download with what is in it needs"):
        get(server, tmp_path)
    assert part_of(tmp_path).stat().st_size == 0


class FullDisk(io.FileIO):
    """A file on a disk with room for 20,000 bytes."""

    def write(self, data: bytes) -> int:
        if self.tell() + len(data) > 20000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_disk_that_fills_up_keeps_the_part(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "CHUNK", 3000)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", lambda path, mode: FullDisk(path, mode.replace("b", "")))
        with pytest.raises(KwsError, match="disk is full"):
            get(server, tmp_path)
    assert len(server.asked) == 1
    size = part_of(tmp_path).stat().st_size
    assert 17000 < size <= 20000
    get(server, tmp_path)
    assert server.asked[-1] == f"bytes={size}-"
    assert_complete(tmp_path)


def test_an_interrupted_extraction_leaves_no_folder_and_is_repeated(server, tmp_path):
    def interrupt(stage: str, done: int, total: int | None) -> None:
        if stage == "extracting":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, progress=interrupt)
    assert not (tmp_path / "SpeechCommands" / NAME).exists()
    server.asked.clear()
    get(server, tmp_path)
    assert server.asked == []
    assert_complete(tmp_path)


def one(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> bytes:
    """An archive of a good file and then this member."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        good = tarfile.TarInfo("yes/good.wav")
        good.size = 2
        archive.addfile(good, io.BytesIO(b"ok"))
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = kind, link, mode
        info.size = 1 if kind in tarfile.REGULAR_TYPES else 0
        archive.addfile(info, io.BytesIO(b"x"))
    return out.getvalue()


UNSAFE = {
    "up": one("../outside.txt"),
    "up and down": one("yes/../../outside.txt"),
    "absolute": one("/tmp/kws-test-outside.txt"),
    "a folder above": one("../outside", tarfile.DIRTYPE),
    "a link out": one("yes/link", tarfile.SYMTYPE, "../../outside.txt"),
    "an absolute link": one("yes/link", tarfile.SYMTYPE, "/etc/passwd"),
    "a link within": one("yes/link", tarfile.SYMTYPE, "good.wav"),
    "a hard link": one("yes/link", tarfile.LNKTYPE, "yes/good.wav"),
    "a hard link out": one("yes/link", tarfile.LNKTYPE, "../outside.txt"),
    "a device": one("yes/null", tarfile.CHRTYPE),
    "a disk": one("yes/disk", tarfile.BLKTYPE),
    "a pipe": one("yes/pipe", tarfile.FIFOTYPE),
    "no name": one("."),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_members_that_no_data_set_has_are_refused(tmp_path, name):
    path, folder = tmp_path / "evil.tar.gz", tmp_path / "in"
    path.write_bytes(UNSAFE[name])
    folder.mkdir()
    with pytest.raises(KwsError, match="unsafe"):
        extract(path, folder / "target")
    assert not (folder / "target").exists() and not Path("/tmp/kws-test-outside.txt").exists()
    assert [entry.name for entry in tmp_path.iterdir() if entry != path] == ["in"]
    assert [file.name for file in folder.rglob("*") if not file.is_dir() or file.is_symlink()] == ["good.wav"]


@pytest.mark.parametrize("mode", [0o6777, 0o000])
def test_permissions_are_those_of_a_new_file(tmp_path, mode):
    path, fresh = tmp_path / "odd.tar.gz", tmp_path / "fresh"
    path.write_bytes(one("yes/odd.wav", mode=mode))
    fresh.touch()
    extract(path, tmp_path / "target")
    found = (tmp_path / "target/yes/odd.wav").stat()
    assert (found.st_mode, found.st_uid) == (fresh.stat().st_mode, fresh.stat().st_uid)


def test_a_file_in_the_place_of_a_folder_is_damage(tmp_path):
    path = tmp_path / "odd.tar.gz"
    path.write_bytes(one("yes/good.wav/more.wav"))
    with pytest.raises(KwsError, match="damaged archive"):
        extract(path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_member_comes_twice_and_the_last_counts(tmp_path):
    path = tmp_path / "odd.tar.gz"
    path.write_bytes(one("./yes//good.wav"))
    extract(path, tmp_path / "target")
    assert (tmp_path / "target/yes/good.wav").read_bytes() == b"x"


def test_a_cut_archive_is_one_sentence(archive, tmp_path):
    path = tmp_path / "cut.tar.gz"
    path.write_bytes(archive[: len(archive) // 2])
    with pytest.raises(KwsError, match="damaged archive"):
        extract(path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_progress_reaches_the_end_of_every_stage(server, tmp_path):
    last: dict[str, tuple[int, int | None]] = {}
    get(server, tmp_path, progress=lambda stage, done, total: last.update({stage: (done, total)}))
    size = len(server.content)
    assert last == dict.fromkeys(("downloading", "checking", "extracting"), (size, size))


def test_the_command(server, tmp_path, monkeypatch):
    from kws.cli import application

    monkeypatch.setattr("kws.data.get.source_of", lambda version: server.source)
    done = CliRunner().invoke(application(), ["data", "get", "speech-commands", "--dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "SpeechCommands" / NAME) in done.output
    assert_complete(tmp_path)
    unknown = CliRunner().invoke(application(), ["data", "get", "something"])
    assert isinstance(unknown.exception, KwsError)
