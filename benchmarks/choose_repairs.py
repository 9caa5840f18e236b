"""Chooses the settings of the repairs; no test sample is looked at.

    python -m benchmarks.choose_repairs [repair ...]

For each repair a small grid, on a spiking network and its ANN twin with a BadNets patch, of a seed
that no chapter uses. The defender has ten samples of each class; what a repair is judged by, its
effectiveness (DER), is measured on 500 training samples. The best mean of both networks is printed.
"""

from __future__ import annotations

import sys
from itertools import product
from typing import Any

import numpy as np
import torch

import snnbd_core as sb
from snnbd_book import runs
from snnbd_book.runs import datasets, network, test_sets
from snnbd_core import defenses, learning
from snnbd_core.triggers import Patch

SEED = 100
PATCH = Patch(size=0.25)
GRID: dict[str, dict[str, tuple[Any, ...]]] = {
    "FineTuning": {"epochs": (10, 30), "learning_rate": (3e-3, 1e-2, 3e-2)},
    "FinePruning": {"share": (0.3, 0.5), "epochs": (30,), "learning_rate": (3e-3, 1e-2, 3e-2)},
    "ChannelLipschitz": {"u": (1.0, 2.0, 3.0)},
    "AdversarialPruning": {
        "loss": ("cross_entropy", "mse"),
        "learning_rate": (0.2, 2.0),
        "threshold": (0.2, 0.5, 0.8),
    },
    "AttentionDistillation": {"beta": (0.1, 1.0, 10.0), "learning_rate": (1e-2, 3e-2)},
    "UnlearnRecoverPrune": {"learning_rate": (1.0, 5.0, 20.0), "threshold": (0.5, 0.8)},
    "OptimisedPruning": {"episodes": (150, 300), "search": (40, 80)},
    "SuspiciousNeurons": {"share": (0.1, 0.2, 0.4), "epochs": (0, 30)},
    "TwoStage": {"neurons": (0.15, 0.3), "learning_rate": (3e-3, 1e-2), "epochs": (30,)},
}


def main() -> None:
    """Prints DER of every point of the grid, and the best of each repair (default: of all)."""
    victims = [_victim(learning.ANN(), 1), _victim("surrogate-gradient", 4)]
    for name in sys.argv[1:] or GRID:
        axes = GRID[name]
        scores = {}
        for values in product(*axes.values()):
            repair = defenses.REPAIRS[name](**dict(zip(axes, values, strict=True)))
            found = [_effect(repair, *victim) for victim in victims]
            scores[values] = float(np.mean(found))
            print(f"{name:22} {values}: " + " ".join(f"{der:.2f}" for der in found), flush=True)
        best = max(scores, key=lambda key: scores[key])
        print(f"{name:22} best: {dict(zip(axes, best, strict=True))}, {scores[best]:.2f}")


def _victim(rule: Any, frames: int) -> tuple[Any, Any, Any, int]:
    wanted = runs.Experiment(
        data="digits", frames=frames, trigger=PATCH, rate=0.1, rule=rule, held_out=10, seed=SEED
    )
    train, _ = datasets(wanted)
    rows = np.random.default_rng(SEED).permutation(len(train))[:500]
    clean, _ = test_sets(wanted)
    return network(wanted, device="cpu", progress=False), clean, train.subset(rows), frames


def _effect(repair: Any, net: Any, clean: Any, judged: Any, frames: int) -> float:
    place = torch.device("cpu")
    fixed = repair.repair(net, clean, seed=SEED, device=place, steps=frames)
    before, after = (
        sb.evaluate(one, judged, PATCH, 0, steps=frames, device=place) for one in (net, fixed)
    )
    return defenses.defence_effectiveness(before, after)


if __name__ == "__main__":
    main()
