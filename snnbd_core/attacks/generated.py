"""T_o of BadSNN: a noise of its own for each image, made by a U-Net (Miah et al. 2026, eqs. 4-6).

The network is trained and frozen. For each training image a wanted noise is blended from what the
power trigger changes and from a DeepFool perturbation towards the target,

    dx = alpha (x^q - x) + (1 - alpha) deepfool(x),

alpha being the best of five by the target's logit; dx is cut to |dx| <= bound. The U-Net g learns

    1.0 (1 - cos(g(x), dx)) + 0.1 CE(F(x + g(x); S_n), target) + 1.0 MSE(g(x), dx),

S_n being the neurons as they were trained. Who ships other neurons knows those too, and can train
the generator against them: `Generated.threshold`.

Bound and size of the U-Net are not known from the source; both are ours. The weight in the source's
"weighted MSE" is not known either and is 1 here.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core.attacks.adversarial import deepfool
from snnbd_core.attacks.surrogate import surrogate
from snnbd_core.checks import Checked, Count, Part, Positive
from snnbd_core.data import as_set
from snnbd_core.data.batches import shuffled
from snnbd_core.learning import as_sequence
from snnbd_core.learning.loop import Step, answers_of, epochs_of, mixed_seed, scored
from snnbd_core.networks import seeded
from snnbd_core.poisoning import check_target
from snnbd_core.triggers.images import image_sides
from snnbd_core.view import evaluating, fixed, override

__all__ = ["ALPHAS", "Generated", "Noise"]

ALPHAS = (0.1, 0.3, 0.5, 0.7, 0.9)
_WIDTH = 16


class Noise(nn.Module):
    """The learnt trigger, images in and images out: clip(x + bound tanh(g(x)), 0, 1).

    g is a U-Net of two levels: convolutions 3x3, one halving by stride and one doubling by nearest
    neighbours, with the first level's features joined to the last.
    """

    space = "image"

    def __init__(self, input_shape: tuple[int, int, int], bound: float) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        self.bound = bound
        channels = input_shape[0]
        self.down = nn.Sequential(nn.Conv2d(channels, _WIDTH, 3, padding=1), nn.ReLU())
        self.deep = nn.Sequential(
            nn.Conv2d(_WIDTH, 2 * _WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * _WIDTH, 2 * _WIDTH, 3, padding=1),
            nn.ReLU(),
        )
        self.up = nn.Sequential(
            nn.Conv2d(3 * _WIDTH, _WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, channels, 3, padding=1),
        )

    def change(self, images: Tensor) -> Tensor:
        """The noise for images [B, C, H, W], with gradients."""
        near = self.down(images)
        far = functional.interpolate(self.deep(near), size=near.shape[-2:])
        noise: Tensor = self.bound * torch.tanh(self.up(torch.cat((near, far), dim=1)))
        return noise

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Triggered images for images [..., C, H, W].

        Raises:
            ValueError: images of another shape than the generator was trained for.
        """
        image_sides(images)
        if tuple(images.shape[-3:]) != self.input_shape:
            raise ValueError(
                f"images of shape {tuple(images.shape[-3:])} do not fit a generator for "
                f"{self.input_shape}"
            )
        batch = images.reshape(-1, *self.input_shape)
        return (batch + self.change(batch)).clamp(0, 1).reshape(images.shape)


@dataclass(frozen=True, kw_only=True)
class Generated(Checked):
    """Settings of the generator; `fit` trains one for a network.

    Args:
        bound: largest change of a pixel.
        exponent: q of the power trigger that the wanted noise is blended with.
        epochs: of the generator; the paper's is 20.
        samples: training images it sees.
        iterations: of DeepFool; the paper's is 50.
        threshold: of all neurons of the attacked network while the generator is trained; None
            leaves those that the network was trained with, as the paper does.
    """

    bound: Part = 0.1
    exponent: Positive = 3.0
    epochs: Count = 20
    samples: Count = 512
    iterations: Count = 10
    space: Literal["image"] = "image"
    threshold: Positive | None = None

    def __call__(self, data: Any) -> Any:
        raise ValueError(
            "Generated must be trained against a network first, by fit(train, target=..., net=...)"
        )

    def fit(
        self,
        train: Any,
        *,
        target: int,
        seed: int = 0,
        net: nn.Module | None = None,
        steps: int = 4,
    ) -> Noise:
        """The generator for a class, trained against a network.

        Args:
            train: images that the attacker has.
            target: class to reach; one of the set's.
            seed: of the generator's weights, the images and their order.
            net: the attacked network, left as it was; None trains a "quick-conv" of the attacker's
                own for five epochs.
            steps: time steps that an image is shown for, T.

        Raises:
            ValueError: a set that is not of images, a target that is no class, a network without
                spiking layers where `threshold` is given.
        """
        train = as_set(train)
        if train.kind != "image":
            raise ValueError(
                f"train={train!r}: Generated changes images [C, H, W]; for event frames use Dynamic"
            )
        target = check_target(target, train.classes)
        net = surrogate(train, seed, 5, steps) if net is None else net
        rows = np.random.default_rng([seed, 3]).permutation(len(train))[: self.samples]
        place = next(net.parameters()).device
        images = train.batch(rows)[0].to(place)
        neurons = (
            nullcontext() if self.threshold is None else override(net, threshold=self.threshold)
        )
        with evaluating(net), fixed(net), seeded(seed), neurons:
            generator = self._untrained(train.input_shape).to(place)
            wanted = self._wanted(net, images, target, steps)

            def step(rows: np.ndarray) -> Step:
                chosen = torch.from_numpy(rows).to(place)
                noise, aim = generator.change(images[chosen]), wanted[chosen]
                logits = answers_of(net, as_sequence(images[chosen] + noise, steps))
                labels = torch.full_like(chosen, target)
                likeness = functional.cosine_similarity(noise.flatten(1), aim.flatten(1)).mean()
                away = functional.cross_entropy(logits, labels)
                loss = (1 - likeness) + 0.1 * away + functional.mse_loss(noise, aim)
                return scored(loss, logits, labels)

            training = epochs_of(
                generator,
                torch.optim.Adam(generator.parameters(), lr=2e-3),
                lambda epoch: list(shuffled(len(images), 64, seed, epoch)),
                step,
                epochs=self.epochs,
                seed_of=lambda epoch: mixed_seed(seed, epoch),
                cosine=False,
            )
            list(training)
        return generator.cpu().eval()

    def restored(self, state: dict[str, Tensor], input_shape: tuple[int, int, int]) -> Noise:
        """The generator that was trained, from its weights."""
        generator = self._untrained(input_shape)
        generator.load_state_dict(state)
        return generator

    def _untrained(self, input_shape: tuple[int, int, int]) -> Noise:
        return Noise(input_shape, self.bound).eval()

    def _wanted(self, net: nn.Module, images: Tensor, target: int, steps: int) -> Tensor:
        """dx of each image, with the best alpha of the five."""
        darker = images**self.exponent - images
        fooled = deepfool(net, images, target=target, steps=steps, iterations=self.iterations)
        best = torch.full((len(images),), -torch.inf, device=images.device)
        wanted = torch.zeros_like(images)
        for alpha in ALPHAS:
            noise = (alpha * darker + (1 - alpha) * fooled).clamp(-self.bound, self.bound)
            with torch.no_grad():
                logit = answers_of(net, as_sequence(images + noise, steps))[:, target]
            better = logit > best
            best = torch.where(better, logit, best)
            wanted = torch.where(better[:, None, None, None], noise, wanted)
        return wanted
