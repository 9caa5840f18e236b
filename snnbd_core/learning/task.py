"""What every learning rule is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from snnbd_core.checks import Checked, Count, Natural, Positive, Unit
from snnbd_core.data import as_set
from snnbd_core.data.batches import choose_device
from snnbd_core.learning.history import History
from snnbd_core.learning.precision import Precision
from snnbd_core.learning.surrogate_gradient import loss_named, train
from snnbd_core.metrics import Trial

__all__ = ["Rule", "SurrogateGradient", "Task", "Trained"]


@dataclass(frozen=True, kw_only=True)
class Task(Checked):
    """What a rule is asked to train: sets, network and settings.

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
        precision: as in `train`.
    """

    clean: Any
    poisoned: Any
    build: Callable[..., nn.Module]
    epochs: Count
    device: torch.device
    trigger: Any = None
    rate: Unit = 0.0
    target: Natural = 0
    batch_size: Count = 64
    learning_rate: Positive = 1e-3
    loss: str = "mse"
    steps: Count = 4
    seed: Natural = 0
    progress: bool = False
    source: nn.Module | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 0.0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        loss_named(self.loss)

    @classmethod
    def of(
        cls, net: nn.Module, data: Any, *, device: str | torch.device = "auto", **settings: Any
    ) -> Task:
        """The task of training one network in place on one set, any that `as_set` takes.

        `settings` are the other attributes.
        """
        data, place = as_set(data), choose_device(device)
        return cls(clean=data, poisoned=data, build=lambda *_: net, device=place, **settings)

    def train(self, net: nn.Module, dataset: Any = None, **changes: Any) -> History:
        """Trains a network in place by surrogate gradients with this task's settings.

        The set is the poisoned one unless given; `changes` are arguments of
        `snnbd_core.learning.train` that differ from the task's.
        """
        shared = (
            "epochs",
            "seed",
            "device",
            "batch_size",
            "learning_rate",
            "loss",
            "steps",
            "progress",
            "precision",
        )
        settings = {name: getattr(self, name) for name in shared}
        return train(net, self.poisoned if dataset is None else dataset, **{**settings, **changes})

    def fitted(self, net: nn.Module) -> Trained:
        """The network after `train` on the poisoned set, with the task's checkpoint."""
        checkpoint = {name: getattr(self, name) for name in ("checkpoint", "checkpoint_seconds")}
        return Trained(net, self.train(net, **checkpoint))


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
    """A frozen dataclass of a rule's settings; a rule that subclasses it overrides what it needs.

    Attributes:
        attacks: True for an attacker's rule. Its training counts as an attack also where no sample
            is poisoned, and the clean twin is trained by the default rule.
        figures: names of what `measure` or `Trained.figures` give.
    """

    attacks: ClassVar[bool] = False
    figures: ClassVar[tuple[str, ...]] = ()

    def check(self, test: Any) -> None:
        """Raises ValueError where a rule cannot be judged on a test set; asked before training."""
        return

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set."""
        ...

    def source(self, experiment: Any) -> Any:
        """The experiment whose trained network `Task.source` is; None where the rule has none."""
        return None

    def layout(self, net: nn.Module) -> nn.Module:
        """An untrained network with the modules of the trained one, so that weights fit."""
        return net

    def measure(self, trial: Trial) -> dict[str, Any]:
        """Rates and numbers that the report carries besides the usual ones, by name."""
        return {}


@dataclass(frozen=True)
class SurrogateGradient(Rule):
    """Back-propagation through time with surrogate gradients, see `train`; the default rule."""

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set."""
        return task.fitted(task.build())
