"""What was measured: rates with their sample sizes, and the report of a network."""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

__all__ = ["Rate", "Report", "defence_effectiveness", "revived"]


@dataclass(frozen=True)
class Rate:
    """A share of samples: `hits` of `total`."""

    hits: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.total:
            raise ValueError(f"hits={self.hits!r} of total={self.total!r}: allowed is 0..total")

    @classmethod
    def of(cls, hits: np.ndarray) -> Rate:
        """The rate of booleans, one for each sample."""
        return cls(int(hits.sum()), len(hits))

    @property
    def value(self) -> float:
        """hits / total, or nan where there are no samples."""
        return self.hits / self.total if self.total else math.nan

    @property
    def confidence_interval(self) -> tuple[float, float]:
        """Wilson's score interval, 95 %; (0, 1) where there are no samples."""
        return _wilson(self.hits, self.total) if self.total else (0.0, 1.0)

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else repr(self)


@dataclass(frozen=True)
class Report:
    """What `evaluate` measured. Fields that need a trigger, or a clean network, may be None.

    Attributes:
        target: the class that the trigger should lead to.
        clean_accuracy: true label without trigger, all samples.
        no_prediction_clean: silent or tied outputs without trigger, all samples.
        untriggered_target_rate: target without trigger; the target's own samples left out.
        spikes_clean, synops_clean: per sample, without trigger (see `snnbd_core.metrics.activity`);
            None where they cannot be counted.
        attack_success_rate: target under the trigger; the target's own samples left out.
        attack_success_rate_all: the same over all samples, as Abad et al. count it: a perfect
            clean network then reaches the share of the target class.
        robust_accuracy: true label under the trigger; the target's own samples left out, so that
            it and `attack_success_rate` are shares of the same samples.
        no_prediction_triggered: silent or tied outputs under the trigger, all samples.
        spikes_triggered, synops_triggered: per sample, under the trigger.
        floor, floor_all: the two success rates of a network that never saw the trigger.
        extra: what is measured besides by a learning rule, a probe or for stealth, by name: rates
            and numbers, and lists of numbers where each sample or class has its own.
    """

    target: int
    clean_accuracy: Rate
    no_prediction_clean: Rate
    untriggered_target_rate: Rate
    spikes_clean: float | None
    synops_clean: float | None
    attack_success_rate: Rate | None = None
    attack_success_rate_all: Rate | None = None
    robust_accuracy: Rate | None = None
    no_prediction_triggered: Rate | None = None
    spikes_triggered: float | None = None
    synops_triggered: float | None = None
    floor: Rate | None = None
    floor_all: Rate | None = None
    extra: dict[str, Rate | float | list[float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and dicts, fit for JSON; a rate is {"hits": ..., "total": ...}."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """The inverse of `to_dict`.

        Raises:
            ValueError: missing or unknown fields; only `extra` may be missing.
        """
        names = {item.name for item in fields(cls)}
        if set(data) | {"extra"} != names:
            raise ValueError(
                f"report has missing fields {sorted(names - set(data))} and unknown fields "
                f"{sorted(set(data) - names)}: allowed are exactly {sorted(names)}"
            )
        extra = {name: revived(value) for name, value in data.get("extra", {}).items()}
        values = {name: revived(value) for name, value in data.items() if name != "extra"}
        return cls(**values, extra=extra)

    def figure(self, name: str) -> Rate | float | None:
        """A field or a value of `extra` by name; None where it was not measured.

        Raises:
            ValueError: a list of numbers, which is no single figure.
        """
        found: Rate | float | list[float] | None = self.extra.get(name, getattr(self, name, None))
        if isinstance(found, list):
            raise ValueError(f"{name} is a list of {len(found)} numbers: read it from extra")
        return found


def defence_effectiveness(before: Report, after: Report) -> float:
    """DER (Zhu et al. 2023) of a repair: (max(0, dASR) - max(0, dCA) + 1) / 2, in 0..1.

    d is before less after. 1 is a perfect attack undone for nothing, 0.5 nothing gained. A report
    without a success rate is a ValueError.
    """
    if before.attack_success_rate is None or after.attack_success_rate is None:
        raise ValueError("a report has no attack_success_rate: it needs a trigger")
    gained = before.attack_success_rate.value - after.attack_success_rate.value
    lost = before.clean_accuracy.value - after.clean_accuracy.value
    return (max(0.0, gained) - max(0.0, lost) + 1) / 2


def revived(value: Any) -> Any:
    """A rate from its {"hits": ..., "total": ...}; anything else as it is."""
    return Rate(**value) if isinstance(value, dict) else value


@functools.lru_cache(maxsize=4096)
def _wilson(hits: int, total: int) -> tuple[float, float]:
    from scipy.stats import binomtest  # half a second to import, and only intervals need it

    interval = binomtest(hits, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)
