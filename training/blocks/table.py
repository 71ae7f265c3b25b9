"""Every kind of block by its name in a topology."""

from __future__ import annotations

from kws_training.blocks.attention import AttentionBlock
from kws_training.blocks.interface import Block
from kws_training.blocks.memory import MemoryBlock
from kws_training.blocks.shrinkable import ShrinkableBlock
from kws_training.quantizers import find
from kws_training.topology import ATTENTION, MEMORY, NETWORKS, SHRINKABLE

BLOCKS: dict[str, type[Block]] = {MEMORY: MemoryBlock, ATTENTION: AttentionBlock, SHRINKABLE: ShrinkableBlock}


def obstacle(binarizer: str, network: str) -> str:
    """Why the engine cannot run a network of ``NETWORKS`` with a binarizer, in a sentence; empty where it can."""
    if why := find(binarizer).obstacle:
        return f"'{binarizer}' trains but exports no model: {why}, the engine's have one."
    if why := BLOCKS[NETWORKS[network].block].obstacle:
        return f"'{network}' trains but exports no model: {why}."
    return ""
