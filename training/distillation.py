"""What the student learns from the float teacher: its answers, and its hidden maps by their bands over time.

Sources: BiFSMN (IJCAI 2022), section 3.2, high-frequency enhancement distillation; BiFSMNv2 (TNNLS 2023),
frequency-independent distillation; Hinton et al., 2015, for the answers. Two deliberate differences from the published
forms: the Haar transform runs over time alone, since channels have no order, and norms are taken per clip, so that a
clip's target does not depend on its batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _unit(hidden: Tensor) -> Tensor:
    """Every clip's map as a vector of norm one."""
    return F.normalize(hidden.flatten(1), dim=1)


def high_band(hidden: Tensor) -> Tensor:
    """The inverse Haar transform of the high band over time: each pair of steps without its mean.

    ``hidden``: [batch, time, channels] with an even number of steps. Returns the same shape.
    """
    batch, steps, channels = hidden.shape
    pairs = hidden.reshape(batch, steps // 2, 2, channels)
    return (pairs - pairs.mean(2, keepdim=True)).reshape(hidden.shape)


def _per_clip_std(hidden: Tensor) -> Tensor:
    return hidden.flatten(1).std(1).clamp_min(1e-6)[:, None, None]


def enhance(hidden: Tensor) -> Tensor:
    """``H_hf / std(H_hf) + H / std(H)`` per clip. [batch, time, channels] to the same shape."""
    high = high_band(hidden)
    return high / _per_clip_std(high) + hidden / _per_clip_std(hidden)


def independent_loss(student: dict[int, Tensor], teacher: dict[int, Tensor]) -> Tensor:
    """Mean squared distance of unit-norm maps, band by band, over the blocks the student ran.

    The low band (the mean of each pair of steps) and the high one (what is left) are scaled to norm one each by itself,
    in student and teacher: neither drowns the other, however much more energy it has.

    Both map a block's index to its output [batch, time, channels]. Each block's distance is in 0..4.
    """
    losses = []
    for index, output in student.items():
        high, target = high_band(output), high_band(teacher[index])
        bands = [(high, target), (output - high, teacher[index] - target)]
        distances = [(_unit(own) - _unit(other)).square().sum(1).mean() for own, other in bands]
        losses.append(torch.stack(distances).mean())
    return torch.stack(losses).mean()


def enhanced_loss(student: dict[int, Tensor], teacher: dict[int, Tensor]) -> Tensor:
    """Mean squared distance of unit-norm maps, student against enhanced teacher, over the blocks the student ran.

    Both map a block's index to its output [batch, time, channels]. Each block's distance is in 0..4.
    """
    losses = []
    for index, output in student.items():
        losses.append((_unit(output) - _unit(enhance(teacher[index]))).square().sum(1).mean())
    return torch.stack(losses).mean()


def no_loss(student: dict[int, Tensor], teacher: dict[int, Tensor]) -> Tensor:
    """Zero: the maps are left alone, and the teacher's answers are all that is distilled."""
    return torch.zeros(())


ENHANCED, ANSWERS_ALONE = "enhanced", "answers"
HIDDEN_LOSSES = {ENHANCED: enhanced_loss, "independent": independent_loss, ANSWERS_ALONE: no_loss}
"""What ``kws train --distillation`` names."""


def answer_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence of the softened answers, times the squared temperature. Logits [batch, classes]; scalar, >= 0."""
    soft = F.log_softmax(teacher / temperature, dim=1)
    return (
        F.kl_div(F.log_softmax(student / temperature, dim=1), soft, log_target=True, reduction="batchmean")
        * temperature**2
    )
