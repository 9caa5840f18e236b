"""What is told of a set that was found: how much of it is there, and which classes are not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snnbd_core.data.datasets import FrameDataset, ImageDataset

__all__ = ["WHOLE", "first_of", "tell"]

Part = FrameDataset | ImageDataset
_log = logging.getLogger(__name__)
_NAMED = 5  # missing classes or files that are named; of more, their number

WHOLE = {
    "mnist": 70_000,
    "cifar10": 60_000,
    "cifar100": 60_000,
    "gtsrb": 51_839,
    "nmnist": 70_000,
    "dvs-gesture": 1_341,
    "cifar10-dvs": 10_000,
    "ncaltech101": 8_709,
}
"""How many samples the whole of each published set has, in the layout that most people have."""


def tell(train: Part, test: Part, place: Path, whole: int | None = None) -> None:
    """Logs the size of a set, and warns of an empty part and of classes without a sample.

    Both parts know from then on how many samples the whole has: `whole`, or as many as in the
    layout that most people have.
    """
    name, found, whole = train.name, len(train) + len(test), whole or WHOLE[train.name]
    train.whole = test.whole = whole
    share = "" if found == whole else f", of {whole} in the whole set"
    empty = "".join(f"; the {part.split} part is empty" for part in (train, test) if not len(part))
    told = f"{name}: {len(train)} + {len(test)} samples in {place}{share}{empty}"
    _log.log(logging.WARNING if empty else logging.INFO, told)
    for part in (train, test):
        counts = np.bincount(part.labels, minlength=part.classes)
        absent = [part.class_names[label] for label in np.flatnonzero(counts == 0)]
        if absent and len(part):
            _log.warning("%s: no %s sample of class %s", name, part.split, first_of(absent))


def first_of(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
