"""Training by back-propagation through time with surrogate gradients (the papers' LR_B)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core import checks
from snnbd_core.data import as_set
from snnbd_core.data.batches import as_sequence, choose_device, shuffled
from snnbd_core.data.samples import SampleSet
from snnbd_core.learning.checkpoint import Checkpoint
from snnbd_core.learning.history import History
from snnbd_core.learning.loop import Step, answers_of, epochs_of, mixed_seed, scored
from snnbd_core.learning.precision import chosen
from snnbd_core.metrics import check_batch_axis

__all__ = ["LOSSES", "Loss", "loss_named", "train"]


def _mse(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error of firing rates against one-hot (Fang et al. 2021; Abad et al.)."""
    return functional.mse_loss(logits, functional.one_hot(labels, logits.shape[1]).to(logits.dtype))


Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "mse": _mse,
    "cross_entropy": functional.cross_entropy,
}


def train(
    net: nn.Module,
    dataset: Any,
    *,
    epochs: int,
    seed: int = 0,
    device: str | torch.device = "auto",
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    loss: str | Loss = "mse",
    steps: int = 4,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 0.0,
    progress: bool = True,
    precision: str = "auto",
) -> History:
    """Trains a network in place with Adam and a cosine schedule over the epochs.

    The order of the samples and the dropout of an epoch depend on (seed, epoch) alone, so a run
    that is resumed from its checkpoint gives the numbers of an uninterrupted one; on CPU the same
    seed gives the same bits. torch's global random state is left as it was.

    Args:
        net: takes [T, B, C, H, W], gives logits [B, classes]. Afterwards it is on ``device``, in
            evaluation mode.
        dataset: event frames or static images; any set that ``snnbd_core.data.as_set`` takes.
        epochs: passes over the data, >= 1.
        seed: of sample order and dropout (not of the initial weights: those are in ``net``).
        device: ``"auto"`` takes CUDA, MPS or CPU, whichever comes first.
        batch_size: samples per step, >= 1; an epoch's last batch may be smaller.
        learning_rate: Adam's, in the first epoch; epoch e of E has half of it times
            1 + cos(pi e / E).
        loss: ``"mse"`` on rates against one-hot, ``"cross_entropy"``, or a function of logits
            [B, classes] and labels [B]. With a checkpoint it must be a name, or a dataclass whose
            settings tell it from others; a ``state_dict`` that it has is saved as well.
        steps: T for static images.
        checkpoint: a file to save to after each epoch and, if it exists, to resume from. Another
            run's is left alone: this run's then lies beside it, and a warning says where.
        checkpoint_seconds: least time between two saves; 0 saves after every epoch. Each save
            waits for the disk, which takes longer than an epoch of a small network.
        progress: shows a bar, on a terminal and in a notebook.
        precision: ``"float32"``, ``"bf16"`` or ``"auto"``, which takes bf16 where a network gains
            from it, see `snnbd_core.learning.precision`; the history says what was used.

    Returns:
        The history, of a resumed run from its first epoch on.

    Raises:
        ValueError: an argument out of range, an empty data set, no weights to train, an answer that
            is not [B, classes], a checkpoint that is damaged, bf16 where there is none.
        FloatingPointError: the loss or a weight is no longer finite.
    """
    epochs = checks.whole("epochs", epochs, 1)
    seed = checks.whole("seed", seed, 0)
    batch_size = checks.whole("batch_size", batch_size, 1)
    learning_rate = checks.above("learning_rate", learning_rate, 0)
    steps = checks.whole("steps", steps, 1)
    loss_of = loss_named(loss)
    dataset = as_set(dataset)
    if not len(dataset):
        raise ValueError("dataset has no samples; training needs at least one")
    checks.trainable(net)
    place = choose_device(device)
    net.to(place)
    precision = chosen(precision, net, place)
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
    settings = {
        "epochs": epochs,
        "seed": seed,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "loss": loss,
        "steps": steps,
        "precision": precision,
    }
    counting: dict[str, Any] = {"loss": loss} if hasattr(loss, "state_dict") else {}
    *_, history = epochs_of(
        net,
        optimizer,
        lambda epoch: list(shuffled(len(dataset), batch_size, seed, epoch)),
        _step_of(net, dataset, loss_of, steps),
        epochs=epochs,
        seed_of=lambda epoch: mixed_seed(seed, epoch),
        saved=Checkpoint.of(checkpoint, net, dataset, settings, checkpoint_seconds, **counting),
        progress=progress,
        precision=precision,
    )
    net.eval()
    return history


def loss_named(loss: str | Loss) -> Loss:
    """The loss of a name; a function of logits and labels as it is.

    Raises:
        ValueError: an unknown name.
    """
    return loss if callable(loss) else LOSSES[checks.choice("loss", loss, LOSSES)]


def _step_of(
    net: nn.Module, dataset: SampleSet, loss_of: Loss, steps: int
) -> Callable[[np.ndarray], Step]:
    """The step on some rows of a set."""
    place, classes = next(net.parameters()).device, dataset.classes
    unseen = True

    def step(rows: np.ndarray) -> Step:
        nonlocal unseen
        batch, labels = dataset.batch(rows)
        sequence = as_sequence(batch.to(place, non_blocking=True), steps)
        labels = labels.to(place, non_blocking=True)
        if unseen:
            check_batch_axis(net, sequence, classes)
            unseen = False
        logits = answers_of(net, sequence, classes)
        return scored(loss_of(logits, labels), logits, labels)

    return step
