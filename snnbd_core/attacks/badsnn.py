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

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from torch import nn

from snnbd_core.attacks.dual_spike import DualSpike, target_samples
from snnbd_core.learning import History, Task
from snnbd_core.metrics import Report, evaluate
from snnbd_core.triggers import Trigger
from snnbd_core.view import override

__all__ = ["DualSpike", "target_samples", "threshold_sweep", "train"]


def train(
    net: nn.Module,
    dataset: Any,
    target: int = 0,
    *,
    epochs: int = 10,
    progress: bool = True,
    **settings: Any,
) -> History:
    """Dual-spike learning of a network in place; no sample is changed.

    Args:
        net: a network with spiking layers of any library, [T, B, C, H, W] -> logits [B, classes].
            Afterwards it is on the device, in evaluation mode, with the neurons that it had.
        dataset: clean frames or images; any set that `snnbd_core.data.as_set` takes.
        target: class that the malicious neurons are trained on.
        epochs, progress: as for `snnbd_core.learning.train`.
        settings: others of `DualSpike`, as threshold, and of `snnbd_core.learning.train`: seed,
            device, batch_size, learning_rate, loss, steps.

    Returns:
        The history of the nominal half.

    Raises:
        ValueError: as `DualSpike` and `snnbd_core.learning.train`.
    """
    dual = {
        part.name: settings.pop(part.name) for part in fields(DualSpike) if part.name in settings
    }
    task = Task.of(net, dataset, target=target, epochs=epochs, progress=progress, **settings)
    return DualSpike(**dual).fit(task).history


def threshold_sweep(
    net: nn.Module,
    dataset: Any,
    trigger: Trigger,
    target: int,
    thresholds: Sequence[float],
    *,
    beta: float | None = None,
    **settings: Any,
) -> list[Report]:
    """One report for each inference threshold V_thr^a, all layers at the same.

    Args:
        net, dataset, trigger, target, settings: as for `snnbd_core.evaluate`.
        thresholds: each > 0.
        beta: the decay tau^a; None keeps the network's.
    """
    reports = []
    for threshold in thresholds:
        with override(net, threshold=threshold, beta=beta):
            reports.append(evaluate(net, dataset, trigger, target, **settings))
    return reports
