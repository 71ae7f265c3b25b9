"""ReActNet: Liu, Shen, Savvides and Cheng, "ReActNet: Towards Precise Binary Neural Network with Generalized Activation
Functions", ECCV 2020.

Inputs, RSign: ``sign(x - a)`` with a threshold a per channel; backward with respect to x Bi-Real's
``max(0, 2 - 2|x - a|)``, with respect to a the negative of it, summed over the channel.
Weights: as Bi-Real.

Learns a threshold per channel of every layer's input, from zero. Maps to the engine: where the input is a residual
stream, the engine compares with a threshold anyway, which the network learns under every binarizer; elsewhere the input
is a batch norm's output behind a PReLU of positive slope, and ``PReLU(z) >= a`` is ``z >= PReLU^-1(a)``, which the
batch norm's bias takes in.

RPReLU, ``PReLU(x - g) + b``, is the network's and needs no module: every PReLU here follows a batch norm, whose bias is
-g; b before a sign is a threshold, so RSign learns it. Only b on a residual stream is missing, on purpose: it would add
up along the blocks that a depth runs, and as depths share the thresholds of the blocks behind it, no threshold could
stand for it; the engine has no other place to add it.

Deviation: ``x - a`` is divided by its spread (``interface.SignInput``).
"""

from __future__ import annotations

from kws_training.quantizers.bireal import BiRealInput


class RSignInput(BiRealInput):
    """See the module."""

    def __init__(self, channels: int, axis: int = -1, shifted: bool = False) -> None:
        super().__init__(channels, axis, shifted)
        self.learn_threshold()
