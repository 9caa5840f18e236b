"""The parts of an audit, on networks whose answers are known by hand."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from torch import nn

import snnbd_core as sb
from snnbd_core.auditing import detecting, repairing
from snnbd_core.auditing.floors import Known, floors, judged
from snnbd_core.auditing.migration import migrated, rounded
from snnbd_core.auditing.network import against, carded
from snnbd_core.auditing.settings import sweep
from snnbd_core.metrics import Rate
from snnbd_core.triggers import Static
from snnbd_core.view import View

from .conftest import made


def memoryless():
    """Fires in each step whose current is above 0.65; a sample brings nine events of 0.1."""
    return sb.LIF(beta=0.0, threshold=0.65, reset="zero")


def test_a_card_says_what_the_layers_are(events):
    card = carded(events.case.bench.view)
    assert card["input_shape"] == [2, 12, 12]
    assert (card["classes"], card["weights"]) == (10, 28800)
    (layer,) = card["layers"]
    assert (layer["neurons"], layer["threshold"], layer["decay"]) == (100, 1.0, 1.0)
    assert (layer["kind"], layer["reset"]) == ("IF of snnbd_core", "subtract")


def test_a_card_of_the_same_network_agrees_and_one_of_another_is_told(events):
    card = carded(events.case.bench.view)
    assert against(card, card) == ("The settings are those of the card.", ())
    net = sb.networks.build("quick-conv", (2, 12, 12), 10, seed=0)
    other = carded(View(net))
    assert against(card, other)[0].startswith("The card is of another network: it says [2, 12, 12]")
    for part in net.modules():
        if isinstance(part, sb.LIF):
            part.threshold.fill_(1.2)
    says, (table,) = against(carded(View(net)), other)
    assert says.startswith("3 settings are not those of the card")
    assert [row[1:] for row in table.rows] == [("threshold", 1.0, pytest.approx(1.2))] * 3


@pytest.mark.parametrize("given", [{}, {"input_shape": [1], "classes": 2, "layers": [{}]}])
def test_what_is_no_card_is_refused(events, given):
    with pytest.raises(ValueError, match="card has"):
        against(carded(events.case.bench.view), given)


def test_a_clean_network_falls_silent_as_thresholds_rise():
    """Its 0.9 pass 1.3 times the threshold, and not 1.5 times."""
    found = sweep(made(frames=True, neuron=memoryless).case)
    silent = {row[1]: row[3] for row in found.tables[0].rows if row[0] == "threshold"}
    assert silent[1.3] == Rate(0, 50)
    assert silent[1.5] == Rate(50, 50)
    assert found.value == 0


def test_a_network_that_gives_one_class_as_thresholds_rise_scores_what_the_class_gains():
    """Half of the voters of class 3 fire whatever the input is, and are outvoted until then."""
    known = made(frames=True, neuron=memoryless)
    known.readout.bias = nn.Parameter(torch.zeros(100))
    known.readout.bias.data[30:35] = 2.0
    found = sweep(known.case)
    assert (found.target, found.value) == (3, pytest.approx(0.9))


def test_settings_that_neurons_do_not_have_are_noted(events):
    notes = sweep(events.case).notes
    assert len(notes) == 1 and "does not show a decay to move" in notes[0]


@pytest.mark.parametrize("frames", [True, False])
def test_a_planted_pixel_is_found_and_a_clean_network_answers_to_nothing(frames):
    assert floors(made(frames).case).value == 0
    found = floors(made(frames).planted(3).case)
    assert (found.value, found.target) == (1.0, 3)


def test_a_trigger_denser_than_recordings_is_told_and_not_counted():
    """Forty events of 0.3 give twelve spikes, eight give two; a class has three of its own."""
    found = floors(made(frames=True, steps=40).planted(3, weight=0.3).case)
    static = [row for row in found.tables[0].rows if row[0] == "static"]
    assert any((row[2:4], row[5]) == ((1, "no"), Rate(45, 45)) for row in static)
    assert all(row[5].hits < 45 for row in static if row[3] == "yes")
    assert found.value < 1


def test_a_sparse_trigger_is_in_a_step_of_so_many():
    sparse = Known("static", "", Static(size=0.1), every=5)
    frames = torch.zeros(2, 20, 2, 12, 12)
    changed = sparse(frames)
    assert sparse.events(20) == 4
    assert changed[:, ::5].sum() == changed.sum() == 2 * 4
    assert not frames.any()


def test_frames_without_polarities_have_no_floors():
    net = sb.networks.build("quick-conv", (1, 12, 12), 10, seed=0)
    clean = sb.data.as_set([(torch.rand(3, 1, 12, 12), label) for label in range(10)])
    known = made(frames=True)
    known.net, known.clean = net.eval(), clean
    assert judged(known.case).part.notes == ("Known triggers need frames of two polarities.",)


def test_images_that_triggers_cannot_be_put_on_clear_no_network():
    """A backdoor of which nothing is seen: its network reads normalised images."""
    known = made(frames=False).planted(3)
    images, labels = known.clean.batch(np.arange(len(known.clean)))
    known.clean = sb.data.as_set([(2 * x - 1, int(y)) for x, y in zip(images, labels, strict=True)])
    found = judged(known.case)
    assert (found.p, found.part.status) == (None, "unjudged")
    (note,) = found.part.notes
    assert note.startswith("Images lie in -1..") and "let the network normalise them" in note
    found = detecting.judged(known.case)
    assert (found.p, found.part.status) == (None, "unjudged")
    assert found.part.notes[-1].endswith("scores on images in 0..1, no measure here.")


def test_rounded_weights_are_multiples_of_a_unit():
    net = nn.Linear(4, 1)
    net.weight.data = torch.tensor([[-1.4, 0.31, 0.09, 0.7]])
    assert rounded(net, 4).weight.tolist()[0] == pytest.approx([-1.4, 0.4, 0.0, 0.8])
    assert rounded(net, 4).bias.tolist() == net.bias.tolist()
    assert net.weight.tolist()[0] == pytest.approx([-1.4, 0.31, 0.09, 0.7])


def test_a_network_that_reads_itself_back_answers_alike(events):
    rows = {row[0]: row for row in migrated(events.case).tables[0].rows}
    assert rows["read with reset subtract"][1:3] == (Rate(50, 50), Rate(50, 50))
    assert set(rows) > {"weights of 8 bits", "weights of 4 bits", "read with dt times 2"}


def test_long_recordings_are_cut_to_the_steps_that_a_network_needs():
    known = made(frames=True, steps=120)  # events are in the first four
    case = known.case
    assert case.enough == 20
    short = case.shortened()
    assert (short.cut, short.bench.data.frames) == (True, 20)
    assert np.array_equal(short.answers(), case.answers())
    known.clean = late(known.clean)
    assert known.case.enough == 120
    assert not known.case.shortened().cut
    assert made(frames=True).case.enough == 4


def late(clean):
    """The same samples with their steps in the opposite order."""
    samples, labels = clean.batch(range(len(clean)))
    return sb.data.as_set(list(zip(samples.flip(1), labels.tolist(), strict=True)), classes=10)


def test_detectors_of_long_recordings_see_the_first_steps_and_say_so():
    found = detecting.judged(made(frames=True, steps=120).case)
    assert "Detectors see the first 20 of 120 steps" in found.part.notes[-1]
    assert found.by.endswith("of 4 detectors")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of snnTorch's own import
def test_what_a_move_does_not_show_stands_in_its_row_with_the_reason():
    """A synapse of snnTorch: another reset is tried on its neurons, another step is not."""
    synaptic = importlib.import_module("snntorch").Synaptic(0.1, 0.5, init_hidden=True)
    known = made(frames=True)
    layers = nn.Sequential(nn.Flatten(), known.readout, synaptic)
    known.net = sb.adapt(layers, layout="step", input_shape=(2, 12, 12), classes=10)
    part = migrated(known.case)
    rows = {row[0]: row[1:] for row in part.tables[0].rows}
    assert len(rows) == 7
    assert isinstance(rows["read with reset zero"][0], Rate)
    assert rows["read with dt times 2"] == rows["read with dt times 0.5"] == (None, None, None)
    assert "read with dt times 2 cannot be seen" in part.summary
    (why,) = [note for note in part.notes if "cannot be seen" in note]
    assert why.startswith("read with dt times 0.5, read with dt times 2: cannot be seen, Synaptic")
    assert "neurons without a synapse" in why
    assert any(note.startswith("Resets and steps are tried on its own") for note in part.notes)


class Loud(nn.Module):
    """A network whose logits are so large that their squared error is infinite."""

    def __init__(self, net):
        super().__init__()
        self.net, self.input_shape, self.classes = net, net.input_shape, net.classes

    def forward(self, sequence):
        return self.net(sequence) * 1e20


def test_a_repair_that_diverges_is_told_and_the_audit_goes_on():
    known = made(frames=True)
    known.net = Loud(known.net)
    part = repairing.tried(known.case, "FineTuning")
    assert [row[0] for row in part.tables[0].rows] == ["nothing"]
    (note,) = part.notes
    assert note.startswith("FineTuning: the training loss became inf")
    with pytest.raises(FloatingPointError, match="the training loss became inf"):
        sb.auditing.repaired(known.net, known.clean, "FineTuning", device="cpu")


def test_a_move_that_has_no_time_is_told_too():
    case = made(frames=True).case
    case.clean  # noqa: B018 - answered before the time is up
    case.ends = case.budget.spent
    part = migrated(case)
    assert [row[1] for row in part.tables[0].rows][1:] == [None] * 6
    assert "cannot be seen, the time budget was used up" in part.notes[0]
