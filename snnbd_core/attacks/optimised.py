"""A trigger that a camera can produce, placed where it works best (ours).

A few whole events are added to (and taken from) the raw recording, at whole pixels and
microseconds, which respect the pixel's refractory period. Where they go is decided by gradients:
the attacker trains a network of its own on the training data, and asks it in which cells of the
binned frames one more event moves the target's logit most. Binning counts events, so one more event
is one more in its cell: the gradient passes straight through.

Which way to move it depends on the poisoning. With wrong labels the events push towards the target.
In a clean-label attack they push away from it: a poisoned recording of the target class then looks
less like its class, and the network has to learn the pattern to get it right (the idea of Turner et
al. 2019, who make poisoned images harder by adversarial noise).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.attacks.learnt_times import clock_of
from snnbd_core.attacks.surrogate import recorded, surrogate
from snnbd_core.checks import Checked, Count, Flag, Natural
from snnbd_core.learning import as_sequence
from snnbd_core.learning.loop import answers_of
from snnbd_core.poisoning import check_target
from snnbd_core.triggers.pattern import Event, EventPattern

__all__ = ["Optimised"]

_SAMPLES = 256  # training recordings that the gradient is averaged over
_ROUNDS = 8  # the budget is spent in so many parts, with a new gradient before each


@dataclass(frozen=True, kw_only=True)
class Optimised(Checked):
    """Settings of the attack; `fit` gives the `EventPattern` that it found.

    Args:
        budget: number of events added.
        removals: number of places where an event is taken out.
        per_pixel: most events added to one pixel and polarity.
        towards: True raises the target's logit; False lowers it, for clean-label poisoning.
        epochs: of the attacker's own network ("quick-conv", its default neurons).
        refractory: least time between two events of a pixel, microseconds.
    """

    budget: Count = 90
    removals: Natural = 0
    per_pixel: Count = 10
    towards: Flag = True
    epochs: Count = 5
    refractory: Count = 500
    space: Literal["events"] = "events"

    def __call__(self, data: Any) -> Any:
        raise ValueError("Optimised must see training data first, by fit(train, target=...)")

    def fit(self, train: Any, *, target: int, seed: int = 0) -> EventPattern:
        """The pattern for a target class, found on the attacker's training data.

        Args:
            train: event recordings with frames, as `snnbd_core.data` gives them.
            target: class whose logit is moved.
            seed: of the attacker's network, its training, and which recordings are looked at.

        Raises:
            ValueError: a set without recordings or whose binning is not known, a target that is no
                class, or a budget that `per_pixel` and the refractory period do not leave room for
                on the sensor.
        """
        train = recorded(train, self)
        target = check_target(target, train.classes)
        width, height, _ = train.sensor_size
        room = 2 * width * height * self.per_pixel
        if self.budget > room:
            raise ValueError(f"budget={self.budget} is more than the sensor takes: {room} events")
        span = min(int(np.ptp(train.events(row)["t"])) for row in range(min(8, len(train))))
        if 2 * self.per_pixel * self.refractory > span:
            raise ValueError(
                f"per_pixel={self.per_pixel} events of each polarity do not fit into {span} us "
                f"with refractory={self.refractory} us"
            )
        net = surrogate(train, seed, self.epochs)
        seen = (train.labels != target) if self.towards else (train.labels == target)
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(seen))[:_SAMPLES]
        cells, gone = self._place(net, train.batch(rows)[0], target)
        middles = _middles(train, rows[:16])
        return EventPattern(
            added=_as_events(cells, middles),
            removed=_as_events(gone, middles),
            sensor_size=tuple(train.sensor_size),
            refractory=self.refractory,
        )

    def _place(self, net: nn.Module, frames: Tensor, target: int) -> tuple[Tensor, Tensor]:
        """Counts added, [T, 2, H, W], and cells that lose an event, likewise."""
        added, sign = torch.zeros_like(frames[0]), 1 if self.towards else -1
        for share in range(_ROUNDS):
            spend = (share + 1) * self.budget // _ROUNDS - share * self.budget // _ROUNDS
            gradient = sign * _gradient(net, frames + added, target)
            for _ in range(spend):
                full = added.sum(dim=0) >= self.per_pixel
                best = int(gradient.masked_fill(full, -torch.inf).argmax())
                added.view(-1)[best] += 1
                gradient.view(-1)[best] *= 0.5  # a second event in a cell tells less
        gone = torch.zeros_like(added)
        if self.removals:
            present = frames.gt(0).float().mean(dim=0)
            gain = -sign * _gradient(net, frames + added, target) * present
            gone.view(-1)[gain.flatten().topk(self.removals).indices] = 1
        return added, gone


def _gradient(net: nn.Module, frames: Tensor, target: int) -> Tensor:
    """Mean gradient of the target's margin over the others' best, [T, 2, H, W]."""
    mean = torch.zeros_like(frames[0])
    for part in frames.split(64):
        wanted = part.clone().requires_grad_()
        logits = answers_of(net, as_sequence(wanted, 1))
        others = logits.scatter(1, torch.full((len(part), 1), target), -torch.inf)
        margin = logits[:, target] - others.max(dim=1).values
        (gradient,) = torch.autograd.grad(margin.sum(), wanted)
        mean += gradient.sum(dim=0)
    return mean / len(frames)


def _middles(train: Any, rows: np.ndarray) -> np.ndarray:
    """When the middle of each frame comes, as a share of the recording, [T].

    It is the middle event where frames are cut by number, and half its time where by time.
    """
    shares = []
    for row in rows:
        times = train.events(int(row))["t"]
        passed = (times - times[0]) / max(int(np.ptp(times)), 1)
        if train.binning == "time":
            edges = clock_of(passed, train.frames, "time").numpy()
            shares.append((edges[1:] + edges[:-1]) / 2)
        else:
            middle = (np.arange(train.frames) + 0.5) * (len(times) // train.frames)
            shares.append(passed[middle.astype(int)])
    middles: np.ndarray = np.mean(shares, axis=0)
    return middles


def _as_events(counts: Tensor, middles: np.ndarray) -> tuple[Event, ...]:
    """One event (x, y, p, share) for each count of a cell."""
    return tuple(
        (int(x), int(y), int(p), float(middles[t]))
        for t, p, y, x in counts.nonzero().tolist()
        for _ in range(int(counts[t, p, y, x]))
    )
