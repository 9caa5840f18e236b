"""A perturbation of its own for each recording, learnt with the network (Sneaky Spikes, NDSS 2024).

    x' = x + gamma g(x),   loss = alpha L(f(x), y) + (1 - alpha) L(f(x'), target)

g is a small spiking auto-encoder with a tanh at its end, so |x' - x| <= gamma everywhere. With
gamma at 0.1 and below these are fractions of an event, which no camera produces: rounded to whole
events nothing is left of them. In the authors' code the last layer spikes before the tanh, so the
change is never negative; here it is, and makes counts of 37 to 53 % of the empty pixels negative.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core import networks
from snnbd_core.checks import Checked, Flag, Unit
from snnbd_core.data import as_set
from snnbd_core.data.batches import shuffled
from snnbd_core.learning import Task, Trained, as_sequence
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
    """The learnt trigger, frames in and frames out: x + gamma g(x), `rounded` to events >= 0.

    g: two convolutions 3x3 of stride 2 with IF neurons, two transposed ones back, tanh.
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
    def forward(self, frames: Any) -> Any:
        """Triggered frames, float32, for frames [..., T, 2, H, W] (torch or NumPy).

        Raises:
            ValueError: frames of another size than the auto-encoder was trained for.
        """
        _, height, width = frame_shape(frames, None)
        if (height, width) != self.input_shape[1:]:
            raise ValueError(
                f"frames of {height}x{width} pixels do not fit an auto-encoder for "
                f"{self.input_shape[1]}x{self.input_shape[2]}"
            )
        given = frames if isinstance(frames, Tensor) else torch.from_numpy(frames.astype("float32"))
        batch = given.float().reshape(-1, *frames.shape[-4:]).transpose(0, 1)
        out = batch + self.change(batch)
        if self.rounded:
            out = out.round().clamp_min(0)
        out = out.transpose(0, 1).reshape(frames.shape)
        return out if isinstance(frames, Tensor) else out.numpy()


def _neuron() -> IF:
    return IF(reset="zero", update="spikingjelly")


@dataclass
class _Best:
    """The weights of the best epoch so far."""

    score: float = -1.0
    weights: dict[str, Any] = field(default_factory=dict)

    def take(self, score: float, net: nn.Module) -> None:
        """Copies the weights, if no epoch before had a higher score."""
        if score >= self.score:
            self.score, self.weights = score, copy.deepcopy(net.state_dict())

    def state_dict(self) -> dict[str, Any]:
        return vars(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


@dataclass(frozen=True, kw_only=True)
class Dynamic(Checked):
    """Settings of the dynamic trigger; what is learnt with them is a `Perturbation`.

    The task's rate is the share of the training samples that the triggered term of the loss sees;
    the paper uses all, rate 1. The weights are those of the epoch that is best on a tenth of the
    training set that is not trained on, by alpha CA + (1 - alpha) ASR. The authors' code chooses
    on the test set.

    Args:
        gamma: largest change of a count; the paper's are 0.01, 0.05 and 0.1.
        alpha: weight of the clean task; the paper's are 0.5 to 0.9.
        rounded: True rounds triggered test samples to whole events.
    """

    gamma: Unit = 0.1
    alpha: Unit = 0.5
    rounded: Flag = False
    space: Literal["frames"] = "frames"

    def __call__(self, data: Any) -> Any:
        raise ValueError("Dynamic must be learnt with a network first, by fit(train, target=...)")

    def fit(
        self,
        train: Any,
        *,
        target: int,
        seed: int = 0,
        net: nn.Module | None = None,
        **settings: Any,
    ) -> Perturbation:
        """The perturbation for a class, learnt together with a network.

        Args:
            train: event frames that the attacker has.
            target: class to reach; one of the set's.
            seed: of weights and training.
            net: the network that is backdoored, in place; None takes an untrained "quick-conv",
                which is not given back.
            settings: others of `snnbd_core.learning.Task`: epochs (10 unless given), batch_size,
                learning_rate, loss, device, and rate, the share of samples that the triggered loss
                sees (1 unless given).

        Raises:
            ValueError: a set that is not of frames with two polarities, a target that is no class,
                settings out of range.
        """
        train = as_set(train)
        if train.kind != "frames" or train.input_shape[0] != 2:
            raise ValueError(
                f"train={train!r}: Dynamic changes frames [T, 2, H, W]; for images use Generated"
            )
        target = check_target(target, train.classes)
        net = net or networks.build("quick-conv", train.input_shape, train.classes, seed=seed)
        settings = {"rate": 1.0, "epochs": 10, **settings}
        learnt = self.learn(Task.of(net, train, target=target, seed=seed, **settings))
        trigger: Perturbation = learnt.trigger
        return trigger

    def learn(self, task: Task) -> Trained:
        """Network and perturbation, trained jointly on the task's clean set."""
        net, device, loss_of = task.build().to(task.device), task.device, loss_named(task.loss)
        with seeded(task.seed):
            trigger = self._untrained(task.clean.input_shape).to(device)
        order = np.random.default_rng([task.seed, 1]).permutation(len(task.clean))
        held = max(1, int(_VALIDATION * len(order)))
        fit, validation = task.clean.subset(order[held:]), task.clean.subset(order[:held])
        attacked = np.random.default_rng(task.seed).permutation(len(fit)) < task.rate * len(fit)

        def step(rows: np.ndarray) -> Step:
            """Both losses of a batch; the history counts its clean samples."""
            batch, labels = fit.batch(rows)
            sequence, labels = as_sequence(batch.to(device), task.steps), labels.to(device)
            logits = answers_of(net, sequence)
            loss = self.alpha * loss_of(logits, labels)
            chosen = torch.from_numpy(np.flatnonzero(attacked[rows])).to(device)
            if len(chosen):
                clean = sequence[:, chosen]
                triggered = answers_of(net, clean + trigger.change(clean))
                wanted = torch.full_like(labels[chosen], task.target)
                loss = loss + (1 - self.alpha) * loss_of(triggered, wanted)
            return scored(loss, logits, labels)

        @torch.no_grad()
        def score() -> float:
            """alpha CA + (1 - alpha) ASR on the samples that are not trained on."""
            net.eval()
            batch, labels = validation.batch(np.arange(len(validation)))
            sequence = as_sequence(batch.to(device), task.steps)
            right = decide(answers_of(net, sequence)).cpu() == labels
            hit = decide(answers_of(net, sequence + trigger.change(sequence))).cpu() == task.target
            success = hit[labels != task.target].float().mean()
            return float(self.alpha * right.float().mean() + (1 - self.alpha) * success)

        both = nn.ModuleDict({"net": net, "trigger": trigger})
        best = _Best()
        for done in epochs_of(
            both,
            torch.optim.Adam(both.parameters(), lr=task.learning_rate),
            lambda epoch: list(shuffled(len(fit), task.batch_size, task.seed, epoch)),
            step,
            epochs=task.epochs,
            seed_of=lambda epoch: task.seed + epoch,
            saved=task.saved(both, self, best=best),
            progress=task.progress,
            precision=task.precision,
        ):
            history = done
            best.take(score(), both)
        both.load_state_dict(best.weights or both.state_dict())
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
