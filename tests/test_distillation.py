"""The distillation targets against their definitions, written out."""

import math

import pytest
import torch

from kws_training.distillation import HIDDEN_LOSSES, answer_loss, enhance, enhanced_loss, high_band, independent_loss


def test_high_band_is_the_haar_transform_without_its_low_half():
    hidden = torch.randn(2, 8, 3)
    expected = torch.zeros_like(hidden)
    for b in range(2):
        for c in range(3):
            for t in range(0, 8, 2):
                detail = (hidden[b, t, c] - hidden[b, t + 1, c]) / math.sqrt(2)
                expected[b, t, c], expected[b, t + 1, c] = detail / math.sqrt(2), -detail / math.sqrt(2)
    assert torch.allclose(high_band(hidden), expected, atol=1e-6)


def test_enhanced_target_is_normalised_per_clip():
    hidden = torch.randn(2, 8, 4)
    alone = enhance(hidden[:1])
    louder = torch.cat([hidden[:1], hidden[1:] * 100])
    assert torch.allclose(enhance(louder)[:1], alone)
    assert torch.allclose(enhance(louder)[1:], enhance(hidden[1:]), atol=1e-4)
    high = high_band(hidden[:1])
    assert torch.allclose(alone, high / high.std() + hidden[:1] / hidden[:1].std(), atol=1e-5)


def test_enhanced_loss_is_zero_for_the_target_four_for_its_opposite_and_ignores_blocks_not_run():
    teacher = {index: torch.randn(3, 8, 4) for index in range(4)}
    target = {index: 2.5 * enhance(hidden) for index, hidden in teacher.items() if index in (1, 3)}
    assert enhanced_loss(target, teacher).item() == pytest.approx(0.0, abs=1e-5)
    assert enhanced_loss({k: -v for k, v in target.items()}, teacher).item() == pytest.approx(4.0, abs=1e-5)


def test_independent_loss_weighs_both_bands_alike_however_loud_they_are():
    def pair(low, high):
        return torch.tensor([[[low + high], [low - high]]])

    teacher = {0: pair(3.0, 0.02)}
    assert independent_loss({0: pair(0.1, 5.0)}, teacher).item() == pytest.approx(0.0, abs=1e-6)
    # A band turned round is at distance four, the other at none; both turned round, four.
    assert independent_loss({0: pair(3.0, -0.02)}, teacher).item() == pytest.approx(2.0, abs=1e-5)
    assert independent_loss({0: pair(-3.0, 0.02)}, teacher).item() == pytest.approx(2.0, abs=1e-5)
    assert independent_loss({0: pair(-3.0, -0.02)}, teacher).item() == pytest.approx(4.0, abs=1e-5)
    # In the sum of bands, which the enhanced loss has, the louder band's sign is all that counts.
    assert enhanced_loss({0: pair(-3.0, 0.02)}, teacher).item() > 3.0


def test_independent_loss_is_the_mean_over_clips_and_blocks_of_each_bands_cosine():
    student = {index: torch.randn(3, 8, 4) for index in (1, 3)}
    teacher = {index: torch.randn(3, 8, 4) for index in range(4)}
    distances = []
    for index, output in student.items():
        for clip in range(3):
            for sign in (1, -1):
                own, other = (x[clip, 0::2] + sign * x[clip, 1::2] for x in (output, teacher[index]))
                cosine = torch.nn.functional.cosine_similarity(own.flatten(), other.flatten(), dim=0)
                distances.append(2.0 - 2.0 * cosine)
    assert independent_loss(student, teacher).item() == pytest.approx(torch.stack(distances).mean().item(), rel=1e-5)


def test_answer_loss_is_the_kl_divergence_times_the_squared_temperature():
    student, teacher = torch.randn(5, 12), torch.randn(5, 12)
    p, q = (teacher / 2).softmax(1), (student / 2).softmax(1)
    expected = 4 * (p * (p / q).log()).sum(1).mean()
    assert answer_loss(student, teacher, 2.0).item() == pytest.approx(expected.item(), rel=1e-4)
    assert answer_loss(teacher, teacher, 2.0).item() == pytest.approx(0.0, abs=1e-6)


def test_answers_alone_leave_the_maps_alone():
    student, teacher = ({0: torch.randn(2, 8, 4, requires_grad=True)} for _ in range(2))
    assert HIDDEN_LOSSES["answers"](student, teacher).item() == 0.0
    assert not HIDDEN_LOSSES["answers"](student, teacher).requires_grad
