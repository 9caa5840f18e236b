"""Which of the sets that runs need are here, and how much of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from snnbd_book.runs import Experiment
from snnbd_book.runs.resolving import datasets
from snnbd_core import data
from snnbd_core.data import DataNotFound
from snnbd_core.data.downloads import BY_HAND, SOURCES
from snnbd_core.data.telling import WHOLE

Held = Mapping[str, int]

_LEAST = {**WHOLE, "gtsrb": 39_270}  # torchvision's layout has fewer photographs to train on


def held(wanted: Iterable[Experiment]) -> dict[str, int]:
    """How many samples there are of each set that runs need; a set that is not here is absent."""
    found = {}
    for name, run in {run.data: run for run in wanted}.items():
        try:
            found[name] = sum(map(len, datasets(replace(run, samples=None))))
        except DataNotFound:
            continue
    return found


def parts(here: Held, profile: str) -> dict[str, int]:
    """Those sets that are less than the whole where a profile needs the whole: in `paper`."""
    if profile != "paper":
        return {}
    return {name: count for name, count in here.items() if count < _LEAST.get(name, 0)}


def share(name: str, count: int) -> str:
    """How much of a set is here, such as "only 801 of 70,000 recordings of nmnist are here"."""
    kind = "images" if name in data.IMAGES else "recordings"
    return f"only {count:,} of {WHOLE[name]:,} {kind} of {name} are here"


def refuse(some: Held) -> None:
    """Raises ValueError for parts of sets, by name, with what to do."""
    if not some:
        return
    told = "; ".join(f"{share(name, count)} ({_how(name)})" for name, count in some.items())
    raise ValueError(
        f"profile='paper' needs whole sets: {told}. Set SNNBD_DATA to a folder with the whole of "
        "each, or with nothing of it; --dry-run says what that takes"
    )


def _how(name: str) -> str:
    if name in SOURCES:
        return "it is downloaded where nothing of it is here"
    return f"to get by hand: {BY_HAND[name]}"
