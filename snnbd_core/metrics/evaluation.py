"""Networks run over data sets: what they answer without and under a trigger.

What a network answers is told by `decide`. Samples without an answer are never correct and never
hit the target, and are counted apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.data.batches import as_sequence, choose_device
from snnbd_core.metrics.activity import measure
from snnbd_core.metrics.answers import NO_PREDICTION, checked_logits, decide
from snnbd_core.metrics.report import Rate, Report
from snnbd_core.poisoning import Triggered, check_target
from snnbd_core.triggers import Trigger


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
        checks.settings(
            self,
            batch_size=checks.whole("batch_size", self.batch_size, 1),
            steps=checks.whole("steps", self.steps, 1),
        )

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
                    logits = _finite(checked_logits(net(sequence), len(rows), dataset.classes))
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


def check_batch_axis(net: nn.Module, sequence: Tensor, classes: int | None) -> None:
    """Raises ValueError for a network whose first axis of logits is time, not the batch.

    The shape alone does not tell them apart where T == B. So the network is run without one of the
    samples, in evaluation mode and without gradients; elsewhere nothing is run.

    Args:
        net: on the sequence's device.
        sequence: a batch [T, B, ...].
        classes: as for `checked_logits`.
    """
    steps, batch = sequence.shape[:2]
    if steps == batch > 1:
        with evaluating(net, sequence.device), torch.no_grad():
            checked_logits(net(sequence[:, 1:]), batch - 1, classes)


def _finite(logits: Tensor) -> Tensor:
    if not torch.isfinite(logits).all():
        raise ValueError("net gives logits that are NaN or infinite: allowed are finite numbers")
    return logits


def _rate(hits: np.ndarray) -> Rate:
    return Rate(int(hits.sum()), len(hits))
