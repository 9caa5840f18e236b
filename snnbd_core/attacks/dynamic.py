"""A perturbation of its own for each recording, learnt with the network (Sneaky Spikes, NDSS 2024).

    x' = x + gamma g(x),   loss = alpha L(f(x), y) + (1 - alpha) L(f(x'), target)

g is a small spiking auto-encoder with a tanh at its end, so |x' - x| <= gamma everywhere. With
gamma at 0.1 and below these are fractions of an event, which no camera produces: rounded to whole
events nothing is left of them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.attacks.surrogate import untrained
from snnbd_core.data import as_set
from snnbd_core.data.batches import shuffled
from snnbd_core.learning import History, Task, Trained, as_sequence
from snnbd_core.learning.loop import Step, answers_of, epochs_of, scored
from snnbd_core.learning.surrogate_gradient import loss_named
from snnbd_core.metrics import decide
from snnbd_core.networks import seeded
from snnbd_core.networks.layers import Folded
from snnbd_core.neurons import IF
from snnbd_core.poisoning import check_target
from snnbd_core.triggers.frames import frame_shape

__all__ = ["Dynamic", "Perturbation"]

_HIDDEN = 16
_VALIDATION = 0.1  # share of the training set on which the best epoch is chosen


class Perturbation(nn.Module):
    """The learnt trigger, frames in and frames out: x + gamma g(x).

    g: two convolutions 3x3 of stride 2 with IF neurons, two transposed ones back, tanh.

    Args:
        input_shape: (2, H, W).
        gamma: largest change of a count.
        rounded: whether the result is rounded to whole events, at least 0.
    """

    space = "frames"

    def __init__(self, input_shape: tuple[int, int, int], gamma: float, rounded: bool) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        self.gamma = gamma
        self.rounded = rounded
        channels, wide = input_shape[0], 2 * _HIDDEN
        self.layers = nn.Sequential(
            Folded(nn.Conv2d(channels, _HIDDEN, 3, 2, 1)),
            _neuron(),
            Folded(nn.Conv2d(_HIDDEN, wide, 3, 2, 1)),
            _neuron(),
            Folded(nn.ConvTranspose2d(wide, _HIDDEN, 4, 2, 1)),
            _neuron(),
            Folded(nn.ConvTranspose2d(_HIDDEN, channels, 4, 2, 1), nn.Tanh()),
        )

    def change(self, sequence: Tensor) -> Tensor:
        """gamma g(x) for a sequence [T, B, 2, H, W], with gradients."""
        _, height, width = self.input_shape
        grown: Tensor = self.layers(sequence)
        return self.gamma * grown[..., :height, :width]

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Triggered frames for frames [..., T, 2, H, W].

        Raises:
            ValueError: frames of another size than the auto-encoder was trained for.
        """
        _, height, width = frame_shape(frames, None)
        if (height, width) != self.input_shape[1:]:
            raise ValueError(
                f"frames of {height}x{width} pixels do not fit an auto-encoder for "
                f"{self.input_shape[1]}x{self.input_shape[2]}"
            )
        batch = frames.reshape(-1, *frames.shape[-4:]).transpose(0, 1)
        out = batch + self.change(batch)
        if self.rounded:
            out = out.round().clamp_min(0)
        return out.transpose(0, 1).reshape(frames.shape)


def _neuron() -> IF:
    return IF(reset="zero", update="spikingjelly")


