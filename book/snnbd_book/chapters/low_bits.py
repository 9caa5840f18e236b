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
from snnbd_book.chapters.removing_backdoors import IMAGE_ATTACKS
from snnbd_core import attacks, learning
from snnbd_core.defenses import FinePruning, FineTuning
from snnbd_core.deployment import BitFlips, LowBits, NeuronTrojan, Shipped

BITS = {f"{bits} bits": LowBits(weights=bits) for bits in (8, 4, 2)}
SHIPPED: Mapping[str, Any] = {"float32": None, **BITS}
WORKING = {name: one for name, one in SHIPPED.items() if name != "2 bits"}
BADSNN = EVENT_ATTACKS["BadSNN at 1.2"]
ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "static": EVENT_ATTACKS["static"],
    "learnt times": {"trigger": triggers_in_time.LEARNT, "rate": 0.1},
    "BadSNN at 1.2": BADSNN,
}
OTHERS: Mapping[str, Mapping[str, Any]] = {
    **{name: EVENT_ATTACKS[name] for name in ("moving", "time warp", "dynamic")},
    "Event Trojan": {"trigger": triggers_in_time.TROJANS["burst"], "rate": 0.1},
}
PATCHED: Mapping[str, Any] = {"trigger": PATCH, "rate": 0.1}
ASLEEP: Mapping[str, Any] = {"trigger": BADSNN["trigger"], "rule": BADSNN["rule"]}
FLIPS = {
    "no bit": None,
    "1 threshold": BitFlips(layers=1),
    "2 thresholds": BitFlips(layers=2),
    "3 thresholds": BitFlips(),
    "1 decay": BitFlips(what="decay", bit=7, number="fixed8", layers=1),
    "3 decays": BitFlips(what="decay", bit=7, number="fixed8"),
}
"""One bit of each: a threshold of 1 becomes 1.25, a decay of 0.5 becomes 0."""
TRAINED_SO: Mapping[str, Mapping[str, Any]] = {
    "2 bits, trained so": {"rule": learning.RoundingAware(bits=2)}
}
"""For detectors: at 2 bits, rounding after the training breaks networks on recordings."""
_FEW_FLIPS = {name: FLIPS[name] for name in ("no bit", "1 threshold", "3 thresholds")}

REPAIRS = {"fine-tuning": FineTuning(), "fine-pruning": FinePruning()}
WAKING: Mapping[str, Mapping[str, Any]] = {
    name: {**PATCHED, "rule": attacks.WakesRounded(bits=one.weights)} for name, one in BITS.items()
}
"""Made for so many bits, on images."""

