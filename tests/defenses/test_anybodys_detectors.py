"""Every detector on networks of every library, and that it finds there what it finds in ours."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import snnbd_core as sb
from snnbd_core.data import as_set
from snnbd_core.defenses import detectors
from snnbd_core.view import NotVisible, View
from tests.view import builders

CLASSES = 5
OURS, RELU = "own", "relu-folded"
FOREIGN = ("snntorch", "spikingjelly", "norse", "sinabs")
QUICK = {
    "NeuralCleanse": {"iterations": 15, "samples": 6},
    "BrainStimulation": {"iterations": 3, "samples": 6, "candidates": 2},
    "PotentialMargins": {"iterations": 3, "frames": 6, "inputs": 2},
    "NoiseResponse": {"frames": 6, "inputs": 8},
    "Beatrix": {"orders": 2},
    "Strip": {"overlays": 3},
    "ActivationClustering": {"components": 3},
    "Spectre": {"components": 1},
}
FOLLOWED = ("NeuralCleanse", "BrainStimulation", "PotentialMargins")  # along gradients
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


def samples(count: int, seed: int = 0) -> list[tuple[torch.Tensor, int]]:
    """Frames [6, 2, 12, 12] whose label is the place of a bright column."""
    draw, found = np.random.default_rng(seed), []
    for number in range(count):
        label = number % CLASSES
        frames = draw.poisson(0.1, (6, *builders.SHAPE)).astype(np.float32)
        frames[:, 1, 1:9, 2 * label : 2 * label + 3] += draw.poisson(1.0, (6, 8, 3))
        found.append((torch.from_numpy(frames), label))
    return found


CLEAN, ASKED = samples(40), samples(10, seed=1)


def built(kind: str, planted: bool = True) -> nn.Module:
    """A network that reads the columns; planted, it answers 0 to events in the last corner."""
    net = builders.matched(kind, "linear", classes=CLASSES)
    layers = builders.weighted(net)
    conv, hidden, readout = (layer.weight.data.zero_() for layer in layers)
    for layer in layers:
        layer.bias.data.zero_()
    conv[0, 1] = 1 / 16  # spikes for 12 events in 3 x 3 pixels
    conv[1, 1, 1, 1] = 1 / 2
    places = hidden.view(builders.HIDDEN, 8, 10, 10)
    places[0, 0, 9, 9] = 1.0
    for label in range(CLASSES):
        for size, unit in enumerate(range(1 + label, 1 + label + 3 * CLASSES, CLASSES)):
            places[unit, 1, :8, 2 * label] = 1 / 4 / 2**size
            readout[label, unit] = 1 + label / 16
    readout[0, 0] = 4.0 if planted else 0.0
    for module in net.modules():
        if isinstance(module, sb.LIF):  # the other libraries' gradients pass the reset
            module.rule = dataclasses.replace(module.rule, detach=False)
    return net


def found(name: str, net: nn.Module, **settings: object) -> np.ndarray:
    """What a detector says of samples [N], or score and values of its verdict."""
    detector = detectors.DETECTORS[name](**{**QUICK.get(name, {}), **settings})
    if name in detectors.MODELS:
        verdict = detector.inspect(net, CLEAN, seed=0, device="cpu")
        return np.array([verdict.score, *verdict.values])
    if name in detectors.INPUTS:
        return np.asarray(detector.score(net, ASKED, CLEAN, seed=0, device="cpu"))
    return np.asarray(detector.score(net, CLEAN, seed=0, device="cpu"))


def test_the_networks_read_the_columns_and_the_planted_ones_the_patch() -> None:
    data = as_set(CLEAN)
    frames, labels = data.batch(np.arange(len(data)))
    patched = frames.clone()
    patched[:, :, 1, 9:, 9:] = 3.0
    for kind in (OURS, *FOREIGN):
        net, clean = built(kind), built(kind, planted=False)
        answers = [
            View(one)(batch.transpose(0, 1)).argmax(dim=1)
            for one, batch in ((net, frames), (net, patched), (clean, patched))
        ]
        assert torch.equal(answers[0], labels)
        assert not answers[1].any()
        assert torch.equal(answers[2], labels)


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", [name for name in detectors.DETECTORS if name not in FOLLOWED])
def test_a_detector_says_the_same_of_equal_weights_in_another_library(name, kind) -> None:
    np.testing.assert_allclose(found(name, built(kind)), found(name, built(OURS)), rtol=1e-5)


@pytest.mark.parametrize("kind", ["snntorch", "spikingjelly"])
@pytest.mark.parametrize("name", ["NeuralCleanse", "PotentialMargins"])
def test_a_search_by_equal_gradients_finds_the_same_in_another_library(name, kind) -> None:
    """Not a bit differs over seeds 0..4; five of five masks are found."""
    theirs, ours = found(name, built(kind)), found(name, built(OURS))
    assert (ours[1:] < builders.SHAPE[1] * builders.SHAPE[2]).all()
    np.testing.assert_allclose(theirs, ours, rtol=1e-3)


@pytest.mark.parametrize("kind", ["snntorch", "spikingjelly", "sinabs"])
def test_a_driven_channel_has_the_same_votes_in_another_library(kind) -> None:
    levels, judge = [0.5, 1.5, 3.0], detectors.BrainStimulation(samples=6)
    ours, theirs = (judge.curve(built(one), CLEAN, 0, levels, seed=0) for one in (OURS, kind))
    assert theirs[0] == ours[0]
    assert (ours[0].layer, ours[0].channel, ours[0].target) == (0, 0, 0)
    assert ours[1][:, 0].tolist() == [0.0, 4.0, 4.0]  # all or nothing, times the weight
    torch.testing.assert_close(theirs[1], ours[1])


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", ["Beatrix", "Spectre"])
def test_potentials_of_a_rate_read_out_are_the_same_in_another_library(name, kind) -> None:
    theirs, ours = (
        found(name, builders.matched(one, "rate", classes=CLASSES), of="potentials")
        for one in (kind, OURS)
    )
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [OURS, *FOREIGN])
def test_a_planted_patch_is_found_whatever_the_library(kind) -> None:
    """Margins saturate: 6.5 for the patch, 2.5 to 3.1 for columns; so do the patches' shares."""
    margins = detectors.PotentialMargins(iterations=30, frames=6)
    stimulation = detectors.BrainStimulation(iterations=20, samples=10, candidates=3, size=0.1)
    accused, cleared = (margins.inspect(built(kind, planted), CLEAN) for planted in (True, False))
    assert accused.backdoored
    assert accused.target == 0
    assert not cleared.backdoored
    planted, clean = (stimulation.inspect(built(kind, planted), CLEAN) for planted in (True, False))
    assert planted.values[0] > 0.9
    assert clean.values[0] < 0.1


