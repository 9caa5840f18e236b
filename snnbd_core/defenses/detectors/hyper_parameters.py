"""Are the neurons deployed as the card of the model says? (ours, against BadSNN)"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from torch import nn

from snnbd_core.checks import Unit
from snnbd_core.defenses.bench import Bench
from snnbd_core.defenses.detectors.detector import ModelDetector
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.view import View

__all__ = ["Card", "HyperParameters", "card"]

Card = tuple[tuple[str, float, float], ...]


def card(net: nn.Module) -> Card:
    """(layer, threshold, decay) of each spiking layer as in force, overrides included.

    Settings per neuron are averaged.

    Raises:
        NotVisible: a network without spiking layers, or with one that has no threshold or decay.
    """
    view = View(net)
    if not view.spiking:
        raise view.blind("a threshold and a decay", "needed are spiking neurons")
    names = {module: name for name, module in view.net.named_modules()}
    found = []
    for module, adapter in view.neurons:
        settings = adapter.settings(module)
        if settings.threshold is None or settings.decay is None:
            raise adapter.blind(module, "a threshold and a decay", "needed are neurons with both")
        means = float(settings.threshold.mean()), float(settings.decay.mean())
        found.append((names[module], *means))
    return tuple(found)


def _checked(name: str, given: Any) -> Card:
    """A card, tuple by tuple as it was made (JSON has lists)."""
    try:
        return tuple((str(layer), float(value), float(decay)) for layer, value, decay in given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={given!r} must be rows of (layer, threshold, decay)") from error


@dataclass(frozen=True, kw_only=True)
class HyperParameters(ModelDetector):
    """The largest relative difference between the neurons' settings and a card.

    Without a card, between each layer and the first: layers of one network are seldom trained with
    different settings.

    Args:
        expected: as `card` gave it when the network was trained.
        tolerance: largest relative difference that is no alarm.

    Raises:
        ValueError: `expected` that is no card; when inspecting, a card of other layers, or settings
            that are not finite.
        NotVisible: when inspecting, as `card`.
    """

    data_free: ClassVar[bool] = True

    expected: Annotated[Card, _checked] | None = None
    tolerance: Unit = 0.01

    def _verdict(self, bench: Bench) -> Verdict:
        found = card(bench.net)
        expected = self.expected
        if expected is None:
            expected = tuple((name, *found[0][1:]) for name, _, _ in found)
        names = [[name for name, _, _ in rows] for rows in (found, expected)]
        if names[0] != names[1]:
            raise ValueError(f"expected={names[1]}: the network has layers {names[0]}")
        differences = [
            abs(ours - theirs) / max(abs(theirs), 1e-12)
            for (_, *here), (_, *there) in zip(found, expected, strict=True)
            for ours, theirs in zip(here, there, strict=True)
        ]
        largest = max(differences)
        if not all(map(math.isfinite, differences)):
            raise ValueError(f"net has settings {found}: not all are finite")
        return Verdict(largest > self.tolerance, None, largest, self.tolerance)
