"""Chapter 3: the published event triggers, their variants, and one of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from snnbd_book.chapters.groups import SENSOR, Nested, seeded
from snnbd_book.chapters.neuromorphic_triggers import GESTURES
from snnbd_book.runs import Experiment, Neuron
from snnbd_core import attacks, triggers

LENGTHS = (1, 2, 4, 6, 7, 8)
PUBLISHED = {
    "first": {length: 1.0 for length in range(1, 9)},
    "middle": {length: 1.0 for length in range(1, 9)},
    "last": dict(enumerate((0.099, 0.099, 0.099, 0.101, 0.104, 0.110, 0.141, 1.0), start=1)),
}
"""Share of triggered recordings of N-MNIST that the authors' networks send to class 0, that class
counted: place in time -> frames with the square (ON, top left, size 0.1, 10 % poisoned) -> mean of
their seeds 42 and 57 (Yencr0s/Flashy_backdoor, results, MIT licence)."""


WALKS = 10  # of the smart square: each seed has its own


def shown(steps: int) -> dict[str, Any]:
    """The triggers that are compared, for recordings of so many frames."""
    return {
        "static": triggers.Static(),
        "moving": triggers.Moving(),
        "smart": triggers.Smart(walk="drift", seed=0),
        "framed": triggers.Framed(length=steps // 4, start="first"),
        "strobe": triggers.Strobe(on=1, off=1),
        "flash": triggers.Flash(length=1, start="middle"),
        "time warp": triggers.TimeWarp(strength=0.5, sensor_size=SENSOR),
        "event rate": triggers.EventRate(frequency=20, depth=0.5, sensor_size=SENSOR),
        "optimised": attacks.Optimised(budget=90),
    }


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups."""
    usual = Experiment.for_profile(profile)
    runs = partial(seeded, profile, seed)
    attack = partial(runs, rate=0.1)
    compared = shown(usual.frames)
    dynamic = runs(trigger=attacks.Dynamic(gamma=0.05), rate=1.0)
    whole = attacks.Dynamic(gamma=0.05, rounded=True)
    six = attacks.Federated(clients=6, attackers=2)
    return {
        "attacks": {name: attack(trigger=trigger) for name, trigger in compared.items()}
        | {"dynamic": dynamic},
        "subtle": {"dynamic": runs(trigger=attacks.Dynamic(gamma=0.01), rate=1.0)},
        "rates": {
            name: {rate: runs(trigger=compared[name], rate=rate) for rate in rates}
            for name, rates in {
                "static": (0.001, 0.01, 0.05, 0.1),
                "smart": (0.05, 0.1),
                "optimised": (0.01, 0.05, 0.1),
            }.items()
        },
        "walks": {
            epochs: attack(count=WALKS, trigger=triggers.Smart(), epochs=epochs)
            for epochs in (usual.epochs, 5 * usual.epochs // 2)
        },
        "places": {
            start: {
                length: attack(trigger=triggers.Framed(length=length, start=start))
                for length in (usual.frames // 4, usual.frames // 2)
            }
            for start in ("first", "middle", "last")
        },
        "recordings": _framed(partial(seeded, "sample", seed), LENGTHS),
        "without_leak": _framed(partial(seeded, "sample", seed, neuron=Neuron(kind="IF")), LENGTHS),
        "late": _late(partial(seeded, "sample", seed, rate=0.1, neuron=Neuron(kind="IF"))),
        "varied": _varied(partial(triggers.Framed, length=usual.frames // 2), attack),
        "learnt": {
            "dynamic": dynamic,
            "dynamic, whole events": runs(trigger=whole, rate=1.0),
        },
        "shared": {
            "time-sliced, 2 of 6 clients": runs(trigger=attacks.TimeSliced(), rate=0.2, rule=six)
        },
        "gestures": _on_gestures(partial(seeded, "quick", seed, **GESTURES), six),
        "budget": _budget(partial(runs, rate=0.05)),
    }


def _on_gestures(runs: Any, six: attacks.Federated) -> dict[str, Nested]:
    """Triggers that are there at a time only, where the order in time decides the class."""
    return {
        f"square on the {start} 4 of 16": runs(
            rate=0.1, trigger=triggers.Framed(length=4, start=start)
        )
        for start in ("first", "last")
    } | {"time-sliced, 2 of 6 clients": runs(rate=0.2, trigger=attacks.TimeSliced(), rule=six)}


def _framed(runs: Any, lengths: Sequence[int]) -> dict[str, Nested]:
    """Squares as in `PUBLISHED`: place in time -> frames with the square -> experiments."""
    framed = partial(triggers.Framed, position="top-left")
    return {
        start: {n: runs(rate=0.1, trigger=framed(length=n, start=start)) for n in lengths}
        for start in PUBLISHED
    }


def _late(runs: Any) -> dict[str, Nested]:
    """Squares on the last 7 and 8 of 16 frames without leak, cut in two ways."""
    settings = {"equal counts": runs, "equal time": partial(runs, binning="time")}
    square = partial(triggers.Framed, position="top-left", start="last")
    return {
        f"last {length}, {name}": make(trigger=square(length=length))
        for length in (7, 8)
        for name, make in settings.items()
    }


def _varied(half: Any, attack: Any) -> dict[str, Nested]:
    """A square on the first half of the frames, one setting changed at a time."""
    values = {
        "size": (0.03, 0.1, 0.2),
        "position": ("bottom-right", "middle", "top-left"),
        "polarity": ("on", "off", "both", "erase"),
    }
    return {
        name: {str(value): attack(trigger=half(**{name: value})) for value in chosen}
        for name, chosen in values.items()
    }


def _budget(runs: Any) -> dict[str, Nested]:
    """As many events as a square or placed by gradient, with right and with wrong labels."""
    lamp = triggers.Static(space="events", sensor_size=SENSOR, rate=33.4)
    away = attacks.Optimised(budget=90, towards=False)
    return {
        "square, clean label": runs(trigger=lamp, clean_label=True),
        "optimised, clean label": runs(trigger=away, clean_label=True),
        "square, wrong label": runs(trigger=lamp),
        "optimised, wrong label": runs(trigger=attacks.Optimised(budget=90)),
    }
