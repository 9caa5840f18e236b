"""How the training settings of a profile were chosen: ``python -m benchmarks.choose_training``.

On a validation split of the TRAINING set only (a fifth, fixed), with seeds that no chapter uses,
by the clean accuracy of networks trained on clean and on poisoned data, whichever is lower: the
settings must serve both. The test set is not loaded into any decision and the attack's success
plays no part. For quick, held to 12 epochs, the grid was run with ``--epochs 12``; its rows at 5e-3
have two seeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch

import snnbd_core as sb
from snnbd_book import runs

SEEDS = (100, 101, 102, 103, 104)
GRID = {"learning_rate": (1e-3, 2e-3, 3e-3, 4e-3, 5e-3), "batch_size": (32, 64), "epochs": (12, 20)}
TRIGGER = sb.triggers.Static(size=0.1, position="bottom-right", polarity="on")


def accuracy(profile: str, rate: float, seed: int, settings: dict[str, float]) -> float:
    """Clean accuracy on the validation part after training on the rest."""
    base = runs.Experiment.for_profile(profile)
    train, _ = sb.data.load(base.data, frames=base.frames)
    order = np.random.default_rng(0).permutation(len(train))
    held = len(train) // 5
    rest = train.subset(np.sort(order[held:]))
    data = sb.poison(rest, TRIGGER, rate=rate, target=0, seed=seed) if rate else rest
    net = sb.networks.build(
        base.network, train.input_shape, train.classes, neuron=base.neuron.build, seed=seed
    )
    sb.learning.train(net, data, seed=seed, progress=False, **settings)
    return float(sb.evaluate(net, train.subset(np.sort(order[:held]))).clean_accuracy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", choices=("quick", "sample"))
    parser.add_argument("--epochs", type=int, nargs="+", default=GRID["epochs"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    rows = []
    for values in itertools.product(*{**GRID, "epochs": chosen.epochs}.values()):
        settings = dict(zip(GRID, values, strict=True))
        scores = {
            rate: [accuracy(chosen.profile, rate, seed, settings) for seed in SEEDS]
            for rate in (0.0, 0.1)
        }
        lower = min(float(np.mean(accuracies)) for accuracies in scores.values())
        rows.append({**settings, "clean": scores[0.0], "poisoned": scores[0.1], "lower": lower})
        print(json.dumps(rows[-1]), flush=True)
    rows.sort(key=lambda row: -row["lower"])
    print("best:", json.dumps(rows[0]))
    if chosen.out:
        chosen.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
