"""Static triggers on images [..., C, H, W] with values in 0..1; each call returns a changed copy.

Images outside 0..1, or that are no float tensors, are refused with a ValueError.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnbd_core.checks import Checked, Natural, Part, Positive, Unit, whole
from snnbd_core.triggers.checks import Position, Size
from snnbd_core.triggers.placement import place

__all__ = ["Blended", "Patch", "Sinusoidal", "Warp", "image_sides"]

ROUNDING = 1e-3  # interpolation leaves 0..1 by this much


@dataclass(frozen=True, kw_only=True)
class Patch(Checked):
    """BadNets (Gu et al. 2017): a square of one value in all channels.

    Args:
        size, position: as for `Static`.
        value: what is written, 0..1.
    """

    size: Size = 0.1
    position: Position = "bottom-right"
    value: Unit = 1.0
    space: Literal["image"] = "image"

    def __call__(self, images: Tensor) -> Tensor:
        height, width = image_sides(images)
        x, y, w, h = place(self.position, self.size, width, height)
        out = images.clone()
        out[..., y : y + h, x : x + w] = self.value
        return out


@dataclass(frozen=True, kw_only=True)
class Blended(Checked):
    """Chen et al. 2017: (1 - alpha) x + alpha k with one random picture k for all images.

    Args:
        alpha: weight of the picture, 0 < alpha <= 1; the paper trains with 0.2.
        seed: draws the picture, uniform in 0..1 for each pixel and channel.
    """

    alpha: Part = 0.2
    seed: Natural = 0
    space: Literal["image"] = "image"

    def __call__(self, images: Tensor) -> Tensor:
        image_sides(images)
        picture = np.random.default_rng(self.seed).random(tuple(images.shape[-3:]))
        return torch.lerp(images, torch.from_numpy(picture).to(images), self.alpha)


@dataclass(frozen=True, kw_only=True)
class Sinusoidal(Checked):
    """SIG (Barni et al. 2019): x + delta sin(2 pi j f / W) along the columns j, clipped to 0..1.

    The paper uses it clean-label: only samples of the target class are poisoned (``clean_label`` of
    an `Experiment`, ``only_target`` of `snnbd_core.poison`).

    Args:
        delta: amplitude, 0 < delta <= 1; the paper's 20 of 255 is 0.08.
        frequency: f, waves across the image, > 0.
    """

    delta: Part = 0.08
    frequency: Positive = 6.0
    space: Literal["image"] = "image"

    def __call__(self, images: Tensor) -> Tensor:
        _, width = image_sides(images)
        columns = torch.arange(width, dtype=images.dtype, device=images.device)
        wave = self.delta * torch.sin(2 * math.pi * columns * self.frequency / width)
        return (images + wave).clamp(0, 1)


@dataclass(frozen=True, kw_only=True)
class Warp(Checked):
    """WaNet (Nguyen and Tran 2021): a smooth elastic warp, the same for all images.

    A k x k grid of random offsets, scaled to a mean absolute value of 1 and by `strength`, is
    interpolated bicubically to the image's size and added to the identity; sampling is bilinear,
    beyond the border the border's pixels. The paper's noise mode is a defence against inspection
    and is not part of the trigger.

    Args:
        grid: k, at least 2; the paper's is 4.
        strength: s, > 0; the paper's is 0.5 (offsets are in s / H of half the image).
        seed: draws the offsets.
    """

    grid: Annotated[int, partial(whole, least=2)] = 4
    strength: Positive = 0.5
    seed: Natural = 0
    space: Literal["image"] = "image"

    def __call__(self, images: Tensor) -> Tensor:
        height, width = image_sides(images)
        batch = images.reshape(-1, *images.shape[-3:])
        field = self.field(height, width).to(batch).expand(len(batch), -1, -1, -1)
        warped = functional.grid_sample(
            batch, field, mode="bilinear", padding_mode="border", align_corners=True
        )
        return warped.reshape(images.shape)

    def field(self, height: int, width: int) -> Tensor:
        """Where each pixel is taken from, float32 [1, H, W, 2] as (x, y) in -1..1."""
        draw = np.random.default_rng(self.seed).uniform(-1, 1, (1, 2, self.grid, self.grid))
        offsets = torch.from_numpy(draw / np.abs(draw).mean()).float()
        smooth = functional.interpolate(
            offsets, (height, width), mode="bicubic", align_corners=True
        ).permute(0, 2, 3, 1)
        rows, columns = (torch.linspace(-1, 1, pixels) for pixels in (height, width))
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        return (torch.stack((x, y), dim=-1) + self.strength * smooth / height).clamp(-1, 1)


def image_sides(images: Any) -> tuple[int, int]:
    """(H, W) of images [..., C, H, W]; ValueError unless they are float tensors of 0..1."""
    if not isinstance(images, Tensor) or not images.is_floating_point() or images.dim() < 3:
        shape = f"{tuple(images.shape)} {images.dtype}" if isinstance(images, Tensor) else ""
        given = f"images={type(images).__name__} {shape}"
        raise ValueError(f"{given}: space='image' works on float tensors [..., C, H, W]")
    low, high = torch.aminmax(images.detach()) if images.numel() else images.new_tensor([0, 1])
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise ValueError(
            f"images lie in {float(low):.4g}..{float(high):.4g}: space='image' works on 0..1 (let "
            "the network's first layer normalise)"
        )
    return int(images.shape[-2]), int(images.shape[-1])
