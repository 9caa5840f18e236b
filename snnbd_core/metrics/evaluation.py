"""Networks run over data sets: what they answer without and under a trigger.

What a network answers is told by `decide`. Samples without an answer are never correct and never
hit the target, and are counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.checks import Checked, Count
from snnbd_core.data import as_set
from snnbd_core.data.batches import as_sequence, choose_device
from snnbd_core.data.samples import SampleSet
from snnbd_core.metrics.activity import measure
from snnbd_core.metrics.answers import NO_PREDICTION, decide
from snnbd_core.metrics.report import Rate, Report
from snnbd_core.poisoning import Triggered, check_target
from snnbd_core.triggers import Trigger
from snnbd_core.view import View, checked_logits, evaluating

__all__ = ["check_batch_axis", "evaluate", "predict"]

_FEW = 8  # samples on which a network is asked twice


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
        net: [T, B, C, H, W] -> logits [B, classes], of any library, see `snnbd_core.view`. Run in
            eval mode without gradients, from a fresh state for each batch; its mode and device are
            restored.
        dataset: any set that `snnbd_core.data.as_set` takes; not changed.
        trigger: put on every sample.
        target: class that the trigger should lead to.
        clean_net: a network trained without poison, which gives the floor.
        device: "auto" is CUDA, MPS or CPU, in this order.
        batch_size: samples per forward pass.
        steps: T for static images.

    Raises:
        ValueError: an empty set, target not a class, logits of another shape or not finite,
            batch_size or steps below 1, clean_net without a trigger, or a trigger that does not
            fit the set; a network that answers a batch differently the second time, see `View`.
    """
    dataset = _filled(dataset)
    target = check_target(target, dataset.classes)
    if clean_net is not None and trigger is None:
        raise ValueError("clean_net without trigger=...: the floor is its success rate under one")
    run = _Run(choose_device(device), batch_size, steps)
    truth = np.asarray(dataset.labels)
    others = truth != target

    nets = [net] if clean_net is None else [net, clean_net]
    run.check_steady(nets, dataset)
    (clean,), spikes, synops = run.predictions([net], dataset)
    report: dict[str, Any] = {
        "clean_accuracy": Rate.of(clean == truth),
        "no_prediction_clean": Rate.of(clean == NO_PREDICTION),
        "untriggered_target_rate": Rate.of(clean[others] == target),
        "spikes_clean": spikes,
        "synops_clean": synops,
    }
    if trigger is not None:
        (hit, *floor), spikes, synops = run.predictions(nets, Triggered(dataset, trigger))
        report |= {
            "attack_success_rate": Rate.of(hit[others] == target),
            "attack_success_rate_all": Rate.of(hit == target),
            "robust_accuracy": Rate.of(hit[others] == truth[others]),
            "no_prediction_triggered": Rate.of(hit == NO_PREDICTION),
            "spikes_triggered": spikes,
            "synops_triggered": synops,
        }
        if floor:
            report["floor"] = Rate.of(floor[0][others] == target)
            report["floor_all"] = Rate.of(floor[0] == target)
    return Report(target=target, **report)


def predict(
    net: nn.Module,
    dataset: Any,
    *,
    device: str | torch.device = "auto",
    batch_size: int = 128,
    steps: int = 4,
) -> np.ndarray:
    """A network's answers, int64 [N]; `NO_PREDICTION` (-1) for silent or tied outputs."""
    dataset = _filled(dataset)
    run = _Run(choose_device(device), batch_size, steps)
    run.check_steady([net], dataset)
    (answers,), _, _ = run.predictions([net], dataset)
    return answers


@dataclass(frozen=True)
class _Run(Checked):
    """How networks are run over a data set."""

    device: torch.device
    batch_size: Count
    steps: Count

    def check_steady(self, nets: Sequence[nn.Module], dataset: SampleSet) -> None:
        """Raises ValueError where a network answers a few samples differently the second time."""
        few = self._sequence(dataset, np.arange(min(_FEW, len(dataset))))
        for net in nets:
            with evaluating(net, self.device):
                View(net).check_steady(few)

    def predictions(
        self, nets: Sequence[nn.Module], dataset: SampleSet
    ) -> tuple[list[np.ndarray], float | None, float | None]:
        """Answers [N] of each network; spikes and SynOps per sample of the first."""
        total = len(dataset)
        answers = [np.empty(total, dtype=np.int64) for _ in nets]
        with ExitStack() as stack:
            for net in nets:
                stack.enter_context(evaluating(net, self.device))
            views = [View(net) for net in nets]
            activity = stack.enter_context(measure(views[0].net))
            stack.enter_context(torch.inference_mode())
            for start in range(0, total, self.batch_size):
                rows = np.arange(start, min(start + self.batch_size, total))
                sequence = self._sequence(dataset, rows)
                for view, answer in zip(views, answers, strict=True):
                    logits = checked_logits(view(sequence), len(rows), dataset.classes)
                    answer[rows] = decide(logits).cpu().numpy()
        return answers, _per_sample(activity.spikes, total), _per_sample(activity.synops, total)

    def _sequence(self, dataset: SampleSet, rows: np.ndarray) -> Tensor:
        return as_sequence(dataset.batch(rows)[0].to(self.device), self.steps)


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


def _filled(dataset: Any) -> SampleSet:
    """A data set of any kind as one of this library's; ValueError if it is empty."""
    dataset = as_set(dataset)
    if not len(dataset):
        raise ValueError("dataset is empty: at least one sample is needed")
    return dataset


def _per_sample(total: Tensor | float | None, samples: int) -> float | None:
    return None if total is None else float(total) / samples
