"""Training by back-propagation through time with surrogate gradients (the papers' LR_B)."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

from snnbd_core.data.batches import BatchedDataset, as_sequence, choose_device, shuffled
from snnbd_core.kernels import memory
from snnbd_core.learning.checkpoint import Checkpoint, network_identity
from snnbd_core.learning.history import History
from snnbd_core.metrics.answers import decide


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
    dataset: BatchedDataset,
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
) -> History:
    """Trains a network in place with Adam and a cosine schedule over the epochs.

    The order of the samples and the dropout of an epoch depend on (seed, epoch) alone, so a run
    that is resumed from its checkpoint gives the numbers of an uninterrupted one; on CPU the same
    seed gives the same bits. torch's global random state is left as it was. On CUDA the network
    runs in bfloat16 where the device has it (weights and potentials stay float32).

    Args:
        net: takes [T, B, C, H, W], gives logits [B, classes]. Afterwards it is on ``device``, in
            evaluation mode.
        dataset: event frames or static images, see ``BatchedDataset``.
        epochs: passes over the data, >= 1.
        seed: of sample order and dropout (not of the initial weights: those are in ``net``).
        device: ``"auto"`` takes CUDA, MPS or CPU, whichever comes first.
        batch_size: samples per step, >= 1; an epoch's last batch may be smaller.
        learning_rate: Adam's, in the first epoch; epoch e of E has half of it times
            1 + cos(pi e / E).
        loss: ``"mse"`` on rates against one-hot, ``"cross_entropy"``, or a function of logits
            [B, classes] and labels [B].
        steps: T for static images.
        checkpoint: a file to save to after each epoch and, if it exists, to resume from.
        checkpoint_seconds: least time between two saves; 0 saves after every epoch. Each save
            waits for the disk, which takes longer than an epoch of a small network.
        progress: shows a bar, on a terminal and in a notebook.

    Returns:
        The history, of a resumed run from its first epoch on.

    Raises:
        ValueError: an argument out of range, an empty data set, a label that the network has no
            output for, a checkpoint that is damaged or of another run.
        FloatingPointError: the loss or a weight is no longer finite.
    """
    _check(dataset, epochs, seed, batch_size, learning_rate, loss, checkpoint)
    memory.keep()
    loss_of = LOSSES[loss] if isinstance(loss, str) else loss
    place = choose_device(device)
    net.to(place)
    optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
    history = History()
    saved = None
    if checkpoint is not None:
        if not isinstance(loss, str):
            raise ValueError(f"checkpoint={str(checkpoint)!r} needs a loss by name")
        run = {
            "network": network_identity(net), "data": getattr(dataset, "fingerprint", None),
            "samples": len(dataset), "epochs": epochs, "seed": seed, "batch_size": batch_size,
            "learning_rate": learning_rate, "loss": loss, "steps": steps,
        }  # fmt: skip
        saved = Checkpoint(Path(checkpoint), run)
        history = saved.restore(net, optimizer)
    net.train()
    batches = math.ceil(len(dataset) / batch_size)
    with _random_state_kept(place), tqdm(
        total=epochs * batches, initial=len(history) * batches, disable=not progress,
        desc="training", unit="batch",
    ) as bar:  # fmt: skip
        last_save = time.perf_counter()
        for epoch in range(len(history), epochs):
            start = time.perf_counter()
            rate = learning_rate / 2 * (1 + math.cos(math.pi * epoch / epochs))
            for group in optimizer.param_groups:
                group["lr"] = rate
            _seed_epoch(seed, epoch, place)
            order = shuffled(len(dataset), batch_size, seed, epoch)
            mean_loss, accuracy = _epoch(net, dataset, order, optimizer, loss_of, steps, bar)
            _check_finite(net, rate)
            history = history.extended(
                loss=mean_loss, accuracy=accuracy, learning_rate=rate,
                seconds=time.perf_counter() - start,
            )  # fmt: skip
            bar.set_postfix(epoch=f"{epoch + 1}/{epochs}", loss=f"{mean_loss:.4f}",
                            accuracy=f"{accuracy:.1%}")  # fmt: skip
            if saved is not None and time.perf_counter() - last_save >= checkpoint_seconds:
                saved.save(net, optimizer, history)
                last_save = time.perf_counter()
    net.eval()
    return history


def _epoch(
    net: nn.Module,
    dataset: BatchedDataset,
    order: Iterator[np.ndarray],
    optimizer: torch.optim.Optimizer,
    loss_of: Loss,
    steps: int,
    bar: tqdm,
) -> tuple[float, float]:
    """One pass over the data; the mean loss and the share of samples classified rightly."""
    place = next(net.parameters()).device
    half = place.type == "cuda" and torch.cuda.is_bf16_supported()
    total = hits = count = 0.0
    for indices in order:
        batch, labels = dataset.batch(indices)
        highest = int(labels.max())
        sequence = as_sequence(batch.to(place, non_blocking=True), steps)
        labels = labels.to(place, non_blocking=True)
        with torch.autocast(place.type, torch.bfloat16, enabled=half):
            logits = net(sequence)
        if highest >= logits.shape[1]:
            raise ValueError(f"dataset has label {highest}, net has {logits.shape[1]} outputs")
        loss = loss_of(logits, labels)
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the training loss became {value} ({int(count)} samples into the epoch, learning "
                f"rate {optimizer.param_groups[0]['lr']:.3g}); check that the data is finite, or "
                "lower learning_rate"
            )
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        total += value * len(labels)
        hits += int((decide(logits.detach()) == labels).sum())
        count += len(labels)
        bar.update()
    return total / count, hits / count


def _check(
    dataset: BatchedDataset,
    epochs: int,
    seed: int,
    batch_size: int,
    learning_rate: float,
    loss: str | Loss,
    checkpoint: str | os.PathLike[str] | None,
) -> None:
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name}={value} must be >= 1")
    if seed < 0:
        raise ValueError(f"seed={seed} must be >= 0")
    if not (learning_rate > 0 and math.isfinite(learning_rate)):
        raise ValueError(f"learning_rate={learning_rate} must be finite and > 0")
    if isinstance(loss, str) and loss not in LOSSES:
        raise ValueError(f"loss={loss!r} is unknown; allowed: {', '.join(LOSSES)}")
    if len(dataset) == 0:
        raise ValueError("dataset has no samples; training needs at least one")
    if checkpoint is not None and not Path(checkpoint).parent.is_dir():
        raise ValueError(f"checkpoint={str(checkpoint)!r}: its folder does not exist")


def _check_finite(net: nn.Module, rate: float) -> None:
    """Stops a run whose weights broke; its loss does not tell, for NaN never fires a neuron."""
    for name, weight in net.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise FloatingPointError(
                f"the weights {name} are no longer finite (learning rate {rate:.3g}); check that "
                "the data is finite, or lower learning_rate"
            )


def _seed_epoch(seed: int, epoch: int, place: torch.device) -> None:
    """Sets the generators that dropout draws from to a state that (seed, epoch) determine."""
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    value = int(state[0] >> np.uint64(1))
    torch.default_generator.manual_seed(value)
    if place.type == "cuda":
        with torch.cuda.device(place):
            torch.cuda.manual_seed(value)
    elif place.type == "mps":
        torch.mps.manual_seed(value)


@contextmanager
def _random_state_kept(place: torch.device) -> Iterator[None]:
    """Gives the caller's random state back, on the CPU and on the device trained on."""
    host = torch.get_rng_state()
    if place.type == "cuda":
        device_state = torch.cuda.get_rng_state(place)
    elif place.type == "mps":
        device_state = torch.mps.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(host)
        if place.type == "cuda":
            torch.cuda.set_rng_state(device_state, place)
        elif place.type == "mps":
            torch.mps.set_rng_state(device_state)
