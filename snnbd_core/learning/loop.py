"""The one training loop: epochs of batches down a loss, under every rule that trains."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm

from snnbd_core import checks
from snnbd_core.kernels import memory
from snnbd_core.learning import precision as precisions
from snnbd_core.learning.checkpoint import Checkpoint
from snnbd_core.learning.history import History
from snnbd_core.metrics.answers import decide
from snnbd_core.view import View, checked_logits
from snnbd_core.view.logits import as_read

__all__ = ["Step", "answers_of", "epochs_of", "mixed_seed", "scored"]

Batch = TypeVar("Batch")
_HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Step:
    """What a network makes of one batch.

    Attributes:
        loss: what the optimiser descends, a scalar with gradients.
        value: mean loss of the samples that the history counts.
        logits: what they were answered, [B, classes] without gradients; None where there are none.
        labels: what they are, int64 [B].
    """

    loss: Tensor
    value: float
    logits: Tensor | None = None
    labels: Tensor | None = None

    @property
    def count(self) -> int:
        """How many samples the history counts."""
        return 0 if self.labels is None else len(self.labels)


def scored(loss: Tensor, logits: Tensor, labels: Tensor) -> Step:
    """The step of a loss whose batch got these logits [B, classes] and has these labels [B]."""
    return Step(loss, loss.item(), logits.detach(), labels)


def answers_of(net: nn.Module, sequence: Tensor, classes: int | None = None) -> Tensor:
    """Logits [B, classes] of a sequence [T, B, ...] from a fresh state, in whatever mode.

    In a training the network computes in what `epochs_of` was told, elsewhere as `precision` says;
    logits are float32.

    Args:
        classes: how many there must be; None takes any number.

    Raises:
        ValueError: an answer of another shape.
    """
    View(net).reset()
    place = sequence.device
    with torch.autocast(place.type, torch.bfloat16, enabled=precisions.is_half(place)):
        logits = checked_logits(net(as_read(net, sequence)), sequence.shape[1], classes)
    return logits.float() if logits.dtype in _HALF else logits


def epochs_of(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Callable[[int], Sequence[Batch]],
    step: Callable[[Batch], Step],
    *,
    epochs: int,
    seed_of: Callable[[int], int],
    cosine: bool = True,
    training: bool = True,
    clip: float | None = None,
    saved: Checkpoint | None = None,
    progress: bool = False,
    precision: str = "auto",
) -> Iterator[History]:
    """Trains a network in place; gives the history after each epoch, to look at or to stop.

    Where the checkpoint holds the whole training, its history comes once. torch's global random
    state is left as it was. The network is left in the mode it trains in.

    Args:
        net: all that is trained, on the device that it is trained on.
        optimizer: of its parameters, with the learning rate of the first epoch.
        batches: batches(epoch), what the steps of an epoch are given, in order.
        step: step(batch), the loss of one batch.
        epochs: passes over the data, those that are restored among them.
        seed_of: seed_of(epoch), of all that an epoch draws, such as dropout.
        cosine: epoch e of E has half of the first learning rate times 1 + cos(pi e / E); False
            keeps the first one.
        training: whether the network trains in training mode; False keeps batch norm's statistics.
        clip: largest norm of all gradients together; None does not cut them.
        saved: where to save after each epoch, once the caller has seen it, and what to resume.
        progress: shows a bar, on a terminal and in a notebook.
        precision: "auto", "float32" or "bf16", see `snnbd_core.learning.precision`; the history
            says what was used.

    Raises:
        ValueError: a network without weights to train; a precision that there is not here.
        FloatingPointError: the loss or a weight is no longer finite.
    """
    checks.trainable(net)
    memory.keep()
    place = next(net.parameters()).device
    precision = precisions.chosen(precision, net, place)
    saved = saved or Checkpoint()
    history = replace(saved.restore(net=net, optimizer=optimizer), precision=precision)
    schedule = _schedule(optimizer, epochs if cosine else None, len(history))
    if 0 < len(history) == epochs:
        yield history
    # disable=None: no bar where the output is a file; a notebook shows it all the same
    with tqdm(desc="training", unit="batch", disable=None if progress else True) as bar:
        for epoch in range(len(history), epochs):
            start, rate = time.perf_counter(), optimizer.param_groups[0]["lr"]
            todo = batches(epoch)
            bar.total = bar.n + (epochs - epoch) * len(todo)
            net.train(training)
            with _seeded(seed_of(epoch), place), precisions.computing(precision):
                loss, accuracy = _epoch(net, optimizer, todo, step, clip, bar)
            _check_finite(net, rate)
            history = history.extended(
                loss=loss,
                accuracy=accuracy,
                learning_rate=rate,
                seconds=time.perf_counter() - start,
            )
            bar.set_postfix(
                epoch=f"{epoch + 1}/{epochs}", loss=f"{loss:.4f}", accuracy=f"{accuracy:.1%}"
            )
            yield history
            saved.save(history, net=net, optimizer=optimizer)
            schedule.step()


def mixed_seed(seed: int, epoch: int) -> int:
    """A seed that (seed, epoch) determine, and that no other pair is likely to share."""
    state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def _schedule(optimizer: torch.optim.Optimizer, epochs: int | None, done: int) -> LambdaLR:
    """The cosine over the epochs, None for a constant rate, from the first epoch to do.

    CosineAnnealingLR follows the same curve by recursion, whose last bits differ from epoch to
    epoch and from a resumed run's.
    """
    for group in optimizer.param_groups:
        group["initial_lr"] = optimizer.defaults["lr"]

    def share(epoch: int) -> float:
        return 1.0 if epochs is None else (1 + math.cos(math.pi * epoch / epochs)) / 2

    return LambdaLR(optimizer, share, last_epoch=done - 1)


def _epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    step: Callable[[Batch], Step],
    clip: float | None,
    bar: tqdm,
) -> tuple[float, float]:
    """One pass; the mean loss of the samples that count, and the share answered rightly."""
    total = count = 0.0
    answers, labels = [], []
    for batch in batches:
        done = step(batch)
        if not math.isfinite(done.value):
            raise FloatingPointError(
                f"the training loss became {done.value} ({int(count)} samples into the epoch, "
                f"learning rate {optimizer.param_groups[0]['lr']:.3g}){_origin(net, step, batch)}; "
                "check that the data is finite, or lower learning_rate"
            )
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(done.loss)
        if clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
        total += done.value * done.count
        count += done.count
        if done.logits is not None and done.labels is not None:
            answers.append(done.logits)
            labels.append(done.labels)
        bar.update()
    if not count:
        return math.nan, math.nan
    # All of an epoch at once: after a step, its many small operations find the caches cold.
    hits = int((decide(torch.cat(answers)) == torch.cat(labels)).sum())
    return total / count, hits / count


def _origin(net: nn.Module, step: Callable[[Batch], Step], batch: Batch) -> str:
    """Where the first value of a step that is not finite comes from, for a message."""
    found: list[str] = []

    def look(module: nn.Module, inputs: object, output: object, name: str) -> None:
        if not found and isinstance(output, Tensor) and not bool(output.isfinite().all()):
            found.append(f", first in layer {name} ({type(module).__name__}, {output.dtype})")

    hooks = [
        layer.register_forward_hook(partial(look, name=name))
        for name, layer in net.named_modules()
        if not any(layer.children())
    ]
    try:
        step(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return "".join(found)


def _check_finite(net: nn.Module, rate: float) -> None:
    """Stops a run whose weights broke; its loss does not tell, for NaN never fires a neuron."""
    for name, weight in net.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise FloatingPointError(
                f"the weights {name} are no longer finite (learning rate {rate:.3g}); check that "
                "the data is finite, or lower learning_rate"
            )


@contextmanager
def _seeded(seed: int, place: torch.device) -> Iterator[None]:
    """Runs a block with torch's generators of CPU and device at a seed; gives their states back."""
    generators = [torch.default_generator]
    if place.type == "cuda":
        torch.cuda.init()
        number = torch.cuda.current_device() if place.index is None else place.index
        generators.append(torch.cuda.default_generators[number])
    elif place.type == "mps":
        generators.append(torch.mps._get_default_mps_generator())
    states = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
