"""A network of any library with another reset or step, for what NIR cannot be written from."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from snnbd_core.view import NotVisible, View
from snnbd_core.view.adapter import Adapter, shadowed

__all__ = ["resetting", "stepping"]


@contextmanager
def resetting(view: View, reset: str) -> Iterator[None]:
    """The block in which all neurons reset "zero", to 0, or "subtract", by their threshold.

    When in a step they reset, in the same or in the next, stays as it is.

    Raises:
        NotVisible: no spiking neurons, or some whose library has one reset only.
    """
    with ExitStack() as stack:
        for module, adapter in _spiking(view, f"a reset of {reset}"):
            try:
                values = _RESETS[adapter.library](module, reset)
            except (AttributeError, KeyError) as error:
                held = adapter.settings(module).reset
                needed = "its library resets in no other way"
                raise adapter.blind(module, f"another reset than {held}", needed) from error
            stack.enter_context(shadowed(module, **values))
        yield


@contextmanager
def stepping(view: View, factor: float) -> Iterator[None]:
    """The block in which a step is dt times a factor, as who reads a NIR file with another dt.

    By the Euler method a potential loses `factor` times the share that it loses now, and gains
    `factor` times the current. Where a library does not scale currents with the decay, spikes are
    those of a threshold divided by `factor`.

    Raises:
        NotVisible: no spiking neurons, or some with a synapse or a rest other than 0.
    """
    with ExitStack() as stack:
        for module, adapter in _spiking(view, "another step"):
            held = adapter.settings(module)
            if not adapter.scales(module) or held.threshold is None or _synapse(module):
                needed = "needed are neurons without a synapse whose potential rests at 0"
                raise adapter.blind(module, "another step", needed)
            decay = None
            if held.decay is not None and bool((held.decay < 1).any()):
                decay = torch.clamp(1 - factor * (1 - held.decay), min=0)
            scales = _SCALES.get(adapter.library, lambda module: False)
            scaled = decay is not None and scales(module)
            threshold = None if scaled else held.threshold / factor
            stack.enter_context(adapter.overridden(module, threshold, decay))
        yield


def _spiking(view: View, asked: str) -> list[tuple[nn.Module, Adapter]]:
    if not view.neurons:
        raise NotVisible(asked, type(view.net).__name__, "needed are spiking neurons")
    return view.neurons


def _synapse(module: Any) -> bool:
    """Whether a current decays too, beside the potential."""
    params = getattr(module, "p", None)  # of norse
    return (
        hasattr(module, "alpha")
        or hasattr(params, "tau_syn_inv")
        or getattr(module, "tau_syn", None) is not None
    )


def _of_snntorch(module: Any, reset: str) -> Mapping[str, Any]:
    """What it steps by is chosen when a neuron is built, beside the value that says it."""
    by = {"zero": "_base_zero", "subtract": "_base_sub"}[reset]
    value = torch.as_tensor(module.reset_dict[reset])
    return {"reset_mechanism_val": value, "state_function": getattr(module, by)}


def _of_norse(module: Any, reset: str) -> Mapping[str, Any]:
    resets = importlib.import_module("norse.torch.functional.reset")
    how = {"zero": "reset_value", "subtract": "reset_subtract"}[reset]
    if not hasattr(module.p, "reset_method"):
        raise AttributeError("reset_method")
    return {"p": module.p._replace(reset_method=getattr(resets, how))}


def _of_sinabs(module: Any, reset: str) -> Mapping[str, Any]:
    kinds = importlib.import_module("sinabs.activation")
    return {"reset_fn": kinds.MembraneReset() if reset == "zero" else kinds.MembraneSubtract()}


# Attributes that give a neuron a reset, and whether its library scales currents by 1 - decay.
_RESETS: Mapping[str, Callable[[Any, str], Mapping[str, Any]]] = {
    "snnbd_core": lambda module, reset: {
        "rule": replace(module.rule, reset=reset),
        "multiple": False,  # of those that NIR holds
    },
    "snntorch": _of_snntorch,
    "spikingjelly": lambda module, reset: {"v_reset": 0.0 if reset == "zero" else None},
    "norse": _of_norse,
    "sinabs": _of_sinabs,
}
_SCALES: Mapping[str, Callable[[Any], bool]] = {
    "snnbd_core": lambda module: bool(module.rule.decay_input),
    "snntorch": lambda module: type(module).__name__ == "Lapicque",
    "spikingjelly": lambda module: bool(getattr(module, "decay_input", False)),
    "norse": lambda module: True,
    "sinabs": lambda module: bool(module.norm_input),
}
