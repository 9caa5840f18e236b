"""Event sets that are simulated once and then lie in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snnbd_core.data import cache
from snnbd_core.data.datasets import FrameDataset
from snnbd_core.data.events import EVENT_DTYPE, Binning, Events, SensorSize
from snnbd_core.data.recordings import CachedRecordings
from snnbd_core.data.samples import Rows

__all__ = ["Simulated"]


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """All recordings of a set, and how they are made.

    Attributes:
        name, labels, class_names, sensor_size: of the set.
        key: hex digest of all that the recordings are made from.
        seed: what they were drawn with, for the name of the cached file.
        make: gives all events one after the other, and the offsets [N + 1].
    """

    name: str
    key: str
    seed: int
    labels: Rows
    class_names: Sequence[str]
    sensor_size: SensorSize
    make: Callable[[], tuple[Events, npt.NDArray[np.int64]]]

    def parts(
        self, rows: tuple[Rows, Rows], frames: int, binning: Binning
    ) -> tuple[FrameDataset, FrameDataset]:
        """The recordings in some rows for training and in others for testing, as frames."""
        name = f"{self.name}-s{self.seed}"
        entry = cache.find(name, self.key) or self._stored(name)
        bounds = np.asarray(entry.facts["offsets"], dtype=np.int64)

        def part(split: str, some: Rows) -> FrameDataset:
            key = f"{self.key} {split}"
            found = CachedRecordings(entry, bounds, some, self.sensor_size, key)
            labels = self.labels[some]
            return FrameDataset(self.name, split, found, labels, self.class_names, frames, binning)

        return part("train", rows[0]), part("test", rows[1])

    def _stored(self, name: str) -> cache.Entry:
        events, offsets = self.make()

        def fill(facts: cache.Facts) -> Iterator[cache.Array]:
            facts["offsets"] = offsets.tolist()
            yield events

        return cache.store(name, self.key, events.shape, (EVENT_DTYPE,), fill)
