"""Every setting of a rival's training run, as ``kws_training.config.Settings`` is of a BiFSMN's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kws.errors import KwsError
from kws_training.config import StageSettings
from kws_training.rivals.table import RivalTopology


@dataclass(frozen=True)
class RivalSettings:
    """A run: the float network, then, where an "int8" stage follows, the same weights made to live in int8.

    Attributes:
        words: in class order.
        fillers: whether ``_unknown_`` and ``_silence_`` follow the words.
        topology: of the network.
        stages: in order, of names "float" and "int8".
        batch, temper, seed, warmup: as of ``Settings``.
    """

    words: tuple[str, ...]
    fillers: bool
    topology: RivalTopology
    stages: tuple[StageSettings, ...]
    batch: int = 128
    temper: float = 0.25
    seed: int = 0
    warmup: float = 2.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; ``from_dict`` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> RivalSettings:
        """What ``as_dict`` wrote, also after a trip through JSON.

        Raises:
            KwsError: settings of another version of kws.
        """
        content = dict(content)
        try:
            topology = RivalTopology(**content.pop("topology"))
            stages = tuple(StageSettings.from_dict(stage) for stage in content.pop("stages"))
            return cls(topology=topology, stages=stages, **{**content, "words": tuple(content["words"])})
        except (KeyError, TypeError) as error:
            raise KwsError(
                f"These settings are those of another version of kws ({error}); use that version, or train again."
            ) from error
