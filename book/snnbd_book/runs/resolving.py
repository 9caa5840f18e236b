"""`resolve`: an experiment with all that its settings stand for, looked up once and passed down."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snnbd_core import data

if TYPE_CHECKING:
    from snnbd_book.runs.settings import Experiment
    from snnbd_core.data.samples import StoredSet


@dataclass(frozen=True, kw_only=True, eq=False)
class Resolved:
    """An experiment and what it is done with.

    Attributes:
        experiment: the settings.
        train: the training set, before it is poisoned.
        test: the samples that are reported on.
        defender: `held_out` samples of each class of the test set; None without any.
        fingerprint: 16 hex digits each of the training and the test set as a whole.
    """

    experiment: Experiment
    train: StoredSet
    test: StoredSet
    defender: StoredSet | None
    fingerprint: str

    @property
    def lent(self) -> StoredSet:
        """The training set as a rule or a `fit` gets it: what it does to the labels reaches no
        other run. They are a copy that cannot be written to, so that one who tries is told."""
        lent = copy.copy(self.train)
        lent.labels = self.train.labels.copy()
        lent.labels.flags.writeable = False
        return lent

    @functools.cached_property
    def training(self) -> Resolved:
        """The experiment whose network this one's is, see `Experiment.training`."""
        return self._beside(self.experiment.training)

    @functools.cached_property
    def clean_twin(self) -> Resolved:
        """The experiment of the floor, see `Experiment.clean_twin`."""
        return self._beside(self.experiment.clean_twin)

    @functools.cached_property
    def source(self) -> Resolved | None:
        """The experiment whose trained network the rule starts from, if it starts from one."""
        wanted = self.experiment.rule.source(self.experiment)
        return None if wanted is None else self._beside(wanted)

    def _beside(self, other: Experiment) -> Resolved:
        """Another experiment on the same data; its sets are these, defender's and reported ones."""
        return self if other == self.experiment else dataclasses.replace(self, experiment=other)


def resolve(experiment: Experiment) -> Resolved:
    """An experiment with its data sets; the split of training and test is the same for all seeds.

    Raises:
        DataNotFound: the data set is not here.
        ValueError: more `samples` than the training set has, or more `held_out` than a class has.
    """
    train, test = _load(experiment.data, experiment.frames, experiment.binning, _roots())
    fingerprint = f"{train.fingerprint[:16]}-{test.fingerprint[:16]}"
    if experiment.samples is not None:
        train = _drawn(train, experiment.samples, experiment.data)
    defender, reported = _parted(test, experiment) if experiment.held_out else (None, test)
    return Resolved(
        experiment=experiment,
        train=train,
        test=reported,
        defender=defender,
        fingerprint=fingerprint,
    )


def datasets(experiment: Experiment) -> tuple[StoredSet, StoredSet]:
    """(train, test) of an experiment; the samples of a defender are among the test set's."""
    whole = resolve(dataclasses.replace(experiment, defence=None, probe=None, held_out=0))
    return whole.train, whole.test


def test_sets(experiment: Experiment) -> tuple[Any, Any]:
    """The test set in two: `held_out` samples of each class for the defender, and the rest.

    Raises:
        ValueError: a class has no sample left to report on.
    """
    given = resolve(experiment)
    return given.defender, given.test


def _drawn(train: StoredSet, samples: int, name: str) -> StoredSet:
    """So many samples of the training set, the same ones for all seeds."""
    if samples > len(train):
        raise ValueError(
            f"samples={samples} is more than {name} has for training: allowed is 1..{len(train)}"
        )
    rows = np.random.default_rng(0).permutation(len(train))[:samples]
    return train.subset(np.sort(rows))


def _parted(test: StoredSet, experiment: Experiment) -> tuple[StoredSet, StoredSet]:
    """(the defender's samples, the reported ones) of the test set; the seed draws them."""
    labels = np.asarray(test.labels)
    draw = np.random.default_rng([experiment.seed, experiment.held_out])
    rows = []
    for label in range(test.classes):
        of_class = np.flatnonzero(labels == label)
        if len(of_class) <= experiment.held_out:
            raise ValueError(
                f"held_out={experiment.held_out} leaves nothing of class {label} of "
                f"{experiment.data}: allowed is at most {len(of_class) - 1}"
            )
        rows.append(draw.permutation(of_class)[: experiment.held_out])
    held = np.sort(np.concatenate(rows))
    return test.subset(held), test.subset(np.setdiff1d(np.arange(len(labels)), held))


@functools.lru_cache(maxsize=4)
def _load(name: str, frames: int, binning: Any, roots: str) -> tuple[StoredSet, StoredSet]:
    """Data sets kept open; `roots` is there so that another folder is not taken for the same."""
    return data.load(name, frames=frames, binning=binning, seed=0)


def _roots() -> str:
    return "|".join(os.environ.get(name, "") for name in ("SNNBD_DATA", "SNNBD_CACHE"))
