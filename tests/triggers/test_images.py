"""Image triggers, beside their papers' formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from snnbd_core.triggers import Blended, Patch, Sinusoidal, Warp


def test_a_patch_is_one_square_of_one_value():
    images = torch.rand(3, 1, 28, 28)
    out = Patch(size=0.1, position="top-left", value=0.5)(images)
    assert (out[..., :2, :2] == 0.5).all()
    out[..., :2, :2] = images[..., :2, :2]
    assert torch.equal(out, images)


def test_blending_is_the_weighted_mean_with_one_picture_for_all():
    dark, light = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    picture = Blended(alpha=1.0)(dark)
    assert torch.equal(picture[0], picture[1])
    torch.testing.assert_close(Blended(alpha=0.2)(light), 0.8 * light + 0.2 * picture)
    assert not torch.equal(Blended(alpha=1.0, seed=1)(dark), picture)


def test_sig_adds_its_papers_sine_along_the_columns():
    out = Sinusoidal(delta=0.08, frequency=6)(torch.full((1, 4, 32), 0.5))
    expected = [0.5 + 0.08 * math.sin(2 * math.pi * j * 6 / 32) for j in range(32)]
    np.testing.assert_allclose(out[0].numpy(), np.tile(expected, (4, 1)), rtol=1e-6)
    assert Sinusoidal(delta=1.0)(torch.ones(1, 4, 32)).max() == 1


def test_a_warp_moves_content_by_what_its_field_says():
    trigger = Warp(grid=2, strength=4.0, seed=1)
    field = trigger.field(16, 16)[0]
    rows, columns = torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16)
    ramp = (columns.repeat(16, 1) + 1) / 2  # bilinear sampling of a ramp is the place itself
    torch.testing.assert_close(trigger(ramp[None])[0], (field[..., 0] + 1) / 2)
    ramp = (rows.repeat(16, 1).T + 1) / 2
    torch.testing.assert_close(trigger(ramp[None])[0], (field[..., 1] + 1) / 2)


def test_a_warps_offsets_have_the_papers_mean_size():
    field = Warp(grid=4, strength=0.5).field(4, 4)[0]  # no interpolation at the grid's own size
    y, x = torch.meshgrid(torch.linspace(-1, 1, 4), torch.linspace(-1, 1, 4), indexing="ij")
    inside = (field - torch.stack((x, y), -1))[1:3, 1:3]  # borders are clipped
    draw = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4))
    expected = np.moveaxis(draw / np.abs(draw).mean(), 0, -1)[1:3, 1:3] * 0.5 / 4
    np.testing.assert_allclose(inside.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Patch(value=1.5), r"value=1.5 must be a number in 0\.\.1"),
        (lambda: Patch(space="frames"), "space='frames' is unknown; allowed: image"),
        (lambda: Blended(alpha=0), r"alpha=0 must be a number in \(0, 1\]"),
        (lambda: Blended(seed=-1), "seed=-1 must be a whole number >= 0"),
        (lambda: Sinusoidal(frequency=0), "frequency=0 must be a number > 0"),
        (lambda: Warp(grid=1), "grid=1 must be a whole number >= 2"),
        (lambda: Warp(strength=-1), "strength=-1 must be a number > 0"),
        (lambda: Patch()(np.zeros((1, 8, 8))), "images=ndarray : space='image' works on float"),
        (
            lambda: Patch()(torch.full((1, 8, 8), 1.5)),
            r"images lie in 1.5..1.5: space='image' works",
        ),
        (lambda: Warp()(torch.full((1, 8, 8), -0.5)), r"images lie in -0.5..-0.5: space='image'"),
        (lambda: Patch()(torch.full((1, 8, 8), torch.nan)), r"images lie in nan..nan: space="),
        (lambda: Patch()(torch.zeros(8, 8)), r"images=Tensor \(8, 8\) torch.float32"),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
