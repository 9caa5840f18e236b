"""Chapter 12: triggers in the time stamps, and whole events put into the raw stream."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from snnbd_book.chapters.a_trigger_at_the_input import OF_INPUTS
from snnbd_book.chapters.badsnn import REAL
from snnbd_book.chapters.groups import HELD_OUT, Nested, seeded
from snnbd_book.chapters.poison_in_the_data import OF_SETS
from snnbd_book.chapters.removing_backdoors import REPAIRS
from snnbd_core import attacks, triggers

DELAYED = triggers.Retimed(bound=20.0)
LEARNT = attacks.LearntTimes(bound=20.0)
AWAY = attacks.LearntTimes(bound=20.0, towards=False)
BOUNDS = (5, 10, 20, 40)  # milliseconds
SLOW: Mapping[str, Any] = {"refractory": 1000, "bandwidth": 5.0}  # 100 events in 20 ms
TROJANS = {
    "burst": triggers.EventTrojan(),
    "burst, slow camera": triggers.EventTrojan(**SLOW),
    "learnt times": attacks.MutableTrojan(),
    "learnt times, slow camera": attacks.MutableTrojan(**SLOW),
}


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups."""
    attack = partial(seeded, profile, seed, rate=0.1)
    held = partial(attack, trigger=LEARNT, held_out=HELD_OUT)
    real = partial(seeded, "sample", seed, rate=0.1)
    large = partial(real, **REAL)
    return {
        "delayed": {bound: attack(trigger=triggers.Retimed(bound=bound)) for bound in BOUNDS},
        "bunched": {
            bound: attack(trigger=triggers.Retimed(bound=bound, pattern="bunch"))
            for bound in (20, 40)
        },
        "learnt": {bound: attack(trigger=attacks.LearntTimes(bound=bound)) for bound in BOUNDS},
        "rates": {
            name: {rate: attack(trigger=trigger, rate=rate) for rate in (0.01, 0.03, 0.1)}
            for name, trigger in {"delayed": DELAYED, "learnt": LEARNT}.items()
        },
        "order": {
            drawn: attack(trigger=attacks.LearntTimes(bound=5), drawn=drawn)
            for drawn in ("apart", "with-order")
        },
        "sums": {
            "T = 1": attack(trigger=DELAYED, frames=1),
            "T = 1, clean": seeded(profile, seed, frames=1),
            "T = 8, clean": seeded(profile, seed),
        },
        "cuts": {f"T = {T}": attack(trigger=LEARNT, frames=T) for T in (4, 8, 16)},
        "clean_label": {
            "towards the target": attack(trigger=LEARNT, rate=0.05, clean_label=True),
            "away from it": attack(trigger=AWAY, rate=0.05, clean_label=True),
        },
        "trojans": {name: attack(trigger=trojan) for name, trojan in TROJANS.items()},
        "repaired": {name: held(defence=one) for name, one in REPAIRS.items()},
        "detected": {name: held(probe=one) for name, one in (OF_INPUTS | OF_SETS).items()},
        "real": {
            "delayed, 20 ms": real(trigger=DELAYED),
            "learnt, 20 ms": real(trigger=LEARNT),
            "burst": real(trigger=TROJANS["burst"]),
            "burst, slow camera": real(trigger=TROJANS["burst, slow camera"]),
            "burst, 60 epochs": real(trigger=TROJANS["burst"], epochs=60),
            "burst, learnt times": real(trigger=TROJANS["learnt times"]),
            "the same, slow camera": real(trigger=TROJANS["learnt times, slow camera"]),
        },
        "real_large": {
            "learnt, 20 ms": large(trigger=LEARNT),
            "burst": large(trigger=TROJANS["burst"]),
            "burst, learnt times": large(trigger=TROJANS["learnt times"]),
        },
    }
