"""Chapter 12: triggers in the time stamps, and whole events put into the raw stream."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from snnbd_book.chapters.a_trigger_at_the_input import OF_INPUTS
from snnbd_book.chapters.groups import HELD_OUT, Nested, seeded
from snnbd_book.chapters.poison_in_the_data import OF_SETS
from snnbd_book.chapters.removing_backdoors import REPAIRS
from snnbd_core import attacks, triggers

DELAYED = triggers.Retimed(bound=20.0)
LEARNT = attacks.LearntTimes(bound=20.0)
TROJAN = triggers.EventTrojan()


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups."""
    attack = partial(seeded, profile, seed, rate=0.1)
    held = partial(attack, trigger=LEARNT, held_out=HELD_OUT)
    real = partial(seeded, "sample", seed, rate=0.1)
    return {
        "delayed": {bound: attack(trigger=triggers.Retimed(bound=bound)) for bound in (10, 20)},
        "learnt": {bound: attack(trigger=attacks.LearntTimes(bound=bound)) for bound in (10, 20)},
        "sums": {"T = 1": attack(trigger=DELAYED, frames=1)},
        "trojans": {"Event Trojan": attack(trigger=TROJAN)},
        "repaired": {name: held(defence=one) for name, one in REPAIRS.items()},
        "detected": {name: held(probe=one) for name, one in (OF_INPUTS | OF_SETS).items()},
        "real": {"learnt, 20 ms": real(trigger=LEARNT)},
    }
