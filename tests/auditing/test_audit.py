"""The audit of a network: whom it accuses, what it leaves alone, what it refuses."""

from __future__ import annotations

import importlib
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import snnbd_core as sb
from snnbd_core.auditing import detecting
from snnbd_core.auditing.case import Case
from snnbd_core.defenses.detectors import Verdict
from snnbd_core.networks.layers import Folded

from .conftest import made

GIVEN = {"repair": "RandomThreshold", "device": "cpu"}


def without_seconds(audit):
    return replace(audit, parts=tuple(replace(part, seconds=0.0) for part in audit.parts))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("frames", [True, False])
def test_a_planted_pixel_makes_a_network_suspicious(frames, seed):
    known = made(frames).planted(3)
    found = sb.audit(known.net, known.clean, seed=seed, **GIVEN)
    assert (found.status, found.target) == ("suspicious", 3)
    parts = {part.name: part for part in found.parts}
    assert parts["floors"].status == "suspicious"
    assert parts["network"].status == parts["migration"].status == "unjudged"


@pytest.mark.parametrize("frames", [True, False])
def test_a_clean_network_is_clear_by_its_floors_and_settings_and_is_left_as_it_was(frames):
    known = made(frames)
    before, modes = known.state, [part.training for part in known.net.modules()]
    found = sb.audit(known.net, known.clean, **GIVEN)
    assert {part.status for part in found.parts if part.name in ("floors", "settings")} == {"clear"}
    assert all(np.array_equal(before[name], value) for name, value in known.state.items())
    assert modes == [part.training for part in known.net.modules()]
    assert all(weight.requires_grad for weight in known.net.parameters())


@pytest.mark.trains
def test_a_network_trained_with_a_patch_is_suspicious(spiking):
    found = sb.audit(spiking.net, spiking.clean, steps=spiking.steps, **GIVEN)
    assert (found.status, found.target) == ("suspicious", 0)


def test_one_seed_gives_one_audit(events):
    first, second = (sb.audit(events.net, events.clean, seed=4, **GIVEN) for _ in range(2))
    assert without_seconds(first) == without_seconds(second)


def test_a_reference_that_answers_alike_clears(events):
    known = made(frames=True).planted(3)
    alike = made(frames=True).planted(5)
    found = sb.audit(known.net, known.clean, clean_networks=[alike.net], **GIVEN)
    assert next(part for part in found.parts if part.name == "floors").status == "clear"


def test_a_silent_network_is_not_judged(events):
    events.readout.weight.data.zero_()
    found = sb.audit(events.net, events.clean, **GIVEN)
    assert (found.status, found.target) == ("unjudged", None)
    assert "silent on 50 of 50" in found.summary
    assert all(found.summary.startswith(part.notes[0]) for part in found.parts[1:])


def test_a_network_no_better_than_chance_is_not_judged(events):
    weight = events.readout.weight.data
    weight.copy_(weight.roll(10, dims=0))  # each class answers the next
    found = sb.audit(events.net, events.clean, **GIVEN)
    assert found.status == "unjudged"
    assert "right on 0 of 50 clean samples, which is no better than chance" in found.summary


def test_the_time_budget_is_kept_and_said(events):
    begun = time.monotonic()
    found = sb.audit(events.net, events.clean, minutes=1e-4, **GIVEN)
    assert time.monotonic() - begun < 20
    assert found.status == "unjudged"
    assert found.parts[-1].notes[0] == "The time budget was used up before."


def test_progress_is_told_up_to_the_end(events):
    told = []
    sb.audit(events.net, events.clean, progress=lambda what, share: told.append(share), **GIVEN)
    assert told == sorted(told)
    assert (len(told), told[-1]) == (6, 1.0)


def test_no_more_samples_of_a_class_are_used_than_allowed(events):
    found = sb.audit(events.net, events.clean, per_class=2, **GIVEN)
    assert found.parts[0].tables[1].rows[0][1] == sb.Rate(20, 20)


def test_neurons_of_snntorch_are_judged_as_ours():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own import
        snntorch = importlib.import_module("snntorch")
    known = made(frames=True).planted(3)
    leaky = snntorch.Leaky(1.0, init_hidden=True, reset_delay=False)
    theirs = nn.Sequential(nn.Flatten(), known.readout, leaky)
    net = sb.adapt(theirs, layout="step", input_shape=(2, 12, 12), classes=10)
    found = sb.audit(net, known.clean, **GIVEN)
    assert (found.status, found.target) == ("suspicious", 3)
    assert found.card["layers"][0]["kind"] == "Leaky of snntorch"


