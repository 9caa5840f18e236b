"""What a backdoor does, in numbers that carry their sample sizes.

    report = evaluate(net, test, trigger, target=0, clean_net=clean)
    report.attack_success_rate              # Rate(hits=..., total=...)
    report.attack_success_rate.confidence_interval

What a network answers is told by `decide`. Samples without an answer are never correct and never
hit the target, and are counted apart.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from snnbd_core.activity import measure
from snnbd_core.answers import NO_PREDICTION as NO_PREDICTION
from snnbd_core.answers import decide as decide
from snnbd_core.learning import as_sequence, choose_device
from snnbd_core.poisoning import Triggered, check_target
from snnbd_core.triggers import Trigger


@dataclass(frozen=True)
class Rate:
    """A share of samples: `hits` of `total`."""

    hits: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.total:
            raise ValueError(
                f"hits={self.hits!r} of total={self.total!r}: allowed is 0 <= hits <= total"
            )

    @property
    def value(self) -> float:
        """hits / total, or nan where there are no samples."""
        return self.hits / self.total if self.total else math.nan

    @property
    def confidence_interval(self) -> tuple[float, float]:
        """Wilson's score interval, 95 %; (0, 1) where there are no samples."""
        if not self.total:
            return 0.0, 1.0
        return _wilson(self.hits, self.total)

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
        spikes_clean, synops_clean: per sample, without trigger (see `snnbd_core.activity`).
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
    spikes_clean: float
    synops_clean: float
    attack_success_rate: Rate | None = None
    attack_success_rate_all: Rate | None = None
    robust_accuracy: Rate | None = None
    no_prediction_triggered: Rate | None = None
    spikes_triggered: float | None = None
    synops_triggered: float | None = None
    floor: Rate | None = None
    floor_all: Rate | None = None
    extra: dict[str, Rate | float | list[float]] = field(default_factory=dict)

    @property
    def spikes_change(self) -> float | None:
        """Spikes per sample that the trigger adds; negative where it takes away."""
        return _change(self.spikes_clean, self.spikes_triggered)

    @property
    def synops_change(self) -> float | None:
        """Synaptic operations per sample that the trigger adds."""
        return _change(self.synops_clean, self.synops_triggered)

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
        found = self.extra.get(name)
        if isinstance(found, list):
            raise ValueError(f"{name} is a list of {len(found)} numbers: read it from extra")
        if found is not None:
            return found
        value: Rate | float | None = getattr(self, name, None)
        return value


def evaluate(
    net: nn.Module,
    dataset: Any,
    trigger: Trigger | None = None,
    target: int = 0,
    *,
    clean_net: nn.Module | None = None,
    device: str | torch.device = "auto",
    batch_size: int = 128,
    steps: int = 4,
) -> Report:
    """Measures a network without and, where one is given, under a trigger.

    Args:
        net: [T, B, C, H, W] -> logits [B, classes]. Run in eval mode without gradients; its mode
            and device are restored.
        dataset: frames or images with the protocol of `snnbd_core.data`; not changed.
        trigger: put on every sample.
        target: class that the trigger should lead to.
        clean_net: a network trained without poison, which gives the floor.
        device: "auto" is CUDA, MPS or CPU, in this order.
        batch_size: samples per forward pass.
        steps: T for static images.

    Raises:
        ValueError: an empty set, target not a class, logits of another shape or not finite,
            batch_size or steps below 1, clean_net without a trigger, or a trigger that does not
            fit the set.
    """
    check_target(target, dataset.classes)
    if clean_net is not None and trigger is None:
        raise ValueError("clean_net without trigger=...: the floor is its success rate under one")
    run = _Run(choose_device(device), batch_size, steps)
    truth = np.asarray(dataset.labels)
    others = truth != target

    (clean,), spikes, synops = run.predictions([net], dataset)
    report: dict[str, Any] = {
        "clean_accuracy": _rate(clean == truth),
        "no_prediction_clean": _rate(clean == NO_PREDICTION),
        "untriggered_target_rate": _rate(clean[others] == target),
        "spikes_clean": spikes,
        "synops_clean": synops,
    }
    if trigger is not None:
        nets = [net] if clean_net is None else [net, clean_net]
        (hit, *floor), spikes, synops = run.predictions(nets, Triggered(dataset, trigger))
        report |= {
            "attack_success_rate": _rate(hit[others] == target),
            "attack_success_rate_all": _rate(hit == target),
            "robust_accuracy": _rate(hit[others] == truth[others]),
            "no_prediction_triggered": _rate(hit == NO_PREDICTION),
            "spikes_triggered": spikes,
            "synops_triggered": synops,
        }
        if floor:
            report["floor"] = _rate(floor[0][others] == target)
            report["floor_all"] = _rate(floor[0] == target)
    return Report(target=int(target), **report)


