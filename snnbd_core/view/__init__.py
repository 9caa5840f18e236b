"""The one way to look into a network, whoever built it."""

from __future__ import annotations

from snnbd_core.view.adapt import Adapted, adapt
from snnbd_core.view.adapter import Adapter, Settings
from snnbd_core.view.blocks import evaluating, fixed, override
from snnbd_core.view.errors import NotVisible
from snnbd_core.view.libraries import ADAPTERS, adapter_of
from snnbd_core.view.logits import checked_logits
from snnbd_core.view.trace import Layer, Weights
from snnbd_core.view.view import View

__all__ = [
    "ADAPTERS",
    "Adapted",
    "Adapter",
    "Layer",
    "NotVisible",
    "Settings",
    "View",
    "Weights",
    "adapt",
    "adapter_of",
    "checked_logits",
    "evaluating",
    "fixed",
    "override",
]
