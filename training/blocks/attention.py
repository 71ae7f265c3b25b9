"""BiBERT's bi-attention in the memory's place: Qin et al., "BiBERT: Accurate Fully Binarized BERT", ICLR 2022, 3.1.

Softmax makes shares between 0 and 1, whose signs are all +1 and say nothing. BiBERT leaves it out: a share is whether
a query agrees with a key, one bit that is about as often 1 as 0 and so carries about as much as a bit can (of random
signs 55 % are 1 at d = 64, since as many agreeing channels as not count as agreement),

    A = bool(sign(q) sign(k)' / sqrt(d)),   mixed(x) = PReLU(BN(output(sign(A sign(v) - t))))

with q, k and v = BN(linear(sign(x - u))). bool(a) is 1 where a >= 0, else 0; backward, the gradient where |a| <= 1. A
product of bool and sign is half the sum of an XNOR product and the values' own sum: (2 A - 1) V = 2 A V - sum V. In the
float stage this is attention with softmax, as a teacher's.

Deviations: batch norms in place of biases; a head for every 64 channels, whose d is then 64; a learned threshold before
the output layer; BiBERT's direction-matching distillation of queries and keys is left out.

The engine has no such product: what it multiplies with is known when a model is made.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from kws.errors import KwsError
from kws_training.blocks.interface import Block
from kws_training.layers import BinaryLinear, Slope, Switched
from kws_training.quantizers import find
from kws_training.quantizers.interface import SignInput
from kws_training.topology import Topology

HEAD = 64
"""Channels of a head."""


class _Bool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grads[0] * (x.abs() <= 1.0)


def boolean(x: Tensor) -> Tensor:
    """1 where ``x >= 0``, else 0; backward: the gradient where ``|x| <= 1``, else 0."""
    return _Bool.apply(x)


def bi_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The sum of the values whose keys agree with the query.

    Args:
        query, key, value: +-1, [..., time, d].

    Returns:
        Whole numbers, -time..time, in the shape of ``value``.
    """
    return boolean(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5) @ value


class AttentionBlock(Block):
    """The block of the module.

    Raises:
        KwsError: a binarizer whose inputs are no signs.
    """

    obstacle = "it multiplies queries with keys, the engine inputs with weights"

    def add_mixer(self, topology: Topology, deltas: list[int]) -> None:
        channels, inputs = self.channels, find(topology.binarizer).inputs
        self.attention_input = nn.Parameter(torch.zeros(channels))
        self.query, self.key, self.value = (BinaryLinear(topology, channels, channels, shifted=True) for _ in range(3))
        self.query_norm, self.key_norm, self.value_norm = (Switched(channels, deltas) for _ in range(3))
        self.quantize_query, self.quantize_key, self.quantize_value = (inputs(channels, -1, False) for _ in range(3))
        if not isinstance(self.quantize_query, SignInput):
            raise KwsError(f"'{topology.binarizer}' gives bi-attention no signs; choose a binarizer of one bit.")
        self.output_input = nn.Parameter(torch.zeros(channels))
        self.output = BinaryLinear(topology, channels, channels, shifted=True)
        self.output_norm = Switched(channels, deltas)
        self.output_prelu = Slope(channels)

    def attend(self, x: Tensor, delta: int) -> Tensor:
        """What every step hears of the others: [batch, time, channels] to the same shape."""
        x = x - self.attention_input
        query = self.query_norm(self.query(x), delta)
        key = self.key_norm(self.key(x), delta)
        value = self.value_norm(self.value(x), delta)
        if self.output.stage == "float":
            heard = nn.functional.scaled_dot_product_attention(_heads(query), _heads(key), _heads(value))
        else:
            query, key, value = self.quantize_query(query), self.quantize_key(key), self.quantize_value(value)
            heard = bi_attention(_heads(query), _heads(key), _heads(value))
        return heard.transpose(1, 2).flatten(2)

    def mix(self, x: Tensor, delta: int) -> Tensor:
        heard = self.attend(x, delta) - self.output_input
        return x + self.output_prelu(self.output_norm(self.output(heard), delta))

    def mixer_macs(self, steps: int) -> int:
        return 4 * steps * self.channels**2 + 2 * steps**2 * self.channels

    def stream_slopes(self) -> list[nn.Parameter]:
        return [self.output_prelu.slope, *super().stream_slopes()]


def _heads(x: Tensor) -> Tensor:
    """[batch, time, channels] to [batch, heads, time, HEAD]."""
    return x.unflatten(-1, (-1, HEAD)).transpose(1, 2)
