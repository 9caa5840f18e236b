"""A trained network and what it is tried on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["Trial"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a learning rule is given to measure besides the usual report.

    Attributes:
        net: the trained network, as it is deployed.
        source: the one that it comes from, of `Rule.source`; None where the rule has none.
        test: the test set.
        trigger: None in a clean run.
        target: the attacker's class.
        steps: T for static images.
        device: where to compute.
    """

    net: nn.Module
    source: nn.Module | None
    test: Any
    trigger: Any = None
    target: int = 0
    steps: int = 4
    device: torch.device | str = "auto"
