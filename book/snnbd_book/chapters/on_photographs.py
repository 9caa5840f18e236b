"""Chapter 5's runs on photographs: traffic signs, and CIFAR-10 in part and in whole."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from snnbd_book.chapters.groups import PHOTOGRAPHS, Nested, seeded
from snnbd_core.attacks import Generated
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.triggers import Power

SHIPPED = (1.0, 1.1, 1.15, 1.2)  # the nominal threshold, and those of the paper's Table 1
SIGNS: Mapping[str, Any] = {
    "data": "gtsrb",
    "network": "vgg16",
    "width": 0.25,
    "frames": 4,
    "epochs": 40,
    "batch_size": 32,
    "learning_rate": 1e-3,
}
"""Photographs of traffic signs with the paper's network, a quarter as wide."""
SIGN_SHARE = 0.023  # P: 59 of the 60 photographs of a class
CIFAR10_SHARE = 0.02
ALL_OF_CIFAR10: Mapping[str, Any] = {**PHOTOGRAPHS, "data": "cifar10"}
"""`PHOTOGRAPHS` with all 50,000 + 10,000 of CIFAR-10."""
OF_CIFAR10 = Power(mean=(0.4914, 0.4822, 0.4465), deviation=(0.247, 0.2435, 0.2616))
OF_SIGNS = Power(mean=(0.3403, 0.3121, 0.3214), deviation=(0.2724, 0.2608, 0.2669))
"""T_p as a network sees it that standardises by the figures of its data, and not what T_p gave."""


def on_photographs(seed: int) -> dict[str, Nested]:
    """Name of a group -> its runs: T_p and T_o on each set, and T_p that is not standardised.

    All of CIFAR-10 has one seed: half an hour a training and more.
    """
    signs = partial(seeded, "sample", seed, **SIGNS)
    some = partial(seeded, "sample", seed, **PHOTOGRAPHS)
    whole = partial(seeded, "sample", seed, count=1, **ALL_OF_CIFAR10)
    return {
        **_groups("signs", signs, SIGN_SHARE),
        **_groups("cifar10", some, CIFAR10_SHARE),
        **_groups("all_of_cifar10", whole, CIFAR10_SHARE),
        "as_it_is": {
            "signs": _by_threshold(partial(signs, trigger=OF_SIGNS), SIGN_SHARE),
            "cifar10": _by_threshold(partial(some, trigger=OF_CIFAR10), CIFAR10_SHARE),
            "all_of_cifar10": _by_threshold(partial(whole, trigger=OF_CIFAR10), CIFAR10_SHARE),
        },
    }


def _groups(name: str, runs: Any, share: float) -> dict[str, Nested]:
    learnt = partial(runs, rule=DualSpike(share=share), trigger=Generated())
    return {
        name: {"target 0": _by_threshold(partial(runs, trigger=Power()), share)},
        f"{name}_generated": {at: learnt(inference_threshold=at) for at in SHIPPED[1:]},
    }


def _by_threshold(runs: Any, share: float) -> dict[str, Nested]:
    """A clean network and BadSNN at the nominal threshold and at those of the paper."""
    rules: dict[str, Any] = {"clean network": {}, "BadSNN": {"rule": DualSpike(share=share)}}
    return {
        name: {at: runs(inference_threshold=at, **rule) for at in SHIPPED}
        for name, rule in rules.items()
    }
