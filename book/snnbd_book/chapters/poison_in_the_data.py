"""Chapter 6: training sets of which a part is poisoned, and what was trained on them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from snnbd_book.chapters.groups import HELD_OUT, IMAGES, Nested, seeded
from snnbd_book.chapters.judged import EVENT_ATTACKS, PATCH, probed
from snnbd_core import defenses, learning, triggers
from snnbd_core.defenses import detectors

OF_SETS = {
    "spectral signatures": detectors.SpectralSignatures(),
    "activation clustering": detectors.ActivationClustering(),
    "SPECTRE, determinant": detectors.Spectre(),  # our estimate of the clean spread
}
FILTER = detectors.Spectre(estimator="filter")  # as its authors published it
DISTRUSTING = defenses.AntiBackdoorLearning()


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups: by detector, then by attack."""
    runs = partial(seeded, profile, seed, held_out=HELD_OUT)
    images = partial(runs, **IMAGES[profile])
    real = partial(seeded, "sample", seed, held_out=HELD_OUT)
    minorities = {name: {**EVENT_ATTACKS[name], "rate": 0.02} for name in ("static", "moving")}
    once = {"frames": 1, "rule": learning.ANN()}
    few = {name: runs(**fields) for name, fields in minorities.items()}
    few_real = {name: real(**fields) for name, fields in minorities.items()}
    rare = {"patch, 2 %, ANN": images(**once, trigger=PATCH, rate=0.02)}
    badnets = partial(images, trigger=PATCH, rate=0.05)
    square = partial(runs, trigger=triggers.Static(), rate=0.05)
    twin = defenses.AntiBackdoorLearning(twin=True)
    return {
        "of_sets": {name: probed(few, one) for name, one in OF_SETS.items()},
        "of_twins": {name: probed(rare, one) for name, one in OF_SETS.items()},
        "real_sets": {name: probed(few_real, one) for name, one in OF_SETS.items()},
        "published": {
            "recordings": probed(few, FILTER),
            "real recordings": probed(few_real, FILTER),
        },
        "ordinary": {"BadNets, ordinary": badnets(), "static, ordinary": square()},
        "distrusting": {"BadNets": badnets(rule=DISTRUSTING), "static": square(rule=DISTRUSTING)},
        "isolated": {
            "spiking network": badnets(rule=DISTRUSTING),
            "ANN twin": badnets(frames=1, rule=twin),
        },
    }
