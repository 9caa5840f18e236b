"""Attacks and defences by the names that the chapters give them, and the runs behind each pair."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from snnbd_book.chapters import a_backdoor_in_the_network as in_networks
from snnbd_book.chapters import a_trigger_at_the_input as at_inputs
from snnbd_book.chapters import judged, low_bits, triggers_in_time
from snnbd_book.chapters import poison_in_the_data as in_data
from snnbd_book.chapters import removing_backdoors as removing
from snnbd_book.chapters.badsnn import DARKER, FAR
from snnbd_book.chapters.groups import HELD_OUT, IMAGES, seeded
from snnbd_book.chapters.stealthier_triggers import shown
from snnbd_book.runs import Experiment
from snnbd_core import attacks, triggers
from snnbd_core.data import IMAGES as IMAGE_SETS
from snnbd_core.defenses import detectors
from snnbd_core.deployment import BitFlips, Change, Shipped

__all__ = [
    "ATTACKS",
    "DEFENCES",
    "KINDS",
    "NOBODY",
    "SETS",
    "Cell",
    "Defence",
    "cell",
    "cells",
    "runs_of",
]

Fields = Mapping[str, Any]

SETS: Mapping[str, Fields] = {
    "digits-events": {"profile": "quick"},
    "digits": {"profile": "quick", **IMAGES["quick"]},
    "nmnist": {"profile": "sample"},
}
"""Data set -> the fields of its runs; those of nmnist are real recordings."""

KINDS: Mapping[str, str] = {
    "repair": "repair",
    "network": "of networks",
    "input": "of inputs",
    "set": "of training sets",
}
NOBODY = "no attack"
_SEEDS = {"repair": 3, "network": 10, "input": 3, "set": 3}
# Poison is looked for where it is rare (chapter 6), a network judged where it is plain (7 and 8).
_RATES: Mapping[str, Mapping[str, float]] = {
    "repair": {},
    "network": dict.fromkeys(("static", "moving", "BadNets"), 0.1),
    "input": dict.fromkeys(("static", "moving", "BadNets"), 0.1),
    "set": dict.fromkeys(("static", "moving", "BadNets"), 0.02),
}


@dataclass(frozen=True)
class Defence:
    """A defence: its kind, one of `KINDS`, and what it sets in an experiment."""

    kind: str
    fields: Fields


@dataclass(frozen=True)
class Cell:
    """An attack and a defence on a data set, and the runs that its figures come from.

    Attributes:
        data, attack, defence: names.
        kind: of the defence.
        runs: one for each seed; none where the defence does not apply.
        before: the same without the repair; none for a detector.
        clean: networks that nobody attacked, on the same device, as the same detector of networks
            sees them.
        why: of a cell that does not apply or was not measured.
    """

    data: str
    attack: str
    defence: str
    kind: str
    runs: tuple[Experiment, ...] = ()
    before: tuple[Experiment, ...] = ()
    clean: tuple[Experiment, ...] = ()
    why: str = ""

    @property
    def named(self) -> str:
        """The defence, and of a detector what it judges: "STRIP, space, of inputs"."""
        return self.defence if self.kind == "repair" else f"{self.defence}, {KINDS[self.kind]}"


def _on_events(profile: str) -> dict[str, Fields]:
    """Attacks on recordings."""
    usual = Experiment.for_profile(profile)
    others = {name: {"trigger": one, "rate": 0.1} for name, one in shown(usual.frames).items()}
    sliced = {
        "trigger": attacks.TimeSliced(),
        "rate": 0.2,
        "rule": attacks.Federated(clients=6, attackers=2),
    }
    return {
        **removing.EVENT_ATTACKS,
        "dynamic": judged.EVENT_ATTACKS["dynamic"],
        **{name: one for name, one in others.items() if name not in removing.EVENT_ATTACKS},
        "time-sliced": sliced,
        "delays, 20 ms": {"trigger": triggers_in_time.DELAYED, "rate": 0.1},
        "learnt times, 20 ms": {"trigger": triggers_in_time.LEARNT, "rate": 0.1},
        "Event Trojan": {"trigger": triggers_in_time.TROJANS["burst"], "rate": 0.1},
        "Mutable Trojan": {"trigger": triggers_in_time.TROJANS["learnt times"], "rate": 0.1},
        "wakes at 4 bits": {
            **low_bits.ATTACKS["static"],
            "rule": attacks.WakesRounded(bits=4),
            "defence": low_bits.BITS["4 bits"],
        },
        "BadSNN, bit flipped": {**low_bits.ASLEEP, "defence": low_bits.FLIPS["1 threshold"]},
    }


_ON_IMAGES: Mapping[str, Fields] = {
    **removing.IMAGE_ATTACKS,
    "SIG": {
        "trigger": triggers.Sinusoidal(delta=0.3, frequency=2),
        "clean_label": True,
        "rate": 0.05,
    },
    "frozen read-out": {"trigger": judged.PATCH, "rate": 0.1, "rule": attacks.FrozenReadout()},
    "aware of margins": {
        "trigger": judged.PATCH,
        "rate": 0.1,
        "rule": attacks.MarginAware(high=1.0),
    },
    "BadSNN at 1.5": {"trigger": DARKER, "rule": FAR, "inference_threshold": 1.5},
    "BadSNN at 1.5, learnt trigger": {
        "trigger": attacks.Generated(bound=0.3, threshold=1.5),
        "rule": FAR,
        "inference_threshold": 1.5,
    },
    "wakes at 4 bits": {**low_bits.WAKING["4 bits"], "defence": low_bits.BITS["4 bits"]},
    "BadSNN, bit flipped": {
        "trigger": DARKER,
        "rule": FAR,
        "defence": BitFlips(bit=22, layers=1),  # a threshold of 1 becomes 1.5
    },
}


ATTACKS: Mapping[str, Mapping[str, Fields]] = {
    data: _ON_IMAGES if data in IMAGE_SETS else _on_events(fields["profile"])
    for data, fields in SETS.items()
}
"""Data set -> attack -> what it sets in an experiment.

