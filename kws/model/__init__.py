"""Folded models: reading, writing and finding them."""

from __future__ import annotations

from pathlib import Path

from kws.errors import KwsError
from kws.model import file
from kws.model.file import save
from kws.model.folded import FoldedBlock, FoldedDepth, FoldedModel, FoldedPass

__all__ = [
    "DEFAULT",
    "LISTENER",
    "FoldedBlock",
    "FoldedDepth",
    "FoldedModel",
    "FoldedPass",
    "load",
    "resolve",
    "save",
    "shipped",
]

DEFAULT = "kws12"
"""The shipped model that is used where none is named; it knows single clips best, and is not calibrated."""

LISTENER = "kws12_listener"
"""The one that listens where none is named, to a microphone or, built or exported, on a device."""

RUN_MODEL = "model.kws"
"""Name of the model in a training run's folder."""

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped() -> dict[str, Path]:
    """The models that come with kws, by name."""
    # Installed: inside the package. From a checkout: in models/ beside the package.
    for folder in (_PACKAGE / "models", _PACKAGE.parent / "models"):
        found = {path.stem: path for path in sorted(folder.glob("*.kws"))}
        if found:
            return found
    return {}


def resolve(model: str | Path | None = None, default: str = DEFAULT) -> Path:
    """The model file that ``model`` names: a ``.kws`` file, a training run's folder, a shipped model's name, or None.

    Args:
        model: None for the shipped model ``default``.
        default: a shipped model's name.

    Raises:
        KwsError: it names none of them.
    """
    known = shipped()
    if model is None:
        if default not in known:
            raise KwsError(f"The default model '{default}' is not installed; install kws again or name a model file.")
        return known[default]
    path = Path(model)
    if (path / RUN_MODEL).is_file():
        return path / RUN_MODEL
    if path.is_file():
        return path
    if str(model) in known:
        return known[str(model)]
    if path.is_dir():
        raise KwsError(f"{path}: holds no {RUN_MODEL}; give a training run that has finished, or a .kws file.")
    names = ", ".join(known) or "none is installed"
    raise KwsError(f"{model}: no such model; give a .kws file, a training run's folder or a shipped model ({names}).")


def load(model: str | Path | None = None, default: str = DEFAULT) -> FoldedModel:
    """Reads the model that ``model`` names; see ``resolve``.

    Raises:
        KwsError: no such model, or a file that is not a good one.
    """
    return file.load(resolve(model, default))
