"""Chapter 2: squares in the middle of the frame and in a corner, and one as a real light."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from snnbd_book.chapters.badsnn import REAL
from snnbd_book.chapters.groups import LOOP, SENSOR, Nested, seeded
from snnbd_book.runs import Neuron
from snnbd_core.attacks import Dynamic
from snnbd_core.triggers import Moving, Smart, Static

CORNER = Static(size=0.1, position="bottom-right", polarity="on")
MOVING = Moving(position="bottom-right", polarity="on")
WRAPPED = Moving(position="bottom-right", polarity="on", motion="wrap")  # as in the paper's text
LIGHT = Static(size=0.1, position="bottom-right", polarity="on", space="events", sensor_size=SENSOR)

GESTURES: Mapping[str, Any] = {"data": "gestures-events", "epochs": 50, "frames": 16}


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups."""
    runs = partial(seeded, profile, seed)
    real = partial(seeded, "sample", seed, rate=0.1, **REAL)
    large = partial(real, trigger=CORNER)
    leakless = partial(real, neuron=Neuron(kind="IF"))
    return {
        "example": runs(1, trigger=CORNER, rate=0.1),
        "middle": {
            name: {
                rate: runs(trigger=kind(position="middle", polarity="off"), rate=rate)
                for rate in (0.01, 0.05, 0.1)
            }
            for name, kind in {"static": Static, "moving": Moving}.items()
        },
        "corners": {
            polarity: runs(trigger=Static(polarity=polarity), rate=0.1)
            for polarity in ("on", "off", "both")
        },
        "dose": {rate: runs(trigger=CORNER, rate=rate) for rate in (0.001, 0.01, 0.05, 0.1)},
        "sizes": {
            size: runs(trigger=Static(size=size, position="top-left", polarity="off"), rate=0.01)
            for size in (0.1, 0.3)
        },
        "rare": {
            "static, corner": runs(trigger=Static(polarity="off"), rate=0.001),
            "static, middle": runs(trigger=Static(position="middle"), rate=0.001),
            "moving, middle": runs(trigger=Moving(position="middle", polarity="off"), rate=0.001),
        },
        "clean": runs(),
        "order": {
            f"{epochs} epoch{'s' * (epochs > 1)}, {words}": seeded(
                "quick", seed, 6, trigger=CORNER, rate=0.02, epochs=epochs, drawn=drawn
            )
            for epochs in (1, 4, 12)
            for drawn, words in {"apart": "spread", "with-order": "first"}.items()
        },
        "gestures": _gestures(partial(seeded, "quick", seed, **GESTURES)),
        "summed": {"clean, T = 1": seeded("quick", seed, **{**GESTURES, "frames": 1})},
        "loop": _moving_or_not(partial(seeded, "sample", seed, **LOOP)),
        "recordings": {
            "large": _recordings(partial(seeded, "sample", seed, **REAL)),
            "small": _recordings(partial(seeded, "sample", seed, frames=REAL["frames"])),
            "small, 16 frames": _recordings(partial(seeded, "sample", seed)),
        },
        "real_order": {
            "LIF, spread": large(),
            "LIF, first": large(drawn="with-order"),
        },
        "leakless": {
            "static": leakless(trigger=CORNER),
            "moving": leakless(trigger=MOVING),
            "smart": leakless(trigger=Smart()),
            "dynamic": leakless(trigger=Dynamic(gamma=0.05), rate=1.0),
        },
        "leaky": {
            "moving": real(trigger=MOVING),
            "smart": real(trigger=Smart()),
            "dynamic": real(trigger=Dynamic(gamma=0.05), rate=1.0),
        },
        "wrapped": {
            "large, cycle": real(trigger=MOVING),
            "large, wrap": real(trigger=WRAPPED),
            "small, cycle": seeded("sample", seed, rate=0.1, trigger=MOVING),
            "small, wrap": seeded("sample", seed, rate=0.1, trigger=WRAPPED),
        },
        "light": {
            f"{name}, {100 * rate:g} %": runs(trigger=trigger, rate=rate)
            for name, trigger in {"frames": CORNER, "events": LIGHT}.items()
            for rate in (0.01, 0.1)
        },
    }


def _recordings(runs: Any, **poison: Any) -> dict[str, Nested]:
    """The poster's rows on N-MNIST, on real recordings, where 0.2 % is a single one."""
    moving, clean = Moving(position="middle", polarity="off"), runs()
    runs = partial(runs, **poison)
    return {
        "clean": clean,
        "ON, corner, 10 %": runs(trigger=CORNER, rate=0.1),
        "OFF, corner, 1 %": runs(trigger=Static(position="top-left", polarity="off"), rate=0.01),
        "OFF, corner, one": runs(trigger=Static(polarity="off"), rate=0.002),
        "ON, middle, one": runs(trigger=Static(position="middle"), rate=0.002),
        "OFF, moving, one": runs(trigger=moving, rate=0.002),
    }


def _moving_or_not(runs: Any, **poison: Any) -> dict[str, Nested]:
    """The best squares of "Sneaky Spikes", 10 % poisoned."""
    clean, runs = runs(), partial(runs, rate=0.1, **poison)
    return {"clean": clean, "static": runs(trigger=CORNER), "moving": runs(trigger=MOVING)}


def _gestures(runs: Any) -> dict[str, Nested]:
    """The poster's rows on DVS128 Gesture, on its stand-in."""
    corner = partial(Static, position="top-left")
    return {
        "clean": runs(),
        "both polarities, 1 %": runs(trigger=corner(polarity="both"), rate=0.01),
        "OFF, 1 %": runs(trigger=corner(polarity="off"), rate=0.01),
        "OFF, side 0.3, 1 %": runs(trigger=corner(size=0.3, polarity="off"), rate=0.01),
        "OFF, middle": runs(trigger=Static(position="middle", polarity="off"), rate=0.1),
        "ON": runs(trigger=CORNER, rate=0.1),
        "ON, moving": runs(trigger=MOVING, rate=0.1),
    }
