"""The blocks that a network is a row of, by the names of ``kws_training.topology``."""

from kws_training.blocks.table import BLOCKS, obstacle

__all__ = ["BLOCKS", "obstacle"]
