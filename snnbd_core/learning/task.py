"""What every learning rule is given, and what it gives back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import nn

from snnbd_core.checks import Checked, Count, Natural, Positive, Unit
from snnbd_core.data import as_set
from snnbd_core.data.batches import choose_device
from snnbd_core.learning.checkpoint import Checkpoint, Stateful, loss_identity
from snnbd_core.learning.history import History
from snnbd_core.learning.precision import Precision, chosen
from snnbd_core.learning.surrogate_gradient import loss_named, train
from snnbd_core.metrics import Trial

__all__ = ["Rule", "SurrogateGradient", "Task", "Trained"]

_SETTINGS = ("epochs", "seed", "batch_size", "learning_rate", "loss", "steps")


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
        checkpoint, checkpoint_seconds: as in `train`. Where a rule trains several times, the
            second training has a file of its own beside the first's, and so on.
        precision: as in `train`.
        trainings: counts them; a task that `dataclasses.replace` makes counts on.
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
    trainings: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)

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
        `snnbd_core.learning.train` that differ from the task's. The training has a checkpoint
        unless its loss is a function, which a name or a dataclass is not.
        """
        settings = self._shared(*_SETTINGS, "device", "progress", "precision", "checkpoint_seconds")
        settings |= {"checkpoint": self._file(), **changes}
        if loss_identity(settings["loss"]) is None:
            settings["checkpoint"] = None
        return train(net, self.poisoned if dataset is None else dataset, **settings)

    def fitted(self, net: nn.Module) -> Trained:
        """The network after `train` on the poisoned set."""
        return Trained(net, self.train(net))

    def saved(self, net: nn.Module, rule: Any, **beside: Stateful) -> Checkpoint:
        """The checkpoint of a rule with a loop of its own, to be given to `epochs_of`.

        Args:
            net: all that is trained, where it is trained.
            rule: whose settings tell it from others.
            beside: what else a resumed training needs the state of.
        """
        settings = self._shared(*_SETTINGS, "rate", "target") | {
            "precision": chosen(self.precision, net, self.device),
            "rule": repr(rule),
        }
        file, seconds = self._file(), self.checkpoint_seconds
        return Checkpoint.of(file, net, self.poisoned, settings, seconds, **beside)

    def _shared(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names}

    def _file(self) -> Path | None:
        """The checkpoint of the next training."""
        number, first = next(self.trainings), self.checkpoint
        if first is None or number == 0:
            return first
        return first.with_name(f"{first.stem}.{number}{first.suffix}")


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
