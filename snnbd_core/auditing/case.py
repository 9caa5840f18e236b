"""What the parts of an audit work with: the network, few clean samples, references, the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from snnbd_core.auditing.budget import Budget, reckoned
from snnbd_core.auditing.parts import Part, Table
from snnbd_core.data import as_set
from snnbd_core.data.samples import SampleSet
from snnbd_core.defenses.bench import Bench, frozen
from snnbd_core.metrics import Rate, decide
from snnbd_core.triggers.images import ROUNDING

__all__ = ["Case", "Change", "drawn", "led", "nothing", "unjudged"]

Change = Callable[[Tensor], Tensor]
Found = TypeVar("Found")
_AT_ONCE = 2**23  # values of a batch: 512 MiB and more in a network's first layers
_LONG, _PARTS = 64, (6, 4, 3, 2)  # recordings of more steps are cut to a part, if that will do
_ALMOST = 0.95  # of the samples that are right in full
_LEAST = 10  # samples that a question is asked of, however short the time


@dataclass
class Case:
    """A network that is audited, or a reference that is asked the same.

    Attributes:
        bench: the network with the clean samples, see `Bench`.
        references: networks that are clean as far as known.
        budget: the seconds of the whole audit.
        ends: the seconds after which a part ends.
        progress: as of `audit`.
        strongest: the trigger that led most samples to a class, and the class; `floors` sets it.
        cut: whether the samples are the first part of longer recordings.
        truth: labels of the samples.
    """

    bench: Bench
    references: Sequence[nn.Module] = ()
    budget: Budget = field(default_factory=Budget)
    ends: float = float("inf")
    progress: Callable[[str, float], None] = lambda what, share: None
    strongest: tuple[Change, int] | None = None
    cut: bool = False
    truth: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.truth = np.asarray(self.bench.data.labels)

    @cached_property
    def outside(self) -> str:
        """The range of images that leave 0..1, on which no known trigger can be put; else empty."""
        low, high = self.bench.samples()[0].aminmax() if self.bench.data.kind == "image" else (0, 1)
        inside = low >= -ROUNDING and high <= 1 + ROUNDING
        return "" if inside else f"Images lie in {low:.4g}..{high:.4g}"

    @torch.no_grad()
    def answers(self, change: Change | None = None, rows: np.ndarray | None = None) -> np.ndarray:
        """Answers [N] to the clean samples, or some of them, each batch changed."""
        rows = np.arange(len(self.truth)) if rows is None else rows
        size = max(1, _AT_ONCE // self.bench.data.batch(rows[:1])[0].numel())
        found = []
        with self.budget.spending(len(rows) * self.cost):
            for start in range(0, len(rows), size):
                batch = self.bench.data.batch(rows[start : start + size])[0]
                found.append(decide(self.bench(batch if change is None else change(batch))).cpu())
        return torch.cat(found).numpy()

    @cached_property
    def cost(self) -> float:
        """Seconds that a pass of one sample is reckoned with."""
        return reckoned(self.bench)

    @cached_property
    def clean(self) -> np.ndarray:
        """Answers [N] of the network as it is to the samples as they are."""
        return self.answers()

    @cached_property
    def enough(self) -> int:
        """The steps, from the first on, that a network needs: all, unless recordings are long.

        Of these the fewest on which it is right on nearly as many samples as in full.
        """
        data = self.bench.data
        if data.kind != "frames" or data.frames <= _LONG:
            return int(data.frames) if data.kind == "frames" else 1
        wanted = _ALMOST * self.right(self.clean).hits
        for part in _PARTS:
            steps = int(data.frames) // part
            short = self.shortened(steps)
            if short.right(short.clean).hits >= wanted:
                return steps
        return int(data.frames)

    def shortened(self, steps: int | None = None) -> Case:
        """The case with the first steps of its samples, as many as are `enough` unless given."""
        data = self.bench.data
        steps = self.enough if steps is None else steps
        if data.kind != "frames" or steps >= data.frames:
            return self
        samples, labels = data.batch(np.arange(len(data)))
        brief = as_set(TensorDataset(samples[:, :steps], labels), classes=data.classes)
        return replace(self, bench=replace(self.bench, data=brief), cut=True)

    def right(self, answers: np.ndarray) -> Rate:
        """How many of the answers to all samples are right."""
        return Rate.of(answers == self.truth)

    def fits(self, passes: float, ends: float | None = None) -> bool:
        """Whether there is time for so many passes of one sample through the network."""
        return self.budget.fits(passes * self.cost, self.ends if ends is None else ends)

    def after(self, share: float) -> float:
        """The seconds after which so much of the time that is left is used up."""
        return self.budget.spent + share * (self.ends - self.budget.spent)

    def many(self, most: int, times: float, ends: float | None = None) -> int:
        """How many samples there is time for that pass so often: `most`, halved until they fit."""
        while most > _LEAST and not self.fits(most * times, ends):
            most = max(_LEAST, most // 2)
        return most

    @contextmanager
    def asking(self, net: nn.Module) -> Iterator[Case]:
        """The same case of another network, which is put back afterwards."""
        own = self.bench
        with frozen(net, own.data, device=own.device, steps=own.steps, seed=own.seed) as bench:
            yield replace(self, bench=bench, references=())

    @contextmanager
    def first_share(self) -> Iterator[None]:
        """The block that leaves as much of the time as it takes to each reference network."""
        ends, self.ends = self.ends, self.after(1 / (1 + len(self.references)))
        try:
            yield
        finally:
            self.ends = ends

    def of_references(self, ask: Callable[[Case], Found]) -> list[Found]:
        """What a question finds of each reference network, each in its share of the time."""
        found = []
        for number, net in enumerate(self.references):
            with self.asking(net) as other:
                other.ends = self.after(1 / (len(self.references) - number))
                found.append(ask(other))
        return found

    def some(self, most: int) -> np.ndarray:
        """Rows of so many samples, or of all in their order."""
        count = len(self.truth)
        drawn = np.random.default_rng(self.bench.seed).permutation(count)
        return drawn[:most] if most < count else np.arange(count)


def drawn(clean: SampleSet, per_class: int, classes: int, seed: int) -> SampleSet:
    """So many samples of each class, held in memory; the rest of the set is not read."""
    labels, draw = np.asarray(clean.labels), np.random.default_rng(seed)
    rows = [draw.permutation(np.flatnonzero(labels == one))[:per_class] for one in range(classes)]
    return as_set(TensorDataset(*clean.batch(np.sort(np.concatenate(rows)))), classes=classes)


def led(case: Case) -> Rate | None:
    """Share of other classes' samples that the strongest trigger leads to its class."""
    if case.strongest is None:
        return None
    change, target = case.strongest
    return Rate.of(case.answers(change)[case.truth != target] == target)


def nothing(name: str, title: str, why: str) -> Part:
    """A part that was not done, and why."""
    return Part(name, title, "unjudged", "This was not looked at.", "", None, (), (why,))


def unjudged(name: str, title: str, summary: str, tables: Sequence[Table], *notes: str) -> Part:
    """A part that judges nothing."""
    return Part(name, title, "unjudged", summary, "", None, tuple(tables), notes)
