"""Chapter 8: networks in use, whose inputs a detector scores one by one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from snnbd_book.chapters.groups import HELD_OUT, IMAGES, Nested, seeded
from snnbd_book.chapters.judged import EVENT_ATTACKS, PATCH, probed
from snnbd_core import learning
from snnbd_core.defenses import detectors

OF_INPUTS = {
    "STRIP, space": detectors.Strip(),
    "STRIP, time": detectors.Strip(along="time"),
    "voltages": detectors.Voltage(),
    "Beatrix": detectors.Beatrix(),
}


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups: by detector, then by attack."""
    runs = partial(seeded, profile, seed, held_out=HELD_OUT)
    real = partial(seeded, "sample", seed, held_out=HELD_OUT)
    images = partial(runs, **IMAGES[profile])
    on_twin = partial(images, frames=1, rule=learning.ANN())
    patched = {"patch, 10 %, ANN": on_twin(trigger=PATCH, rate=0.1)}
    example = images(1, trigger=PATCH, rate=0.1, probe=detectors.NoiseResponse())
    on_events = {name: runs(**fields) for name, fields in EVENT_ATTACKS.items()}
    on_real = {name: real(**fields) for name, fields in EVENT_ATTACKS.items()}
    return {
        "example": example,
        "of_inputs": {name: probed(on_events, one) for name, one in OF_INPUTS.items()},
        "of_twins": {
            name: probed(patched, OF_INPUTS[name]) for name in ("STRIP, space", "Beatrix")
        },
        "real_inputs": {name: probed(on_real, one) for name, one in OF_INPUTS.items()},
    }
