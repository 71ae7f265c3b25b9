"""Every rival by name: one line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from kws.errors import KwsError
from kws.features import PRESETS, Preset
from kws_training.rivals.bcresnet import BCResNet
from kws_training.rivals.dscnn import DSCNN
from kws_training.rivals.interface import Rival

NETWORKS: dict[str, Callable[[int, Preset], Rival]] = {
    "bc-resnet-1": partial(BCResNet, 1.0),
    "bc-resnet-1.5": partial(BCResNet, 1.5),
    "bc-resnet-2": partial(BCResNet, 2.0),
    "bc-resnet-3": partial(BCResNet, 3.0),
    "ds-cnn": DSCNN,
}


@dataclass(frozen=True)
class RivalTopology:
    """Shape of a rival.

    Attributes:
        network: a key of ``NETWORKS``.
        preset: feature preset, a key of ``kws.features.PRESETS``.
        n_classes: outputs.
    """

    network: str
    preset: str = "bifsmn"
    n_classes: int = 12


def build(topology: RivalTopology) -> Rival:
    """The network, with random weights.

    Raises:
        KwsError: there is none of that name.
    """
    if topology.network not in NETWORKS:
        raise KwsError(f"'{topology.network}' is no rival; choose {', '.join(NETWORKS)}.")
    return NETWORKS[topology.network](topology.n_classes, PRESETS[topology.preset])
