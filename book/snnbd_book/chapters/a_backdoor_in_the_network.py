"""Chapter 7: networks that are known to be clean or attacked, each as a detector sees it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from snnbd_book.chapters import badsnn
from snnbd_book.chapters.groups import HELD_OUT, IMAGES, Nested, seeded
from snnbd_book.chapters.judged import EVENT_ATTACKS, PATCH, Groups, probed
from snnbd_core import attacks, learning
from snnbd_core.defenses import detectors

STIMULATION = detectors.BrainStimulation()
MARGINS = detectors.PotentialMargins(high=1.0)  # as large as pixels
NOISE = detectors.NoiseResponse()


def cleanse(profile: str) -> detectors.NeuralCleanse:
    """Neural Cleanse on as many clean samples as the profile has time for."""
    return detectors.NeuralCleanse(samples=32 if profile == "quick" else 64)


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups: by detector, then by kind of network."""
    runs = partial(seeded, profile, seed, held_out=HELD_OUT)
    images = partial(runs, **IMAGES[profile])
    ten = {"count": 10}
    attacked = {"trigger": PATCH, "rate": 0.1}
    once = {"frames": 1, "rule": learning.ANN()}
    spiking = {"clean": images(**ten), "attacked": images(**ten, **attacked)}
    twins = {"clean": images(**ten, **once), "attacked": images(**ten, **attacked, **once)}
    in_neurons = {"BadSNN at 1.2": runs(**EVENT_ATTACKS["BadSNN at 1.2"])}
    real = partial(seeded, "sample", seed, held_out=HELD_OUT)
    return {
        "of_images": {
            "Neural Cleanse, ANN": probed(twins, cleanse(profile)),
            "brain stimulation, ANN": probed(twins, STIMULATION),
            "noise response, ANN": probed(twins, NOISE),
            "Neural Cleanse, SNN": probed(spiking, cleanse(profile)),
            "brain stimulation, SNN": probed(spiking, STIMULATION),
            "potential margins, SNN": probed(spiking, MARGINS),
            "noise response, SNN": probed(spiking, NOISE),
        },
        "of_events": _on_events(runs),
        "of_adaptive": _adaptive(images, spiking, cleanse(profile)),
        "of_badsnn": probed(in_neurons, detectors.Voltage()),
        "sweep": badsnn.grid(profile, seed)["thresholds"],
        "image_sweep": badsnn.grid(profile, seed)["image_thresholds"],
        "real_events": _on_events(real),
    }


def without_data(frames: int) -> dict[str, Any]:
    """The two detectors that need no data, for networks on recordings of so many frames."""
    return {
        "potential margins": detectors.PotentialMargins(frames=frames),
        "noise response": detectors.NoiseResponse(frames=frames),
    }


def _on_events(runs: Any) -> dict[str, Nested]:
    """Each of them on ten clean and ten attacked networks."""
    clean = runs(count=10)
    return {
        f"{name}, {attack}": probed(
            {"clean": clean, "attacked": runs(count=10, **EVENT_ATTACKS[attack])}, judge
        )
        for attack in ("static", "moving")
        for name, judge in without_data(clean[0].frames).items()
    }


def _adaptive(images: Any, spiking: Groups, cleanse: Any) -> dict[str, Nested]:
    """Attackers who know the detectors, and each of the detectors on their networks."""
    ten = partial(images, 10, trigger=PATCH)
    attackers = {
        "10 %, plain": spiking["attacked"],
        "0.5 %, plain": ten(rate=0.005),
        "frozen read-out": ten(rate=0.1, rule=attacks.FrozenReadout()),
        "aware of margins": ten(rate=0.1, rule=attacks.MarginAware(high=1.0)),
    }
    judges = {"potential margins": MARGINS, "Neural Cleanse": cleanse, "noise response": NOISE}
    return {
        f"{name}, {attacker}": probed({"clean": spiking["clean"], "attacked": group}, judge)
        for name, judge in judges.items()
        for attacker, group in attackers.items()
    }
