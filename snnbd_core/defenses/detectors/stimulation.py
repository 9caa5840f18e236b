"""Artificial brain stimulation (ABS, Liu et al. 2019), carried to spiking channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnbd_core import checks
from snnbd_core.checks import Count, Inner, Levels, Unit
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors import patches
from snnbd_core.defenses.detectors.detector import ModelDetector
from snnbd_core.defenses.detectors.features import sharpness
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.metrics import decide
from snnbd_core.networks import seeded
from snnbd_core.view import View

__all__ = ["BrainStimulation", "Candidate", "currents", "responses"]


@dataclass(frozen=True)
class Candidate:
    """A channel that, stimulated, speaks for one class: by `lead` votes more than for any other."""

    layer: int
    channel: int
    target: int
    lead: float


@dataclass(frozen=True, kw_only=True)
class BrainStimulation(ModelDetector):
    """Stimulates one channel after the other and seeks a patch that drives the suspected ones.

    A channel is suspected that raises a class whatever the input is. Where ABS sets an activation,
    a spiking channel is driven by a constant current of `levels` times the threshold, one of an ANN
    by `levels` times the largest activation of its layer on clean samples. For the channels that
    lead their class most, a mask and a pattern are sought that drive the channel and, as in the
    authors' later code, raise the class, with at most `size` of the image masked. The score is the
    largest share of clean samples that such a patch sends to the class (the paper's REASR).

    The authors' code measures what a class gains against the channel at 0, sample by sample, and
    takes the least lead of those that agree on the class; here it is against the votes as they
    are, of the mean over the samples. For one sample that leaves the channel silent both are equal.

    Args:
        samples: clean ones used.
        levels: of the stimulation.
        candidates: channels for which a patch is sought.
        iterations: of each search.
        size: share of the image's area.
        threshold: of the score; 0.88 in the paper.

    Needs a hidden layer of neurons, two classes, and samples of another than each suspected one.
    """

    samples: Count = 32
    levels: Levels = (0.5, 1.0, 2.0)
    candidates: Count = 10
    iterations: Count = 60
    size: Inner = 0.04
    threshold: Unit = 0.88

    def _verdict(self, bench: Bench) -> Verdict:
        with seeded(bench.seed):
            batch, labels = self._drawn(bench)
            largest = bench.rates(bench.data, largest=True)
            found = self.suspects(bench.view, bench.sequence(batch), largest)
            shares = np.zeros(bench.view.classes)
            for part in patches.groups(len(found), batch, bench.steps):
                successes = self._successes(bench, batch, labels, found[part])
                for candidate, share in zip(found[part], successes, strict=True):
                    shares[candidate.target] = max(shares[candidate.target], share)
        score, target = float(shares.max()), int(shares.argmax())
        values = tuple(shares.tolist())
        return Verdict(score > self.threshold, target, score, self.threshold, values=values)

    @torch.no_grad()
    def curve(
        self,
        net: nn.Module,
        clean_samples: Any,
        target: int,
        levels: Sequence[float],
        **settings: Any,
    ) -> tuple[Candidate, Tensor]:
        """The best suspect of a class, of all if that has none, and the votes as it is driven.

        Args:
            net, clean_samples, settings: as for `inspect`.
            target: the class.
            levels: of the stimulation, in the unit of `responses`.

        Returns:
            The channel, and the mean votes [levels, classes].
        """
        with self._bench(net, clean_samples, **settings) as bench, seeded(bench.seed):
            sequence = bench.sequence(self._drawn(bench)[0])
            largest = bench.rates(bench.data, largest=True)
            found = self.suspects(bench.view, sequence, largest)
            best = next((each for each in found if each.target == target), found[0])
            chosen = largest[best.layer], best.layer, best.channel
            return best, responses(bench.view, sequence, *chosen, levels).cpu()

    @torch.no_grad()
    def suspects(self, view: View, sequence: Tensor, largest: Sequence[Tensor]) -> list[Candidate]:
        """The channels whose stimulation raises one class most above all others, best first.

        `sequence` are clean samples [T, B, C, H, W], `largest` the largest activation of each
        hidden layer's channels, one [C] for each.
        """
        plain = view(sequence).mean(dim=0)
        checks.classes(len(plain), 2, "brain stimulation")
        found = []
        for number, most in enumerate(largest):
            for channel in range(len(most)):
                votes = responses(view, sequence, most, number, channel, self.levels)
                raised = votes.amax(dim=0) - plain
                first, second = raised.topk(2).values
                lead = float(first - second)
                found.append(Candidate(number, channel, int(raised.argmax()), lead))
        return sorted(found, key=lambda candidate: -candidate.lead)[: self.candidates]

    def _drawn(self, bench: Bench) -> tuple[Tensor, Tensor]:
        """The clean samples that are used, and their labels."""
        order = np.random.default_rng(bench.seed).permutation(len(bench.data))
        return bench.samples(order[: self.samples])

    def _successes(
        self, bench: Bench, batch: Tensor, labels: Tensor, found: Sequence[Candidate]
    ) -> list[float]:
        """For each channel the share of other classes' samples that its patch sends to its own."""
        targets = torch.tensor([each.target for each in found], device=batch.device)
        others = (labels != targets[:, None]).float()
        if not bool(others.any(dim=1).all()):
            raise ValueError(f"samples={self.samples}: all that are drawn are of a suspected class")
        others /= others.sum(dim=1, keepdim=True)  # weights [K, B]
        patches.check_gradient(bench.view, bench.sequence(batch[:1]))
        sharp = sharpness(bench.view, bench.sequence(batch))
        allowed = self.size * batch.shape[-2] * batch.shape[-1]
        with currents(bench.view, found) as driven:

            def aim(masks: Tensor, patterns: Tensor, logits: Tensor, away: Tensor) -> Tensor:
                """Cross-entropy less the channel's current, and what the mask is too large."""
                too_large = functional.relu(masks.sum(dim=(1, 2)) - allowed)
                return too_large.sum() + ((away - driven()) * others).sum()

            masks, patterns = patches.sought(
                bench, batch, targets, aim, iterations=self.iterations, sharp=sharp
            )
        with torch.no_grad():
            logits = bench(patches.stamped(batch, masks, patterns))
        hits = decide(logits).view(others.shape) == targets[:, None]
        shares: list[float] = (hits * others).sum(dim=1).tolist()
        return shares


@contextmanager
def currents(view: View, found: Sequence[Candidate]) -> Iterator[Callable[[], Tensor]]:
    """A function that gives, after a run of K x B samples, each channel's mean current, [K, B]."""
    numbers = sorted({candidate.layer for candidate in found})
    rows = [[row for row, each in enumerate(found) if each.layer == number] for number in numbers]
    back = torch.tensor([row for several in rows for row in several]).argsort()

    def read() -> Tensor:
        means = []
        for current, several in zip(seen, rows, strict=True):
            channels = [found[row].channel for row in several]
            of_patches = current.unflatten(1, (len(found), -1))  # [T, K, B, C, ...]
            driven = of_patches[:, several, :, channels]  # [some of K, T, B, ...]
            means.append(driven.transpose(1, 2).flatten(2).mean(dim=2))
        return torch.cat(means)[back]

    with view.read([view.hidden[number] for number in numbers], "current") as seen:
        yield read


@torch.no_grad()
def responses(
    view: View,
    sequence: Tensor,
    largest: Tensor,
    layer: int,
    channel: int,
    levels: Sequence[float],
) -> Tensor:
    """Mean votes [levels, classes] as a constant current takes the place of one channel's.

    Args:
        view, sequence, largest: the network, clean samples [T, B, C, H, W], and the largest
            activation of each of the layer's channels, [C].
        layer, channel: number of the hidden layer, from 0, and of its channel.
        levels: of the current, in multiples of the layer's largest threshold; of the largest
            activation of its channels where neurons have none, as in an ANN.
    """
    driven = view.hidden[layer]
    threshold = driven.adapter.settings(driven.module).threshold
    unit = float((largest if threshold is None else threshold).max())

    def votes(level: float) -> Tensor:
        def edit(current: Tensor, now: slice) -> Tensor:
            current = current.clone()
            current[:, :, channel] = level * unit
            return current

        with view.edited({driven: edit}):
            return view(sequence).mean(dim=0)

    return torch.stack([votes(level) for level in levels])
