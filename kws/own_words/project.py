"""A project of own words: a folder that holds everything, and can be worked on again at any time.

NAME/project.json     the words and every setting
NAME/recordings/      takes of the words by people, <word>/<speaker>_nohash_<n>.wav; `kws record --out` writes here
NAME/spoken/          what voices said: the words, near words, running speech
NAME/mined/           what `kws mine` added: _false_/ what was taken for a word, <word>/ what was missed
NAME/run/             the training's checkpoints and record
NAME/NAME.kws         the calibrated model; NAME.h the same for C; report.json its figures
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kws.data.synth import folder_name
from kws.errors import KwsError
from kws.files import write_atomically
from kws.model import LISTENER, resolve, shipped
from kws.model.header import check_name

FILE = "project.json"
VERSION = 1
FALSE = "_false_"
"""Folder of mined recordings that were taken for a word and hold none."""


@dataclass(frozen=True)
class Project:
    """What makes a model, apart from the recordings themselves.

    Attributes:
        folder: that holds it all; its name is the model's.
        words: phrases as people write them, such as "hey pi"; in class order.
        language: that eSpeak NG speaks them in.
        base: that training starts from, as ``base_of`` names it.
        recordings: folders of people's takes beside the project's own.
        data: Speech Commands or another corpus, for speech that is none of the words; None: synthesised alone.
        negatives: recordings of running speech in which no word is said; None: none.
        voices: of Piper, to speak beside eSpeak NG and the neural voices that are installed.
        epochs: of training.
        target: false accepts an hour that the thresholds are chosen for.
        seed: of every draw.
    """

    folder: Path
    words: tuple[str, ...]
    language: str = "en"
    base: str = LISTENER
    recordings: tuple[Path, ...] = field(default=())
    data: Path | None = None
    negatives: Path | None = None
    voices: tuple[Path, ...] = field(default=())
    epochs: int = 16
    target: float = 0.5
    seed: int = 0

    @property
    def name(self) -> str:
        # "." and "..", too, are folders with names.
        return self.folder.resolve().name

    @property
    def c_name(self) -> str:
        """The name in C: what C does not allow in it is '_'."""
        return re.sub("[^A-Za-z0-9]", "_", self.name)

    @property
    def classes(self) -> tuple[str, ...]:
        """The words as folders and classes are named: joined by '_'."""
        return tuple(folder_name(word) for word in self.words)

    def class_of(self, text: str) -> str | None:
        """The class that ``text`` names, in any case and as people write it or as a folder is named; None: no class."""
        wanted = "_".join(text.split()).casefold()
        return next((name for name in self.classes if name.casefold() == wanted), None)

    @property
    def own_recordings(self) -> Path:
        return self.folder / "recordings"

    @property
    def spoken(self) -> Path:
        return self.folder / "spoken"

    @property
    def mined(self) -> Path:
        return self.folder / "mined"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def model(self) -> Path:
        return self.folder / f"{self.name}.kws"

    @property
    def header(self) -> Path:
        return self.folder / f"{self.name}.h"

    @property
    def report(self) -> Path:
        return self.folder / "report.json"

    def save(self) -> None:
        """Writes ``project.json``, whole or not at all, and the folder where it is missing.

        Raises:
            KwsError: it cannot be written.
        """
        fields = {key: _plain(value) for key, value in asdict(self).items() if key != "folder"}
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"version": VERSION, **fields}, indent=1, ensure_ascii=False) + "\n"
        write_atomically(self.folder / FILE, text.encode())


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.resolve())
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def base_of(model: str) -> str:
    """What names a base model wherever one is: a shipped model's name, or the whole path of a file.

    Raises:
        KwsError: there is no such model.
    """
    path = resolve(model)
    return model if shipped().get(model) == path else str(path.resolve())


def exists(folder: Path) -> bool:
    """Whether ``folder`` holds a project."""
    return (folder / FILE).is_file()


def load(folder: Path) -> Project:
    """The project in ``folder``.

    Raises:
        KwsError: there is none, or its file is damaged or of another version.
    """
    path = folder / FILE
    if not path.is_file():
        raise KwsError(f"{folder}: no project there; make one with kws new {folder} --words WORD.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("version") != VERSION:
            raise ValueError("another version")
        for key in ("data", "negatives"):
            content[key] = Path(content[key]) if content[key] else None
        for key in ("recordings", "voices"):
            content[key] = tuple(map(Path, content.get(key, ())))
        content["words"] = tuple(content["words"])
        return checked(Project(folder, **content))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise KwsError(f"{path}: not a project of this kws ({error}); make a new one with kws new.") from error


def checked(project: Project) -> Project:
    """``project``, if it can be worked on, with its words' blanks put in order. Folders outside it may be missing: only
    ``make`` reads them.

    Raises:
        KwsError: a folder whose name cannot be the model's or that is a file, no word, a word twice, one that cannot
            name a folder, or a number out of range.
    """
    try:
        check_name(project.c_name)
    except KwsError as error:
        raise KwsError(
            f"{project.folder}: '{project.name}' cannot name a model in C; choose a folder whose name begins with a "
            "letter, has at most 40 characters and is no identifier of kws.h, such as my_words."
        ) from error
    if project.folder.exists() and not project.folder.is_dir():
        raise KwsError(f"{project.folder}: is a file, and a project is a folder; choose another name.")
    words = tuple(" ".join(word.split()) for word in project.words)
    if not words:
        raise KwsError(f'{project.folder}: no word given; name at least one, such as --words "hey pi".')
    names = [folder_name(word).casefold() for word in words]
    for word, name in zip(words, names, strict=True):
        if names.count(name) > 1:
            raise KwsError(f"The word '{word}' is given twice; give each word once.")
    if not 1 <= project.epochs <= 1000:
        raise KwsError(f"--epochs {project.epochs} is out of range; give 1 to 1000.")
    if not 0.0 < project.target < 1e6:
        raise KwsError(
            f"--target-false-accepts {project.target} is no rate to aim for; give a positive number an hour."
        )
    if project.seed < 0:
        raise KwsError(f"--seed {project.seed} is negative; give 0 or more.")
    return replace(project, words=words)