@dataclass(frozen=True, kw_only=True)
class Dynamic:
    """Settings of the dynamic trigger; what is learnt with them is a `Perturbation`.

    The task's rate is the share of the training samples that the triggered term of the loss sees;
    the paper uses all, rate 1. The weights are those of the epoch that is best on a tenth of the
    training set that is not trained on, by alpha CA + (1 - alpha) ASR. The authors' code chooses
    on the test set.

    Args:
        gamma: largest change of a count, 0..1; the paper's are 0.01, 0.05 and 0.1.
        alpha: weight of the clean task, 0..1; the paper's are 0.5 to 0.9.
        rounded: True rounds triggered test samples to whole events.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    gamma: float = 0.1
    alpha: float = 0.5
    rounded: bool = False
    space: str = "frames"

    def __post_init__(self) -> None:
        checks.fields(self, ("gamma", "alpha"), checks.within, 0, 1)
        checks.settings(
            self,
            rounded=checks.flag("rounded", self.rounded),
            space=checks.choice("space", self.space, ("frames",)),
        )

    def __call__(self, data: Any) -> Any:
        raise ValueError("Dynamic must be learnt with a network first, by fit(train, target=...)")

    def fit(
        self,
        train: Any,
        *,
        target: int,
        seed: int = 0,
        net: nn.Module | None = None,
        epochs: int = 10,
        **settings: Any,
    ) -> Perturbation:
        """The perturbation for a class, learnt together with a network.

        Args:
            train: event frames that the attacker has.
            target: class to reach; one of the set's.
            seed: of weights and training.
            net: the network that is backdoored, in place; None takes an untrained "quick-conv",
                which is not given back.
            epochs: of the training.
            settings: others of `snnbd_core.learning.Task`, such as batch_size, learning_rate,
                loss, device; rate is the share of samples that the triggered loss sees, 1 unless
                given.

        Raises:
            ValueError: a target that is no class, settings out of range.
        """
        train = as_set(train)
        target = check_target(target, train.classes)
        net = untrained(train, seed) if net is None else net
        settings = {"rate": 1.0, **settings}
        task = Task.of(net, train, target=target, seed=seed, epochs=epochs, **settings)
        trigger: Perturbation = self.learn(task).trigger
        return trigger

    def learn(self, task: Task) -> Trained:
        """Network and perturbation, trained jointly on the task's clean set."""
        net = task.build().to(task.device)
        with seeded(task.seed):
            trigger = self._untrained(task.clean.input_shape)
        trigger.to(task.device)
        order = np.random.default_rng([task.seed, 1]).permutation(len(task.clean))
        held = max(1, int(_VALIDATION * len(order)))
        fit, validation = task.clean.subset(order[held:]), task.clean.subset(order[:held])
        history = _train(net, trigger, fit, validation, task, self.alpha)
        return Trained(net.eval(), history, trigger.cpu().eval())

    @property
    def as_learnt(self) -> Dynamic:
        """The settings that the learning depends on: rounding comes after it."""
        return replace(self, rounded=False)

    def restored(self, state: dict[str, Tensor], input_shape: tuple[int, int, int]) -> Perturbation:
        """The perturbation that was learnt, from its weights."""
        trigger = self._untrained(input_shape)
        trigger.load_state_dict(state)
        return trigger.eval()

    def _untrained(self, input_shape: tuple[int, int, int]) -> Perturbation:
        return Perturbation(input_shape, self.gamma, self.rounded)


def _train(
    net: nn.Module, trigger: Perturbation, fit: Any, validation: Any, task: Task, alpha: float
) -> History:
    """Adam with the cosine schedule of `learning.train`; leaves the best epoch's weights."""
    both = nn.ModuleDict({"net": net, "trigger": trigger})
    attacked = np.random.default_rng(task.seed).permutation(len(fit)) < task.rate * len(fit)
    best, weights = -1.0, both.state_dict()
    history = History()
    for done in epochs_of(
        both,
        torch.optim.Adam(both.parameters(), lr=task.learning_rate),
        lambda epoch: list(shuffled(len(fit), task.batch_size, task.seed, epoch)),
        lambda rows: _step(net, trigger, fit, rows, attacked[rows], task, alpha),
        epochs=task.epochs,
        seed_of=lambda epoch: task.seed + epoch,
        progress=task.progress,
    ):
        history = done
        score = _score(net, trigger, validation, task, alpha)
        if score >= best:
            best, weights = score, copy.deepcopy(both.state_dict())
    both.load_state_dict(weights)
    return history


def _step(
    net: nn.Module,
    trigger: Perturbation,
    fit: Any,
    indices: np.ndarray,
    attacked: np.ndarray,
    task: Task,
    alpha: float,
) -> Step:
    """Both losses of a batch; the history counts its clean samples."""
    loss_of = loss_named(task.loss)
    batch, labels = fit.batch(indices)
    sequence = as_sequence(batch.to(task.device), task.steps)
    labels = labels.to(task.device)
    logits = answers_of(net, sequence)
    loss = alpha * loss_of(logits, labels)
    rows = torch.from_numpy(np.flatnonzero(attacked)).to(task.device)
    if len(rows):
        chosen = sequence[:, rows]
        triggered = answers_of(net, chosen + trigger.change(chosen))
        wanted = torch.full_like(labels[rows], task.target)
        loss = loss + (1 - alpha) * loss_of(triggered, wanted)
    return scored(loss, logits, labels)


@torch.no_grad()
def _score(
    net: nn.Module, trigger: Perturbation, validation: Any, task: Task, alpha: float
) -> float:
    """alpha CA + (1 - alpha) ASR on samples that are not trained on; the target left out of ASR."""
    net.eval()
    batch, labels = validation.batch(np.arange(len(validation)))
    sequence = as_sequence(batch.to(task.device), task.steps)
    clean = decide(answers_of(net, sequence)).cpu() == labels
    hit = decide(answers_of(net, sequence + trigger.change(sequence))).cpu() == task.target
    others = labels != task.target
    return float(alpha * clean.float().mean() + (1 - alpha) * hit[others].float().mean())