def test_an_ann_is_judged_without_its_settings(images):
    layers = [Folded(nn.Flatten()), Folded(images.readout), nn.ReLU()]
    images.planted(3)
    net = sb.networks.Network(layers, (1, 12, 12), 10).eval()
    found = sb.audit(net, images.clean, steps=1, **GIVEN)
    assert (found.status, found.target) == ("suspicious", 3)
    notes = {part.name: part.notes for part in found.parts}
    assert notes["settings"] == ("It has no spiking neurons, and so no thresholds or decays.",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda clean: None, "clean is empty"),
        (lambda clean: [], "clean is empty"),
        (lambda clean: clean.subset([0, 10, 20]), "clean has samples of class 0 alone"),
        (
            lambda clean: [(torch.zeros(4, 2, 6, 6), label) for label in range(10)],
            r"clean has samples of shape \(2, 6, 6\), which net cannot read",
        ),
        (
            lambda clean: [(torch.zeros(4, 2, 12, 12), label) for label in range(12)],
            "clean has 12 classes, and net gives 10 logits",
        ),
    ],
)
def test_samples_that_cannot_be_used_are_refused(events, change, words):
    with pytest.raises(ValueError, match=words):
        sb.audit(events.net, change(events.clean), **GIVEN)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"minutes": 0}, "minutes=0 must be a number > 0"),
        ({"per_class": 0}, "per_class=0 must be a whole number >= 1"),
        ({"repair": "Magic"}, "repair='Magic' is unknown; allowed: FineTuning"),
        ({"clean_networks": [3]}, "net is a int"),
    ],
)
def test_arguments_outside_of_what_is_allowed_are_refused(events, given, words):
    with pytest.raises(ValueError, match=words):
        sb.audit(events.net, events.clean, **{**GIVEN, **given})


def test_weights_that_are_not_finite_are_refused(events):
    events.readout.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"nothing can be audited: the weights .* are not finite"):
        sb.audit(events.net, events.clean, **GIVEN)


def test_a_repair_gives_a_copy(events):
    before = events.state
    copy = sb.auditing.repaired(events.net, events.clean, "FineTuning", device="cpu")
    assert copy is not events.net
    assert all(np.array_equal(before[name], value) for name, value in events.state.items())
    with pytest.raises(ValueError, match="name='Magic' is unknown"):
        sb.auditing.repaired(events.net, events.clean, "Magic")


def test_what_was_not_all_tried_does_not_clear(events, monkeypatch):
    monkeypatch.setattr(Case, "fits", lambda case, passes, ends=None: passes == 0)
    found = sb.audit(events.net, events.clean, **GIVEN)
    parts = {part.name: part for part in found.parts}
    assert parts["floors"].status == parts["settings"].status == "unjudged"
    words = "The time budget was used up before all triggers were tried."
    assert words in parts["floors"].notes
    assert found.status == "unjudged"


def test_detectors_that_do_not_finish_leave_the_verdict_of_the_others(events, monkeypatch):
    said = [("NoiseResponse", "no time")]
    monkeypatch.setattr(detecting, "asked", lambda case, share: iter(said))
    found = sb.audit(events.net, events.clean, **GIVEN)
    assert found.status == "clear"
    assert "It is judged by settings, floors, and not by detectors." in found.summary


def test_how_many_detectors_judged_is_said(events, monkeypatch):
    verdict = Verdict(False, 1, 0.1, 0.9)
    said = [("NoiseResponse", verdict), ("NeuralCleanse", "no time")]
    monkeypatch.setattr(detecting, "asked", lambda case, share: iter(said))
    found = sb.audit(events.net, events.clean, **GIVEN)
    assert "It is judged by settings, floors, 1 of 2 detectors." in found.summary


def test_a_card_that_is_none_is_refused_and_that_of_another_network_is_told(events, images):
    with pytest.raises(ValueError, match="card has no input_shape"):
        sb.audit(events.net, events.clean, card={}, **GIVEN)
    other = sb.audit(images.net, images.clean, minutes=0.001, **GIVEN).card
    found = sb.audit(events.net, events.clean, card=other, **GIVEN)
    settings = next(part for part in found.parts if part.name == "settings")
    assert "The card is of another network" in settings.summary
    again = sb.audit(events.net, events.clean, card=found.card, **GIVEN)
    settings = next(part for part in again.parts if part.name == "settings")
    assert "The settings are those of the card." in settings.summary
