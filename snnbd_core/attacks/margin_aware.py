"""An attacker who knows TMPBD and trains against its statistic.

TMPBD (RAID 2025, arXiv 2510.06629; see `PotentialMargins`) drives random inputs towards each class
t and takes the largest margin r_t = v_t - max over j != t of v_j, v being the mean potentials of
the read-out. A backdoor is a class whose r is too far above the others'. That the paper also tries
an attacker who puts this statistic into the loss is all that was at hand. The form here is ours:

    L(f(x), y)  +  weight * (max of r - mean of the other r) / (standard deviation of the other r).

r is what a short search finds in the network of this step: a few long steps from fresh random
inputs, one search for all classes together, in place of the detector's many short ones. The
detector's p does not depend on the scale of r, so neither may this loss: without the division it
would be enough to make all potentials smaller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from snnbd_core import checks
from snnbd_core.checks import Checked, Count, Positive
from snnbd_core.data.samples import frames_of
from snnbd_core.learning import Rule, Task, Trained, as_sequence
from snnbd_core.learning.surrogate_gradient import loss_named
from snnbd_core.metrics.margins import ascended, margins
from snnbd_core.view import View, evaluating

__all__ = ["MarginAware", "lead"]

_LEAST = 1e-3  # is added to a deviation, in units of potential: equal margins must not blow it up


@dataclass(frozen=True, kw_only=True)
class MarginAware(Checked, Rule):
    """Surrogate gradients with a second loss: no class may lead by more than the others differ.

    The history's loss is the sum of both.

    Args:
        weight: of the second loss. The default is the first value that was tried, on images and on
            seeds that no chapter uses.
        every: the second loss is added in every so many-th step.
        inputs: random starts for each class.
        iterations: of the ascent.
        learning_rate: length of one step of the ascent; three of 20 reach as far as the detector's
            sixty of 1.
        high: largest value of an input, as the detector's.

    Needs spiking layers and three classes.
    """

    attacks: ClassVar[bool] = True

    weight: Positive = 0.003
    every: Count = 1
    inputs: Count = 1
    iterations: Count = 3
    learning_rate: Positive = 20.0
    high: Positive = 10.0

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set, with both losses."""
        net = task.build().to(task.device)
        view = View(net)
        if not view.spiking:
            raise view.blind("a membrane potential", "needed are spiking neurons")
        checks.classes(view.classes, 3, "the second loss")
        frames = frames_of(task.clean)
        loss = _Both(self, task.loss, task.seed, task.steps, frames, view)
        return Trained(net, task.train(net, loss=loss))

    def margins(
        self, view: View, *, steps: int, seed: int | list[int], frames: int | None = None
    ) -> Tensor:
        """r of each class, [classes], with gradients to the weights; every module keeps its mode.

        The network says the shape of the random inputs: `frames` of them, or static images that
        are shown `steps` times.
        """
        place = next(view.net.parameters()).device
        targets = torch.arange(view.classes, device=place).repeat_interleave(self.inputs)
        rng = np.random.default_rng(seed)
        times = () if frames is None else (frames,)
        shape = (len(targets), *times, *view.input_shape)
        inputs = torch.from_numpy(rng.random(shape, dtype=np.float32)).to(place)
        with evaluating(view.net, place):
            for _ in range(self.iterations):
                _, inputs = ascended(view, inputs, targets, self.learning_rate, self.high, steps)
            found = margins(view, as_sequence(inputs, steps), targets)
        return found.reshape(view.classes, self.inputs).amax(dim=1)


@dataclass
class _Both:
    """The task's loss and every so often ours; counts its own calls, so it is used once."""

    rule: MarginAware
    plain: str
    seed: int
    steps: int
    frames: int | None
    view: View = field(repr=False)
    calls: int = field(default=-1, repr=False)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        self.calls += 1
        value = loss_named(self.plain)(logits, labels)
        if self.calls % self.rule.every:
            return value
        found = self.rule.margins(
            self.view, steps=self.steps, seed=[self.seed, self.calls], frames=self.frames
        )
        return value + self.rule.weight * lead(found)

    def state_dict(self) -> dict[str, int]:
        return {"calls": self.calls}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.calls = state["calls"]


def lead(values: Tensor) -> Tensor:
    """How far the largest of [classes] values is above the others' mean, in their deviations."""
    others, largest = values.sort().values.tensor_split([-1])
    return (largest - others.mean()).squeeze() / (others.std() + _LEAST)
