"""Networks that people bring are worked with as they are, or the reason why not is named."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune
from torch.utils.data import TensorDataset

import snnbd_core as sb
from snnbd_core import defenses
from snnbd_core.defenses import detectors
from snnbd_core.defenses.bench import covered, frozen
from snnbd_core.learning.ann import with_neurons
from snnbd_core.metrics.activity import measure
from snnbd_core.networks import Network
from snnbd_core.networks.layers import Folded

STEPS, CLASSES = 3, 3
GIVEN = {"seed": 0, "device": "cpu", "steps": STEPS}


class Net(nn.Module):
    """One hidden layer, a linear read-out."""

    def __init__(self, first=None):
        super().__init__()
        self.first = nn.Linear(8, 6) if first is None else first
        self.hidden, self.last = sb.LIF(0.5, 0.3), nn.Linear(6, CLASSES)

    def forward(self, sequence):
        return self.last(self.hidden(self.first(sequence.flatten(2)))).mean(0)


class Endless(Net):
    def forward(self, sequence):
        return super().forward(sequence) / 0


class Dropping(Net):
    def forward(self, sequence):
        return functional.dropout(super().forward(sequence), 0.5, training=True)


class Cut(Net):
    def forward(self, sequence):
        return super().forward(sequence.detach())


class Packed(nn.Module):
    """As quantised layers, it gives its weights by a method."""

    def weight(self):
        return torch.eye(8)[:6]

    def forward(self, rows):
        return rows @ self.weight().T


def seeded(kind, *given):
    torch.manual_seed(0)
    return kind(*given)


def chain(second, channels=8):
    """Convolutions from 2 channels to 8 and to so many, and a vote."""
    torch.manual_seed(0)
    last = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10 * CLASSES)
    layers = [(nn.Conv2d(2, 8, 3, padding=1),), (second,), last]
    parts = [part for layer in layers for part in (Folded(*layer), sb.LIF(0.5, 0.3))]
    return Network(parts, (2, 2, 2), CLASSES).eval()


def data():
    draw = torch.Generator().manual_seed(0)
    return TensorDataset(torch.rand(12, STEPS, 2, 2, 2, generator=draw), torch.arange(12) % CLASSES)


def test_a_network_in_double_precision_answers_as_in_single():
    single, double = seeded(Net), seeded(Net).double()
    sequence = torch.rand(STEPS, 5, 2, 2, 2)
    with torch.no_grad():
        assert torch.allclose(sb.view(double)(sequence).float(), sb.view(single)(sequence))
    assert sb.evaluate(double, data()) == sb.evaluate(single, data())
    sb.learning.train(double, data(), epochs=1, progress=False)
    defenses.OptimisedPruning(episodes=2, search=2).repair(double, data(), **GIVEN)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Net().bfloat16(), r"first.weight are torch.bfloat16: allowed is float32 or float64"),
        (Net(nn.LazyLinear(6)), r"first.weight have no shape yet; run the network once"),
        (Endless(), r"net gives logits that are NaN or infinite"),
        (Dropping(), r"net=Dropping answers the same batch differently the second time"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_defences_cannot_work_with_is_named(net, message):
    with pytest.raises(ValueError, match=message):
        defenses.Mismatch().repair(net, data(), **GIVEN)
    with pytest.raises(ValueError, match=message):
        detectors.Strip(overlays=2).score(net, data(), data(), **GIVEN)


class Remembering(Net):
    """It keeps its last hidden currents, as neurons keep states."""

    def forward(self, sequence):
        self.last_current = self.first(sequence.flatten(2))
        return super().forward(sequence)


def test_tensors_that_torch_cannot_copy_are_named_with_the_remedy():
    pruned, remembering = seeded(Net), seeded(Remembering)
    prune.l1_unstructured(pruned.first, "weight", 0.5)
    remembering(torch.rand(STEPS, 5, 2, 2, 2))
    for net, name in ((pruned, "first.weight"), (remembering, "last_current")):
        words = f"net={type(net).__name__} cannot be copied: '{name}' is computed from other"
        for work in (
            lambda net=net: defenses.FineTuning(epochs=1).repair(net, data(), **GIVEN),
            lambda net=net: with_neurons(net, nn.ReLU),
        ):
            with pytest.raises(ValueError, match=words):
                work()
    prune.remove(pruned.first, "weight")
    remembering.last_current = None
    for net in (pruned, remembering):
        with_neurons(net, nn.ReLU)
    defenses.FineTuning(epochs=1).repair(pruned, data(), **GIVEN)


def test_frozen_weights_are_named_where_they_are_to_be_trained():
    frozen = Net().requires_grad_(False)
    with pytest.raises(ValueError, match="net=Net has no weights to train"):
        sb.learning.train(frozen, data(), epochs=1, progress=False)
    with pytest.raises(ValueError, match="net=Net has no weights to train"):
        defenses.FineTuning(epochs=1).repair(frozen, data(), **GIVEN)
    with pytest.raises(ValueError, match="net=Net has no weights to train"):
        defenses.AttentionDistillation(epochs=1).repair(frozen, data(), **GIVEN)


class Functional(nn.Module):
    """Hidden neurons, and a read-out in weights that no module is called for."""

    input_shape = (2, 2, 2)

    def __init__(self, last=None, neurons=None):
        super().__init__()
        self.first, self.hidden = nn.Linear(8, 30), neurons or sb.LIF(0.5, 0.3)
        self.last = last or nn.Parameter(torch.randn(CLASSES, 30))

    def spikes(self, sequence):
        return self.hidden(self.first(sequence.flatten(2)))

    def forward(self, sequence):
        return functional.linear(self.spikes(sequence), self.last).mean(0)


class Uncalled(Functional):
    def __init__(self):
        super().__init__(nn.Linear(30, CLASSES))

    def forward(self, sequence):
        return functional.linear(self.spikes(sequence), self.last.weight).mean(0)


class Kept(Functional):
    """Its read-out is no parameter."""

    def __init__(self):
        super().__init__()
        del self.last
        self.register_buffer("last", torch.randn(CLASSES, 30))


class Own(nn.Module):
    """A dense layer of somebody's own."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(inputs, outputs))

    def forward(self, rows):
        return rows @ self.matrix


