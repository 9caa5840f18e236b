"""What every learning rule is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from snnbd_core.learning.history import History
from snnbd_core.learning.surrogate_gradient import train


@dataclass(frozen=True, kw_only=True)
class Task:
    """One training as an experiment asks for it.

    Attributes:
        clean: the training set before it was poisoned.
        poisoned: the set to train on; `clean` itself where nothing is poisoned.
        build: build() gives the untrained network with the run's initial weights;
            build(nn.ReLU) its ANN twin with the same.
        trigger, rate, target: the attack; trigger None and rate 0 in a clean run.
        epochs, batch_size, learning_rate, loss, seed: as in `train`.
        steps: T for static images.
        device: where to train.
        progress: whether bars are shown.
        source: the trained network that the rule starts from, this task's own copy; None where
            the rule has none.
        checkpoint, checkpoint_seconds: as in `train`; for rules of one training.
    """

    clean: Any
    poisoned: Any
    build: Callable[..., nn.Module]
    trigger: Any
    rate: float
    target: int
    epochs: int
    batch_size: int
    learning_rate: float
    loss: str
    steps: int
    seed: int
    device: torch.device
    progress: bool = False
    source: nn.Module | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 0.0

    def train(self, net: nn.Module, dataset: Any = None, **changes: Any) -> History:
        """Trains a network in place by surrogate gradients with this task's settings.

        Args:
            net: the network.
            dataset: what to train on; None is the poisoned set.
            changes: arguments of `train` that differ from the task's, such as epochs.
        """
        settings: dict[str, Any] = {
            "epochs": self.epochs,
            "seed": self.seed,
            "device": self.device,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "loss": self.loss,
            "steps": self.steps,
            "progress": self.progress,
        }
        return train(net, self.poisoned if dataset is None else dataset, **{**settings, **changes})


@dataclass(frozen=True)
class Trained:
    """What a rule gives: the network, its history, and what was learnt or found out on the way.

    Attributes:
        net: the network.
        history: of its training.
        trigger: one that was learnt with it.
        figures: what only the training can tell, by name: rates or numbers, for the report.
    """

    net: nn.Module
    history: History
    trigger: Any = None
    figures: Mapping[str, Any] = field(default_factory=dict)


class Rule(Protocol):
    """A frozen dataclass of a rule's settings.

    Optional members, looked for by name:

    - ``attacks = True``: the rule is an attacker's. Its training counts as an attack also where no
      sample is poisoned, and the clean twin is trained by the default rule.
    - ``source(experiment)``: the experiment whose trained network `Task.source` is.
    - ``layout(net)``: gives an untrained network the modules that the trained one has, so that
      stored weights fit.
    - ``figures`` and ``measure(net, source, test, trigger, target, steps, device)``: names and
      values, rates or numbers, that the report carries besides the usual ones. Those of a rule
      with a ``source`` and without ``measure`` are those of `migration.compare`. What only the
      training knows comes with `Trained.figures` instead.
    """

    def fit(self, task: Task) -> Trained: ...


@dataclass(frozen=True)
class SurrogateGradient:
    """Back-propagation through time with surrogate gradients, see `train`; the default rule."""

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set."""
        net = task.build()
        history = task.train(
            net, checkpoint=task.checkpoint, checkpoint_seconds=task.checkpoint_seconds
        )
        return Trained(net, history)
