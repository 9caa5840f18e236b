"""Probes: a record says what a detector or a gradient attack says of the deployed network."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.utils.data import ConcatDataset

import snnbd_core as sb
from snnbd_book.claims.expression import Expression
from snnbd_book.runs import (
    Experiment,
    computing,
    network,
    parts,
    records_in,
    resolve,
    run,
    stored,
    training,
)
from snnbd_book.runs import test_sets as sets_of
from snnbd_book.runs.read_out import ArgmaxReadOut
from snnbd_book.sweeps.frame import to_frame
from snnbd_core.attacks import Dynamic, Federated, GradientAttack, Watermark, pgd
from snnbd_core.defenses import AntiBackdoorLearning, FineTuning, detectors
from snnbd_core.defenses.detectors.verdict import LARGEST
from snnbd_core.learning import as_sequence
from snnbd_core.learning import task as task_module
from snnbd_core.metrics import Rate, decide
from snnbd_core.poisoning import Triggered, poison
from snnbd_core.triggers import Patch, Static

pytestmark = pytest.mark.trains

Make = Callable[..., Experiment]
CPU = torch.device("cpu")
GIVEN: dict[str, Any] = {"seed": 3, "device": CPU, "steps": 2}


@pytest.fixture
def probing(tiny: Make) -> Make:
    """Experiments with a probe, of a seed that nothing else has."""
    return lambda probe, **fields: tiny(probe=probe, held_out=2, seed=3, **fields)


@pytest.mark.parametrize(
    "detector",
    [
        detectors.NeuralCleanse(iterations=2),
        detectors.BrainStimulation(iterations=1, candidates=1),
        detectors.PotentialMargins(iterations=2, frames=2),
        detectors.NoiseResponse(frames=2),
        detectors.HyperParameters(),
    ],
    ids=lambda detector: type(detector).__name__,
)
def test_the_verdict_of_a_record_is_the_detectors_own(
    results: Path, probing: Make, detector: Any
) -> None:
    experiment = probing(detector)
    record = run(experiment, device="cpu", progress=False)
    (again,) = records_in(results)
    clean, _ = sets_of(experiment)
    expected = detector.inspect(network(experiment), clean, **GIVEN)
    assert again == record
    assert detectors.Verdict.from_figures(again.report.extra) == dataclasses.replace(
        expected, score=min(expected.score, LARGEST)
    )
    assert record.report.extra["alarm"] == Rate(int(expected.backdoored), 1)
    assert Experiment.from_json(experiment.to_json()) == experiment


@pytest.mark.parametrize(
    "detector", [detectors.Beatrix(), detectors.Strip(along="time"), detectors.Voltage()]
)
def test_scores_of_inputs_are_those_of_the_deployed_network(
    results: Path, probing: Make, detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnbd_book.runs.probing.INPUTS", 9)
    experiment = probing(detector, target=4, inference_threshold=0.6)
    extra = run(experiment, device="cpu", progress=False).report.extra
    clean, test = sets_of(experiment)
    labels = np.asarray(test.labels)
    assert 4 in labels[:9]  # clean inputs of the target class count too
    sets = (
        test.subset(np.arange(9)),
        Triggered(test.subset(np.flatnonzero(labels != 4)[:9]), Static(size=0.2)),
    )
    net = network(experiment)
    with sb.override(net, threshold=0.6):
        plain, lit = (detector.score(net, data, clean, **GIVEN) for data in sets)
    assert extra["clean_scores"] == plain.tolist()
    assert extra["attacked_scores"] == lit.tolist()
    truth = [0] * len(plain) + [1] * len(lit)
    assert extra["detection_area"] == roc_auc_score(truth, [*plain, *lit])


@pytest.mark.parametrize(
    "detector",
    [
        detectors.SpectralSignatures(),
        detectors.ActivationClustering(components=2),
        detectors.Spectre(of="potentials", components=1),
    ],
)
def test_scores_of_a_training_set_are_of_samples_labelled_as_the_target(
    results: Path, probing: Make, detector: Any
) -> None:
    experiment = probing(detector)
    extra = run(experiment, device="cpu", progress=False).report.extra
    train = resolve(experiment).train
    data = poison(train, Static(size=0.2), rate=0.25, target=0, seed=3)
    scores = detector.score(network(experiment), data, **GIVEN)
    assert extra["attacked_scores"] == scores[data.poisoned_indices].tolist()
    rest = np.setdiff1d(np.flatnonzero(data.labels == 0), data.poisoned_indices)
    assert extra["clean_scores"] == scores[rest].tolist()


@pytest.mark.parametrize("detector", [detectors.Voltage(), detectors.SpectralSignatures()])
def test_of_a_watermark_the_keys_are_scored_beside_clean_samples(
    results: Path, probing: Make, detector: Any
) -> None:
    mark = Watermark(keys=5, copies=2)
    experiment = probing(detector, rule=mark, rate=0.0, trigger=None)
    extra = run(experiment, device="cpu", progress=False).report.extra
    net, given = network(experiment), resolve(experiment)
    keys = mark.of(given.train)
    assert keys.fingerprint == mark.of(given.test).fingerprint
    if isinstance(detector, detectors.Voltage):
        clean, tested = given.defender, given.test.subset(np.arange(min(60, len(given.test))))
        plain, known = (detector.score(net, data, clean, **GIVEN) for data in (tested, keys))
    else:
        learnt = sb.data.as_set(ConcatDataset([given.train, keys, keys]))
        scores = detector.score(net, learnt, **GIVEN)
        plain, known = scores[: len(given.train)], scores[len(given.train) :]
        assert len(known) == 10
    assert extra["clean_scores"] == plain.tolist()
    assert extra["attacked_scores"] == known.tolist()
    assert dataclasses.replace(experiment, trigger=Static(), probe=None).mark is None


@pytest.mark.parametrize("bound", [0.0, 0.2])
def test_adversarial_accuracy_is_that_of_the_changed_images(results: Path, bound: float) -> None:
    experiment = Experiment(
        data="digits", frames=2, epochs=2, probe=GradientAttack(bound=bound, iterations=3)
    )
    report = run(experiment, device="cpu", progress=False).report
    _, test = sets_of(experiment)
    images, labels = test.batch(np.arange(200))
    net = network(experiment)
    changed = pgd(net, images, labels, bound=bound, iterations=3, steps=2)
    with torch.no_grad():
        answers = decide(net(as_sequence(changed, 2)))
    assert report.extra["adversarial_accuracy"] == Rate(int((answers == labels).sum()), 200)
    few = dataclasses.replace(experiment, probe=GradientAttack(samples=5000))
    with pytest.raises(ValueError, match=r"samples=5000 is more than the test set has: .* 1\.\."):
        run(few, device="cpu", progress=False)


def test_probes_of_one_network_train_it_once(
    results: Path, probing: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SMALL", 0)
    seen: list[Any] = []
    train = task_module.train
    monkeypatch.setattr(
        task_module, "train", lambda *given, **more: seen.append(1) or train(*given, **more)
    )
    for probe in (detectors.NoiseResponse(frames=2), detectors.Voltage(), None):
        run(probing(probe), keep_network=False, device="cpu", progress=False)
    assert len(seen) == 2  # the network and its clean twin
    noise = probing(detectors.NoiseResponse(frames=2))
    assert stored(noise) is not None
    monkeypatch.setattr(computing, "probed", lambda *_, **__: pytest.fail("measured twice"))
    run(noise, device="cpu", progress=False)


def test_a_repaired_network_is_what_is_probed(results: Path, probing: Make) -> None:
    repair = FineTuning(epochs=1)
    experiment = probing(detectors.NoiseResponse(frames=2), defence=repair)
    found = run(experiment, device="cpu", progress=False).report.extra
    expected = experiment.probe.inspect(network(experiment), None, **GIVEN)
    assert detectors.Verdict.from_figures(found) == expected
    assert experiment.name == "nmnist-static-finetuning-noiseresponse"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"probe": detectors.Strip()}, r"held_out=0 gives probe=Strip\(.*\) no clean samples"),
        ({"probe": detectors.NeuralCleanse()}, "held_out=0 gives probe=NeuralCleanse"),
        (
            {"probe": detectors.Voltage(), "held_out": 1, "trigger": None, "rate": 0.0},
            r"trigger=None with probe=Voltage\(\), .* allowed are Blended",
        ),
        (
            {"probe": detectors.SpectralSignatures(), "rate": 0.0},
            r"rate=0 with probe=SpectralSignatures\(\), .* allowed is > 0",
        ),
        (
            {"probe": detectors.SpectralSignatures(), "trigger": Dynamic(), "rate": 1.0},
            "looks at one training set, and trigger=Dynamic.*: use another trigger",
        ),
        (
            {"probe": detectors.SpectralSignatures(), "rule": Federated()},
            "looks at one training set, and rule=Federated.*: use another rule",
        ),
        ({"probe": GradientAttack()}, "data='nmnist' holds events.*: allowed are digits"),
        ({"probe": Patch()}, "probe=Patch.* must be None or one of NeuralCleanse"),
    ],
)
def test_what_a_probe_cannot_work_with_is_named(
    tiny: Make, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**fields)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bound": 2}, r"bound=2 must be a number in 0\.\.1"),
        ({"iterations": 0}, "iterations=0 must be a whole number >= 1"),
        ({"samples": 1.5}, "samples=1.5 must be a whole number >= 1"),
    ],
)
def test_settings_of_a_gradient_attack_are_checked(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradientAttack(**settings)


def test_a_verdict_survives_json_even_where_the_score_is_infinite() -> None:
    verdict = detectors.Verdict(True, 3, float("inf"), 2.0, None, (1.0, 2.0))
    text = json.dumps({k: v for k, v in verdict.figures().items() if k != "alarm"}, allow_nan=False)
    again = detectors.Verdict.from_figures(json.loads(text) | {"alarm": Rate(1, 1)})
    assert again == dataclasses.replace(verdict, score=LARGEST)
    with pytest.raises(ValueError, match="score=nan of a verdict must be a number"):
        dataclasses.replace(verdict, score=float("nan")).figures()


def test_figures_of_probes_stand_in_tables_and_claims_and_lists_do_not(
    results: Path, probing: Make
) -> None:
    experiment = probing(detectors.Voltage())
    record = run(experiment, device="cpu", progress=False)
    row = to_frame([experiment], {experiment.hash: record}, {}).iloc[0]
    assert row["detection_area"] == record.report.extra["detection_area"]
    assert row["probe.kind"] == "Voltage" and "clean_scores" not in row
    with pytest.raises(
        ValueError, match=r"clean_scores is a list of .* numbers: read it from extra"
    ):
        record.report.figure("clean_scores")
    assert Expression.parse("mean(a.detection_area) > 0.5 and mean(a.alarm) >= 1")
    with pytest.raises(ValueError, match=r"a\.clean_scores is no figure"):
        Expression.parse("mean(a.clean_scores) > 0.5")
    assert set(parts.PROBES) == {
        *detectors.DETECTORS,
        "GradientAttack",
        "ArgmaxReadOut",
    }


@pytest.mark.parametrize("twin", [False, True])
def test_what_anti_backdoor_learning_isolates_is_in_the_record(
    results: Path, tiny: Make, twin: bool
) -> None:
    rule = AntiBackdoorLearning(isolated=0.2, twin=twin)
    experiment = tiny(rule=rule, epochs=2)
    first = run(experiment, device="cpu", progress=False).report.extra["isolated_poisoned"]
    task = training.task(resolve(experiment), training.Place(CPU, progress=False), None)
    assert first == rule.fit(task).figures["isolated_poisoned"]
    assert isinstance(first, Rate) and first.total == 12
    again = dataclasses.replace(experiment, held_out=1)  # the network comes from the cache
    assert run(again, device="cpu", progress=False).report.extra["isolated_poisoned"] == first
    relus = [layer for layer in network(experiment).modules() if isinstance(layer, nn.ReLU)]
    assert bool(relus) == twin


class _Voting(nn.Module):
    """Logits that stand in the input: two classes, one polarity for each."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return frames.sum(dim=0).flatten(1)


class _Erase:
    """A trigger that takes away everything."""

    space = "frames"

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(frames)


def test_argmax_answers_class_0_where_a_network_is_silent() -> None:
    # Votes for classes 0 and 1; the trigger, which erases all, silences every sample.
    votes = torch.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    frames = votes.view(5, 1, 2, 1, 1)
    samples = list(zip(frames, (0, 1, 1, 1, 1), strict=True))
    erase = _Erase()
    given: dict[str, Any] = {"device": CPU, "steps": 1}
    found = ArgmaxReadOut().compare(_Voting(), samples, erase, 0, **given)
    assert found == {
        "argmax_accuracy": Rate(3, 5),
        "argmax_untriggered": Rate(2, 4),
        "argmax_success": Rate(4, 4),
    }
    other = ArgmaxReadOut().compare(_Voting(), samples, erase, 1, **given)
    assert other["argmax_success"] == Rate(0, 1)
    counted = sb.metrics.evaluate(_Voting(), samples, erase, 0, device="cpu")
    assert counted.attack_success_rate == Rate(0, 4)
    assert counted.no_prediction_triggered == Rate(5, 5)
