"""Chapter 6: networks that are known to be clean or attacked, each as a detector sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from snnbd_book.chapters.groups import HELD_OUT, IMAGES, SENSOR, Nested, seeded
from snnbd_book.runs import Experiment
from snnbd_core import attacks, learning, triggers
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.defenses import detectors

PATCH = triggers.Patch(size=0.25)
STIMULATION = detectors.BrainStimulation()
MARGINS = detectors.PotentialMargins(high=1.0, frames=4)  # as large as pixels
NOISE = detectors.NoiseResponse(frames=4)
EVENT_ATTACKS: Mapping[str, Mapping[str, Any]] = {
    "static": {"trigger": triggers.Static(), "rate": 0.1},
    "moving": {"trigger": triggers.Moving(), "rate": 0.1},
    "time warp": {"trigger": triggers.TimeWarp(strength=0.5, sensor_size=SENSOR), "rate": 0.1},
    "dynamic": {"trigger": attacks.Dynamic(gamma=0.05), "rate": 1.0},
    "BadSNN at 1.2": {
        "trigger": triggers.TemporalNoise(),
        "rule": DualSpike(),
        "inference_threshold": 1.2,
    },
}
OF_INPUTS = {
    "STRIP, space": detectors.Strip(),
    "STRIP, time": detectors.Strip(along="time"),
    "voltages": detectors.Voltage(),
    "Beatrix": detectors.Beatrix(),
}
OF_SETS = {
    "spectral signatures": detectors.SpectralSignatures(),
    "activation clustering": detectors.ActivationClustering(),
    "SPECTRE": detectors.Spectre(),
}
Groups = Mapping[str, Sequence[Experiment]]


def cleanse(profile: str) -> detectors.NeuralCleanse:
    """Neural Cleanse on as many clean samples as the profile has time for."""
    return detectors.NeuralCleanse(samples=32 if profile == "quick" else 64)


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups: by detector, then by kind of network or attack."""
    runs = partial(seeded, profile, seed, held_out=HELD_OUT)
    images = partial(runs, **IMAGES[profile])
    ten = {"count": 10}
    attacked = {"trigger": PATCH, "rate": 0.1}
    once = {"frames": 1, "rule": learning.ANN()}
    spiking = {"clean": images(**ten), "attacked": images(**ten, **attacked)}
    twins = {"clean": images(**ten, **once), "attacked": images(**ten, **attacked, **once)}
    on_events = {name: runs(**fields) for name, fields in EVENT_ATTACKS.items()}
    minorities = {name: {**EVENT_ATTACKS[name], "rate": 0.02} for name in ("static", "moving")}
    few = {name: runs(**fields) for name, fields in minorities.items()}
    real = partial(seeded, "sample", seed, held_out=HELD_OUT)
    patched = {"patch, 10 %, ANN": twins["attacked"][:3]}
    rare = {"patch, 2 %, ANN": images(**once, trigger=PATCH, rate=0.02)}
    return {
        "of_images": {
            "Neural Cleanse, ANN": _probed(twins, cleanse(profile)),
            "brain stimulation, ANN": _probed(twins, STIMULATION),
            "noise response, ANN": _probed(twins, NOISE),
            "Neural Cleanse, SNN": _probed(spiking, cleanse(profile)),
            "brain stimulation, SNN": _probed(spiking, STIMULATION),
            "potential margins, SNN": _probed(spiking, MARGINS),
            "noise response, SNN": _probed(spiking, NOISE),
        },
        "of_events": _without_data(runs),
        "of_adaptive": _adaptive(images, spiking, cleanse(profile)),
        "of_twins": {
            name: _probed(patched, OF_INPUTS[name]) for name in ("STRIP, space", "Beatrix")
        }
        | {name: _probed(rare, detector) for name, detector in OF_SETS.items()},
        "of_inputs": {name: _probed(on_events, one) for name, one in OF_INPUTS.items()},
        "of_sets": {name: _probed(few, one) for name, one in OF_SETS.items()},
        "real_events": _without_data(real),
        "real_inputs": {
            name: _probed({a: real(**fields) for a, fields in EVENT_ATTACKS.items()}, one)
            for name, one in OF_INPUTS.items()
        },
        "real_sets": {
            name: _probed({a: real(**fields) for a, fields in minorities.items()}, one)
            for name, one in OF_SETS.items()
        },
    }


def _probed(groups: Groups, probe: Any) -> dict[str, Nested]:
    """The same experiments, and what a detector says of their networks."""
    return {name: [replace(one, probe=probe) for one in group] for name, group in groups.items()}


def _without_data(runs: Any) -> dict[str, Nested]:
    """The two detectors that need no data, on ten clean and ten attacked networks each."""
    clean = runs(count=10)
    frames = clean[0].frames
    judges = {
        "potential margins": detectors.PotentialMargins(frames=frames),
        "noise response": detectors.NoiseResponse(frames=frames),
    }
    return {
        f"{name}, {attack}": _probed(
            {"clean": clean, "attacked": runs(count=10, **EVENT_ATTACKS[attack])}, judge
        )
        for attack in ("static", "moving")
        for name, judge in judges.items()
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
        f"{name}, {attacker}": _probed({"clean": spiking["clean"], "attacked": group}, judge)
        for name, judge in judges.items()
        for attacker, group in attackers.items()
    }
