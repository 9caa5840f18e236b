"""A grid over the fields of `Experiment`.

    profile: quick                  # whose sizes are the start
    fixed:                          # fields that all runs share
      trigger: {kind: Static, polarity: "on"}
    grid:                           # field: values; with a dot, a field of the trigger or neuron
      rate: [0.01, 0.1]
      trigger.position: [top-left, middle]
      seed: [0, 1, 2]

All combinations are runs. Those that would be the same run (a clean one for each position, say)
are done once.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from snnbd_book.runs import Experiment, profiles

_KEYS = {"profile", "fixed", "grid"}
_NESTED = ("trigger", "neuron")


@dataclass(frozen=True)
class Grid:
    """Fields with lists of values.

    Attributes:
        profile: whose sizes are the start.
        fixed: fields that all runs share.
        axes: field, or "trigger.field" or "neuron.field" -> its values.

    Raises:
        ValueError: an empty grid, an axis that is no list or empty, an unknown profile.
    """

    profile: str = "quick"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        profiles.sizes(self.profile)
        if not isinstance(self.fixed, Mapping):
            raise ValueError(f"fixed={self.fixed!r} must be a mapping of fields")
        if not isinstance(self.axes, Mapping) or not self.axes:
            raise ValueError(f"grid={self.axes!r} is empty: it needs at least one field")
        for name, values in self.axes.items():
            if not isinstance(values, list | tuple) or not values:
                raise ValueError(f"grid.{name}={values!r} must be a list of at least one value")
            if "." in name and name.split(".")[0] not in _NESTED:
                raise ValueError(
                    f"grid.{name}: only {' and '.join(_NESTED)} have fields of their own"
                )

    def __len__(self) -> int:
        """All combinations, the same ones counted each time."""
        return math.prod(len(values) for values in self.axes.values())

    def experiments(self) -> list[Experiment]:
        """The runs, in the axes' order, each once.

        Raises:
            ValueError: naming the field that is unknown or has a value that is not allowed.
        """
        found: dict[str, Experiment] = {}
        for values in itertools.product(*self.axes.values()):
            item = self._experiment(dict(zip(self.axes, values, strict=True)))
            found.setdefault(item.hash, item)
        return list(found.values())

    def _experiment(self, point: Mapping[str, Any]) -> Experiment:
        fields: dict[str, Any] = {
            **profiles.sizes(self.profile),
            "profile": self.profile,
            **copy.deepcopy(dict(self.fixed)),
        }
        # Whole fields first, so that {trigger: [...], trigger.size: [...]} means what it says.
        for name in sorted(point, key=lambda name: "." in name):
            outer, _, inner = name.partition(".")
            if not inner:
                fields[outer] = copy.deepcopy(point[name])
            elif isinstance(fields.get(outer), dict):
                fields[outer][inner] = point[name]
            elif outer == "neuron":
                fields[outer] = {inner: point[name]}
            elif fields.get(outer) is not None or "trigger" not in point:
                raise ValueError(f"grid.{name}: fixed.{outer} must say the {outer}'s kind")
        if fields.get("trigger") is None:
            fields["rate"] = 0.0 if "trigger" in point else fields.get("rate", 0.0)
        return Experiment.from_dict(fields)


def load_grid(path: Path | str) -> Grid:
    """Reads a grid from YAML.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not YAML, an unknown key, or as `Grid`.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} must be a mapping with {', '.join(sorted(_KEYS))}")
    for key in values:
        if key not in _KEYS:
            raise ValueError(
                f"{path.name}: {key!r} is unknown; allowed: {', '.join(sorted(_KEYS))}"
            )
    return Grid(values.get("profile", "quick"), values.get("fixed") or {}, values.get("grid") or {})
