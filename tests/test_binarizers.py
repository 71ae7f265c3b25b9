"""Surrogate gradients against their formulas; rounding and scales against plain arithmetic."""

import pytest
import torch

from kws_training import binarizers


def gradient(function, x):
    x = x.clone().requires_grad_()
    y = function(x)
    upstream = torch.linspace(0.5, 2.0, x.numel())
    (y * upstream).sum().backward()
    return x.grad / upstream


POINTS = torch.tensor([-3.0, -1.5, -1.0, -0.75, -0.25, 0.0, 0.25, 0.75, 1.0, 1.5, 3.0])


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (binarizers.clipped_identity, lambda x: 1.0 if abs(x) <= 1 else 0.0),
        (binarizers.polynomial, lambda x: 2 - 2 * abs(x) if abs(x) < 1 else 0.0),
    ],
)
def test_gradient_is_the_papers(function, formula):
    expected = torch.tensor([formula(x) for x in POINTS.tolist()])
    assert torch.allclose(gradient(function, POINTS), expected)


@pytest.mark.parametrize("function", [binarizers.clipped_identity, binarizers.polynomial])
def test_forward_is_the_sign_with_zero_as_plus_one(function):
    expected = torch.tensor([1.0 if x >= 0 else -1.0 for x in POINTS.tolist()])
    assert torch.equal(function(POINTS), expected)
    assert function(torch.tensor([-0.0])).item() == 1.0


def test_weight_scale_is_the_mean_magnitude_of_each_output():
    weight = torch.randn(4, 3, 5, 5)
    for scale, row in zip(binarizers.weight_scale(weight), weight, strict=True):
        assert scale.item() == pytest.approx(sum(abs(v) for v in row.flatten().tolist()) / 75, rel=1e-5)


def test_int8_weights_are_the_nearest_multiples_and_pass_the_gradient_on():
    weight = torch.randn(3, 64)
    scale = binarizers.int8_scale(weight)
    rounded = binarizers.int8_weight(weight, scale)
    groups = rounded.abs().view(3, 8, 4, 2).sum(2).amax((1, 2))
    assert torch.equal(rounded, rounded.round())
    assert ((rounded.abs().amax(1) == 127) & (groups <= 255) | (groups - 253).abs().le(2)).all()
    assert ((rounded * scale[:, None] - weight).abs() <= scale[:, None] * 0.5001).all()
    weight.requires_grad_()
    binarizers.int8_weight(weight, scale).sum().backward()
    assert torch.allclose(weight.grad, (1 / scale)[:, None].expand(3, 64))
