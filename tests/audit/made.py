"""An audit made by hand, and small networks and recordings in files."""

from __future__ import annotations

import itertools

import nir
import numpy as np

from snnbd_core.auditing import Audit, Part, Table
from snnbd_core.metrics import Rate

HOSTILE = '</td><script>alert("x")</script><img src=x onerror=alert(1)>&{{ 7 * 7 }}\x1b[31m'
CLASSES, STEPS, SIDE = 3, 6, 8


def audit(status: str = "suspicious", name: str = "conv1") -> Audit:
    """An audit with all kinds of cells in its tables."""
    floors = Table(
        "Inputs of other classes that each trigger sends to its most frequent class",
        ("trigger", "density", "class", "inputs sent there", "without trigger"),
        (
            ("square, bottom-right, ON", 1.0, 9, Rate(68, 146), Rate(1, 146)),
            ("square, bottom-right, ON", 0.2, 9, Rate(12, 146), Rate(1, 146)),
            ("square, moving", 0.05, 3, Rate(0, 146), Rate(1, 146)),
            ("flash", 1.0, None, None, None),
        ),
    )
    layers = Table(
        "Layers, in the order in which they run",
        ("layer", "neurons", "threshold", "decay", "reset"),
        ((name, 4624, 1.0, 0.9512294, "zero"), ("dense", 256, float("nan"), None, "subtract")),
    )
    detectors = Table(
        "Detectors, each asked once",
        ("detector", "verdict", "class", "score", "p-value, corrected"),
        (
            ("Neural Cleanse", "alarm", 9, 3.71, 0.0021),
            ("Titration", "no alarm", None, 0.42, 1.0),
            ("STRIP", "could not see", None, None, None),
        ),
    )
    quiet = ("unjudged", "unjudged", "clear", "suspicious", "unjudged", "unjudged")
    names = ("network", "settings", "floors", "detectors", "migration", "repairs")
    titles = (
        "What this network is",
        "The neurons' settings",
        "What known triggers do without a backdoor",
        "Detectors",
        "What changes when it moves",
        "What to do",
    )
    tables = ((layers,), (), (floors,), (detectors,), (), ())
    parts = tuple(
        Part(
            part,
            title,
            state,  # type: ignore[arg-type]  # one of the three words
            f"The part {part} found what stands in its tables, and says so in a sentence or two.",
            "Clean samples are clean, and the network is run as its sender ran it.",
            Rate(1, 40) if part in ("settings", "detectors") else None,
            held,
            ("The time budget ended before STRIP had looked.",) if part == "detectors" else (),
            1.25,
        )
        for part, title, state, held in zip(names, titles, quiet, tables, strict=True)
    )
    told = "One detector of three accuses the network: small patches lead to class 9."
    card = {"schema": 1, "layers": [{"name": name, "neurons": 4624, "threshold": 1.0}]}
    return Audit(parts, status, 9 if status == "suspicious" else None, told, card, 0, 10.0)  # type: ignore[arg-type]  # as above


def templates() -> np.ndarray:
    """Weights [CLASSES, 2 * SIDE * SIDE] that know the recordings: each class has its own rows."""
    weights = np.full((CLASSES, 2, SIDE, SIDE), -0.05)
    for label in range(CLASSES):
        weights[label, :, 2 * label : 2 * label + 3] = 0.1
    return weights.reshape(CLASSES, -1)


def graph(
    side: int = SIDE, outputs: int = CLASSES, weights: np.ndarray | None = None
) -> nir.NIRGraph:
    """Inputs [2, side, side], one dense layer, neurons; weights are drawn where none are given."""
    if weights is None:
        weights = np.random.default_rng(0).standard_normal((outputs, 2 * side * side)) / 2
    size = np.ones(outputs, np.float32)
    neurons = nir.LIF(tau=2 * size, r=2 * size, v_leak=0 * size, v_threshold=size)
    shape = np.array((2, side, side))
    nodes = {
        "input": nir.Input(shape),
        "flat": nir.Flatten(shape, 0, -1),
        "dense": nir.Linear(weights.astype(np.float32)),
        "neurons": neurons,
        "output": nir.Output(np.array([outputs])),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(itertools.pairwise(names)), type_check=False)
