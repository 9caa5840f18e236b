"""Chapter 13: networks in few bits, flipped bits, a Trojan in a neuron, and a watermark."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from snnbd_book.chapters import a_backdoor_in_the_network as in_networks
from snnbd_book.chapters import triggers_in_time
from snnbd_book.chapters.a_trigger_at_the_input import OF_INPUTS
from snnbd_book.chapters.groups import HELD_OUT, IMAGES, Nested, seeded
from snnbd_book.chapters.judged import EVENT_ATTACKS, PATCH, probed
from snnbd_book.chapters.poison_in_the_data import OF_SETS
from snnbd_core import attacks, learning
from snnbd_core.defenses import FineTuning
from snnbd_core.deployment import BitFlips, LowBits, NeuronTrojan

BITS = {f"{bits} bits": LowBits(weights=bits) for bits in (8, 4, 2)}
SHIPPED: Mapping[str, Any] = {"float32": None, **BITS}
WORKING = {name: one for name, one in SHIPPED.items() if name != "2 bits"}
BADSNN = EVENT_ATTACKS["BadSNN at 1.2"]
ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "static": EVENT_ATTACKS["static"],
    "learnt times": {"trigger": triggers_in_time.LEARNT, "rate": 0.1},
    "BadSNN at 1.2": BADSNN,
}
PATCHED: Mapping[str, Any] = {"trigger": PATCH, "rate": 0.1}
FLIPS = {
    "no bit": None,
    "1 threshold": BitFlips(layers=1),
    "2 thresholds": BitFlips(layers=2),
    "3 thresholds": BitFlips(),
    "1 decay": BitFlips(what="decay", bit=7, number="fixed8", layers=1),
    "3 decays": BitFlips(what="decay", bit=7, number="fixed8"),
}
"""One bit of each: a threshold of 1 becomes 1.25, a decay of 0.5 becomes 0."""


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups."""
    events = partial(seeded, profile, seed)
    real = partial(seeded, "sample", seed)
    images = partial(events, **IMAGES[profile])
    held = partial(events, held_out=HELD_OUT)
    asleep = {"trigger": BADSNN["trigger"], "rule": BADSNN["rule"]}
    static, rare = ATTACKS["static"], {**ATTACKS["static"], "rate": 0.02}
    marked = partial(held, rule=attacks.Watermark())
    frames = events()[0].frames
    return {
        "rounded": {name: _each(events, SHIPPED, one) for name, one in ATTACKS.items()}
        | {"patch": _each(images, SHIPPED, PATCHED)},
        "floors": {name: _each(events, BITS, _clean(one)) for name, one in ATTACKS.items()}
        | {"patch": _each(images, BITS, _clean(PATCHED))},
        "aware": {
            "static, 4 bits": events(rule=learning.RoundingAware(bits=4), **static),
            "static, 2 bits": events(rule=learning.RoundingAware(bits=2), **static),
            "learnt times, 2 bits": events(
                rule=learning.RoundingAware(bits=2), **ATTACKS["learnt times"]
            ),
        },
        "wakes": _each(events, SHIPPED, {**static, "rule": attacks.WakesRounded(bits=4)}),
        "of_inputs": {
            name: probed(_each(held, WORKING, static), one) for name, one in OF_INPUTS.items()
        },
        "of_sets": {name: probed(_each(held, WORKING, rare), one) for name, one in OF_SETS.items()},
        "of_networks": _judged(profile, seed),
        "flipped": _each(events, FLIPS, asleep),
        "flipped_clean": _each(events, {"3 thresholds": BitFlips()}, _clean(asleep)),
        "awake": {
            count: events(defence=NeuronTrojan(count=count, awake=True)) for count in (1, 5, 10)
        },
        "asleep": {"no Trojan": events(), "asleep": events(defence=NeuronTrojan())},
        "marked": {"as trained": marked(), "fine-tuned": marked(defence=FineTuning())},
        "of_marked": {
            name: {
                "clean": held(10, probe=one),
                "marked": marked(10, probe=one),
                "attacked": held(10, probe=one, **static),
            }
            for name, one in in_networks.without_data(frames).items()
        },
        "real": _each(real, SHIPPED, static),
        "real_flipped": _each(
            real, {name: FLIPS[name] for name in ("no bit", "1 threshold", "3 thresholds")}, asleep
        ),
    }


def _each(runs: Any, changes: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Change -> its runs."""
    return {name: runs(defence=one, **fields) for name, one in changes.items()}


def _clean(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same on networks that nobody attacked: their success is the floor."""
    return {name: value for name, value in fields.items() if name not in ("rate", "rule")}


def _judged(profile: str, seed: int) -> dict[str, Nested]:
    """Neural Cleanse on ten clean and ten attacked networks of images."""
    images = partial(seeded, profile, seed, 10, held_out=HELD_OUT, **IMAGES[profile])
    return {
        name: probed(
            {"clean": images(defence=one), "attacked": images(defence=one, **PATCHED)},
            in_networks.cleanse(profile),
        )
        for name, one in WORKING.items()
    }
