"""Chapter 4: one poisoned set, four learning rules, and networks converted at many settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from snnbd_book.chapters.groups import IMAGES, LOOP, PHOTOGRAPHS, Nested, seeded
from snnbd_book.chapters.neuromorphic_triggers import GESTURES
from snnbd_book.runs import Neuron
from snnbd_core import learning, triggers
from snnbd_core.learning.ann import ReadOut

C, H, D = learning.Conversion(), learning.Hybrid(), learning.SpikeRepresentation()
H_CLEAN = learning.Hybrid(data="clean")
SQUARE = triggers.Static()
PATCH, FAINT = triggers.Patch(size=0.25), triggers.Blended(alpha=0.2)
STEPS = (4, 8, 16, 32, 64, 128)
DEPLOYED: Mapping[str, list[Any]] = {
    "steps": [4, 8, 16, 32],
    "threshold": [0.5, 0.75, 1.0, 1.5, 2.0, 3.0],
}
STEPS_OF_PHOTOGRAPHS = (4, 8, 16)
MNIST: Mapping[str, Any] = {"data": "mnist", "frames": 8, "epochs": 1}
"""All 60,000 digits, once."""
CONVERSIONS = {
    "99.9th percentile": C,
    "maximum": learning.Conversion(normalisation="max"),
    "QCFS": learning.Conversion(activation="qcfs"),
}
OWN_RATE = 1e-3
"""Of the ANN on real recordings: at the spiking network's rate it may lose classes."""


def event_rules(end: ReadOut = "relu", rate: float | None = None) -> dict[str, Any]:
    """The rules on event recordings, with the ANN's read-out and its own rate of learning."""
    ann = partial(learning.ANN, read_out=end, learning_rate=rate)
    converted = partial(learning.Conversion, read_out=end, ann_learning_rate=rate)
    hybrid = partial(learning.Hybrid, reads="mean", read_out=end, ann_learning_rate=rate)
    return {
        "ANN, frame by frame": ann(),
        "ANN, time mean": ann(reads="mean"),
        "LR_B": "surrogate-gradient",
        "LR_C, frame by frame": converted(),
        "LR_C, time mean": converted(reads="mean"),
        "LR_H, poisoned": hybrid(),
        "LR_H, clean": hybrid(data="clean"),
        "DSR": D,
    }


_EARLIER: Mapping[str, Any] = {**PHOTOGRAPHS, "drawn": "with-order"}
"""These runs take an hour; their poison is still drawn with the order of training."""
OF_THE_MEAN = ("ANN, time mean", "LR_B", "LR_C, time mean", "LR_H, poisoned", "LR_H, clean")
"""The rules whose ANN reads the mean of the frames, and LR_B."""


def grid(profile: str, seed: int) -> Mapping[str, Nested]:
    """The chapter's groups."""
    poisoned = partial(seeded, profile, seed, rate=0.1)
    images = partial(poisoned, **{**IMAGES[profile], "frames": 8})
    photographs = partial(seeded, "sample", seed, rate=0.1, trigger=PATCH, **_EARLIER)
    patched, mixed = partial(images, trigger=PATCH), partial(images, trigger=FAINT)
    rules = event_rules() if profile == "quick" else event_rules("linear", OWN_RATE)
    converted = {
        name: {T: patched(frames=T, rule=rule) for T in STEPS} for name, rule in CONVERSIONS.items()
    }
    return {
        "converted": converted,
        "rules": _rules(patched) | {"DSR": patched(rule=D)},
        "blended": _rules(mixed),
        "photographs": _photographs(photographs),
        "mnist": _of_mnist(partial(seeded, "sample", seed, rate=0.1, trigger=PATCH, **MNIST)),
        "loop": _on_the_loop(partial(seeded, "sample", seed, 2, rate=0.1, **LOOP)),
        "gestures": {
            name: seeded(
                "quick", seed, rate=0.1, trigger=SQUARE, rule=event_rules()[name], **GESTURES
            )
            for name in ("LR_B", "LR_C, time mean", "LR_H, poisoned")
        },
        "real": _on_recordings(partial(seeded, "sample", seed, rate=0.1, trigger=SQUARE)),
        "events": {name: poisoned(rule=rule, trigger=SQUARE) for name, rule in rules.items()},
        "moving": {
            name: poisoned(rule=rules[name], trigger=triggers.Moving()) for name in OF_THE_MEAN
        },
        "rates": {
            name: {rate: patched(rate=rate, rule=rule) for rate in (0.001, 0.01, 0.1)}
            for name, rule in {
                "LR_B": "surrogate-gradient",
                "LR_C": C,
                "LR_H, poisoned": H,
                "DSR": D,
            }.items()
        },
        "deployed": {
            T: {
                at: [replace(converted["99.9th percentile"][T][0], inference_threshold=at)]
                for at in DEPLOYED["threshold"]
            }
            for T in DEPLOYED["steps"]
        },
    }


def _rules(images: Any) -> dict[str, Nested]:
    return {
        "ANN": images(frames=1, rule=learning.ANN()),
        "LR_B": images(),
        "LR_C": images(rule=C),
        "LR_H, poisoned": images(rule=H),
        "LR_H, clean": images(rule=H_CLEAN),
    }


def _photographs(images: Any) -> dict[str, Nested]:
    """Each rule on CIFAR-10, with the frames of the chapter on BadSNN; LR_C at more of them."""
    rules = _rules(images)
    del rules["LR_C"]
    rules["DSR"] = images(rule=D)[:1]  # six minutes a training and more
    return rules | {f"LR_C, T = {T}": images(frames=T, rule=C) for T in STEPS_OF_PHOTOGRAPHS}


def _on_the_loop(recordings: Any) -> dict[str, Nested]:
    """The same rules as under the moving square, on the stand-in for CIFAR10-DVS."""
    return {name: recordings(rule=event_rules()[name], trigger=SQUARE) for name in OF_THE_MEAN}


def _on_recordings(recordings: Any) -> dict[str, Nested]:
    """ANNs with either read-out at two rates of learning, and what comes of the last of them."""
    shared = recordings()[0].learning_rate
    ends: dict[str, ReadOut] = {"ReLU at the end": "relu", "linear": "linear"}
    anns = {
        f"ANN, {name}, {rate or shared:g}": event_rules(end, rate)["ANN, time mean"]
        for rate in (None, OWN_RATE)
        for name, end in ends.items()
    }
    rules = event_rules("linear", OWN_RATE)
    converted = {name: rules[name] for name in ("LR_C, time mean", "LR_H, poisoned", "LR_H, clean")}
    return {name: recordings(rule=rule) for name, rule in (anns | converted).items()}


def _of_mnist(images: Any) -> dict[str, Nested]:
    """Each rule on all of MNIST; the hybrid ones fine-tune for one epoch too."""
    rules = _rules(images)
    for name, rule in {"LR_H, poisoned": H, "LR_H, clean": H_CLEAN}.items():
        rules[name] = images(rule=replace(rule, epochs=1))
    return rules | {"LR_B, IF": images(neuron=Neuron(kind="IF")), "DSR": images(rule=D)}
