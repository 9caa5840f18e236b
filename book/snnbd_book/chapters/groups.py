"""Named groups of runs: a chapter asks for one and gets its records, however they are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from snnbd_book.runs import Experiment, Record, recorded_of

Nested = Sequence[Experiment] | Mapping[Any, Any]
"""Experiments of one setting, one for each seed, below any number of names."""

Grid = Callable[[str, int], Mapping[str, Nested]]
"""Profile and first seed -> name of a group -> its experiments."""

SENSOR = (34, 34, 2)  # of N-MNIST, and of digits-events, which is made like it
HELD_OUT = 10  # clean samples of each class that a defender has
IMAGES: Mapping[str, Mapping[str, Any]] = {
    "quick": {"data": "digits", "frames": 4},
    "sample": {"data": "mnist", "samples": 2000, "frames": 4},
    "paper": {"data": "mnist", "frames": 4},
}
"""Static images in each profile."""
PHOTOGRAPHS: Mapping[str, Any] = {
    "data": "cifar10-small",
    "network": "vgg11",
    "width": 0.25,
    "frames": 4,
    "epochs": 10,
    "batch_size": 32,
    "learning_rate": 1e-3,
}
"""CIFAR-10, 800 + 200 photographs of each class, with a network smaller than the paper's."""
LOOP: Mapping[str, Any] = {
    "data": "cifar10-events",
    "network": "cifar10dvs-conv",
    "width": 0.25,
    "frames": 8,
    "epochs": 12,
    "batch_size": 16,
    "learning_rate": 1e-3,
}
"""The stand-in for CIFAR10-DVS, with the paper's network at a quarter of its width."""


def seeded(profile: str, first: int, /, count: int = 3, **fields: Any) -> list[Experiment]:
    """One setting's experiments, one for each seed from the first on."""
    one = Experiment.for_profile(profile, seed=first, **fields)
    return [replace(one, seed=seed) for seed in range(first, first + count)]


def every(groups: Nested) -> Iterator[Experiment]:
    """All experiments of nested groups."""
    if not isinstance(groups, Mapping):
        yield from groups
        return
    for group in groups.values():
        yield from every(group)


@dataclass(frozen=True)
class Runs:
    """The groups of a chapter in one profile.

        runs = Runs(chapter.grid, PROFILE, SEED, DEVICE)
        runs.group("thresholds")["target 0"]["BadSNN"][1.2]  # records, one for each seed

    Args:
        grid: of the chapter.
        profile: "quick", "sample" or "paper".
        seed: the first one.
        device: where a run is done that has no record yet.
    """

    grid: Grid
    profile: str = "quick"
    seed: int = 0
    device: str = "auto"

    @cached_property
    def planned(self) -> Mapping[str, Nested]:
        """Name of a group -> its experiments."""
        return self.grid(self.profile, self.seed)

    def group(self, name: str) -> Any:
        """The records of a group, nested as its experiments are.

        What has no record is run, side by side on the cores there are.

        Raises:
            ValueError: no group of that name.
            RuntimeError: a run failed.
        """
        if name not in self.planned:
            raise ValueError(f"group={name!r} is unknown; allowed: {', '.join(self.planned)}")
        return filled(self.planned[name], self._records(name))

    def recorded(self, name: str) -> Any:
        """The same of records alone; nothing is run.

        Raises:
            LookupError: a run without a record; names it.
        """
        return filled(self.planned[name], recorded_of(every(self.planned[name])))

    def _records(self, name: str) -> dict[str, Record]:
        found = recorded_of(every(self.planned[name]))
        missing = [one for one in every(self.planned[name]) if one.hash not in found]
        if not missing:
            return found
        # Dask is slow to import and not needed to read records.
        from snnbd_book import sweeps

        return found | sweeps.records(missing, device=self.device)


def filled(groups: Nested, records: Mapping[str, Record]) -> Any:
    """The same groups with records in place of experiments.

    Raises:
        LookupError: one has no record; names it.
    """
    if isinstance(groups, Mapping):
        return {name: filled(group, records) for name, group in groups.items()}
    for one in groups:
        if one.hash not in records:
            raise LookupError(f"there is no record of {one.name}-{one.hash} (seed {one.seed})")
    return [records[one.hash] for one in groups]
