"""What is told of a set that was found: how much of it is there, and which classes are not."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from snnbd_core.data.datasets import FrameDataset, ImageDataset

__all__ = ["WHOLE", "tell"]

Part = FrameDataset | ImageDataset
_log = logging.getLogger(__name__)
_NAMED = 5  # missing classes that are named; of more, their number

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
"""How many samples the whole of each published set has."""


def tell(train: Part, test: Part, place: Path) -> None:
    """Logs the size of a set, and warns of an empty part and of classes without a sample."""
    name, found, whole = train.name, len(train) + len(test), WHOLE[train.name]
    share = "" if found == whole else f", of {whole} in the whole set"
    told = f"{name}: {len(train)} + {len(test)} samples in {place}{share}"
    _log.log(logging.INFO if len(train) and len(test) else logging.WARNING, told)
    for part in (train, test):
        counts = np.bincount(part.labels, minlength=part.classes)
        absent = [part.class_names[label] for label in np.flatnonzero(counts == 0)]
        if absent and len(part):
            more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
            names = ", ".join(absent[:_NAMED])
            _log.warning("%s: no %s sample of class %s%s", name, part.split, names, more)
