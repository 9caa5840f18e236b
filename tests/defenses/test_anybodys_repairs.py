"""Repairs of networks of any library do what they do to the same weights in our own neurons.

That every repair works, or is refused with a reason, is in `test_table`.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import snnbd_core as sb
from snnbd_core import defenses as D  # noqa: N812 - short, as it opens most lines
from snnbd_core.defenses.clamps import largest_currents
from snnbd_core.defenses.guarding import gaps
from snnbd_core.view import NotVisible
from tests.view.builders import STEPS, copy_weights, frames, matched

KINDS = ("snntorch", "snntorch-loop", "spikingjelly", "spikingjelly-step", "norse", "sinabs")
CLASSES, SAMPLES = 4, 40
GIVEN = {"seed": 0, "device": "cpu", "steps": STEPS}


def clean():
    """Noise of another strength for each class, as a torch data set."""
    sequence = frames(batch=SAMPLES, seed=1)
    labels = torch.arange(SAMPLES) % CLASSES
    batch = sequence.transpose(0, 1) * (1 + labels.reshape(-1, 1, 1, 1, 1))
    return TensorDataset(batch, labels)


def pair(kind, readout="linear", batch_norm=False):
    """The same weights in our own neurons and in a library's."""
    ours = matched("own", readout, classes=CLASSES, batch_norm=batch_norm).eval()
    theirs = matched(kind, readout, classes=CLASSES, batch_norm=batch_norm).eval()
    copy_weights(ours, theirs)
    return ours, theirs


def answers(net, seed=2):
    with torch.no_grad():
        return net(frames(batch=12, seed=seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "repair",
    [
        D.FinePruning(epochs=0),
        D.FinePruning(epochs=0, order="loud"),
        D.SuspiciousNeurons(epochs=0),
        D.ChannelLipschitz(u=0.5),
        D.Reestimated(),
        D.Mismatch(std=0.3),
        D.RandomThreshold(low=0.5, high=1.5),
    ],
    ids=repr,
)
def test_what_needs_no_gradient_is_done_as_in_our_own_neurons(repair, kind):
    batch_norm = isinstance(repair, D.ChannelLipschitz | D.Reestimated)
    ours, theirs = pair(kind, batch_norm=batch_norm)
    wanted, found = (repair.repair(net, clean(), **GIVEN) for net in (ours, theirs))
    torch.testing.assert_close(answers(found), answers(wanted), rtol=1e-4, atol=1e-4)
    assert not torch.equal(answers(wanted), answers(ours))
    if hasattr(repair, "choose"):
        choices = [repair.choose(net, clean(), **GIVEN) for net in (ours, theirs)]
        for one, other in zip(*(choice.keep for choice in choices), strict=True):
            assert torch.equal(one, other)
        for one, other in zip(*(choice.scores for choice in choices), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "norse"])  # it scales them
def test_currents_that_clean_samples_reach_are_those_of_our_own_neurons(kind):
    ours, theirs = pair(kind)
    for wanted, found in zip(
        *(largest_currents(net, frames(batch=20)) for net in (ours, theirs)), strict=True
    ):
        assert wanted.shape[0] == STEPS
        assert torch.equal(found, wanted)


def test_distances_to_the_threshold_are_those_of_the_potentials_before_the_reset():
    """snnTorch's and our own rule "snntorch" show potentials before the reset of a step."""
    import snntorch

    torch.manual_seed(0)
    current = 2 * torch.rand(STEPS, 5, 3)
    theirs = sb.adapt(snntorch.Leaky(0.5, threshold=0.7, init_hidden=True), layout="step")
    ours = sb.adapt(sb.LIF(0.5, 0.7))
    for wanted, found in zip(gaps(ours, current), gaps(theirs, current), strict=True):
        torch.testing.assert_close(found, wanted)
        assert bool((found > 0).any())


@pytest.mark.trains
@pytest.mark.parametrize("kind", ["snntorch", "spikingjelly", "norse", "sinabs", "relu"])
def test_repairs_that_train_lower_the_loss_on_clean_samples(kind):
    """Five seeds of the order of samples; the loss falls by more than a tenth in each."""
    net = matched(kind, "linear", classes=CLASSES)
    data = sb.data.as_set(clean())
    batch, labels = data.batch(np.arange(SAMPLES))

    def loss(one):
        with torch.no_grad():
            return float(
                nn.functional.mse_loss(
                    one(batch.transpose(0, 1)), nn.functional.one_hot(labels).float()
                )
            )

    for seed in range(5):
        tuned = D.FineTuning(epochs=5).repair(net, data, seed=seed, device="cpu")
        assert loss(tuned) < 0.9 * loss(net)


@pytest.mark.trains
@pytest.mark.parametrize("kind", ["snntorch", "spikingjelly"])
def test_a_pruned_channel_stays_silent_through_fine_tuning(kind):
    net = matched(kind, "rate", classes=CLASSES)
    repair = D.FinePruning(share=0.5, epochs=2)
    keep = repair.choose(net, clean(), **GIVEN).keep[-1]
    with_it = repair.repair(net, clean(), **GIVEN)
    view = sb.view(with_it, frames())
    with torch.no_grad(), view.read(view.hidden, "current") as currents:
        view(frames())
    assert not currents[-1][:, :, ~keep].any()
    assert bool(currents[-1][:, :, keep].any(dim=0).any(dim=0).all())


def test_a_network_that_has_just_run_with_gradients_is_copied_and_left_as_it_is():
    """What a run leaves in snnTorch's neurons hangs on a graph, which cannot be copied."""
    net = matched("snntorch", classes=CLASSES)
    before = copy.deepcopy(net.state_dict())
    net.net(frames()[0]).sum()  # outside of the contract: state stays behind
    D.FinePruning(epochs=0).repair(net, clean(), **GIVEN)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_list_of_samples_does_what_a_data_set_does():
    net = matched("snntorch", classes=CLASSES)
    wanted = D.FineTuning(epochs=1).repair(net, clean())
    found = D.FineTuning(epochs=1).repair(net, [(batch, np.int64(int(y))) for batch, y in clean()])
    assert torch.equal(answers(found), answers(wanted))


def test_a_relu_network_has_no_thresholds_to_guard():
    net = matched("relu", classes=CLASSES)
    for repair in (
        D.ThresholdGuarding(),
        D.PotentialClamps(),
        D.DetectedClamps(),
        D.Mismatch(),
        D.RandomThreshold(),
    ):
        with pytest.raises(NotVisible, match=r"does not show a (threshold|membrane potential)"):
            repair.repair(net, clean(), **GIVEN)


def test_settings_of_other_libraries_become_numbers_of_python():
    assert type(D.FineTuning(epochs=np.int64(2)).epochs) is int
    assert D.FinePruning(share=np.float32(0.1)) == D.FinePruning(share=0.1)
    assert type(D.PotentialClamps(suspected=torch.tensor(3)).suspected) is int
    for kind in D.REPAIRS.values():
        one = kind()
        assert all(
            type(value) in (int, float, str, bool, type(None)) for value in vars(one).values()
        )
