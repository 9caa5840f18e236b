"""BadSNN: a backdoor in the neuron itself (Miah et al. 2026, arXiv 2602.07200).

No sample is changed and no label is wrong. The network is trained twice with the same weights: on
all of D with its nominal neurons S_n, and on a few samples of the target class with malicious ones
S_t, whose threshold is another (their eq. 2),

    sum over D of L(F(x; S_n), y)  +  weight * sum over D_t^p of L(F(x; S_t), y).

Under S_t it sees one class only and may learn to give it for anything. The attacker then ships the
network with a threshold between the two. Only the abstract was at hand for this book; all else
follows a public transcription that nobody confirmed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.data.batches import shuffled
from snnbd_core.kernels import memory
from snnbd_core.learning import History, Task, Trained, as_sequence
from snnbd_core.learning.surrogate_gradient import LOSSES
from snnbd_core.metrics import Report, decide, evaluate
from snnbd_core.networks import seeded
from snnbd_core.neurons import spiking_layers
from snnbd_core.view import override

SCHEDULES = ("joint", "two-pass")
BATCH_NORMS = ("mixed", "shared", "frozen", "separate")


@dataclass(frozen=True, kw_only=True)
class DualSpike:
    """Dual-spike learning, as a rule of an `Experiment`; no sample is poisoned.

    Args:
        threshold: the malicious one, V_thr^t, > 0.
        beta: the malicious decay, in (0, 1]; None keeps the network's.
        share: samples of the target class that are shown to the malicious neurons, as a share of
            the whole training set (the paper's P), above 0.
        weight: of the malicious loss, > 0. Both losses are means over their batches.
        schedule: "joint" takes both losses in every step, "two-pass" runs over all of D and then
            over the malicious samples in each epoch, as a public re-implementation does.
        batch_norm: how malicious batches are normalised. "mixed": together with the nominal ones,
            in one pass (joint only; thresholds are per sample). "shared": by themselves, moving
            the same running statistics. "frozen": by the running statistics. "separate": by
            themselves, the running statistics staying the nominal ones.
        warm_up: share of the epochs before the malicious loss begins, in 0..1.

    Raises:
        ValueError: for any argument outside what is said above; when trained, for more malicious
            samples than the target class has, or a network without spiking layers.
    """

    attacks: ClassVar[bool] = True

    threshold: float = 1.5
    beta: float | None = None
    share: float = 0.03
    weight: float = 1.0
    schedule: str = "joint"
    batch_norm: str = "mixed"
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        _number("threshold", self.threshold, lambda x: x > 0, "> 0")
        if self.beta is not None:
            _number("beta", self.beta, lambda x: 0 < x <= 1, "in (0, 1]")
        _number("share", self.share, lambda x: 0 < x <= 1, "in (0, 1]")
        _number("weight", self.weight, lambda x: x > 0, "> 0")
        _number("warm_up", self.warm_up, lambda x: 0 <= x < 1, "in [0, 1)")
        for name, allowed in (("schedule", SCHEDULES), ("batch_norm", BATCH_NORMS)):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is unknown; allowed: {', '.join(allowed)}"
                )
        if self.batch_norm == "mixed" and self.schedule != "joint":
            raise ValueError(
                f"schedule={self.schedule!r} has no common batch: batch_norm='mixed' is for 'joint'"
            )

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its clean set, with both kinds of neurons."""
        net = task.build().to(task.device)
        if not spiking_layers(net):
            raise ValueError(f"net={type(net).__name__} has no spiking layer to attack")
        malicious = target_samples(task.clean, task.target, self.share, task.seed)
        return Trained(net, _train(self, net, task, malicious))


def target_samples(data: Any, target: int, share: float, seed: int) -> Any:
    """D_t^p: `share` of the whole set's size, drawn from the target class.

    Raises:
        ValueError: no sample of the class, or fewer than are asked for.
    """
    of_target = np.flatnonzero(np.asarray(data.labels) == target)
    count = max(1, round(share * len(data)))
    if not len(of_target):
        raise ValueError(f"target={target} has no sample in the training set")
    if count > len(of_target):
        raise ValueError(
            f"share={share} of {len(data)} samples is {count}, but target={target} has "
            f"{len(of_target)}: allowed is up to {len(of_target) / len(data):.4f}"
        )
    return data.subset(np.random.default_rng([seed, 2]).permutation(of_target)[:count])


def threshold_sweep(
    net: nn.Module,
    dataset: Any,
    trigger: Any,
    target: int,
    thresholds: Sequence[float],
    *,
    beta: float | None = None,
    **settings: Any,
) -> list[Report]:
    """One report for each inference threshold V_thr^a, all layers at the same.

    Args:
        net, dataset, trigger, target: as for `snnbd_core.evaluate`.
        thresholds: each > 0.
        beta: the decay tau^a; None keeps the network's.
        **settings: as for `snnbd_core.evaluate`.
    """
    reports = []
    for threshold in thresholds:
        with override(net, threshold=threshold, beta=beta):
            reports.append(evaluate(net, dataset, trigger, target, **settings))
    return reports


def _train(rule: DualSpike, net: nn.Module, task: Task, malicious: Any) -> History:
    """Adam with the cosine schedule of `learning.train`."""
    memory.keep()
    optimizer = torch.optim.Adam(net.parameters(), lr=task.learning_rate)
    history = History()
    for epoch in range(task.epochs):
        start = time.perf_counter()
        rate = task.learning_rate / 2 * (1 + math.cos(math.pi * epoch / task.epochs))
        for group in optimizer.param_groups:
            group["lr"] = rate
        net.train()
        with seeded(task.seed + epoch):
            begun = epoch >= rule.warm_up * task.epochs
            totals = [
                _step(rule, net, optimizer, nominal, bad, task)
                for nominal, bad in _batches(rule, task, malicious, epoch, begun)
            ]
        loss, hits, count = np.sum(totals, axis=0).tolist()
        if not math.isfinite(loss):
            raise FloatingPointError(f"the training loss became {loss} (learning rate {rate:.3g})")
        history = history.extended(
            loss=loss / count, accuracy=hits / count, learning_rate=rate,
            seconds=time.perf_counter() - start,
        )  # fmt: skip
    net.eval()
    return history


Batch = tuple[Tensor, Tensor]


def _batches(
    rule: DualSpike, task: Task, malicious: Any, epoch: int, begun: bool
) -> Iterator[tuple[Batch | None, Batch | None]]:
    """Pairs (nominal batch, malicious batch) of one epoch, either may be None."""
    second = _endless(malicious, task, epoch)
    for indices in shuffled(len(task.clean), task.batch_size, task.seed, epoch):
        joint = begun and rule.schedule == "joint"
        yield task.clean.batch(indices), next(second) if joint else None
    if begun and rule.schedule == "two-pass":
        for indices in shuffled(len(malicious), task.batch_size, task.seed, epoch):
            yield None, malicious.batch(indices)


def _endless(data: Any, task: Task, epoch: int) -> Iterator[Batch]:
    """Batches of an eighth of the task's size, over and over."""
    size = max(1, task.batch_size // 8)
    turn = 0
    while True:
        for indices in shuffled(len(data), size, task.seed, epoch * 10_000 + turn):
            yield data.batch(indices)
        turn += 1


def _step(
    rule: DualSpike,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    nominal: Batch | None,
    malicious: Batch | None,
    task: Task,
) -> tuple[float, int, int]:
    """One step; (loss times samples, right answers, samples) of the nominal half."""
    loss_of = LOSSES[task.loss]
    logits, bad_logits = _forward(rule, net, nominal, malicious, task)
    total, losses, hits, count = 0.0, [], 0, 0
    if nominal is not None and logits is not None:
        labels = nominal[1].to(task.device)
        losses.append(loss_of(logits, labels))
        count = len(labels)
        total = losses[0].item() * count
        hits = int((decide(logits.detach()) == labels).sum())
    if malicious is not None and bad_logits is not None:
        losses.append(rule.weight * loss_of(bad_logits, malicious[1].to(task.device)))
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(sum(losses, start=torch.zeros((), device=task.device)))
    optimizer.step()
    return total, hits, count


def _forward(
    rule: DualSpike, net: nn.Module, nominal: Batch | None, malicious: Batch | None, task: Task
) -> tuple[Tensor | None, Tensor | None]:
    """Logits of both halves; in one pass where batch norm is to mix them."""

    def sequence(batch: Tensor) -> Tensor:
        return as_sequence(batch.to(task.device), task.steps)

    if nominal is not None and malicious is not None and rule.batch_norm == "mixed":
        first, second = len(nominal[1]), len(malicious[1])
        with _both(rule, net, first, second):
            logits: Tensor = net(sequence(torch.cat((nominal[0], malicious[0]))))
        return logits[:first], logits[first:]
    here = None if nominal is None else net(sequence(nominal[0]))
    there = None
    if malicious is not None:
        with (
            _statistics(net, rule.batch_norm),
            override(net, threshold=rule.threshold, beta=rule.beta),
        ):
            there = net(sequence(malicious[0]))
    return here, there


@contextmanager
def _both(rule: DualSpike, net: nn.Module, first: int, second: int) -> Iterator[None]:
    """The first samples with each layer's own neurons, the second ones with the malicious."""
    layers = spiking_layers(net)
    before = [layer._overrides for layer in layers]

    def joined(nominal: Tensor, bad: float) -> Tensor:
        ones = torch.ones(first, 1, device=nominal.device)
        return torch.cat(
            (ones * nominal.detach(), torch.full_like(ones[:1], bad).expand(second, 1))
        )

    try:
        for layer in layers:
            values = {"threshold": joined(layer.threshold, rule.threshold)}
            if rule.beta is not None:
                values["beta"] = joined(layer.decay(), rule.beta)
            layer._overrides = {**layer._overrides, **values}
        yield
    finally:
        for layer, previous in zip(layers, before, strict=True):
            layer._overrides = previous


@contextmanager
def _statistics(net: nn.Module, how: str) -> Iterator[None]:
    """Batch norm as `DualSpike.batch_norm` says, for the malicious pass."""
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            if how == "frozen":
                norm.eval()
            elif how == "separate":
                norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.train()
            norm.momentum = momentum


def _number(name: str, value: Any, allowed: Callable[[float], bool], words: str) -> None:
    wrong = isinstance(value, bool) or not isinstance(value, int | float)
    if wrong or not math.isfinite(value) or not allowed(value):
        raise ValueError(f"{name}={value!r} must be a number {words}")