@pytest.mark.parametrize("name", list(detectors.DETECTORS))
def test_an_ann_shows_all_but_potentials_and_neuron_settings(name) -> None:
    net = built(RELU)
    if name in ("PotentialMargins", "HyperParameters", "Voltage"):
        with pytest.raises(NotVisible, match="net=Adapted does not show a"):
            found(name, net)
    else:
        assert np.isfinite(found(name, net)).all()


class Bare(nn.Module):
    """A network without any layer of neurons that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(288, CLASSES)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(sequence.flatten(2))).mean(0)


@pytest.mark.parametrize("name", list(detectors.DETECTORS))
def test_a_network_without_neurons_is_asked_for_its_answers_alone(name) -> None:
    net = Bare()
    if name in ("NeuralCleanse", "NoiseResponse", "Strip"):
        assert np.isfinite(found(name, net)).all()
    else:
        with pytest.raises(NotVisible, match="net=Bare does not show"):
            found(name, net)


def test_data_free_detectors_take_the_shape_from_samples_or_say_what_they_need() -> None:
    net = built("snntorch")
    told = detectors.NoiseResponse(frames=6).inspect(net, seed=0)
    net.input_shape = net.classes = None
    shown = detectors.NoiseResponse(frames=6).inspect(net, CLEAN, seed=0)
    assert told == shown
    assert detectors.NoiseResponse().inspect(net, CLEAN, seed=0) == shown  # of the samples' own T
    for detector in (detectors.NoiseResponse(), detectors.PotentialMargins()):
        with pytest.raises(NotVisible, match="its input shape: needed are samples, or adapt"):
            detector.inspect(net)


@pytest.mark.parametrize("kind", [OURS, *FOREIGN])
def test_a_changed_threshold_is_seen_against_the_card_whatever_the_library(kind) -> None:
    net = built(kind)
    published = detectors.card(net)
    np.testing.assert_allclose([row[1:] for row in published], [[0.7, 0.5]] * 2, rtol=1e-6)
    judge = detectors.HyperParameters(expected=published)
    with sb.override(net, threshold=0.84):
        assert judge.inspect(net).score == pytest.approx(0.2, rel=1e-5)
    assert not judge.inspect(net).backdoored


@pytest.mark.parametrize("kind", [OURS, *FOREIGN, RELU])
def test_a_network_is_left_as_it_was(kind) -> None:
    net = built(kind).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    learnt = [weight.requires_grad for weight in net.parameters()]
    for name in ("NeuralCleanse", "BrainStimulation", "NoiseResponse", "SpectralSignatures"):
        found(name, net)
    after = net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert net.training
    assert [weight.requires_grad for weight in net.parameters()] == learnt
    assert not any(
        module._forward_hooks or module._forward_pre_hooks
        for module in net.modules()
        if not isinstance(module, sb.LIF)
    )
