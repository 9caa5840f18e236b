"""Triggers whose times are learnt, by gradient through a soft binning.

Frames count events, and a count has no slope in an event's time. So a frame is read softly: with
u the event's time in units of frames on the recording's own clock, an event counts

    max(0, 1 - |u - (k + 1/2)|)

in frame k, which has a slope. Forward the counts are the whole ones that u gives, backward the
gradient is that of the soft ones (a straight-through estimate). The attacker trains a network of
its own on the training data and moves the times along the gradient of the target's margin in it.
With wrong labels the times push towards the target, in a clean-label attack away from it, as for
`Optimised`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.attacks.surrogate import recorded, surrogate
from snnbd_core.checks import Checked, Count, Flag, Positive
from snnbd_core.learning import as_sequence
from snnbd_core.learning.loop import answers_of
from snnbd_core.poisoning import check_target
from snnbd_core.triggers.event_trojan import EventTrojan
from snnbd_core.triggers.retiming import TimeTable, cells

__all__ = ["LearntTimes", "MutableTrojan", "clock_of", "soft_counts"]

_ITERATIONS = 60
_BATCH = 16
_RATE = 0.2  # Adam's, of numbers that tanh or the sigmoid brings within the bound


@dataclass(frozen=True, kw_only=True)
class LearntTimes(Checked):
    """Settings of learnt delays; `fit` gives the `TimeTable` that it found.

    Args:
        bound: most that an event moves, in milliseconds.
        parts: rows and columns that the sensor is cut in; each has its own delays.
        slices: parts of the recording, likewise.
        towards: True raises the target's logit; False lowers it, for clean-label poisoning.
        epochs: of the attacker's own network ("quick-conv", its default neurons).
        refractory: least time between two events of a pixel, microseconds.
    """

    bound: Positive = 20.0
    parts: Count = 6
    slices: Count = 8
    towards: Flag = True
    epochs: Count = 5
    refractory: Count = 500
    space: Literal["events"] = "events"

    def __call__(self, data: Any) -> Any:
        raise ValueError("LearntTimes must see training data first, by fit(train, target=...)")

    def fit(self, train: Any, *, target: int, seed: int = 0) -> TimeTable:
        """The delays for a target class, learnt on the attacker's training data.

        Args:
            train: event recordings with frames, as `snnbd_core.data` gives them.
            target: class whose logit is moved.
            seed: of the attacker's network, its training, and the order of the recordings.

        Raises:
            ValueError: a set without recordings or whose binning is not known, a target that is no
                class, a bound that is longer than a recording, fewer than two frames.
        """
        train = recorded(train, self)
        target = check_target(target, train.classes)
        lengths = [np.ptp(train.events(row)["t"]) / 1000 for row in range(min(64, len(train)))]
        if self.bound > min(lengths):
            raise ValueError(
                f"bound={self.bound!r} ms is longer than a recording: allowed is at most "
                f"{min(lengths):g}"
            )
        shape = (2, self.parts, self.parts, self.slices)
        free = torch.zeros(shape, requires_grad=True)

        def counts(row: int, events: np.ndarray) -> Tensor:
            """Soft counts of one recording at its new times."""
            late = self.bound * torch.tanh(free)[cells(events, shape, train.sensor_size)]
            times = torch.from_numpy(events["t"] / 1000.0).float() + late
            return soft_counts(events, times, train)

        _learn(free, counts, train, target, self, seed)
        return TimeTable(
            shifts=(self.bound * torch.tanh(free.detach())).double().numpy(),
            length=float(np.median(lengths)),
            bound=self.bound,
            sensor_size=tuple(train.sensor_size),
            refractory=self.refractory,
        )


@dataclass(frozen=True, kw_only=True)
class MutableTrojan(Checked):
    """Event Trojan's mutable trigger: the square's events at learnt times; gives an `EventTrojan`.

    The paper learns times with the network. In its code the gradient of the classification does
    not reach them (the injected times are detached): only a term that keeps them unlike the
    recording's own does. Here they begin at random and are learnt against the attacker's own
    network, for all recordings alike.

    Args:
        side: of the square, in pixels.
        refractory, bandwidth: as for `EventTrojan`.
        towards, epochs: as for `LearntTimes`.
    """

    side: Count = 10
    refractory: Count = 1
    bandwidth: Positive | None = None
    towards: Flag = True
    epochs: Count = 5
    space: Literal["events"] = "events"

    def __call__(self, data: Any) -> Any:
        raise ValueError("MutableTrojan must see training data first, by fit(train, target=...)")

    def fit(self, train: Any, *, target: int, seed: int = 0) -> EventTrojan:
        """The trigger for a target class; arguments and errors as for `LearntTimes.fit`."""
        train = recorded(train, self)
        target = check_target(target, train.classes)
        built = EventTrojan(
            side=self.side,
            refractory=self.refractory,
            bandwidth=self.bandwidth,
            sensor_size=tuple(train.sensor_size),
        )
        begin = np.random.default_rng(seed).uniform(0.1, 0.9, self.side**2)
        free = torch.logit(torch.from_numpy(begin).float()).requires_grad_()
        first = np.array(built.pattern(1_000_000).added)
        fields = [("x", int), ("y", int), ("p", int)]
        new = np.array([tuple(row[:3].astype(int)) for row in first], dtype=fields)

        def counts(row: int, events: np.ndarray) -> Tensor:
            """The recording's own counts and those of the square's events at their times."""
            start, span = events["t"][0] / 1000, np.ptp(events["t"]) / 1000
            times = start + span * torch.sigmoid(free)
            own = train.batch([row])[0][0]
            return own + soft_counts(events, times, train, new)

        _learn(free, counts, train, target, self, seed)
        times = torch.sigmoid(free.detach()).double().tolist()
        return EventTrojan(**{**vars(built), "times": tuple(times)})


def soft_counts(
    events: np.ndarray, times: Tensor, train: Any, placed: np.ndarray | None = None
) -> Tensor:
    """Frames [T, 2, H, W] of events at some times: whole counts with the gradient of soft ones.

    Args:
        events: a recording, whose own clock says when a frame begins.
        times: milliseconds, float32 [N], of its events or of those placed.
        train: the set by whose rule it is cut.
        placed: events with fields x, y, p that are counted in its place.
    """
    placed = events if placed is None else placed
    steps, (_, height, width) = train.frames, train.input_shape
    clock = clock_of(events["t"] / 1000.0, steps, train.binning)
    frame = (torch.bucketize(times.detach(), clock, right=True) - 1).clamp(0, steps - 1)
    inside = (times - clock[frame]) / (clock[frame + 1] - clock[frame]).clamp_min(1e-3)
    place = (frame + inside).clamp(0.5, steps - 0.5) - 0.5
    low = place.detach().floor().clamp(0, steps - 2).long()
    weight = place - low
    whole = (frame > low).float()
    share = weight + (whole - weight).detach()
    pixel = (placed["p"].astype(int) * height + placed["y"]) * width + placed["x"]
    cell = torch.from_numpy(np.asarray(pixel, dtype=np.int64))
    size = 2 * height * width
    counts = torch.zeros(steps * size)
    counts = counts.index_add(0, low * size + cell, 1 - share)
    counts = counts.index_add(0, (low + 1) * size + cell, share)
    return counts.reshape(steps, 2, height, width)


def clock_of(times: np.ndarray, steps: int, binning: str) -> Tensor:
    """When each frame of a recording begins, and the last one ends, [T + 1] in its unit."""
    if binning == "number":
        edges = np.append(times[np.arange(steps) * (len(times) // steps)], times[-1])
    else:
        edges = np.linspace(times[0], times[-1], steps + 1)
    return torch.from_numpy(edges).float()


def _learn(
    free: Tensor,
    counts: Callable[[int, np.ndarray], Tensor],
    train: Any,
    target: int,
    settings: LearntTimes | MutableTrojan,
    seed: int,
) -> None:
    """Moves the free numbers so that the target's margin rises (or falls) in a network of ours."""
    if train.frames < 2:
        raise ValueError(
            f"frames={train.frames}: {type(settings).__name__} moves events from frame to frame "
            "and needs a training set with at least 2"
        )
    net = surrogate(train, seed, settings.epochs).requires_grad_(False)
    seen = (train.labels != target) if settings.towards else (train.labels == target)
    optimizer = torch.optim.Adam([free], lr=_RATE)
    for rows in _batches(np.flatnonzero(seen), seed):
        frames = torch.stack([counts(int(row), train.events(int(row))) for row in rows])
        margin = _margin(net, frames, target)
        optimizer.zero_grad()
        (-margin if settings.towards else margin).backward()
        optimizer.step()


def _batches(rows: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    draw = np.random.default_rng(seed)
    for _ in range(_ITERATIONS):
        yield draw.choice(rows, min(_BATCH, len(rows)), replace=False)


def _margin(net: nn.Module, frames: Tensor, target: int) -> Tensor:
    """Mean of the target's logit less the best of the others."""
    logits = answers_of(net, as_sequence(frames, 1))
    others = logits.scatter(1, torch.full((len(logits), 1), target), -torch.inf)
    return (logits[:, target] - others.max(dim=1).values).mean()
