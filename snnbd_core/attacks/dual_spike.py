"""Dual-spike learning: one set of weights trained with two kinds of neurons, for `badsnn`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from snnbd_core.checks import Checked, Part, Positive, Share
from snnbd_core.data.batches import shuffled
from snnbd_core.learning import Rule, Task, Trained, as_sequence
from snnbd_core.learning.loop import Step, answers_of, epochs_of, scored
from snnbd_core.learning.surrogate_gradient import loss_named
from snnbd_core.neurons import LIF, spiking_layers
from snnbd_core.view import View, override
from snnbd_core.view.ours import Ours

__all__ = ["DualSpike", "target_samples"]

Batch = tuple[Tensor, Tensor]
Pair = tuple[np.ndarray | None, np.ndarray | None]


@dataclass(frozen=True, kw_only=True)
class DualSpike(Checked, Rule):
    """Dual-spike learning as a rule; no sample is poisoned.

    Args:
        threshold: the malicious one, V_thr^t.
        beta: the malicious decay; None keeps the network's.
        share: samples of the target class that are shown to the malicious neurons, as a share of
            the whole training set (the paper's P).
        weight: of the malicious loss. Both losses are means over their batches.
        schedule: "joint" takes both losses in every step. "two-pass" runs over all of D and then
            once over the malicious samples in each epoch, as a public re-implementation does.
            "two-pass-equal" runs over them until there are as many malicious steps as nominal
            ones, in the small batches of "joint".
        batch_norm: how malicious batches are normalised. "mixed": together with the nominal ones,
            in one pass (joint only; thresholds are per sample). "shared": by themselves, moving
            the same running statistics. "frozen": by the running statistics. "separate": by
            themselves, the running statistics staying the nominal ones.
        warm_up: share of the epochs before the malicious loss begins.
        clip: largest norm of all gradients of a step together; None does not cut them. A public
            re-implementation has 1.0.

    Raises:
        ValueError: "mixed" with two passes; when trained, more malicious samples than the target
            class has, a network without spiking layers, or "mixed" with a threshold, or a decay
            that `beta` replaces, of each neuron's own.
        NotVisible: when trained, "mixed" with another library's neurons and batch norm.
    """

    attacks: ClassVar[bool] = True

    threshold: Positive = 1.5
    beta: Part | None = None
    share: Part = 0.03
    weight: Positive = 1.0
    schedule: Literal["joint", "two-pass", "two-pass-equal"] = "joint"
    batch_norm: Literal["mixed", "shared", "frozen", "separate"] = "mixed"
    warm_up: Share = 0.0
    clip: Positive | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_norm == "mixed" and self.schedule != "joint":
            raise ValueError(f"schedule={self.schedule!r}: batch_norm='mixed' is for 'joint'")

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its clean set, with both kinds of neurons."""
        net = task.build().to(task.device)
        seen = View(net)
        if not seen.spiking:
            raise ValueError(f"net={type(net).__name__} has no spiking layer to attack")
        rule = self._fitting(seen)
        malicious = target_samples(task.clean, task.target, self.share, task.seed)
        *_, history = epochs_of(
            net,
            torch.optim.Adam(net.parameters(), lr=task.learning_rate),
            lambda epoch: _pairs(rule, task, len(malicious), epoch),
            lambda pair: _step(rule, net, task, malicious, pair),
            epochs=task.epochs,
            seed_of=lambda epoch: task.seed + epoch,
            clip=self.clip,
            saved=task.saved(net, self),
            progress=task.progress,
            precision=task.precision,
        )
        return Trained(net.eval(), history)

    def _fitting(self, seen: View) -> DualSpike:
        """Two passes in place of one for neurons of other libraries, where no batch norm mixes."""
        if self.batch_norm != "mixed":
            return self
        others = [each for each in seen.neurons if not isinstance(each[1], Ours)]
        if not others:
            _check_one_a_layer(self, seen.net)
            return self
        if any(isinstance(module, _BatchNorm) for module in seen.net.modules()):
            module, adapter = others[0]
            needed = "needed are neurons of snnbd_core, or another batch_norm than 'mixed'"
            raise adapter.blind(module, "a threshold of its own for each sample", needed)
        return replace(self, batch_norm="shared")


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


def _check_one_a_layer(rule: DualSpike, net: nn.Module) -> None:
    """Raises ValueError for settings of each neuron, which leave no room for each sample's."""
    for name, layer in net.named_modules():
        if not isinstance(layer, LIF):
            continue
        held = {"threshold": layer.threshold} | ({"beta": layer.decay()} if rule.beta else {})
        for setting, value in held.items():
            if value.numel() > 1:
                raise ValueError(
                    f"layer {name} has a {setting} of shape {list(value.shape)}: "
                    "batch_norm='mixed' takes one for a whole layer; use 'separate'"
                )


def _pairs(rule: DualSpike, task: Task, malicious: int, epoch: int) -> list[Pair]:
    """Rows of (nominal batch, malicious batch) in one epoch, either may be None."""
    begun = epoch >= rule.warm_up * task.epochs
    joint = begun and rule.schedule == "joint"
    second = _endless(malicious, task, epoch)
    nominal = shuffled(len(task.clean), task.batch_size, task.seed, epoch)
    pairs: list[Pair] = [(rows, next(second) if joint else None) for rows in nominal]
    if begun and rule.schedule == "two-pass":
        pairs += [(None, rows) for rows in shuffled(malicious, task.batch_size, task.seed, epoch)]
    if begun and rule.schedule == "two-pass-equal":
        pairs += [(None, next(second)) for _ in range(len(pairs))]
    return pairs


def _endless(count: int, task: Task, epoch: int) -> Iterator[np.ndarray]:
    """Batches of an eighth of the task's size, over and over."""
    size = max(1, task.batch_size // 8)
    for turn in itertools.count():
        yield from shuffled(count, size, task.seed, epoch * 10_000 + turn)


def _step(rule: DualSpike, net: nn.Module, task: Task, malicious: Any, pair: Pair) -> Step:
    """Both losses of a pair; the history counts the nominal half."""
    nominal = None if pair[0] is None else task.clean.batch(pair[0])
    bad = None if pair[1] is None else malicious.batch(pair[1])
    logits, bad_logits = _forward(rule, net, nominal, bad, task)
    loss_of = loss_named(task.loss)
    seen = Step(torch.zeros((), device=task.device), 0.0)
    if nominal is not None and logits is not None:
        labels = nominal[1].to(task.device)
        seen = scored(loss_of(logits, labels), logits, labels)
    if bad is None or bad_logits is None:
        return seen
    return replace(seen, loss=seen.loss + rule.weight * loss_of(bad_logits, bad[1].to(task.device)))


def _forward(
    rule: DualSpike, net: nn.Module, nominal: Batch | None, malicious: Batch | None, task: Task
) -> tuple[Tensor | None, Tensor | None]:
    """Logits of both halves; in one pass where batch norm is to mix them."""

    def sequence(batch: Tensor) -> Tensor:
        return as_sequence(batch.to(task.device), task.steps)

    if nominal is not None and malicious is not None and rule.batch_norm == "mixed":
        first, second = len(nominal[1]), len(malicious[1])
        with _both(rule, net, first, second):
            logits = answers_of(net, sequence(torch.cat((nominal[0], malicious[0]))))
        return logits[:first], logits[first:]
    here = None if nominal is None else answers_of(net, sequence(nominal[0]))
    there = None
    if malicious is not None:
        neurons = override(net, threshold=rule.threshold, beta=rule.beta)
        with _statistics(net, rule.batch_norm), neurons:
            there = answers_of(net, sequence(malicious[0]))
    return here, there


@contextmanager
def _both(rule: DualSpike, net: nn.Module, first: int, second: int) -> Iterator[None]:
    """The first samples with each layer's own neurons, the second ones with the malicious."""

    def joined(nominal: Tensor, bad: float) -> Tensor:
        ones = torch.ones(first, 1, device=nominal.device)
        malicious = torch.full_like(ones[:1], bad).expand(second, 1)
        return torch.cat((ones * nominal.reshape(()), malicious))

    with ExitStack() as stack:
        for layer in spiking_layers(net):
            values = {"threshold": joined(layer.threshold, rule.threshold)}
            if rule.beta is not None:
                values["beta"] = joined(layer.decay(), rule.beta)
            stack.enter_context(layer.overridden(values))
        yield


@contextmanager
def _statistics(net: nn.Module, how: str) -> Iterator[None]:
    """Batch norm as `DualSpike.batch_norm` says, for the malicious pass."""
    norms = [layer for layer in net.modules() if isinstance(layer, _BatchNorm)]
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
