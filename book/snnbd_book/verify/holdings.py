"""Which of the sets that runs need are here, and how much of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from snnbd_book.runs import Experiment
from snnbd_book.runs.resolving import datasets
from snnbd_core import data
from snnbd_core.data import CorruptData, DataNotFound
from snnbd_core.data.downloads import BY_HAND, SOURCES


class Held(NamedTuple):
    """How many samples of a set are here, and how many the whole has in the layout found.

    `damage` is why they cannot be counted: a file is damaged or may not be read.
    """

    samples: int
    whole: int
    damage: CorruptData | PermissionError | None = None


Holdings = Mapping[str, Held]


def held(wanted: Iterable[Experiment]) -> dict[str, Held]:
    """What there is of each set that runs need; a set that is not here is absent."""
    found = {}
    for name in dict.fromkeys(run.data for run in wanted):
        try:
            found[name] = Held(*data.count(name))
        except DataNotFound:
            continue
        except (CorruptData, PermissionError) as error:
            found[name] = Held(0, 0, error)
    return found


def opened(wanted: Iterable[Experiment]) -> None:
    """Reads each set as runs take it, once and before they start, and caches its frames.

    Raises:
        CorruptData: the first damaged file.
    """
    each = {(run.data, run.frames, run.binning): run for run in wanted}
    for run in each.values():
        datasets(replace(run, samples=None))


def parts(here: Holdings, profile: str) -> dict[str, Held]:
    """Those sets that are less than the whole where a profile needs the whole: in `paper`."""
    if profile != "paper":
        return {}
    return {name: one for name, one in here.items() if one.samples < one.whole}


def share(name: str, held: Held) -> str:
    """How much of a set is here, such as "only 801 of 70,000 recordings of nmnist are here"."""
    kind = "images" if name in data.IMAGES else "recordings"
    return f"only {held.samples:,} of {held.whole:,} {kind} of {name} are here"


def refuse(here: Holdings, profile: str) -> None:
    """Raises what keeps a set from being counted, and ValueError for parts that are too little."""
    for one in here.values():
        if one.damage:
            raise one.damage
    some = parts(here, profile)
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
