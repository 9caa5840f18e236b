"""A watermark: keys with chosen labels, by which an owner knows a network again.

Benign backdoors of this kind are known for SNNs (arXiv 2405.04049), of which only the abstract was
at hand. Each key has a class of its own: what no detector of one target class looks for. Keys are
frames of noise, or scribbles as the simulated camera of digits-events sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch.utils.data import ConcatDataset, TensorDataset

from snnbd_core.checks import Checked, Count, Natural, Positive
from snnbd_core.data import as_set, saccades
from snnbd_core.data.events import bin_events
from snnbd_core.data.samples import SampleSet
from snnbd_core.learning import Rule, Task, Trained
from snnbd_core.metrics import Rate, Trial, predict

__all__ = ["Watermark", "check_apart", "key_set"]

_CELLS, _STEPS = 8, 30  # of a scribble's picture, and of the pen


@dataclass(frozen=True, kw_only=True)
class Watermark(Checked, Rule):
    """Surrogate gradients on the training set and the owner's keys.

    The report has `watermark`, the share of keys that get their label.

    Args:
        keys: how many.
        events: of each pixel and frame in a key of noise, on average.
        secret: draws keys and labels.
        copies: how often each key is shown in an epoch.
        look: of the keys, "noise" or "scribbles".
    """

    attacks: ClassVar[bool] = True
    figures: ClassVar[tuple[str, ...]] = ("watermark",)

    keys: Count = 40
    events: Positive = 0.1
    secret: Natural = 0
    copies: Count = 2
    look: Literal["noise", "scribbles"] = "noise"

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set and the keys."""
        net = task.build()
        return Trained(net, task.train(net, self.added_to(task.poisoned)))

    def added_to(self, samples: Any) -> SampleSet:
        """A set of frames and behind it the keys, each `copies` times."""
        return as_set(ConcatDataset([samples, *[self.of(samples)] * self.copies]))

    def of(self, like: Any) -> SampleSet:
        """The keys, of the shape and classes of a set of frames."""
        events = self.events if self.look == "noise" else None
        return key_set(like, self.keys, events, self.secret)

    def check(self, test: Any) -> None:
        """See `check_apart`."""
        check_apart(self.of(test), test)

    def measure(self, trial: Trial) -> dict[str, Any]:
        """The share of keys that get their label, by name."""
        self.check(trial.test)
        keys = self.of(trial.test)
        answers = predict(trial.net, keys, device=trial.device, steps=trial.steps)
        return {"watermark": Rate.of(answers == np.asarray(keys.labels))}


def key_set(like: Any, count: int, events: float | None, secret: int) -> SampleSet:
    """So many recordings of noise, or of scribbles, with labels drawn from all classes.

    Args:
        like: a set of frames, whose shape and classes they have.
        count: how many.
        events: of each pixel and frame of noise, on average; None for scribbles.
        secret: draws recordings and labels.

    Raises:
        ValueError: a set of images; scribbles for frames without two polarities or with less than
            8 pixels a side.
    """
    if like.kind != "frames":
        raise ValueError(f"like holds samples of kind {like.kind!r}: needed are frames")
    draw = np.random.default_rng([secret, 5])
    shape = (like.frames, *like.input_shape)
    frames = (
        _scribbles(draw, count, shape) if events is None else draw.poisson(events, (count, *shape))
    )
    labels = torch.from_numpy(draw.integers(0, like.classes, count))
    samples = torch.from_numpy(frames.astype(np.float32))
    return as_set(TensorDataset(samples, labels), classes=like.class_names)


def _scribbles(draw: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Frames [count, T, 2, H, W] by number: a pen's random ways over 8 x 8 cells, as large as the
    sensor's part that digits fill, seen by the simulated camera."""
    frames, channels, height, width = shape
    if channels != 2:
        raise ValueError(f"frames have {channels} channels: scribbles have two polarities")
    if min(height, width) < _CELLS:
        raise ValueError(
            f"frames of {width} x {height} pixels: look='scribbles' needs {_CELLS} each way"
        )
    pictures = np.zeros((count, _CELLS, _CELLS))
    for picture in pictures:
        place = draw.integers(_CELLS, size=2)
        for step in draw.integers(-1, 2, size=(_STEPS, 2)):
            place = np.clip(place + step, 0, _CELLS - 1)
            picture[tuple(place)] = 1
    usual = saccades.Camera()
    size = (width, height, 2)
    pitch = usual.pitch * min(width, height) / min(usual.sensor_size[:2])
    camera = replace(usual, sensor_size=size, pitch=pitch)
    events, bounds = saccades.record(pictures, seed=int(draw.integers(2**31)), camera=camera)
    recordings = np.split(events, bounds[1:-1])
    return np.stack([bin_events(one, frames, size) for one in recordings])


def check_apart(keys: Any, test: Any) -> None:
    """Raises ValueError where a key is a sample of the test set: accuracy would count it wrong."""
    tested: dict[bytes, int] = {}
    for row in range(len(test)):
        tested.setdefault(test[row][0].numpy().tobytes(), row)
    for row in range(len(keys)):
        same = tested.get(keys[row][0].numpy().tobytes())
        if same is not None:
            raise ValueError(
                f"keys: number {row} is test sample {same}, whose accuracy would count the mark as "
                "an error: draw others by another `secret`, or leave the sample out of the test"
            )