What a device does to the network, chapter 13's, is the "defence" of an attack: detectors see the
network on the device, and repairs come before what it does. A Trojan in neurons and a watermark are
not here: no trigger in a test set wakes the one, and the other has none.
"""


def _defences(data: str) -> dict[str, Defence]:
    """All repairs and detectors of chapters 6 to 9 and their appendix."""
    profile = SETS[data]["profile"]
    frames = Experiment.for_profile(profile).frames
    if data in IMAGE_SETS:
        repairs = removing.FOR_IMAGES
        judges = {"potential margins": in_networks.MARGINS, "noise response": in_networks.NOISE}
    else:
        repairs = removing.for_recordings(profile)
        judges = in_networks.without_data(frames)
    repairs = {**repairs, **removing.pruners(profile), "threshold guarding": removing.GUARDING}
    of_networks = {
        **judges,
        "Neural Cleanse": in_networks.cleanse(profile),
        "brain stimulation": in_networks.STIMULATION,
        "settings, no card": detectors.HyperParameters(),
    }
    probes: Mapping[str, Fields] = {
        "network": of_networks,
        "input": at_inputs.OF_INPUTS,
        "set": in_data.OF_SETS,
    }
    return {
        **{
            name: Defence("repair", {"defence": one})
            for name, one in repairs.items()
            if one is not None
        },
        "ABL": Defence("repair", {"rule": in_data.DISTRUSTING}),
        **{
            name: Defence(kind, {"probe": one})
            for kind, named in probes.items()
            for name, one in named.items()
        },
    }


DEFENCES: Mapping[str, Mapping[str, Defence]] = {data: _defences(data) for data in SETS}
"""Data set -> defence."""


def cells(data: str) -> Iterator[Cell]:
    """Every attack against every defence on a data set, and the clean networks' row of those that
    judge a network."""
    for attack, fields in ATTACKS[data].items():
        for name, defence in DEFENCES[data].items():
            rate = _RATES[defence.kind].get(attack)
            at = fields if rate is None else {**fields, "rate": rate}
            yield cell(data, attack, at, name)
    for name, defence in DEFENCES[data].items():
        if defence.kind == "network":
            yield cell(data, NOBODY, {}, name)


def cell(data: str, attack: str, fields: Fields, name: str, seeds: range | None = None) -> Cell:
    """An attack and a defence.

    Args:
        data: a key of `SETS`.
        attack: its name.
        fields: what it sets in an experiment.
        name: of the defence, a key of ``DEFENCES[data]``.
        seeds: of the attacked networks; by default as many as the chapters have.
    """
    defence = DEFENCES[data][name]
    kind = defence.kind
    seeds = range(_SEEDS[kind]) if seeds is None else seeds
    if "rule" in defence.fields and "rule" in fields:
        why = f"the attacker trains ({type(fields['rule']).__name__})"
        return Cell(data, attack, name, kind, why=why)
    if data in IMAGE_SETS and getattr(defence.fields.get("probe"), "along", "") == "time":
        return Cell(data, attack, name, kind, why="static images have no frames to mix")
    done, change = defence.fields, fields.get("defence")
    if change is not None and "defence" in done:
        done = {"defence": Shipped(repair_by=done["defence"], change=change)}
    try:
        found = runs_of(data, seeds, {**fields, **done})
    except ValueError as error:
        return Cell(data, attack, name, kind, why=" ".join(str(error).split()))
    before = runs_of(data, seeds, fields) if kind == "repair" else ()
    # Settings that are shipped otherwise would be told apart from any network that was not.
    judges = kind == "network" and attack != NOBODY and "inference_threshold" not in fields
    clean = _clean(data, name, change) if judges else ()
    return Cell(data, attack, name, kind, found, before, clean)


def runs_of(data: str, seeds: range, fields: Fields) -> tuple[Experiment, ...]:
    """Experiments on a data set, one for each seed; raises ValueError as `Experiment`."""
    given = {"held_out": HELD_OUT, **SETS[data], **fields}
    return tuple(seeded(given.pop("profile"), seeds.start, len(seeds), **given))


@functools.cache
def _clean(data: str, name: str, change: Change | None) -> tuple[Experiment, ...]:
    """Networks that nobody attacked, on a device, as a detector of networks sees them."""
    defence = DEFENCES[data][name]
    fields = {"defence": change, **defence.fields}
    return runs_of(data, range(_SEEDS[defence.kind]), fields)
