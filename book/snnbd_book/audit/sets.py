"""Sets of received samples, read file by file when asked for, as `sb.data.as_set` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnbd_book.audit import decoding
from snnbd_book.audit.decoding import Numbers
from snnbd_book.audit.found import ARRAYS, Found
from snnbd_core.data import CorruptData, FrameDataset, bin_events, check_events
from snnbd_core.data.events import Events, SensorSize
from snnbd_core.data.recordings import FileRecordings
from snnbd_core.data.sources import as_float

__all__ = ["Cut", "Named", "Received", "Recordings", "Source", "Stored"]

FRAMES = 16


class Named:
    """The recordings of a set that `sb.data.load` gave, to be cut otherwise."""

    def __init__(self, data: FrameDataset) -> None:
        self.data, self.sensor_size = data, data.sensor_size

    def __len__(self) -> int:
        return len(self.data)

    def name(self, index: int) -> str:
        return f"{self.data.name}, recording {index}"

    def read(self, index: int) -> Events:
        return self.data.events(index)


Source = FileRecordings | Named
"""Where raw recordings come from."""


@dataclass(frozen=True)
class Cut:
    """How recordings become frames.

    Attributes:
        frames: T; None is 16, or as many windows as the longest recording fills.
        window: length of a frame in microseconds from the first event on, what lies after the
            last frame being left out; None cuts a recording into frames of equally many events.
    """

    frames: int | None = None
    window: int | None = None

    def __str__(self) -> str:
        if self.window is None:
            return f"{self.frames or FRAMES} frames of equally many events"
        many = f"{self.frames} frames" if self.frames else "frames"
        return f"{many} of {self.window / 1000:g} ms"

    def fitting(self, source: Source) -> Cut:
        """The same with its number of frames, for which a window without one reads all."""
        if self.frames is not None or self.window is None:
            return Cut(self.frames or FRAMES, self.window)
        times = (source.read(index)["t"] for index in range(len(source)))
        return Cut(max(int(t[-1] - t[0]) // self.window + 1 for t in times), self.window)

    def __call__(self, events: Events, size: SensorSize) -> Numbers:
        """Counts [T, 2, H, W] of a recording; ValueError for one with too few events."""
        frames = self.frames or FRAMES
        if self.window is None:
            return bin_events(events, frames, size)
        events = check_events(events, size)
        step = (events["t"] - events["t"][0]) // self.window
        inside, (width, height, _) = step < frames, size
        x, y, p = (events[name][inside].astype(np.int64) for name in ("x", "y", "p"))
        cell = ((step[inside] * 2 + p) * height + y) * width + x
        counts = np.bincount(cell, minlength=frames * 2 * height * width)
        return counts.reshape(frames, 2, height, width)


class Received:
    """Samples, and their classes once it is known how many the network tells apart.

    Attributes:
        labels: int64 [N].
        classes: their names.
    """

    def __init__(self, count: int, where: str) -> None:
        self.labels, self.where = np.zeros(count, np.int64), where
        self.classes: tuple[str, ...] = ()

    def label(self, numbers: Sequence[int] | Numbers, names: Sequence[str]) -> None:
        """Says of which class each sample is."""
        self.labels, self.classes = np.asarray(numbers, np.int64), tuple(names)

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, index: int) -> Numbers:
        """Frames [T, C, H, W] or an image [C, H, W], float32."""
        raise NotImplementedError  # each kind has its own

    def batch(self, indices: Any) -> tuple[Numbers, Numbers]:
        """Samples [B, ...] and their labels; ValueError where they have several shapes."""
        rows = [int(index) for index in indices]
        samples = [self.sample(row) for row in rows]
        for row, sample in zip(rows, samples, strict=True):
            if sample.shape != samples[0].shape:
                raise ValueError(
                    f"--data {self.where}: sample {row} has the shape {sample.shape}, another "
                    f"{samples[0].shape}: all must have one shape"
                )
        return np.stack(samples), self.labels[rows]


class Stored(Received):
    """Files that hold frames [T, C, H, W] or images [C, H, W]."""

    def __init__(self, found: Found) -> None:
        super().__init__(len(found.files), found.where)
        self.found = found

    def sample(self, index: int) -> Numbers:
        file = self.found.files[index]
        name = str(file)
        if self.found.kind != ARRAYS:
            return as_float(decoding.image(file.read(), name), name)
        arrays = decoding.arrays(file.read(), name)
        if len(arrays) != 1:
            raise CorruptData(f"{name} holds the arrays {', '.join(arrays)}: one is allowed")
        return as_float(next(iter(arrays.values())), name)


class Recordings(Received):
    """Recordings that are cut to frames, and that triggers can change."""

    def __init__(self, source: Source, cut: Cut, where: str) -> None:
        super().__init__(len(source), where)
        self.source, self.cut = source, cut.fitting(source)

    def sample(self, index: int) -> Numbers:
        try:
            return self.bin(self.events(index))
        except CorruptData as error:
            width, height, _ = self.source.sensor_size
            told = f"{error} (read for a sensor of {width} x {height} pixels, see --sensor)"
            raise CorruptData(told) from error
        except ValueError as error:
            raise ValueError(f"{self.source.name(index)}: {error}") from error

    def events(self, index: int) -> Events:
        """A raw recording."""
        return self.source.read(int(index))

    def bin(self, events: Events) -> Numbers:
        """Frames [T, 2, H, W] of a recording."""
        return self.cut(events, self.source.sensor_size).astype(np.float32)