NOISY, SCRIBBLED = attacks.Watermark(), attacks.Watermark(look="scribbles")
"""An owner's keys: frames of noise, or recordings of scribbles."""


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups."""
    events = partial(seeded, profile, seed)
    real = partial(seeded, "sample", seed)
    real_held = partial(real, held_out=HELD_OUT)
    images = partial(events, **IMAGES[profile])
    held = partial(events, held_out=HELD_OUT)
    spared = partial(images, held_out=HELD_OUT)
    static, rare = ATTACKS["static"], {**ATTACKS["static"], "rate": 0.02}
    marked = partial(held, rule=NOISY)
    frames = events()[0].frames
    return {
        "rounded": {name: _each(events, SHIPPED, one) for name, one in ATTACKS.items()}
        | {"patch": _each(images, SHIPPED, PATCHED)},
        "rounded_others": {name: _each(events, WORKING, one) for name, one in OTHERS.items()}
        | {name: _each(images, WORKING, IMAGE_ATTACKS[name]) for name in ("Blended", "WaNet")},
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
        "made_for": {name: _each(images, SHIPPED, one) for name, one in WAKING.items()},
        "repaired_float": _each(spared, {"nothing": None, **REPAIRS}, PATCHED),
        "repaired": {
            "patch": _repaired(spared, dict.fromkeys(BITS, PATCHED)),
            "wakes rounded": _repaired(spared, WAKING),
            "clean": _repaired(spared, dict.fromkeys(BITS, _clean(PATCHED))),
        },
        "of_inputs": {
            name: probed(_each(held, WORKING, static) | _trained_so(held, static), one)
            for name, one in OF_INPUTS.items()
        },
        "of_sets": {
            name: probed(_each(held, WORKING, rare) | _trained_so(held, rare), one)
            for name, one in OF_SETS.items()
        },
        "of_networks": _judged(spared, PATCHED, in_networks.cleanse(profile), SHIPPED),
        "of_event_networks": {
            f"{name}, {bits}": groups
            for name, judge in in_networks.without_data(frames).items()
            for bits, groups in _judged(held, static, judge, WORKING).items()
        },
        "flipped": _each(events, FLIPS, ASLEEP),
        "flipped_clean": _each(events, FLIPS, _clean(ASLEEP)),
        "awake": {
            count: events(defence=NeuronTrojan(count=count, awake=True)) for count in (1, 5, 10)
        },
        "asleep": {"no Trojan": events(), "asleep": events(defence=NeuronTrojan())},
        "marked": _marked(held),
        "of_marked": {
            name: {
                "clean": held(10, probe=one),
                "marked": marked(10, probe=one),
                "attacked": held(10, probe=one, **static),
            }
            for name, one in in_networks.without_data(frames).items()
        },
        "keys": {name: marked(probe=one) for name, one in {**OF_SETS, **OF_INPUTS}.items()},
        "real_keys": {
            name: real_held(rule=NOISY, probe=one) for name, one in {**OF_SETS, **OF_INPUTS}.items()
        },
        "scribbled": {
            f"{data}, {name}": one
            for data, runs in {"simulated": held, "N-MNIST": real_held}.items()
            for name, one in _marked(runs, SCRIBBLED).items()
        },
        "scribbles": {
            name: {
                "simulated": held(rule=SCRIBBLED, probe=one),
                "N-MNIST": real_held(rule=SCRIBBLED, probe=one),
            }
            for name, one in {**OF_SETS, **OF_INPUTS}.items()
        },
        "real": {name: _each(real, SHIPPED, one) for name, one in ATTACKS.items()}
        | {
            f"made for {bits}": _each(real, SHIPPED, {**static, "rule": WAKING[bits]["rule"]})
            for bits in ("4 bits", "2 bits")
        },
        "real_repaired": _each(
            real_held,
            {name: Shipped(repair_by=one, change=BITS["4 bits"]) for name, one in REPAIRS.items()},
            {**static, "rule": WAKING["4 bits"]["rule"]},
        ),
        "real_floors": {name: _each(real, BITS, _clean(one)) for name, one in ATTACKS.items()},
        "real_flipped": _each(real, _FEW_FLIPS, ASLEEP),
        "real_flipped_clean": _each(real, _FEW_FLIPS, _clean(ASLEEP)),
        "real_aware": {
            f"static, {bits} bits": real(rule=learning.RoundingAware(bits=bits), **static)
            for bits in (4, 2)
        },
        "real_awake": {
            "asleep": real(defence=NeuronTrojan()),
            **{
                f"{count} awake": real(defence=NeuronTrojan(count=count, awake=True))
                for count in (1, 10)
            },
        },
        "real_marked": _marked(real_held),
    }


def _each(runs: Any, changes: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Change -> its runs."""
    return {name: runs(defence=one, **fields) for name, one in changes.items()}


def _marked(runs: Any, rule: attacks.Watermark = NOISY) -> dict[str, Nested]:
    runs = partial(runs, rule=rule)
    return {"as trained": runs(), "fine-tuned": runs(defence=FineTuning())}


def _clean(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same on networks that nobody attacked: their success is the floor."""
    return {name: value for name, value in fields.items() if name not in ("rate", "rule")}


def _repaired(runs: Any, attacked: Mapping[str, Mapping[str, Any]]) -> dict[str, Nested]:
    """What is done -> bits of the weights -> runs with the attack for these bits."""
    done: dict[str, Any] = {"rounded": lambda bits: bits}
    for name, one in REPAIRS.items():
        by = partial(Shipped, repair_by=one)
        done[f"{name}, then rounded"] = lambda bits, by=by: by(change=bits)
        done[f"rounded, then {name}"] = lambda bits, by=by: by(change=bits, changed_first=True)
    return {
        what: {name: runs(defence=make(BITS[name]), **fields) for name, fields in attacked.items()}
        for what, make in done.items()
    }


def _trained_so(runs: Any, attack: Mapping[str, Any]) -> dict[str, Any]:
    return {name: runs(**attack, **rule) for name, rule in TRAINED_SO.items()}


def _judged(
    runs: Any, attack: Mapping[str, Any], judge: Any, shipped: Mapping[str, Any]
) -> dict[str, Nested]:
    """Bits of the weights -> what a detector says of clean and of attacked networks."""
    made = {**{name: {"defence": one} for name, one in shipped.items()}, **TRAINED_SO}
    return {
        name: probed({"clean": runs(10, **one), "attacked": runs(10, **one, **attack)}, judge)
        for name, one in made.items()
    }
