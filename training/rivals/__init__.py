"""Small networks of the literature, in float and in int8, trained on the same ground as BiFSMN: what it must beat.

``table`` names them, ``settings`` and ``loop`` train them, ``counting`` says what they cost.
"""

from kws_training.rivals.table import NETWORKS, RivalTopology, build

__all__ = ["NETWORKS", "RivalTopology", "build"]
