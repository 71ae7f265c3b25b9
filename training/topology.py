"""The shape of a network, and the names that ``kws train --network`` has for some."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from kws_training.quantizers import DEFAULT

MEMORY, ATTENTION, SHRINKABLE = "memory", "attention", "shrinkable"
"""Kinds of blocks."""


@dataclass(frozen=True)
class Topology:
    """Shape of a network.

    Attributes:
        preset: feature preset, a key of ``kws.features.PRESETS``.
        n_classes: outputs.
        channels: stream width, a multiple of 64.
        hidden: width inside a block, a multiple of 64.
        n_blocks: a multiple of the largest delta.
        deltas: depths trained at once, deepest (smallest) first.
        binarizer: of inputs and weights, a key of ``quantizers.BINARIZERS``.
        planes: of every binary layer's input, 1 or 2: each a bit an input.
        block: what it is made of, a key of ``kws_training.blocks.BLOCKS``.
    """

    preset: str = "bifsmn"
    n_classes: int = 12
    channels: int = 128
    hidden: int = 256
    n_blocks: int = 8
    deltas: tuple[int, ...] = (1, 2, 4)
    binarizer: str = DEFAULT
    planes: int = 1
    block: str = MEMORY

    def blocks_at(self, delta: int) -> list[int]:
        """Indices of the blocks that depth ``delta`` runs: the last of every ``delta``."""
        return list(range(delta - 1, self.n_blocks, delta))

    def as_dict(self) -> dict:
        return asdict(self)


DELTAS = (1, 2, 4)


def deltas_of(n_blocks: int) -> tuple[int, ...]:
    """The depths that a network of ``n_blocks`` is trained at: all of ``DELTAS`` that divide it."""
    return tuple(delta for delta in DELTAS if n_blocks % delta == 0)


@dataclass(frozen=True)
class Variant:
    """What tells the networks of ``NETWORKS`` apart; all else is one topology.

    Attributes:
        planes: as of ``Topology``.
        block: likewise.
    """

    planes: int = 1
    block: str = MEMORY


NETWORKS = {
    "bifsmn": Variant(),
    "bifsmnv2": Variant(planes=2),
    "bifsmn-attention": Variant(block=ATTENTION),
    "bifsmn-shrinkable": Variant(block=SHRINKABLE),
}
"""What ``kws train --network`` names; the first of several with the same blocks is the one whose float form teaches."""


def network_name(topology: Topology) -> str:
    """What ``kws train --network`` calls it."""
    own = Variant(topology.planes, topology.block)
    return next(name for name, variant in NETWORKS.items() if variant == own)


def float_network(network: str) -> str:
    """Of ``NETWORKS``, the name of the one that ``network`` is in float, where planes mean nothing."""
    return next(name for name, variant in NETWORKS.items() if variant.block == NETWORKS[network].block)
