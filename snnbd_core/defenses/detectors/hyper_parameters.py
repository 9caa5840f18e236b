"""Are the neurons deployed as the card of the model says? (ours, against BadSNN)"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.defenses.detectors.verdict import Verdict
from snnbd_core.view import View

__all__ = ["Card", "HyperParameters", "card"]

Card = tuple[tuple[str, float, float], ...]


def card(net: nn.Module) -> Card:
    """(layer, threshold, decay) of each spiking layer as in force, overrides included.

    Of settings per neuron the mean is given.

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
        found.append(
            (names[module], float(settings.threshold.mean()), float(settings.decay.mean()))
        )
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class HyperParameters:
    """The largest relative difference between the neurons' settings and a card.

    Without a card, between each layer and the first: layers of one network are seldom trained with
    different settings.

    Args:
        expected: as `card` gave it when the network was trained.
        tolerance: largest relative difference that is no alarm, 0..1.

    Raises:
        ValueError: a tolerance outside 0..1; `expected` that is no card; a card of other
            layers, or settings that are not finite, when inspecting.
        NotVisible: as `card`, when inspecting.
    """

    data_free: ClassVar[bool] = True

    expected: Card | None = None
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        checks.settings(self, tolerance=checks.within("tolerance", self.tolerance, 0, 1))
        if self.expected is not None:
            checks.settings(self, expected=_checked(self.expected))

    def inspect(
        self,
        net: nn.Module,
        clean_samples: Any = None,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        steps: int = 4,
    ) -> Verdict:
        """Compares; nothing but the network is used."""
        found = card(net)
        if self.expected is None:
            expected: Card = tuple((name, *found[0][1:]) for name, _, _ in found)
        else:
            expected = self.expected
        names = [[name for name, _, _ in rows] for rows in (found, expected)]
        if names[0] != names[1]:
            raise ValueError(
                f"expected={names[1]} names other layers than the network's {names[0]}"
            )
        differences = [
            abs(ours - theirs) / max(abs(theirs), 1e-12)
            for (_, *here), (_, *there) in zip(found, expected, strict=True)
            for ours, theirs in zip(here, there, strict=True)
        ]
        largest = max(differences)
        if not all(map(math.isfinite, differences)):
            raise ValueError(f"net={type(net).__name__} has settings {found}: not all are finite")
        return Verdict(largest > self.tolerance, None, largest, self.tolerance)


def _checked(given: Any) -> Card:
    """A card, tuple by tuple as it was made (JSON has lists)."""
    try:
        return tuple(
            (str(name), float(threshold), float(decay)) for name, threshold, decay in given
        )
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"expected={given!r} must be rows of (layer, threshold, decay), see `card`"
        ) from error
