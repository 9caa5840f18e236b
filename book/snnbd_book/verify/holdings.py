"""Which of the sets that runs need are here, and how much of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from snnbd_book.runs import Experiment
from snnbd_book.runs.resolving import datasets
from snnbd_core import data
from snnbd_core.data import DataNotFound
from snnbd_core.data.downloads import BY_HAND, SOURCES


class Held(NamedTuple):
    """How many samples of a set are here, and how many the whole has in the layout found."""

    samples: int
    whole: int


Holdings = Mapping[str, Held]


def held(wanted: Iterable[Experiment]) -> dict[str, Held]:
    """What there is of each set that runs need; a set that is not here is absent."""
    found = {}
    for name, run in {run.data: run for run in wanted}.items():
        try:
            train, test = datasets(replace(run, samples=None))
        except DataNotFound:
            continue
        here = len(train) + len(test)
        found[name] = Held(here, train.whole or here)
    return found


def parts(here: Holdings, profile: str) -> dict[str, Held]:
    """Those sets that are less than the whole where a profile needs the whole: in `paper`."""
    if profile != "paper":
        return {}
    return {name: one for name, one in here.items() if one.samples < one.whole}


def share(name: str, held: Held) -> str:
    """How much of a set is here, such as "only 801 of 70,000 recordings of nmnist are here"."""
    kind = "images" if name in data.IMAGES else "recordings"
    return f"only {held.samples:,} of {held.whole:,} {kind} of {name} are here"


def refuse(some: Holdings) -> None:
    """Raises ValueError for parts of sets, by name, with what to do."""
    if not some:
        return
    told = "; ".join(f"{share(name, one)} ({_how(name)})" for name, one in some.items())
    raise ValueError(
        f"profile='paper' needs whole sets: {told}. Set SNNBD_DATA to a folder with the whole of "
        "each, or with nothing of it; --dry-run says what that takes"
    )


def _how(name: str) -> str:
    if name in SOURCES:
        return "it is downloaded where nothing of it is here"
    return f"to get by hand: {BY_HAND[name]}"
