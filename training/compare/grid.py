"""The grid file: one schedule for every cell, and the cells as products of a few axes. See docs/compare.md."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from kws.data.tasks import TASKS, Task, task_of_words
from kws.errors import KwsError
from kws.features import PRESETS
from kws.model.folded import MAX_BLOCKS, MAX_CHANNELS
from kws_training.augment import GENTLE, MODERATE, STRONG
from kws_training.config import MOST_UNKNOWN, StageSettings
from kws_training.distillation import ENHANCED, HIDDEN_LOSSES
from kws_training.quantizers import BINARIZERS, DEFAULT
from kws_training.rivals import NETWORKS as RIVALS
from kws_training.topology import ATTENTION, deltas_of, float_network
from kws_training.topology import NETWORKS as OWN

FLOAT_BITS, INT8_BITS = 32, 8
AUGMENTATIONS = {"gentle": GENTLE, "moderate": MODERATE, "strong": STRONG}
UNNAMED = ("", ENHANCED)
"""Distillations that neither a title nor a hash names: what was done before there was a choice stays done."""
VERSION = 1
"""Part of every cell's hash: to be raised where the same settings come to mean another network or another measure."""


@dataclass(frozen=True)
class Cell:
    """One network to train and measure.

    Attributes:
        network: a key of ``kws_training.topology.NETWORKS`` or of ``kws_training.rivals.NETWORKS``.
        bits: of weights and maps: 32 for float, 8 for int8; of BiFSMN's inner layers also 1 to 7, of BiFSMNv2's 1.
        binarizer: of BiFSMN below 32 bits, a key of ``BINARIZERS``; else empty.
        channels: width of BiFSMN's stream; its hidden layers are twice as wide. 0 for others.
        blocks: of BiFSMN; 0 for others.
        seed: of every draw.
        distillation: of BiFSMN's hidden maps below 32 bits, a key of ``HIDDEN_LOSSES``; else empty.
    """

    network: str
    bits: int
    binarizer: str = ""
    channels: int = 0
    blocks: int = 0
    seed: int = 0
    distillation: str = ""

    @property
    def is_own(self) -> bool:
        return self.network in OWN

    @property
    def float_twin(self) -> Cell:
        """The same network in float, from whose weights the others start."""
        network = float_network(self.network) if self.is_own else self.network
        return replace(self, network=network, bits=FLOAT_BITS, binarizer="", distillation="")

    @property
    def deltas(self) -> tuple[int, ...]:
        """Depths that it is trained and measured at."""
        if not self.is_own or self.bits == FLOAT_BITS:
            return (1,)
        return deltas_of(self.blocks)

    @property
    def title(self) -> str:
        """For people and file names, unique among cells of one grid."""
        parts = [self.network]
        if self.is_own:
            parts.append(f"{self.blocks}x{self.channels}")
        parts.append({FLOAT_BITS: "float"}.get(self.bits, self.binarizer or f"int{self.bits}"))
        if self.distillation not in UNNAMED:
            parts.append(self.distillation)
        return "-".join(parts) + f"-seed{self.seed}"


