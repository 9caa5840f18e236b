"""What is counted of repairs, detectors and triggers, beside what their records took."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import torch
from torch import nn

from snnbd_book.runs import Experiment, Record, all_recorded, parts
from snnbd_book.verify import costs, work
from snnbd_core import data, networks
from snnbd_core.attacks import Dynamic, Generated, LearntTimes
from snnbd_core.defenses import AttentionDistillation, FineTuning, detectors
from snnbd_core.learning import SurrogateGradient

HERE = {"nmnist": (639, 162), "gtsrb": (2_580, 1_290)}  # parts that were recorded on
LARGE = ("cifar10-small", "gtsrb")
ON = work.Samples(train=1_000, test=400, given=100, classes=10)


def sizes(run: Experiment) -> work.Samples:
    found = costs.SETS[run.data]
    train, test = HERE.get(run.data, (found.train, found.test))
    given = run.held_out * found.classes
    return work.Samples(train, test - given, given, found.classes)


def tuned(record: Record) -> bool:
    """Whether a record is of a repair that runs samples."""
    run = record.experiment
    name = type(run.defence).__name__
    counted = work.REPAIRS.get(name, work._nothing)
    return counted is not work._nothing and name not in ("Shipped", "ChannelLipschitz")


def test_every_repair_and_probe_is_counted_or_named_as_left_out() -> None:
    assert work.REPAIRS.keys() == parts.REPAIRS.keys()
    assert {*work.PROBES, *work.LEFT_OUT} == parts.PROBES.keys()


def test_repairs_take_a_third_to_three_times_what_their_passes_say(
    project: Path,
) -> None:
    """A pass as in the record's own training. All of the large networks, most of the small."""
    shares: dict[bool, list[bool]] = defaultdict(list)
    every = all_recorded(project / "results")
    for record in filter(tuned, every):
        run, on, trained = record.experiment, sizes(record.experiment), sum(record.history.seconds)
        if not trained or run.rule != SurrogateGradient() or run.samples is not None:
            continue
        passes = work.BOTH * run.epochs * on.train
        expected = work.handled(run, on) * trained / passes
        took = record.provenance.seconds - trained
        shares[run.data in LARGE].append(took / 3 <= expected <= 3 * took)
    assert len(shares[True]) > 20 and all(shares[True])
    assert len(shares[False]) > 500 and sum(shares[False]) / len(shares[False]) > 0.75


@pytest.mark.parametrize(
    ("part", "passes"),
    [
        ({"defence": FineTuning(epochs=5)}, 4 * 400 + 3 * 5 * 100),
        ({"defence": AttentionDistillation(epochs=5)}, 4 * 400 + 7 * 5 * 100),
        ({"probe": detectors.NeuralCleanse(samples=64, iterations=80)}, 4 * 400 + 3 * 64 * 800),
        ({"probe": detectors.BrainStimulation()}, 4 * 400),
        ({}, 0),
    ],
)
def test_passes_are_those_of_the_settings(part: dict[str, object], passes: float) -> None:
    run = Experiment(held_out=10 if part else 0, **part)  # type: ignore[arg-type]  # any
    assert work.handled(run, ON) == passes
    assert work.left_out(run) == ["BrainStimulation"] * ("Brain" in str(part))


def test_a_trigger_is_learnt_in_the_epochs_of_its_settings() -> None:
    def learnt(trigger: object, **fields: object) -> tuple[str | None, float]:
        return work.learnt(Experiment(trigger=trigger, rate=1.0, **fields), ON)  # type: ignore[arg-type]  # any

    assert learnt(LearntTimes(epochs=5)) == ("quick-conv", 3 * 5 * 1_000)
    network, passes = learnt(Dynamic(), epochs=10)
    assert network is None and passes == pytest.approx(10 * 1_000 * (0.9 * 3 + 0.2))


def test_a_generator_runs_no_more_samples_than_are_counted() -> None:
    """Forward passes, of which DeepFool's may end early."""
    train, _ = data.load("digits")
    net = networks.build("quick-conv", train.input_shape, train.classes, seed=0).eval()
    seen = 0

    def count(module: nn.Module, given: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        nonlocal seen
        seen += out.shape[0]

    handle = net.register_forward_hook(count)
    trigger = Generated(epochs=4, samples=64, iterations=3)
    trigger.fit(train, target=0, net=net, steps=2)
    handle.remove()
    run = Experiment(data="digits", frames=2, trigger=trigger)
    most = work.learnt(run, ON)[1] - 2 * 64 * (4 + 3)  # what backward counts
    assert 64 * (4 + 5) < seen <= most + 64  # a first look at the answers
