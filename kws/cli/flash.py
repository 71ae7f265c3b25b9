"""`kws flash`: a card that turns a Raspberry Pi into a listener."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kws.board.disks import Disk, Machine
    from kws.board.image import Appliance


def register(app: typer.Typer) -> None:
    """Adds the command to ``app``."""
    app.command("flash")(flash)


def flash(
    disk: Annotated[
        str | None, typer.Argument(metavar="CARD", help="Such as sdb or mmcblk0; without it, the cards are listed.")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Write the image to this file in place of a card.")] = None,
    os: Annotated[
        Path | None, typer.Option(help="An image of Raspberry Pi OS, .img or .img.xz, whose copy gets the listener.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A .kws file, a run folder or a shipped name.", show_default="kws12_listener")
    ] = None,
    program: Annotated[
        Path | None, typer.Option(help="A listener that `kws build` made, in place of building one.")
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="The listener's settings, to become kws.txt.")] = None,
    parts: Annotated[
        Path, typer.Option(help="Where the kernel and the firmware are kept after they were downloaded.")
    ] = Path("~/.cache/kws/parts"),
    mirror: Annotated[
        str | None,
        typer.Option(envvar="KWS_DEBIAN_MIRROR", help="Address of a mirror of Debian's archive, to download parts."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make the image, check the card, write nothing.")] = False,
) -> None:
    """Write a card from which a Raspberry Pi Zero 2 W, 3, 4 or 5 starts, listens, and does nothing else.

    Everything that is on the card is lost. Kernel and firmware are Debian's: 108 MB, downloaded once.
    With --os, the card holds Raspberry Pi OS, whose first start installs the listener as a service.
    """
    from kws.board import card
    from kws.board.disks import Machine
    from kws.board.image import SIZE
    from kws.errors import KwsError
    from kws.files import write_atomically

    machine = Machine()
    if disk is None and image is None:
        _list(machine, SIZE)
        return
    if disk is not None and image is not None:
        raise KwsError(f"--image {image} writes a file and {disk} is a card; give one of them.")
    chosen = card.choose(machine, disk, SIZE) if disk is not None else None
    if os is not None:
        _flash_os(machine, chosen, image, os, model, program, settings, dry_run)
        return
    appliance = _build(model, program, settings, parts.expanduser(), mirror)
    if dry_run:
        print(f"would write {len(appliance.image):,} bytes to {chosen.name if chosen else image}:")
        for name, digest in appliance.hashes().items():
            print(f"  {digest[:16]}  {len(appliance.files[name]):>10,}  {name}")
        return
    if chosen is None:
        assert image is not None
        write_atomically(image, appliance.image)
        print(f"{image} written ({len(appliance.image):,} bytes)")
        return
    _confirm(chosen)
    with _progress() as show:
        card.write(machine, chosen, appliance.image, show)
    print(f"{chosen.name} written and checked; put it into the Raspberry Pi.")


def _confirm(chosen: Disk) -> None:
    from kws.errors import KwsError

    card_name = f"{chosen.name} ({chosen.model}, {chosen.size / 1e9:.1f} GB)"
    question = f"All that is on {card_name} will be lost. Type {chosen.name} to go on"
    if typer.prompt(question, default="", show_default=False) != chosen.name:
        raise KwsError("That is another name; nothing was written.")


def _flash_os(
    machine: Machine,
    chosen: Disk | None,
    image: Path | None,
    source: Path,
    model: str | None,
    program: Path | None,
    settings: Path | None,
    dry_run: bool,
) -> None:
    import mmap
    import tempfile

    from rich.console import Console

    from kws.board import card, first_boot

    listener, text = _listener(model, program), _settings(settings)
    with tempfile.TemporaryDirectory(prefix="kws-flash-") as folder:
        prepared = image if image is not None and not dry_run else Path(folder) / "prepared.img"
        with Console(stderr=True).status(f"Adding the listener to a copy of {source}"):
            first_boot.prepare(source, prepared, listener, text)
        size = prepared.stat().st_size
        if chosen is not None:
            card.choose(machine, chosen.name, size)
        if dry_run:
            print(f"would write {size:,} bytes to {chosen.name if chosen else image}")
        elif chosen is None:
            print(f"{image} written ({size:,} bytes)")
        else:
            _confirm(chosen)
            with (
                prepared.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
                _progress() as show,
            ):
                card.write(machine, chosen, content, show)
            print(f"{chosen.name} written and checked; put it into the Raspberry Pi.")


def _list(machine: Machine, needed: int) -> None:
    cards = [disk for disk in machine.disks() if disk.removable]
    for disk in cards:
        refusal = disk.refusal(needed)
        print(f"{disk.name:<10} {disk.size / 1e9:7.1f} GB  {disk.model}" + (f": {refusal}" if refusal else ""))
    print("Give one of them: kws flash CARD." if cards else "There is no card; plug one in, or give --image FILE.")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar on stderr, as long as something tells it what it does."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("")
        yield lambda stage, done, total: bars.update(task, description=stage, completed=done, total=total)


def _build(
    model: str | None, program: Path | None, settings: Path | None, parts: Path, mirror: str | None
) -> Appliance:
    from rich.console import Console

    from kws.board import build, compiler
    from kws.board.image import FIRMWARE_PREFIXES, KERNEL_PREFIXES
    from kws.board.image import build as put_together
    from kws.board.parts import FIRMWARE, KERNEL, fetch, unpack

    found = compiler.find("aarch64")
    listener, text, init = _listener(model, program), _settings(settings), build.build_init(found)
    with _progress() as show:
        packages = [fetch(package, parts, mirror, show) for package in (*KERNEL, FIRMWARE)]
    with Console(stderr=True).status("Putting the card together"):
        kernel: dict[str, bytes] = {}
        for package in packages[:-1]:
            kernel |= unpack(package, KERNEL_PREFIXES)
        return put_together(listener, init, kernel, unpack(packages[-1], FIRMWARE_PREFIXES), text)


def _listener(model: str | None, program: Path | None) -> bytes:
    """The one that ``program`` holds, or one with ``model`` inside."""
    from rich.console import Console

    from kws.board import build, compiler, elf
    from kws.errors import KwsError
    from kws.model import LISTENER, load

    if program is None:
        found = compiler.find("aarch64")
        with Console(stderr=True).status("Compiling (the first time takes minutes)"):
            return build.build(load(model, LISTENER), found)
    if model is not None:
        raise KwsError("--model: a program has its model inside; leave out --model or --program.")
    listener, made_for = elf.read(program)
    if made_for != elf.Program("aarch64", static=True):
        raise KwsError(f"{program}: is no static program for aarch64; make one with `kws build`.")
    return listener


def _settings(path: Path | None) -> str:
    """The text for kws.txt."""
    from kws.board.unit import SETTINGS
    from kws.errors import KwsError

    try:
        return SETTINGS if path is None else path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise KwsError(f"{path}: is no text in UTF-8; save it as such.") from error
