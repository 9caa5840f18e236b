"""Optimised neuron pruning, its idea at a size that trains here: a graph network that prunes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from snnbd_core.checks import Count, Positive
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors.neural_cleanse import NeuralCleanse, anomaly
from snnbd_core.defenses.detectors.patches import stamped
from snnbd_core.defenses.fine_pruning import standard
from snnbd_core.defenses.pruning import Choice, Pruning
from snnbd_core.metrics import decide
from snnbd_core.networks import seeded

__all__ = ["OptimisedPruning", "Pruner"]

_PRIOR = -2.0  # logit of pruning a channel, to begin with
_MEMORY = 0.9  # of the baseline, the mean reward of earlier episodes


class Pruner(nn.Module):
    """Two rounds of messages between channels of neighbouring layers, then a logit for each."""

    def __init__(self, features: int, width: int = 16) -> None:
        super().__init__()
        sizes = ((features, width), (width, width))
        self.rounds = nn.ModuleList(nn.Linear(3 * size, out) for size, out in sizes)
        self.head = nn.Linear(width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, _PRIOR)

    def forward(self, nodes: Sequence[Tensor], edges: Sequence[Tensor]) -> list[Tensor]:
        """Logits of pruning, one [C] for each layer.

        `nodes` are features [C, features] of each layer's channels, `edges` strengths
        [C of the next layer, C] between neighbouring layers.
        """
        states = list(nodes)
        for layer in self.rounds:
            states = [
                torch.relu(layer(torch.cat(gathered, dim=1))) for gathered in _gather(states, edges)
            ]
        return [self.head(state)[:, 0] for state in states]


def _gather(states: list[Tensor], edges: Sequence[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """(own state, mean from the layer before, mean from the one after) for each layer."""
    found = []
    for number, state in enumerate(states):
        before = after = torch.zeros_like(state)
        if number > 0:
            before = _mean(edges[number - 1], states[number - 1])
        if number < len(states) - 1:
            after = _mean(edges[number].T, states[number + 1])
        found.append((state, before, after))
    return found


def _mean(weights: Tensor, states: Tensor) -> Tensor:
    """Mean of states [n, width], weighted by each row of [m, n]."""
    return (weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)) @ states


@dataclass(frozen=True, kw_only=True)
class OptimisedPruning(Pruning):
    """ONP: which channels to silence is learnt by trial, over a graph of channels.

    A channel is a node, with its rate on clean samples, how that changes under a suspected trigger,
    and the norms of the weights that reach and leave it, all in standard scores of its layer; edges
    are weights between neighbouring layers. A graph network gives each channel a probability of
    being pruned. It is taught by REINFORCE: each episode draws which channels to prune, and its
    reward is

        share of clean samples right  -  share of triggered ones that go to the target.

    What is simplified: the paper trains a deeper graph network with an actor and a critic. Neither
    its reward nor its authors' code was at hand; our reward takes trigger and target from a short
    search of Neural Cleanse on the same clean samples. Needs one chain of layers.

    Args:
        episodes, learning_rate: of the graph network.
        search, samples: iterations of the search for a trigger, and clean samples used in it: the
            first of them, or drawn ones where these lack a class.
    """

    rounds: ClassVar[str] = "{search} iterations for each class, {episodes} episodes"

    episodes: Count = 300
    learning_rate: Positive = 0.02
    search: Count = 80
    samples: Count = 64

    def _choice(self, bench: Bench) -> Choice:
        """The last probabilities of pruning, and the best pruning that was tried."""
        edges = [strength.float() for strength in bench.view.connections()]
        bench.net.requires_grad_(False)
        batch, labels = bench.samples()
        with seeded(bench.seed):
            triggered, target = self._suspected(bench, batch)
            others = triggered[labels != target]

            def reward(keep: list[Tensor]) -> float:
                with torch.no_grad(), bench.view.gated([mask.float() for mask in keep]):
                    right = decide(bench(batch)) == labels
                    fooled = decide(bench(others)) == target
                return float(right.float().mean() - fooled.float().mean())

            return self._search(_features(bench, triggered, edges), edges[1:-1], reward)

    def _suspected(self, bench: Bench, batch: Tensor) -> tuple[Tensor, int]:
        """The samples with the smallest patch that Neural Cleanse finds, and its class."""
        cleanse = NeuralCleanse(iterations=self.search)
        few, classes = batch[self._few(bench)], range(bench.view.classes)
        masks, patterns = cleanse.search(bench.net, few, classes, bench.steps)
        _, target = anomaly(masks.sum(dim=(1, 2)).tolist())
        found = slice(target, target + 1)
        return stamped(batch, masks[found], patterns[found]), target

    def _few(self, bench: Bench) -> Tensor:
        """The first rows if they hold a sample of every class, else as many that are drawn."""
        labels = torch.as_tensor(bench.data.labels)
        rows = torch.arange(min(self.samples, len(labels)))
        if len(labels[rows].unique()) == len(labels.unique()):
            return rows
        drawn = np.random.default_rng(bench.seed).permutation(len(labels))
        return torch.from_numpy(drawn[: len(rows)])

    def _search(
        self, nodes: list[Tensor], edges: list[Tensor], reward_of: Callable[[list[Tensor]], float]
    ) -> Choice:
        """REINFORCE: up (reward - baseline) * gradient of the log-probability of what was drawn."""
        policy = Pruner(nodes[0].shape[1]).to(nodes[0].device)
        optimizer = torch.optim.Adam(policy.parameters(), lr=self.learning_rate)
        best = [torch.ones(len(node), dtype=torch.bool, device=node.device) for node in nodes]
        highest = baseline = reward_of(best)
        for _ in range(self.episodes):
            logits = policy(nodes, edges)
            draws = [torch.bernoulli(torch.sigmoid(logit.detach())) for logit in logits]
            keep = [draw == 0 for draw in draws]
            if not all(bool(mask.any()) for mask in keep):
                continue
            reward = reward_of(keep)
            if reward > highest:
                highest, best = reward, keep
            log_probs = [
                -nn.functional.binary_cross_entropy_with_logits(logit, draw, reduction="none")
                for logit, draw in zip(logits, draws, strict=True)
            ]
            log_prob = torch.cat(log_probs).sum()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(-(reward - baseline) * log_prob)
            optimizer.step()
            baseline = _MEMORY * baseline + (1 - _MEMORY) * reward
        with torch.no_grad():
            return Choice.of([torch.sigmoid(logit) for logit in policy(nodes, edges)], best)


def _features(bench: Bench, triggered: Tensor, edges: list[Tensor]) -> list[Tensor]:
    """Standard scores [C, 4] for each hidden layer."""
    rates = bench.rates(bench.data), bench.rates(triggered)
    found = []
    for number, (rate, under_trigger) in enumerate(zip(*rates, strict=True)):
        arriving, leaving = edges[number].norm(dim=1), edges[number + 1].norm(dim=0)
        values = (rate, under_trigger - rate, arriving, leaving)
        found.append(torch.stack([standard(value) for value in values], dim=1).float())
    return found
