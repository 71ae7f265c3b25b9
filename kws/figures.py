"""Pictures by matplotlib, which is an extra: no display, no global state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kws.errors import KwsError


def new_figure(width: float, height: float, option: str) -> Any:
    """An empty figure, in inches, for the picture that ``option`` asks for. Raises KwsError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise KwsError(f"{option} needs matplotlib ({error}): pip install 'kws[train]'.") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: Path, option: str) -> None:
    """Writes ``figure`` to ``path``, whose folder is made where it is missing. Raises KwsError where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise KwsError(f"{path}: cannot be written ({error.strerror}); choose another place for {option}.") from error
