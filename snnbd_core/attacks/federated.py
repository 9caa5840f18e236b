"""A trigger shared out in time among federated clients (Spikewhisper; Time-distributed backdoor).

Each of K attackers owns one time slice of the trigger and poisons only its own data with it. No
client's data holds the whole trigger; at inference the union of the slices fires. The clients train
by federated averaging (McMahan et al. 2017). The loop is a few lines in one process: a federated
framework (Flower was looked at) brings transport, processes and a scheduler, none of which changes
what the average is.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from snnbd_core import checks
from snnbd_core.checks import Checked, Count, Natural, Part, Positive
from snnbd_core.learning import Rule, Task, Trained
from snnbd_core.poisoning import poison
from snnbd_core.triggers.checks import Polarity, Position
from snnbd_core.triggers.frames import Overwriting
from snnbd_core.triggers.placement import Rectangle, place

__all__ = ["Federated", "TimeSliced", "average"]


def _checked_slices(name: str, slices: Any) -> tuple[tuple[float, float], ...]:
    """The slices as they are stored; ValueError unless they are in order within 0..1."""
    if not isinstance(slices, tuple | list) or not slices:
        raise ValueError(f"{name}={slices!r} must list (first, last) shares of the frames")
    checked, end = [], 0.0
    for number, part in enumerate(slices):
        fits = isinstance(part, tuple | list | np.ndarray) and len(part) == 2
        fits = fits and all(checks.is_number(x) for x in part)
        low, high = map(checks.decimal, part) if fits else (0.0, 0.0)
        if not 0 <= low < high <= 1:
            raise ValueError(
                f"{name}[{number}]={part!r} must be (first, last), 0 <= first < last <= 1"
            )
        if low < end:
            raise ValueError(f"{name}[{number}]={part!r} overlaps the slice before, up to {end}")
        checked.append((low, high))
        end = high
    return tuple(checked)


@dataclass(frozen=True, kw_only=True)
class TimeSliced(Overwriting):
    """A static square whose frames are owned by `attackers`, slice by slice.

    Args:
        slices: (first, one past last) frame of each attacker's slice, as shares of T in 0..1,
            in order and without overlap.
        owner: number of the attacker whose slice alone is written; None writes all.
        size, position, polarity, strength: as for `Static`.

    Raises:
        ValueError: when called, fewer frames than give every slice one.
    """

    slices: Annotated[tuple[tuple[float, float], ...], _checked_slices] = ((0.0, 0.5), (0.5, 1.0))
    owner: Natural | None = None
    size: Part = 0.1
    position: Position = "bottom-right"
    polarity: Polarity = "on"
    strength: Positive = 1
    space: Literal["frames"] = "frames"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.owner is not None and self.owner >= len(self.slices):
            raise ValueError(f"owner={self.owner} must be None or in 0..{len(self.slices) - 1}")

    def schedule(self, steps: int, width: int, height: int) -> list[tuple[Rectangle, slice]]:
        """The square with the frames of each slice that is written."""
        x, y, w, h = place(self.position, self.size, width, height)
        square = Rectangle.at(x, y, w, h, width)
        frames = [slice(round(low * steps), round(high * steps)) for low, high in self.slices]
        for number, part in enumerate(frames):
            if part.start == part.stop:
                raise ValueError(
                    f"slices[{number}]={self.slices[number]} holds none of {steps} frames"
                )
        chosen = frames if self.owner is None else [frames[self.owner]]
        return [(square, part) for part in chosen]


@dataclass(frozen=True, kw_only=True)
class Federated(Checked, Rule):
    """Federated averaging over `clients`, the first of which own a slice of the trigger each.

    The training set is dealt out at random in equal parts. In a round each client trains a copy of
    the global network on its own part; the new global network is their mean, weighted by samples.
    Batch-norm statistics are averaged like weights, as FedAvg does with everything in a network's
    state; counters are the first client's. Attackers poison the experiment's rate of their own
    samples, of any class; a trigger other than `TimeSliced` is written whole by every attacker. A
    killed run goes on after its last full round.

    Args:
        clients: all of them, attackers included.
        attackers: how many poison; for a `TimeSliced` trigger one for each slice.
        local_epochs: epochs of a client in a round; the experiment's epochs are the rounds.

    Raises:
        ValueError: when trained, a trigger with another number of slices.
    """

    clients: Count = 6
    attackers: Natural = 2
    local_epochs: Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attackers > self.clients:
            raise ValueError(f"attackers={self.attackers} must lie in 0..{self.clients}")

    def fit(self, task: Task) -> Trained:
        """The global network after as many rounds as the task has epochs."""
        parts = self._parts(task)
        net = task.build().to(task.device)
        saved = task.saved(net, self)
        history = saved.restore(net=net)
        for turn in range(len(history), task.epochs):
            states, losses, accuracies, seconds = [], [], [], 0.0
            for part in parts:
                local = copy.deepcopy(net)
                done = task.train(
                    local,
                    part,
                    epochs=self.local_epochs,
                    seed=task.seed + turn,
                    progress=False,
                    checkpoint=None,
                )
                states.append(local.state_dict())
                losses.append(done.loss[-1])
                accuracies.append(done.accuracy[-1])
                seconds += sum(done.seconds)
            net.load_state_dict(average(states, [len(part) for part in parts]))
            history = replace(history, precision=done.precision).extended(
                loss=float(np.mean(losses)),
                accuracy=float(np.mean(accuracies)),
                learning_rate=task.learning_rate,
                seconds=seconds,
            )
            saved.save(history, net=net)
        return Trained(net.eval(), history)

    def _parts(self, task: Task) -> list[Any]:
        """Each client's samples; those of attackers poisoned."""
        if task.rate > 0 and isinstance(task.trigger, TimeSliced):
            owned = len(task.trigger.slices)
            if owned != self.attackers:
                raise ValueError(f"attackers={self.attackers} must be the trigger's {owned} slices")
        order = np.random.default_rng(task.seed).permutation(len(task.clean))
        parts = [task.clean.subset(np.sort(rows)) for rows in np.array_split(order, self.clients)]
        if task.rate == 0:
            return parts
        for number in range(self.attackers):
            own = task.trigger
            if isinstance(own, TimeSliced):
                own = replace(own, owner=number)
            parts[number] = poison(
                parts[number],
                own,
                rate=task.rate,
                target=task.target,
                seed=task.seed,
            )
        return parts


def average(states: list[dict[str, Tensor]], weights: list[int]) -> dict[str, Tensor]:
    """The weighted mean of networks' states.

    Whole numbers (counters) are the first network's. What is equal in all, such as the settings of
    neurons, stays as it is: a mean would round it.
    """
    return {name: _mean([state[name] for state in states], weights) for name in states[0]}


def _mean(values: list[Tensor], weights: list[int]) -> Tensor:
    first, total = values[0], sum(weights)
    if not first.is_floating_point() or all(torch.equal(first, value) for value in values[1:]):
        return first
    shares = (value * (weight / total) for value, weight in zip(values, weights, strict=True))
    return sum(shares, start=torch.zeros_like(first))