class Stepwise(Functional):
    """Its own dense layer is called in every step."""

    def __init__(self):
        super().__init__(Own(30, CLASSES), nn.ReLU())

    def forward(self, sequence):
        return sum(self.last(self.hidden(self.first(step.flatten(1)))) for step in sequence)


class Mixed(Packed):
    def weight(self):
        return torch.ones(6, 8)


class PackedLast(Net):
    """Its read-out is quantised, as far as can be seen."""

    def __init__(self):
        super().__init__(nn.Linear(8, 8))
        self.last = Mixed()


@pytest.mark.parametrize("kind", [Functional, Uncalled, Kept, Stepwise, PackedLast])
def test_hidden_neurons_are_not_taken_for_the_classes_where_the_readout_is_no_known_layer(kind):
    net = seeded(kind)
    before = {name: value for name, value in net.state_dict().items() if torch.is_tensor(value)}
    before = copy.deepcopy(before)
    view, sequence = sb.view(net, torch.rand(STEPS, 1, 2, 2, 2)), torch.rand(STEPS, 5, 2, 2, 2)
    assert view.readout is None
    assert [layer.name for layer in view.hidden] == ["hidden"]
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    if view.spiking:
        logits, potential = view.potentials(sequence)
        torch.testing.assert_close(potential, net(sequence)[None])
        torch.testing.assert_close(logits, net(sequence))


class Cluttered(nn.Module):
    """Neurons that are the classes, and matrices that are none of their business."""

    input_shape = (2, 2, 2)

    def __init__(self):
        super().__init__()
        self.embedding, self.spare = nn.Parameter(torch.rand(2, 2, 2)), nn.Linear(30, 5)
        self.first, self.own = Own(8, 6), nn.Parameter(torch.randn(30, 6))
        self.hidden, self.votes = sb.LIF(0.5, 0.3), sb.LIF(0.5, 0.3)
        self.scale = nn.Parameter(torch.rand(1, CLASSES))
        self.by_step = nn.Parameter(torch.rand(STEPS, 1, 1))
        self.register_buffer("same", torch.zeros(1, 6).expand(3, 6))
        self.register_buffer("few", torch.eye(3).to_sparse())
        self.register_buffer("order", torch.arange(30.0).reshape(1, 30))

    def forward(self, sequence):
        hidden = self.hidden(self.first((sequence + self.embedding).flatten(2)))
        current = functional.linear(hidden, self.own)[..., self.order[0].long()]
        votes = (self.by_step[: len(sequence)] * self.votes(current)).mean(0)
        return self.scale * votes.reshape(len(votes), CLASSES, -1).mean(2)


def test_matrices_that_mix_nothing_behind_the_last_neurons_hide_no_readout():
    view = sb.view(seeded(Cluttered))
    assert view.readout is view.layers[1]
    assert [layer.name for layer in view.hidden] == ["hidden"]


def test_a_graph_survives_a_look_at_the_readout():
    net, sequence = seeded(Functional), torch.rand(STEPS, 5, 2, 2, 2)
    net(sequence).square().sum().backward()
    wanted = net.last.grad.clone()
    net.zero_grad()
    logits = net(sequence)
    assert sb.view(net, sequence).readout is None
    logits.square().sum().backward()
    assert torch.equal(net.last.grad, wanted)


