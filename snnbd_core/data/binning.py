"""From events to frames of counts, cut by number of events or by time.

Both rules are SpikingJelly's (``integrate_events_by_fixed_frames_number``), the first being the
choice of Abad et al. 2022 (their code: T = 16, no normalisation).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from snnbd_core import checks
from snnbd_core.data.events import Events, SensorSize, check_events

__all__ = ["Binning", "bin_events", "check_binning"]

Binning = Literal["number", "time"]


def bin_events(
    events: Events, frames: int, sensor_size: SensorSize, by: Binning = "number"
) -> npt.NDArray[np.int64]:
    """Count events per frame, polarity and pixel.

    - ``by="number"``: frame j takes the events from j * floor(N / T) on, floor(N / T) of them;
      the last frame takes the rest.
    - ``by="time"``: frame j takes the events from t_0 + j * D on, for D microseconds, where
      D = floor((t_last - t_0) / T), at least 1; the last frame takes the rest. tonic's
      ``ToFrame(n_time_bins=T)`` is the same but for the rest, which it drops (at least the last
      event); here no event is lost. A stretch without events gives an empty frame (SpikingJelly
      raises an IndexError there).

    Args:
        events: structured array [N], checked first (see ``check_events``).
        frames: T, at least 1.
        sensor_size: (W, H, 2) in pixels.
        by: "number" or "time".

    Returns:
        integer counts [T, 2, H, W]; channel 0 counts OFF, channel 1 ON events.

    Raises:
        ValueError: naming the argument, its value and what is allowed.
    """
    frames = check_binning(frames, by)
    events = check_events(events, sensor_size)
    if frames > len(events):
        raise ValueError(f"frames={frames} is more than the recording's {len(events)} events")
    width, height, _ = sensor_size
    index = _by_time(events["t"], frames) if by == "time" else _by_number(len(events), frames)
    cell = ((index * 2 + events["p"]) * height + events["y"]) * width + events["x"]
    counts = np.bincount(cell, minlength=frames * 2 * height * width)
    return counts.astype(np.int64, copy=False).reshape(frames, 2, height, width)


def check_binning(frames: int, by: str) -> int:
    """Give ``frames``; ``ValueError`` unless it is a positive integer and ``by`` a known rule."""
    checks.choice("binning", by, get_args(Binning))
    return checks.whole("frames", frames, 1)


def _by_number(count: int, frames: int) -> npt.NDArray[np.int64]:
    return np.minimum(np.arange(count) // (count // frames), frames - 1)


def _by_time(times: npt.NDArray[np.int64], frames: int) -> npt.NDArray[np.int64]:
    lasts = int(times[-1] - times[0])
    if frames > lasts + 1:
        raise ValueError(
            f"frames={frames} is more than the {lasts + 1} us that the recording covers; "
            "frames of less than 1 us cannot be cut"
        )
    return np.minimum((times - times[0]) // max(lasts // frames, 1), frames - 1)