def predict(
    net: nn.Module,
    dataset: Any,
    *,
    device: str | torch.device = "auto",
    batch_size: int = 128,
    steps: int = 4,
) -> np.ndarray:
    """A network's answers, int64 [N]; `NO_PREDICTION` (-1) for silent or tied outputs."""
    run = _Run(choose_device(device), batch_size, steps)
    (answers,), _, _ = run.predictions([net], dataset)
    return answers


@dataclass(frozen=True)
class _Run:
    """How networks are run over a data set."""

    device: torch.device
    batch_size: int
    steps: int

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r}: allowed are whole numbers from 1")

    def predictions(
        self, nets: Sequence[nn.Module], dataset: Any
    ) -> tuple[list[np.ndarray], float, float]:
        """Answers [N] of each network; spikes and SynOps per sample of the first."""
        total = len(dataset)
        if not total:
            raise ValueError("dataset is empty: at least one sample is needed")
        answers = [np.empty(total, dtype=np.int64) for _ in nets]
        with ExitStack() as stack:
            for net in nets:
                stack.enter_context(evaluating(net, self.device))
            activity = stack.enter_context(measure(nets[0]))
            stack.enter_context(torch.inference_mode())
            for start in range(0, total, self.batch_size):
                rows = np.arange(start, min(start + self.batch_size, total))
                batch, _ = dataset.batch(rows)
                sequence = as_sequence(batch.to(self.device), self.steps)
                for net, answer in zip(nets, answers, strict=True):
                    logits = _checked_logits(net(sequence), len(rows), dataset.classes)
                    answer[rows] = decide(logits).cpu().numpy()
        return answers, float(activity.spikes) / total, float(activity.synops) / total


@contextmanager
def evaluating(net: nn.Module, device: torch.device) -> Iterator[None]:
    """Eval mode on a device; every module's own mode and the network's device come back."""
    modes = {module: module.training for module in net.modules()}
    tensors = [*net.parameters(), *net.buffers()]
    home = tensors[0].device if tensors else None
    try:
        net.eval()
        if home is not None:
            net.to(device)
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        if home is not None:
            net.to(home)


def _checked_logits(logits: Tensor, batch: int, classes: int) -> Tensor:
    if logits.shape != (batch, classes):
        raise ValueError(
            f"net gives logits of shape {tuple(logits.shape)}: allowed is [B, classes] = "
            f"{(batch, classes)}"
        )
    if not torch.isfinite(logits).all():
        raise ValueError("net gives logits that are NaN or infinite: allowed are finite numbers")
    return logits


def _rate(hits: np.ndarray) -> Rate:
    return Rate(int(hits.sum()), len(hits))


def revived(value: Any) -> Any:
    """A rate from its {"hits": ..., "total": ...}; anything else as it is."""
    return Rate(**value) if isinstance(value, dict) else value


@functools.lru_cache(maxsize=4096)
def _wilson(hits: int, total: int) -> tuple[float, float]:
    interval = binomtest(hits, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _change(clean: float, triggered: float | None) -> float | None:
    return None if triggered is None else triggered - clean
