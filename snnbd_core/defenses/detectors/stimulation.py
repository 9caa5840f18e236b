"""Artificial brain stimulation (ABS, Liu et al. 2019), carried to spiking channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core import checks
from snnbd_core.defenses.channels import Gate, check_clean, hidden, rates
from snnbd_core.defenses.detectors import patches
from snnbd_core.defenses.detectors.frozen import frozen
from snnbd_core.defenses.detectors.neural_cleanse import SHARP
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.learning import as_sequence
from snnbd_core.metrics import decide
from snnbd_core.networks import seeded
from snnbd_core.neurons import LIF


@dataclass(frozen=True)
class Candidate:
    """A channel that, stimulated, speaks for one class: by `lead` votes more than for any other."""

    layer: int
    channel: int
    target: int
    lead: float


@dataclass(frozen=True, kw_only=True)
class BrainStimulation:
    """Stimulates one channel after the other; one that raises a class whatever the input is, is
    suspected, and a patch that drives it is sought.

    ABS sets an activation to a range of values. A spiking channel's is its rate; it is driven by a
    constant current of `levels` times the threshold, one of an ANN by `levels` times the largest
    activation of its layer on clean samples. For the channels that lead their class most, a
    mask and a pattern are sought that drive the channel and, as in the authors' later code, raise
    the class, with at most `size` of the image masked.
    The score is the largest share of clean samples that such a patch sends to the class (the
    paper's REASR).

    Args:
        samples: clean ones used, at least 1.
        levels: of the stimulation, each > 0.
        candidates: channels for which a patch is sought, at least 1.
        iterations: of each search, at least 1.
        size: share of the image's area, in (0, 1).
        threshold: of the score; 0.88 in the paper.

    Raises:
        ValueError: for any argument outside what is said above.
    """

    data_free: ClassVar[bool] = False

    samples: int = 32
    levels: tuple[float, ...] = (0.5, 1.0, 2.0)
    candidates: int = 10
    iterations: int = 60
    size: float = 0.04
    threshold: float = 0.88

    def __post_init__(self) -> None:
        checks.whole("samples", self.samples, 1)
        checks.whole("candidates", self.candidates, 1)
        checks.whole("iterations", self.iterations, 1)
        checks.above("size", self.size, 0)
        checks.share("size", self.size)
        checks.within("threshold", self.threshold, 0, 1)
        object.__setattr__(self, "levels", checks.all_above("levels", self.levels, 0))

    def inspect(
        self, net: nn.Module, clean_samples: Any, *, seed: int, device: torch.device, steps: int
    ) -> Verdict:
        """The best patch over all candidates; the network is left as it was."""
        check_clean(net, clean_samples)
        batch, labels = self._drawn(clean_samples, seed, device)
        with frozen(net, device), seeded(seed):
            largest = rates(net, clean_samples, steps, largest=True)
            found = self.suspects(net, as_sequence(batch, steps), largest)
            shares = np.zeros(clean_samples.classes)
            for part in patches.groups(len(found), batch, steps):
                successes = self._successes(net, batch, labels, found[part], steps)
                for one, share in zip(found[part], successes, strict=True):
                    shares[one.target] = max(shares[one.target], share)
        score, target = float(shares.max()), int(shares.argmax())
        return Verdict(score > self.threshold, target, score, self.threshold,
                       values=tuple(shares.tolist()))  # fmt: skip

    @torch.no_grad()
    def curve(
        self,
        net: nn.Module,
        clean_samples: Any,
        target: int,
        levels: Sequence[float],
        *,
        seed: int,
        device: torch.device,
        steps: int,
    ) -> tuple[Candidate, Tensor]:
        """The best suspect of a class, of all if that has none, and the votes as it is driven.

        Args:
            net: left as it was.
            clean_samples: as for `inspect`.
            target: the class.
            levels: of the stimulation, in the unit of `responses`.
            seed: as for `inspect`, draws the same samples.
            device: where the network is run.
            steps: T of static images.

        Returns:
            The channel, and the mean votes [levels, classes].

        Raises:
            ValueError: as `inspect`.
        """
        check_clean(net, clean_samples)
        sequence = as_sequence(self._drawn(clean_samples, seed, device)[0], steps)
        with frozen(net, device), seeded(seed):
            largest = rates(net, clean_samples, steps, largest=True)
            found = self.suspects(net, sequence, largest)
            best = next((one for one in found if one.target == target), found[0])
            votes = responses(net, sequence, largest, best.layer, best.channel, levels)
        return best, votes.cpu()

    @torch.no_grad()
    def suspects(
        self, net: nn.Module, sequence: Tensor, largest: Sequence[Tensor]
    ) -> list[Candidate]:
        """The channels whose stimulation raises one class most above all others, best first.

        Args:
            net: in evaluation mode.
            sequence: clean samples, [T, B, C, H, W].
            largest: activation of each hidden layer's channels, one [C] for each.
        """
        plain = net(sequence).mean(dim=0)
        found = []
        for number, most in enumerate(largest):
            for channel in range(len(most)):
                votes = responses(net, sequence, largest, number, channel, self.levels)
                raised = votes.amax(dim=0) - plain
                two = raised.topk(2).values
                found.append(
                    Candidate(number, channel, int(raised.argmax()), float(two[0] - two[1]))
                )
        return sorted(found, key=lambda one: -one.lead)[: self.candidates]

    def _drawn(self, clean_samples: Any, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Some of the clean samples and their labels."""
        rows = np.random.default_rng(seed).permutation(len(clean_samples))[: self.samples]
        batch, labels = clean_samples.batch(rows)
        return batch.to(device), labels.to(device)

    def _successes(
        self, net: nn.Module, batch: Tensor, labels: Tensor, found: Sequence[Candidate], steps: int
    ) -> list[float]:
        """For each channel the share of other classes' samples that its patch sends to its own."""
        targets = torch.tensor([one.target for one in found], device=batch.device)
        others = (labels != targets[:, None]).float()
        others /= others.sum(dim=1, keepdim=True)
        masks, patterns = self._patches(net, batch, others, found, steps)
        with torch.no_grad():
            logits = net(as_sequence(patches.stamped(batch, masks, patterns), steps))
        hits = decide(logits).view(others.shape) == targets[:, None]
        shares: list[float] = (hits * others).sum(dim=1).tolist()
        return shares

    def _patches(
        self, net: nn.Module, batch: Tensor, others: Tensor, found: Sequence[Candidate], steps: int
    ) -> tuple[Tensor, Tensor]:
        """Masks [K, H, W] and patterns [K, C, H, W] that drive the channels.

        Args:
            others: weights [K, B] of the samples, 0 for those of the channel's own class.
        """
        free, paint = patches.start(len(found), batch)
        optimizer = torch.optim.Adam([free, paint], lr=0.2)
        targets = torch.tensor([one.target for one in found], device=batch.device)
        labels = targets.repeat_interleave(len(batch))
        high = max(float(batch.max()), 1.0)
        allowed = self.size * batch.shape[-2] * batch.shape[-1]
        with currents(net, found) as driven:
            for _ in range(self.iterations):
                masks, patterns = torch.sigmoid(free), high * torch.sigmoid(paint)
                logits = net(as_sequence(patches.stamped(batch, masks, patterns), steps))
                away = functional.cross_entropy(SHARP * logits, labels, reduction="none")
                aims = (away.view(others.shape) - driven()) * others
                too_large = functional.relu(masks.sum(dim=(1, 2)) - allowed)
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(too_large.sum() + aims.sum())
                optimizer.step()
        return masks.detach(), patterns.detach()


@contextmanager
def currents(net: nn.Module, found: Sequence[Candidate]) -> Iterator[Callable[[], Tensor]]:
    """A function that gives, after a run of K x B samples, each channel's mean current, [K, B]."""
    layers, kept = hidden(net), dict[nn.Module, Tensor]()
    rows = {
        layers[number]: [row for row, one in enumerate(found) if one.layer == number]
        for number in sorted({one.layer for one in found})
    }
    back = torch.tensor([row for several in rows.values() for row in several]).argsort()

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        kept[layer] = inputs[0]

    def read() -> Tensor:
        means = []
        for layer, several in rows.items():
            channels = [found[row].channel for row in several]
            of_patches = kept[layer].unflatten(1, (len(found), -1))  # [T, K, B, C, ...]
            driven = of_patches[:, several, :, channels]  # [some of K, T, B, ...]
            means.append(driven.transpose(1, 2).flatten(2).mean(dim=2))
        return torch.cat(means)[back]

    hooks = [layer.register_forward_pre_hook(keep) for layer in rows]
    try:
        yield read
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def responses(
    net: nn.Module,
    sequence: Tensor,
    largest: Sequence[Tensor],
    layer: int,
    channel: int,
    levels: Sequence[float],
) -> Tensor:
    """Mean votes [levels, classes] as one channel is driven by a constant current.

    Args:
        net: in evaluation mode.
        sequence: clean samples, [T, B, C, H, W].
        largest: activation of each hidden layer's channels, one [C] for each.
        layer: number of the hidden layer, from 0.
        channel: its channel, whose own current is taken away.
        levels: of the current, in multiples of the layer's threshold; of the largest activation of
            its channels in an ANN.
    """
    driven, most = hidden(net)[layer], largest[layer]
    unit = float(driven.threshold.max() if isinstance(driven, LIF) else most.max())
    votes = [
        _stimulated(net, driven, channel, len(most), level * unit, sequence) for level in levels
    ]
    return torch.stack(votes)


def _stimulated(
    net: nn.Module, layer: nn.Module, channel: int, channels: int, level: float, sequence: Tensor
) -> Tensor:
    """Mean votes [classes] with one channel's current at a constant level."""
    gate, offset = torch.ones(channels), torch.zeros(channels)
    gate[channel], offset[channel] = 0.0, level
    hook = layer.register_forward_pre_hook(Gate(gate, offset))
    try:
        votes: Tensor = net(sequence).mean(dim=0)
    finally:
        hook.remove()
    return votes
