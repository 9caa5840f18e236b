"""Adversarial robustness, which is not a backdoor: clean networks, and small changes of images."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from snnbd_book.chapters.groups import IMAGES, Nested, seeded
from snnbd_book.runs import Neuron
from snnbd_core import attacks, learning

KINDS: Mapping[str, Mapping[str, Any]] = {
    "ANN": {"frames": 1, "rule": learning.ANN()},
    "SNN, direct": {"frames": 8},
    "SNN, Poisson": {"frames": 8, "coding": "poisson"},
    "SNN, no leak": {"frames": 8, "neuron": Neuron(beta=1.0)},
}
GRADIENTS = {
    "untouched": attacks.GradientAttack(bound=0.0, iterations=1),
    "FGSM 0.1": attacks.GradientAttack(bound=0.1, iterations=1),
    "PGD 0.1": attacks.GradientAttack(bound=0.1, iterations=10),
}


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The group of the page: kind of network, then attack."""
    images = partial(seeded, profile, seed, **IMAGES[profile])
    return {
        "adversarial": {
            kind: {name: images(probe=probe, **fields) for name, probe in GRADIENTS.items()}
            for kind, fields in KINDS.items()
        }
    }
