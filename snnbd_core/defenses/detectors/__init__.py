"""Detectors, one module each.

Those of models answer with a `Verdict`: ``inspect(net, clean_samples, *, seed, device, steps)``.
Those of inputs and of training sets give one number a sample, larger being more suspicious:
``score(net, data, clean_samples, ...)`` and ``score(net, data, ...)``. None changes what it is
given. Networks are known by what a `snnbd_core.view.View` shows of them; a detector that needs more
raises NotVisible. Sets of samples are any that `snnbd_core.data.as_set` takes.
"""

from __future__ import annotations

from typing import Any

from snnbd_core.defenses.bench import frozen
from snnbd_core.defenses.detectors.beatrix import Beatrix
from snnbd_core.defenses.detectors.detector import InputDetector, ModelDetector, SetDetector
from snnbd_core.defenses.detectors.features import Features, features
from snnbd_core.defenses.detectors.hyper_parameters import HyperParameters, card
from snnbd_core.defenses.detectors.neural_cleanse import NeuralCleanse
from snnbd_core.defenses.detectors.spectre import Spectre
from snnbd_core.defenses.detectors.stimulation import BrainStimulation
from snnbd_core.defenses.detectors.strip import Strip
from snnbd_core.defenses.detectors.titration import NoiseResponse
from snnbd_core.defenses.detectors.tmpbd import PotentialMargins
from snnbd_core.defenses.detectors.training_set import ActivationClustering, SpectralSignatures
from snnbd_core.defenses.detectors.verdict import (
    Roc,
    Verdict,
    pooled,
    pooled_scores,
    roc,
    scored,
)
from snnbd_core.defenses.detectors.voltage import Voltage

DETECTORS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        NeuralCleanse,
        BrainStimulation,
        PotentialMargins,
        NoiseResponse,
        HyperParameters,
        Beatrix,
        Strip,
        Voltage,
        SpectralSignatures,
        ActivationClustering,
        Spectre,
    )
}
MODELS, INPUTS, TRAINING_SETS = (
    {name: kind for name, kind in DETECTORS.items() if issubclass(kind, base)}
    for base in (ModelDetector, InputDetector, SetDetector)
)

__all__ = [
    "DETECTORS",
    "INPUTS",
    "MODELS",
    "TRAINING_SETS",
    "ActivationClustering",
    "Beatrix",
    "BrainStimulation",
    "Features",
    "HyperParameters",
    "NeuralCleanse",
    "NoiseResponse",
    "PotentialMargins",
    "Roc",
    "SpectralSignatures",
    "Spectre",
    "Strip",
    "Verdict",
    "Voltage",
    "card",
    "features",
    "frozen",
    "pooled",
    "pooled_scores",
    "roc",
    "scored",
]
