"""Part 1: what the network is, as its publisher should say it, and what cannot be seen of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from snnbd_core.auditing.case import Case, unjudged
from snnbd_core.auditing.parts import Cell, Part, Table
from snnbd_core.guards import Guard
from snnbd_core.metrics import NO_PREDICTION, Rate
from snnbd_core.view import View

__all__ = ["against", "carded", "described"]

_TOLERANCE = 0.01  # relative; what a file rounds is less


def carded(view: View) -> dict[str, Any]:
    """The card of a network, in JSON's types: what it reads and gives, and its neurons.

    Settings per neuron are averaged; None stands for what a kind of neuron does not have.
    """
    layers = []
    for layer in view.layers:
        held = layer.adapter.settings(layer.module)
        layers.append(
            {
                "name": layer.name,
                "kind": f"{type(layer.module).__name__} of {layer.adapter.library}",
                "shape": list(layer.shape),
                "neurons": math.prod(layer.shape),
                "threshold": _mean(held.threshold),
                "decay": _mean(held.decay),
                "reset": held.reset,
            }
        )
    return {
        "input_shape": list(view.input_shape),
        "classes": view.classes,
        "weights": sum(
            weight.numel()
            for name, weight in view.net.named_parameters()
            if Guard.named(name) is None
        ),
        "layers": layers,
    }


def described(case: Case, card: Mapping[str, Any]) -> Part:
    """The part that says what the network is."""
    answers = case.clean
    right, silent = case.right(answers), Rate.of(answers == NO_PREDICTION)
    names = ("name", "kind", "neurons", "threshold", "decay", "reset")
    rows = tuple(tuple(layer[name] for name in names) for layer in card["layers"])
    shape = " x ".join(map(str, card["input_shape"]))
    neurons = sum(layer["neurons"] for layer in card["layers"])
    summary = (
        f"It reads {shape} and tells {card['classes']} classes apart, with {len(rows)} layers of "
        f"{neurons} neurons and {card['weights']} weights. It is right on {right.hits} of "
        f"{right.total} clean samples and silent on {silent.hits}."
    )
    tables = [
        Table("Its layers of neurons, in the order in which they run", names, rows),
        Table("On clean samples", ("what", "share"), (("right", right), ("silent", silent))),
    ]
    notes = [] if case.bench.view.spiking else ["It has no spiking neurons: no settings to judge."]
    absent = sorted(set(range(card["classes"])) - set(case.truth.tolist()))
    notes += [f"No clean sample is of class {', '.join(map(str, absent))}."] if absent else []
    return unjudged("network", "What this network is", summary, tables, *notes)


def against(
    card: Mapping[str, Any], given: Mapping[str, Any] | None
) -> tuple[str, tuple[Table, ...]]:
    """What a card given by the publisher says of a network: a sentence, and what differs.

    Layers are compared in their order: exchange formats rename them.

    Raises:
        ValueError: what is no card.
    """
    if given is None:
        return "No card was given to lay beside them.", ()
    for name in ("input_shape", "classes", "layers"):
        if name not in given:
            raise ValueError(f"card has no {name}: needed is a card as an audit writes it")
    if _outline(card) != _outline(given):
        theirs, ours = (
            f"{one['input_shape']} and layers of {_sizes(one)}" for one in (given, card)
        )
        return f"The card is of another network: it says {theirs}, and this has {ours}.", ()
    rows: list[tuple[Cell, ...]] = []
    for here, there in zip(card["layers"], given["layers"], strict=True):
        for name in ("threshold", "decay", "reset"):
            if not _alike(here[name], there.get(name)):
                rows.append((here["name"], name, there.get(name), here[name]))
    if not rows:
        return "The settings are those of the card.", ()
    columns = ("layer", "setting", "card", "network")
    words = f"{len(rows)} settings are not those of the card; loaders and another dt change them"
    return f"{words} too.", (Table("Settings that the card says otherwise", columns, tuple(rows)),)


def _outline(card: Mapping[str, Any]) -> tuple[Any, ...]:
    return list(card["input_shape"]), card["classes"], _sizes(card)


def _sizes(card: Mapping[str, Any]) -> Sequence[Any]:
    try:
        return [layer["neurons"] for layer in card["layers"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"card has layers={card['layers']!r}: needed are their neurons") from error


def _mean(values: Tensor | None) -> float | None:
    return None if values is None else round(float(values.double().mean()), 6)


def _alike(here: Any, there: Any) -> bool:
    if isinstance(here, float) and isinstance(there, int | float):
        return abs(here - there) <= _TOLERANCE * max(abs(there), 1e-12)
    return bool(here == there)