@dataclass(frozen=True)
class Grid:
    """A grid file's content.

    Attributes:
        task: words to tell apart.
        preset: feature preset.
        batch: clips a step.
        schedule: stages by kind: "float" for all, then "activations" and "binary" for BiFSMN, "int8" for rivals.
        cells: in the file's order, no two alike.
    """

    task: Task
    preset: str
    batch: int
    schedule: dict[str, tuple[StageSettings, ...]] = field(hash=False)
    cells: tuple[Cell, ...] = ()

    def plan(self) -> list[Cell]:
        """The cells and the float twins that they start from, each before what needs it."""
        return list(dict.fromkeys(cell for wanted in self.cells for cell in (wanted.float_twin, wanted)))

    def digest(self, cell: Cell) -> str:
        """SHA-256, in hex, of everything that a cell's result depends on but the recordings."""
        kinds = ("float",)
        if cell.bits != FLOAT_BITS:
            kinds += ("activations", "binary") if cell.is_own else ("int8",)
        own = asdict(cell)
        if cell.distillation in UNNAMED:
            del own["distillation"]
        content = {
            "version": VERSION,
            "task": [self.task.words, self.task.fillers],
            "preset": asdict(PRESETS[self.preset]),
            "batch": self.batch,
            "schedule": {kind: [_told(stage) for stage in self.schedule[kind]] for kind in kinds},
            "cell": own,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def folder(self, cell: Cell) -> str:
        """Name of the folder that the cell is trained in."""
        return f"{cell.title}-{self.digest(cell)[:10]}"


def _told(stage: StageSettings) -> dict[str, Any]:
    """What a stage's settings are told by. Without an average they are what they were before there were averages."""
    return {key: value for key, value in asdict(stage).items() if (key, value) != ("average", None)}


def read_grid(path: Path) -> Grid:
    """Reads a grid file.

    Raises:
        KwsError: it cannot be read, or says something that cannot be done; the sentence names the file and the entry.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KwsError(f"{path}: cannot be read ({error.strerror}); give the path of a grid file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KwsError(f"{path}: not a TOML file ({error}); see docs/compare.md for one.") from error
    try:
        return _grid(content)
    except KwsError as error:
        raise KwsError(f"{path}: {error}") from None


def _grid(content: dict[str, Any]) -> Grid:
    content = dict(content)
    cells = tuple(cell for entry in _tables("cells", content.pop("cells", [])) for cell in _cells(entry))
    if not cells:
        raise KwsError("names no cell; add a [[cells]] entry.")
    doubled = next((cell for cell in cells if cells.count(cell) > 1), None)
    if doubled:
        raise KwsError(f"names {doubled.title} twice; name every cell once.")
    schedule = _schedule(content.pop("schedule", {}))
    needed = {"float"}
    for cell in cells:
        if cell.bits != FLOAT_BITS:
            needed |= {"activations", "binary"} if cell.is_own else {"int8"}
    lacking = sorted(kind for kind in needed if not schedule.get(kind))
    if lacking:
        raise KwsError(f"has no schedule for {', '.join(lacking)}; add [[schedule.{lacking[0]}]].")
    words, name = content.pop("words", None), str(content.pop("task", "12"))
    task = TASKS[_one_of(TASKS, "task", name)] if words is None else _own_task(words)
    preset = _one_of(PRESETS, "preset", content.pop("preset", "bifsmn"))
    batch = _whole("batch", content.pop("batch", 128), 1)
    if content:
        raise KwsError(f"'{next(iter(content))}' is no setting of a grid.")
    return Grid(task, preset, batch, schedule, cells)


def _one_of(known: Collection[str], what: str, value: object) -> str:
    """``value`` if it is a name of ``known``; else a KwsError."""
    if not isinstance(value, str) or value not in known:
        raise KwsError(f"{value!r} is no {what}; choose {', '.join(known)}.")
    return value


def _tables(name: str, value: object) -> list[dict[str, Any]]:
    """``value`` if it is what TOML makes of [[name]]; else a KwsError."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise KwsError(f"{name} = {value!r}: write every entry under a line [[{name}]].")
    return value


def _own_task(words: object) -> Task:
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise KwsError(f'words = {words!r}: give a list of words in quotes, such as ["yes", "no"].')
    return task_of_words(words)


def _schedule(content: object) -> dict[str, tuple[StageSettings, ...]]:
    if not isinstance(content, dict):
        raise KwsError(f"schedule = {content!r}: write every stage under a line such as [[schedule.float]].")
    for kind in content:
        _one_of(("float", "activations", "binary", "int8"), "kind of stage", kind)
    return {
        kind: tuple(_stage(kind, one) for one in _tables(f"schedule.{kind}", many)) for kind, many in content.items()
    }


MOST = {"unknown": MOST_UNKNOWN, "smoothing": 1.0}
"""Of a stage's numbers; the others have no bound."""


def _stage(kind: str, content: dict[str, Any]) -> StageSettings:
    content = dict(content)
    name = _one_of(AUGMENTATIONS, "augmentation", content.pop("augmentation", "moderate"))
    known = {entry.name for entry in fields(StageSettings)} - {"name", "augmentation"}
    wrong = [key for key in content if key not in known]
    if wrong:
        raise KwsError(f"'{wrong[0]}' is no setting of a stage; choose from {', '.join(sorted(known))}, augmentation.")
    lacking = [key for key in ("epochs", "rate", "decay") if key not in content]
    if lacking:
        raise KwsError(f"a stage of '{kind}' lacks {', '.join(lacking)}.")
    _whole("epochs", content["epochs"], 1)
    for key, value in content.items():
        most = MOST.get(key, math.inf)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not 0 <= value <= most:
            allowed = f"from 0 to {most:g}" if key in MOST else "0 or more"
            raise KwsError(f"{key} = {value!r} of a stage of '{kind}': give a number, {allowed}.")
    return StageSettings(kind, augmentation=AUGMENTATIONS[name], **content)


def _whole(name: str, value: object, least: int, most: float = math.inf, multiple: int = 1) -> int:
    """``value`` if it is a whole number, ``least`` to ``most``, and a multiple of ``multiple``; else a KwsError."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most or value % multiple:
        kind = f"a multiple of {multiple}" if multiple > 1 else "a whole number"
        allowed = f"{least} or more" if most == math.inf else f"{least} to {most}"
        raise KwsError(f"{name} = {value!r}: give {kind}, {allowed}.")
    return value


AXES = ("network", "bits", "binarizer", "channels", "blocks", "seed", "distillation")


def _cells(entry: dict[str, Any]) -> Iterator[Cell]:
    """Every combination of an entry's axes, each a value or a list of them."""
    wrong = [key for key in entry if key not in AXES]
    if wrong:
        raise KwsError(f"'{wrong[0]}' is no axis of cells; choose from {', '.join(AXES)}.")
    if "network" not in entry:
        raise KwsError("an entry of cells names no network.")
    axes = {name: value if isinstance(value, list) else [value] for name, value in entry.items()}
    empty = next((name for name, values in axes.items() if not values), None)
    if empty:
        raise KwsError(f"{empty} = [] makes no cell; give it a value, or leave it out.")
    for values in itertools.product(*axes.values()):
        yield _cell(dict(zip(axes, values, strict=True)))


def _cell(values: dict[str, Any]) -> Cell:
    network = _one_of((*OWN, *RIVALS), "network", values["network"])
    bits, seed = _whole("bits", values.get("bits", FLOAT_BITS), 1), _whole("seed", values.get("seed", 0), 0)
    if network not in OWN:
        extra = [name for name in ("binarizer", "channels", "blocks", "distillation") if name in values]
        if extra:
            raise KwsError(f"{network} has no {extra[0]}; give it network, bits and seed.")
        if bits not in (FLOAT_BITS, INT8_BITS):
            raise KwsError(f"{network} has no form of {bits} bits; choose {FLOAT_BITS} or {INT8_BITS}.")
        return Cell(network, bits, seed=seed)
    channels = _whole("channels", values.get("channels", 128), 64, MAX_CHANNELS, 64)
    blocks = _whole("blocks", values.get("blocks", 8), 1, MAX_BLOCKS)
    if OWN[network].planes > 1 and bits != 1:
        raise KwsError(
            f"{network} of {bits} bits has no second plane; name {float_network(network)}, or give it bits = 1."
        )
    if OWN[network].block == ATTENTION and bits not in (1, FLOAT_BITS):
        raise KwsError(f"{network} has no form of {bits} bits; choose {FLOAT_BITS} or 1.")
    binarizer = _binarizer(network, bits, values.get("binarizer"))
    return Cell(
        network, bits, binarizer, channels, blocks, seed, _distillation(network, bits, values.get("distillation"))
    )


def _distillation(network: str, bits: int, name: object) -> str:
    if bits != FLOAT_BITS:
        return _one_of(HIDDEN_LOSSES, "distillation", ENHANCED if name is None else name)
    if name is not None:
        raise KwsError(f"{network} of {bits} bits is float and is not distilled.")
    return ""


def _binarizer(network: str, bits: int, name: object) -> str:
    """The binarizer of ``bits``: one bit has names of its own, more are dorefa's, uniform's or int8's."""
    if name is not None and not isinstance(name, str):
        raise KwsError(f"binarizer = {name!r}: give a name in quotes; see kws train --list-binarizers.")
    if bits == FLOAT_BITS:
        if name is not None:
            raise KwsError(f"{network} of {bits} bits is float and has no binarizer.")
        return ""
    if bits == INT8_BITS and name is None:
        return "int8"
    found = (name or DEFAULT) if bits == 1 else f"{name or 'uniform'}-{bits}"
    several = found.startswith("uniform-") or found == "int8" or (found.startswith("dorefa-") and found != "dorefa-1")
    if found not in BINARIZERS or (bits == 1 and several):
        raise KwsError(f"{network} of {bits} bits has no binarizer '{name or found}'; see kws train --list-binarizers.")
    return found
