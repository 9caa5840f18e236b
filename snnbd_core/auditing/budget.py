"""The time of an audit, reckoned from what networks compute: the same on every machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from snnbd_core.defenses.bench import Bench

__all__ = ["Budget", "clock", "reckoned"]

clock: Callable[[], float] = time.monotonic  # benchmarks count the processor's seconds instead

# Operations and steps of a neuron in a second, about half of what a core of a server does in 2026.
_OPERATIONS, _NEURONS = 2e10, 1.25e8


@dataclass
class Budget:
    """Seconds that may be spent, and what has been, both as `reckoned`.

    What is done is planned by these seconds, so that one seed gives one plan. The clock is asked
    too: on a machine that is too slow for the plan it ends or shortens parts, which then say so.

    Attributes:
        seconds: that may be spent.
        spent: so far.
        late: whether the clock ended or shortened anything that was planned.
        pace: seconds by the clock that a reckoned one took, at the quickest.
        begun: by the clock.
    """

    seconds: float = math.inf
    spent: float = 0.0
    late: bool = False
    pace: float = math.inf
    begun: float = field(default_factory=lambda: clock())

    @property
    def elapsed(self) -> float:
        """Seconds by the clock."""
        return clock() - self.begun

    @contextmanager
    def spending(self, seconds: float) -> Iterator[None]:
        """The block that is reckoned with so many seconds."""
        begun = clock()
        try:
            yield
            self.pace = min(self.pace, (clock() - begun) / seconds)
        finally:
            self.spent += seconds

    def fits(self, more: float, ends: float) -> bool:
        """Whether so many seconds more are spent before `ends`, by the plan and by the clock."""
        if self.spent + more >= min(ends, self.seconds):
            return False
        more *= self.pace if self.spent else 0.0
        if self.elapsed + more < self.seconds:
            return True
        self.late = True
        return False


@torch.no_grad()
def reckoned(bench: Bench) -> float:
    """Seconds that a sample's pass through a network is reckoned with."""
    from torch.utils.flop_counter import FlopCounterMode

    sequence = bench.sequence(bench.data.batch([0])[0])
    with FlopCounterMode(display=False) as counted:
        bench.view(sequence)
    neurons = sum(math.prod(layer.shape) for layer in bench.view.layers)
    return counted.get_total_flops() / _OPERATIONS + len(sequence) * neurons / _NEURONS
