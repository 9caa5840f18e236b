"""Does N-MNIST at full size fit a small machine? Bin synthetic recordings and watch the memory.

Writes N-MNIST's layout with random recordings of N-MNIST's mean length to a temporary folder
(1.3 GB at full size, and 2.2 GB of cached frames), loads it as ``load("nmnist")`` would load the
real set, and reads one epoch in random order. Prints one line of JSON.

    python benchmarks/binning_memory.py --recordings 60000

Peaks are the kernel's own (``VmHWM``): they count pages of the memory-mapped cache too, which
the system takes back when it needs them; ``anonymous`` is what it cannot take back.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

EVENTS = 4144
"""Events per recording: the mean of 801 real N-MNIST recordings."""


def write_recording(path: Path, draw: np.random.Generator, events: int) -> None:
    """Write a random recording on 34x34 pixels, 300 ms long, in the five-byte format."""
    records = np.empty((events, 5), dtype=np.uint8)
    records[:, :2] = draw.integers(0, 34, (events, 2))
    times = np.sort(draw.integers(0, 300_000, events))
    records[:, 2] = (draw.integers(0, 2, events) << 7) | (times >> 16)
    records[:, 3] = (times >> 8) & 255
    records[:, 4] = times & 255
    path.write_bytes(records.tobytes())


def write_set(root: Path, recordings: int) -> None:
    """Write ``recordings`` for training and ten for testing, one of each class."""
    draw = np.random.default_rng(0)
    for split, count in (("Train", recordings), ("Test", 10)):
        for i in range(count):
            folder = root / split / str(i % 10)
            folder.mkdir(parents=True, exist_ok=True)
            write_recording(folder / f"{i:05d}.bin", draw, EVENTS)


def memory_mib(field: str) -> float:
    """Read a field of this process's memory (``VmHWM``: peak, ``RssAnon``: anonymous now)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


def measure(root: Path, frames: int, batch_size: int) -> dict[str, float]:
    """Load the set, read one epoch, and give seconds and memory."""
    from snnbd_core.data import load

    start = memory_mib("VmHWM")
    began = time.perf_counter()
    train, _ = load("nmnist", root=root, frames=frames)
    binned = time.perf_counter()
    peak_binning = memory_mib("VmHWM")
    anonymous = 0.0
    order = np.random.default_rng(0).permutation(len(train))
    for first in range(0, len(order), batch_size):
        train.batch(order[first : first + batch_size])
        anonymous = max(anonymous, memory_mib("RssAnon"))
    return {
        "recordings": len(train),
        "frames": frames,
        "binning_seconds": round(binned - began, 1),
        "epoch_seconds": round(time.perf_counter() - binned, 1),
        "peak_mib_before": round(start),
        "peak_mib_binning": round(peak_binning),
        "peak_mib_epoch": round(memory_mib("VmHWM")),
        "peak_anonymous_mib_epoch": round(anonymous),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recordings", type=int, default=60_000)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=64)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SNNBD_CACHE"] = str(Path(folder) / "cache")
        write_set(Path(folder) / "data", asked.recordings)
        print(json.dumps(measure(Path(folder) / "data", asked.frames, asked.batch_size)))


if __name__ == "__main__":
    main()
