"""VGG and ResNet for small images, spiking or with ReLU.

VGG (Simonyan and Zisserman 2015) with batch norm and 3x3 convolutions; ResNet-18 (He et al. 2016)
in its form for images of 32 pixels a side; ResNet-19 (Zheng et al. 2021), the usual spiking one.
quick-resnet is ours, two blocks for the embedded data.
Each ends in a voting read-out in place of its own dense layers, as all networks here do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import nn

from snnbd_core.networks.layers import Folded, Gain, Residual

__all__ = ["NAMES", "RESNET", "VGG", "Stages", "features", "narrowed"]

POOL = "pool"
VGG: dict[str, tuple[int | str, ...]] = {
    "vgg11": (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL),
    "vgg16": (
        64,
        64,
        POOL,
        128,
        128,
        POOL,
        256,
        256,
        256,
        POOL,
        512,
        512,
        512,
        POOL,
        512,
        512,
        512,
        POOL,
    ),
}


@dataclass(frozen=True)
class Stages:
    """Channels of the first convolution, (channels, blocks) of each stage, a hidden dense layer."""

    stem: int
    stages: tuple[tuple[int, int], ...]
    hidden: int | None = None


RESNET = {
    "resnet18": Stages(64, ((64, 2), (128, 2), (256, 2), (512, 2))),
    "resnet19": Stages(128, ((128, 3), (256, 3), (512, 2)), hidden=256),
    "quick-resnet": Stages(16, ((16, 1), (32, 1))),
}
NAMES = (*VGG, *RESNET)

Neuron = Callable[[], nn.Module]


def features(
    name: str, shape: tuple[int, int, int], neuron: Neuron, width: float = 1.0
) -> tuple[list[nn.Module], int]:
    """All layers before the read-out, and how many features they give.

    Raises:
        ValueError: images too small for a VGG's five poolings.
    """
    if name in VGG:
        steps = [narrowed(one, width) if isinstance(one, int) else one for one in VGG[name]]
        return _vgg(name, steps, shape, neuron)
    plan = RESNET[name]
    return _resnet(
        replace(
            plan,
            stem=narrowed(plan.stem, width),
            stages=tuple((narrowed(wide, width), blocks) for wide, blocks in plan.stages),
            hidden=None if plan.hidden is None else narrowed(plan.hidden, width),
        ),
        shape,
        neuron,
    )


def narrowed(channels: int, width: float) -> int:
    """So many channels of a layer are left at a width, at least 1."""
    return max(1, round(width * channels))


def _vgg(
    name: str, plan: Sequence[int | str], shape: tuple[int, int, int], neuron: Neuron
) -> tuple[list[nn.Module], int]:
    channels, height, width = shape
    layers: list[nn.Module] = []
    for step in plan:
        if isinstance(step, int):
            layers += [_convolution(channels, step), neuron()]
            channels = step
        else:
            layers.append(Folded(nn.MaxPool2d(2)))
            height, width = height // 2, width // 2
    if min(height, width) < 1:
        raise ValueError(
            f"input_shape={shape} is too small for {name}: its five poolings by 2 need at least "
            "32 pixels a side"
        )
    return [*layers, Folded(nn.Flatten())], channels * height * width


def _resnet(
    plan: Stages, shape: tuple[int, int, int], neuron: Neuron
) -> tuple[list[nn.Module], int]:
    layers: list[nn.Module] = [_convolution(shape[0], plan.stem), neuron()]
    channels = plan.stem
    for number, (wide, blocks) in enumerate(plan.stages):
        for block in range(blocks):
            stride = 2 if number > 0 and block == 0 else 1
            layers.append(_block(channels, wide, stride, neuron))
            channels = wide
    layers.append(Folded(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    if plan.hidden is not None:
        layers += [Folded(nn.Linear(channels, plan.hidden)), neuron()]
        channels = plan.hidden
    return layers, channels


def _block(channels: int, wide: int, stride: int, neuron: Neuron) -> Residual:
    body = nn.Sequential(_convolution(channels, wide, stride), neuron(), _convolution(wide, wide))
    same = stride == 1 and channels == wide
    return Residual(body, Gain() if same else _convolution(channels, wide, stride, 1), neuron())


def _convolution(channels: int, wide: int, stride: int = 1, kernel: int = 3) -> Folded:
    convolution = nn.Conv2d(channels, wide, kernel, stride, padding=kernel // 2, bias=False)
    return Folded(convolution, nn.BatchNorm2d(wide))