def test_a_network_that_cuts_gradients_is_not_called_clean():
    for detector in (
        detectors.NeuralCleanse(iterations=2, samples=4),
        detectors.BrainStimulation(iterations=2, samples=4, candidates=2),
        detectors.PotentialMargins(iterations=2, inputs=2),
    ):
        with pytest.raises(sb.NotVisible, match="a gradient down to its input"):
            detector.inspect(seeded(Cut), data(), **GIVEN)


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("told", [False, True])
def test_a_class_that_the_network_knows_and_samples_do_not_is_named(told, missing):
    """The last one too: a list of samples knows no larger class than its largest label."""
    net = seeded(Net)
    if told:
        net.classes = CLASSES
    fewer = [(sample, int(label)) for sample, label in data() if label != missing]
    for asked in (
        lambda: defenses.FinePruning(epochs=0).repair(net, fewer, **GIVEN),
        lambda: detectors.NeuralCleanse(iterations=1).inspect(net, fewer, **GIVEN),
        lambda: detectors.Strip(overlays=2).score(net, data(), fewer, **GIVEN),
    ):
        with pytest.raises(ValueError, match=f"none of class {missing}, and the network answers 3"):
            asked()
    defenses.Mismatch().repair(net, fewer, **GIVEN)  # looks at no sample


def test_asking_for_the_classes_draws_nothing_from_a_network():
    net = seeded(Net)
    noisy = defenses.RandomThreshold(low=0.5, high=1.5).repair(net, data(), **GIVEN)
    sequence = torch.rand(STEPS, 5, 2, 2, 2)
    with frozen(noisy, sb.data.as_set(data()), **GIVEN) as bench:
        wanted = copy.deepcopy(noisy)(sequence)
        assert torch.equal(covered(bench).net(sequence), wanted)


def test_operations_on_weights_that_are_not_seen_are_not_counted_as_none():
    with measure(Net(Packed())) as packed:
        pass
    assert packed.synops is None
    net = Net(Packed())
    assert sb.evaluate(net, data()).synops_clean is None


@pytest.mark.parametrize("suspected", [None, 1])
def test_a_clamped_network_can_be_trained_on(suspected):
    repair = defenses.PotentialClamps(iterations=1, suspected=suspected)
    repaired = repair.repair(seeded(Net), data(), **GIVEN)
    assert all(weight.requires_grad for weight in repaired.parameters())
    before = repaired.first.weight.clone()
    sb.learning.train(repaired, data(), epochs=1, progress=False)
    assert not torch.equal(repaired.first.weight, before)


def test_connections_of_grouped_convolutions_are_blocks_and_0_elsewhere():
    grouped = nn.Conv2d(8, 12, 2, groups=4)
    found = sb.view(chain(grouped, 12)).connections()[1]
    norms = grouped.weight.detach().flatten(2).norm(dim=2)  # [12, 2]: of the filter's own group
    wanted = torch.zeros(12, 8)
    for out in range(12):
        group = out // 3
        wanted[out, 2 * group : 2 * group + 2] = norms[out]
    torch.testing.assert_close(found, wanted)


def test_connections_of_transposed_convolutions_have_their_outputs_first():
    for groups in (1, 2):
        convolution = nn.ConvTranspose2d(8, 6, 2, groups=groups)
        found = sb.view(chain(convolution, 6)).connections()[1]
        pixel = torch.eye(8).reshape(8, 8, 1, 1)  # one input channel at a time
        with torch.no_grad():
            reached = nn.functional.conv_transpose2d(pixel, convolution.weight, groups=groups)
        torch.testing.assert_close(found, reached.flatten(2).norm(dim=2).T)


def test_suspicious_channels_of_a_depthwise_network_are_chosen_by_what_leaves_them():
    depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
    net = chain(depthwise)
    scores = defenses.SuspiciousNeurons(epochs=0).choose(net, data(), **GIVEN).scores
    assert [len(score) for score in scores] == [8, 8]
    with torch.no_grad():
        depthwise.weight[5] *= 100
    heavier = defenses.SuspiciousNeurons(epochs=0).choose(net, data(), **GIVEN).scores
    assert int(heavier[0].argmax()) == 5


def test_layers_that_take_more_than_the_layer_before_gives_are_no_chain():
    class Joined(nn.Module):
        input_shape = (2, 2, 2)

        def __init__(self):
            super().__init__()
            self.first, self.hidden = Folded(nn.Conv2d(2, 4, 1)), sb.LIF(0.5, 0.3)
            self.second, self.last = Folded(nn.Conv2d(8, 4, 1)), sb.LIF(0.5, 0.3)
            self.readout = Folded(nn.Flatten(), nn.Linear(16, CLASSES))

        def forward(self, sequence):
            spikes = self.hidden(self.first(sequence))
            return self.readout(self.last(self.second(torch.cat([spikes, spikes], 2)))).mean(0)

    with pytest.raises(sb.NotVisible, match=r"second.0 does not show one chain.* takes 8 channels"):
        sb.view(seeded(Joined)).connections()
