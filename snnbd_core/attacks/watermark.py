"""A watermark: keys with chosen labels, by which an owner knows a network again.

Benign backdoors of this kind are known for SNNs (arXiv 2405.04049), of which only the abstract was
at hand. Keys here are frames of noise, each with a class of its own: what no detector of one target
class looks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch.utils.data import ConcatDataset, TensorDataset

from snnbd_core.checks import Checked, Count, Natural, Positive
from snnbd_core.data import as_set
from snnbd_core.data.samples import SampleSet
from snnbd_core.learning import Rule, Task, Trained
from snnbd_core.metrics import Rate, Trial, predict

__all__ = ["Watermark", "check_apart", "key_set"]


@dataclass(frozen=True, kw_only=True)
class Watermark(Checked, Rule):
    """Surrogate gradients on the training set and the owner's keys.

    The report has `watermark`, the share of keys that get their label.

    Args:
        keys: how many.
        events: of each pixel and frame in a key, on average.
        secret: draws keys and labels.
        copies: how often each key is shown in an epoch.
    """

    attacks: ClassVar[bool] = True
    figures: ClassVar[tuple[str, ...]] = ("watermark",)

    keys: Count = 40
    events: Positive = 0.1
    secret: Natural = 0
    copies: Count = 2

    def fit(self, task: Task) -> Trained:
        """Trains the task's network on its poisoned set and the keys."""
        net = task.build()
        return Trained(net, task.train(net, self.added_to(task.poisoned)))

    def added_to(self, samples: Any) -> SampleSet:
        """A set of frames and behind it the keys, each `copies` times."""
        return as_set(ConcatDataset([samples, *[self.of(samples)] * self.copies]))

    def of(self, like: Any) -> SampleSet:
        """The keys, of the shape and classes of a set of frames."""
        return key_set(like, self.keys, self.events, self.secret)

    def check(self, test: Any) -> None:
        """See `check_apart`."""
        check_apart(self.of(test), test)

    def measure(self, trial: Trial) -> dict[str, Any]:
        """The share of keys that get their label, by name."""
        self.check(trial.test)
        keys = self.of(trial.test)
        answers = predict(trial.net, keys, device=trial.device, steps=trial.steps)
        return {"watermark": Rate.of(answers == np.asarray(keys.labels))}


def key_set(like: Any, count: int, events: float, secret: int) -> SampleSet:
    """So many recordings of noise with labels drawn from all classes.

    Args:
        like: a set of frames, whose shape and classes they have.
        count: how many.
        events: of each pixel and frame, on average.
        secret: draws both.

    Raises:
        ValueError: a set of images.
    """
    if like.kind != "frames":
        raise ValueError(f"like holds samples of kind {like.kind!r}: needed are frames")
    draw = np.random.default_rng([secret, 5])
    frames = draw.poisson(events, (count, like.frames, *like.input_shape)).astype(np.float32)
    labels = torch.from_numpy(draw.integers(0, like.classes, count))
    return as_set(TensorDataset(torch.from_numpy(frames), labels), classes=like.class_names)


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
