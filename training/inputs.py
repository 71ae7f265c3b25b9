"""What a run is made from and what its model is called: beside the settings, all that a resumed run needs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kws.errors import KwsError


@dataclass(frozen=True)
class Inputs:
    """Folders and names of a run.

    Attributes:
        data: folder of recordings, see ``kws.data.tasks.scan``.
        extra: folder of more recordings, for training alone.
        negatives: folder of recordings in which none of the words is said, for training alone.
        teacher: run folder or ``teacher.pt`` of an earlier run, used as it is; None trains one.
        student: run folder of an earlier run whose student to train further; without ``teacher``, its teacher too.
        name: of the model; empty takes the run folder's.
        threshold: score, 0..1, that makes a detection of any word.
    """

    data: Path
    extra: Path | None = None
    negatives: Path | None = None
    teacher: Path | None = None
    student: Path | None = None
    name: str = ""
    threshold: float = 0.5

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, with absolute paths; ``from_dict`` reads it back."""
        return {key: str(value.resolve()) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Inputs:
        """What ``as_dict`` wrote. Raises KwsError for what another version of kws wrote."""
        try:
            own = {key: value for key, value in content.items() if key in ("name", "threshold")}
            return cls(**own, **{k: Path(v) if v else None for k, v in content.items() if k not in own})
        except TypeError as error:
            raise KwsError(
                f"This run was begun with another version of kws ({error}); use that version, or train again."
            ) from error
