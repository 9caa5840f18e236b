"""Dirty-label poisoning: some samples get a trigger and the target's label, in place.

As in the code of Abad et al. (2022, 2024): the poisoned samples replace their originals, are
drawn over the whole training set, and there are int(rate * N) of them.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snnbd_core import checks
from snnbd_core.data.anybody import as_set
from snnbd_core.data.samples import Indices, SampleSet, checked_indices
from snnbd_core.triggers.identity import fingerprint
from snnbd_core.triggers.protocol import Trigger

__all__ = ["PoisonedDataset", "Triggered", "check_target", "check_trigger", "poison"]

_OWN_DRAW = 1
_GENERATOR = "one of NumPy, as numpy.random.default_rng(0), or None"


class _View(SampleSet):
    """What both views share: whatever they do not define comes from the set they wrap."""

    dataset: Any

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "dataset":  # also while unpickling, before __init__
            raise AttributeError(name)
        return getattr(self.dataset, name)


class Triggered(_View):
    """A view of a data set in which every sample carries the trigger; labels are kept.

    Same protocol as the wrapped set: `batch`, `[i]`, `labels`, `classes`, `subset` and, for
    events, `events`, `bin`, `frames`, `sensor_size`. Nothing is stored and the wrapped set is
    never changed. Anybody's data set is taken, see `data.as_set`.

    Raises:
        ValueError: an empty data set, or a trigger whose space does not fit it.
    """

    def __init__(self, dataset: Any, trigger: Trigger) -> None:
        self.dataset = dataset = check_trigger(dataset, trigger)
        self.trigger = trigger
        self.labels = np.array(dataset.labels, dtype=np.int64)

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of the wrapped set's contents and the trigger's."""
        facts = f"{self.dataset.fingerprint}|{fingerprint(self.trigger)}"
        return hashlib.sha256(facts.encode()).hexdigest()

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Triggered samples float32 [B, ...] and labels int64 [B]."""
        indices = checked_indices(indices, len(self))
        clean, _ = self.dataset.batch(indices)
        labels = torch.from_numpy(self.labels[indices])
        if not len(indices):
            return clean, labels
        if self.trigger.space == "events":
            triggered = torch.stack([self.dataset.bin(self.events(int(i))) for i in indices])
        else:
            triggered = torch.as_tensor(self.trigger(clean))
        if triggered.shape != clean.shape:
            raise ValueError(
                f"trigger={self.trigger!r} gives samples of shape {tuple(triggered.shape[1:])}: "
                f"allowed is that of the data set, {tuple(clean.shape[1:])}"
            )
        if not torch.isfinite(triggered).all():
            raise ValueError(
                f"trigger={self.trigger!r} gives NaN or infinite values: allowed are finite numbers"
            )
        return triggered.to(torch.float32), labels

    def events(self, index: int) -> np.ndarray:
        """The raw recording with the trigger in it; needs a trigger of space "events"."""
        if self.trigger.space != "events":
            raise ValueError(
                f"trigger.space={self.trigger.space!r} changes binned data, so sample {index} has "
                "no triggered recording: allowed is a trigger with space='events'"
            )
        recording: np.ndarray = self.trigger(self.dataset.events(index))
        return recording

    def subset(self, indices: Indices) -> Triggered:
        """The same view of some samples, in the order given."""
        return Triggered(self.dataset.subset(checked_indices(indices, len(self))), self.trigger)


class PoisonedDataset(_View):
    """A data set that knows which of its samples it changed; made by `poison`.

    Same protocol as the wrapped set. Poisoned samples are computed when first asked for and
    stored, as 8- or 16-bit counts where they are counts.

    Attributes:
        dataset: the wrapped set, never changed.
        trigger, target: what the poisoned samples carry.
        poisoned_indices: int64 [m], sorted.
        labels: int64 [N], the target's at the poisoned indices.
        clean_labels: int64 [N], as the wrapped set has them.
    """

    def __init__(
        self, dataset: Any, trigger: Trigger, target: int, poisoned_indices: Indices
    ) -> None:
        self.dataset = dataset = check_trigger(dataset, trigger)
        self.trigger = trigger
        self.target = check_target(target, dataset.classes)
        self.poisoned_indices = np.unique(checked_indices(poisoned_indices, len(dataset)))
        self.clean_labels = np.array(dataset.labels, dtype=np.int64)
        self.labels = self.clean_labels.copy()
        self.labels[self.poisoned_indices] = self.target
        self._triggered = Triggered(dataset, trigger)
        self._is_poisoned = np.zeros(len(dataset), dtype=bool)
        self._is_poisoned[self.poisoned_indices] = True
        self._stored: dict[int, np.ndarray] = {}
        # a trigger that does not fit shows here, not hours later in the first epoch
        self._compute(self.poisoned_indices[:1].tolist())

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of the wrapped set's contents, the trigger's, the target, the indices."""
        digest = hashlib.sha256(f"{self._triggered.fingerprint}|{self.target}|".encode())
        digest.update(self.poisoned_indices.tobytes())
        return digest.hexdigest()

    def batch(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Samples float32 [B, ...] and labels int64 [B]; a fresh copy."""
        indices = checked_indices(indices, len(self))
        samples, _ = self.dataset.batch(indices)
        rows = np.flatnonzero(self._is_poisoned[indices])
        chosen = indices[rows].tolist()
        self._compute(chosen)
        held = samples.numpy()
        for row, index in zip(rows.tolist(), chosen, strict=True):  # faster than all rows at once
            held[row] = self._stored[index]
        return samples, torch.from_numpy(self.labels[indices])

    def events(self, index: int) -> np.ndarray:
        """The raw recording as it is in this set.

        Raises:
            ValueError: a sample poisoned in space "frames" has no recording.
        """
        (index,) = checked_indices([index], len(self)).tolist()
        source = self._triggered if self._is_poisoned[index] else self.dataset
        recording: np.ndarray = source.events(index)
        return recording

    def subset(self, indices: Indices) -> PoisonedDataset:
        """Some samples in the order given; those that were poisoned still are."""
        indices = checked_indices(indices, len(self))
        poisoned = np.flatnonzero(self._is_poisoned[indices])
        return PoisonedDataset(self.dataset.subset(indices), self.trigger, self.target, poisoned)

    def _compute(self, indices: list[int]) -> None:
        missing = sorted({i for i in indices if i not in self._stored})
        if missing:
            samples, _ = self._triggered.batch(missing)
            self._stored.update(zip(missing, map(_compact, samples.numpy()), strict=True))


def poison(
    dataset: Any,
    trigger: Trigger,
    rate: float,
    target: int,
    seed: int = 0,
    include_target: bool = True,
    only_target: bool = False,
    generator: np.random.Generator | None = None,
) -> PoisonedDataset:
    """Replaces a share of the samples by triggered ones labelled `target`.

    Args:
        dataset: a data set of this library or anybody's, see `data.as_set`.
        trigger: where `trigger.space` is "events", the raw recordings are changed and binned by
            the set's own rule; "frames" and "image" change what the set gives.
        rate: share of the whole set, 0..1; floor(rate * N) samples are poisoned, as in the
            papers' code. 0 changes nothing; 1 / N is one sample.
        target: class that the poisoned samples are labelled with.
        seed: draws the samples. For one seed a smaller rate's samples are among a larger one's.
        include_target: True draws over the whole set, the target's own samples included, as the
            papers' code does; False draws among the others only (the count is the same).
        only_target: True draws among the target's own samples only, so that no label is changed
            (a clean-label attack); `include_target` then has no meaning.
        generator: draws the samples in place of one that the seed begins; the seed then has no
            meaning. The seed's own shares no numbers with the order in which `learning.train` takes
            samples under the same seed.

    Raises:
        ValueError: rate outside 0..1, a rate above 0 that gives no sample, more samples asked
            for than there are to draw from, target not a class, seed below 0, a generator of
            another kind, an empty set, or a trigger that does not fit the set.
    """
    dataset = check_trigger(dataset, trigger)
    target, seed = check_target(target, dataset.classes), checks.whole("seed", seed, 0)
    count = _poisoned_count(rate, len(dataset))
    labels = dataset.labels
    if only_target:
        candidates, where = np.flatnonzero(labels == target), f"in class {target}"
    elif include_target:
        candidates, where = np.arange(len(labels)), "in the set"
    else:
        candidates, where = np.flatnonzero(labels != target), f"outside class {target}"
    if count > len(candidates):
        raise ValueError(
            f"rate={rate!r} wants {count} samples, but only {len(candidates)} lie {where}: "
            f"allowed is at most {len(candidates) / len(labels)!r}"
        )
    # Not the seed alone, whose numbers order the first epoch too (see `data.batches.shuffled`):
    # all poisoned samples would come first in it.
    if generator is None:
        generator = np.random.default_rng([seed, 0, _OWN_DRAW])
    checks.instance("generator", generator, np.random.Generator, _GENERATOR)
    return PoisonedDataset(dataset, trigger, target, generator.permutation(candidates)[:count])


def check_trigger(dataset: Any, trigger: Trigger) -> SampleSet:
    """The data set (see `data.as_set`); ValueError if it is empty or the trigger does not fit."""
    dataset = as_set(dataset)
    if not len(dataset):
        raise ValueError("dataset is empty: at least one sample is needed")
    if not isinstance(trigger, Trigger):
        raise ValueError(
            f"trigger={trigger!r} does not say in which space it works: allowed is an object that "
            "is called with samples and has an attribute space; a Compose can be given one, as in "
            "compose.space = 'events'"
        )
    if trigger.space not in dataset.spaces:
        raise ValueError(
            f"trigger={trigger!r} works in space {trigger.space!r}: allowed for this data set is "
            + " or ".join(map(repr, dataset.spaces))
            + (", since it has no raw recordings" if trigger.space == "events" else "")
        )
    sensor_size = getattr(trigger, "sensor_size", None)  # not every trigger knows one
    if sensor_size is not None and tuple(sensor_size) != tuple(dataset.sensor_size):
        raise ValueError(
            f"trigger.sensor_size={sensor_size} is not the data set's: allowed is "
            f"{tuple(dataset.sensor_size)}"
        )
    return dataset


def check_target(target: int, classes: int) -> int:
    """The target as an int; ValueError unless it is a class."""
    try:
        number = checks.whole("target", target, 0)
    except ValueError:
        number = classes
    if number >= classes:
        raise ValueError(f"target={target!r} is not a class: allowed is 0..{classes - 1}")
    return number


def _poisoned_count(rate: float, total: int) -> int:
    given = checks.plain(rate)
    if not checks.is_number(given) or not 0 <= given <= 1:
        raise ValueError(f"rate={rate!r} is not a share of the data set: allowed is 0..1")
    # The slack undoes binary rounding: int(0.29 * 100) would be 28, and the float32 nearest to
    # 1 / 11 is a little less than it.
    spacing = float(np.spacing(given)) if isinstance(given, np.floating) else 0.0
    count = int(checks.decimal(given) * total + min(max(1e-9, spacing * total), 0.5))
    if given > 0 and not count:
        raise ValueError(
            f"rate={rate!r} poisons none of {total} samples: the smallest usable rate is "
            f"1/{total} = {1 / total!r} (or 0 for none)"
        )
    return count


def _compact(sample: np.ndarray) -> np.ndarray:
    """The smallest of uint8, uint16 and float32 that holds the sample exactly."""
    for dtype in (np.uint8, np.uint16):
        if sample.min() >= 0 and sample.max() <= np.iinfo(dtype).max:
            small = sample.astype(dtype)
            if np.array_equal(small, sample):
                return small
    return sample.copy()
