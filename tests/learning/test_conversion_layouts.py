"""Conversion of other people's networks: linear read-outs, nn.Sequential, shared layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnbd_core import learning, networks
from snnbd_core.learning import convert
from snnbd_core.networks import Network
from snnbd_core.networks.layers import Folded
from snnbd_core.neurons import spiking_layers

STEPS = 64


class Images:
    """64 random images of 1x4x4, as a calibration set."""

    input_shape = (1, 4, 4)
    classes = 3

    def __init__(self, count: int = 64) -> None:
        self.x = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(0))
        self.labels = np.arange(count) % 3

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, rows) -> tuple[Tensor, Tensor]:
        return self.x[rows], torch.from_numpy(self.labels[rows])

    def subset(self, rows) -> Images:
        out = Images(0)
        out.x, out.labels = self.x[rows], self.labels[rows]
        return out


def seeded(*layers: nn.Module, scale: float = 1.0) -> nn.Sequential:
    """The layers with weights from a seed; those of dense layers scaled."""
    draw = torch.Generator().manual_seed(1)
    net = nn.Sequential(*layers)
    with torch.no_grad():
        for name, weight in sorted(net.named_parameters()):
            weight.copy_(
                torch.randn(weight.shape, generator=draw) * (scale if "weight" in name else 0.1)
            )
    return net.eval()


def answers(net: nn.Module) -> Tensor:
    """Logits for all images, of a spiking network over 64 steps."""
    images = Images().x
    with torch.no_grad():
        return net(images.expand(STEPS, *images.shape) if isinstance(net, Network) else images)


@pytest.mark.parametrize("scale", [0.05, 1.0, 20.0])
def test_a_linear_read_out_gives_the_anns_logits_up_to_half_a_spike(scale):
    """A rate is its activation within half a spike: |error| <= sum |w| lambda / (2 T)."""
    ann = seeded(nn.Flatten(), nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 3), scale=scale)
    snn = convert(ann, Images(), normalisation="max")
    with torch.no_grad():
        largest = ann[:3](Images().x).max()
        bound = ann[3].weight.abs().sum(dim=1) * largest / (2 * STEPS)
    assert bool(((answers(snn) - answers(ann)).abs() <= bound * 1.01 + 1e-5).all())


def test_a_networks_linear_read_out_is_converted_as_that_of_a_sequential():
    ann = seeded(nn.Flatten(), nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 3))
    ours = Network([Folded(ann[0], ann[1]), nn.ReLU(), Folded(ann[3])], (1, 4, 4), 3, voters=1)
    images = Images()
    assert torch.equal(answers(convert(ours.eval(), images)), answers(convert(ann, images)))


def test_layers_that_are_used_twice_are_converted_as_two():
    relu, dense = nn.ReLU(), nn.Linear(20, 20)
    shared = seeded(
        nn.Flatten(), nn.Linear(16, 20), relu, dense, relu, dense, relu, nn.Linear(20, 3)
    )
    apart = nn.Sequential(
        shared[0],
        shared[1],
        nn.ReLU(),
        nn.Linear(20, 20),
        nn.ReLU(),
        nn.Linear(20, 20),
        nn.ReLU(),
        shared[7],
    )
    apart[3].load_state_dict(dense.state_dict())
    apart[5].load_state_dict(dense.state_dict())
    apart[5].weight = apart[3].weight  # one weight in two layers
    converted = convert(shared, Images())
    assert len(spiking_layers(converted)) == 3
    assert torch.equal(answers(converted), answers(convert(apart, Images())))
    assert (answers(converted) - answers(shared)).abs().max() < 0.2 * answers(shared).abs().max()


def test_layers_without_a_relu_between_them_keep_their_product():
    ann = seeded(nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 20), nn.ReLU(), nn.Linear(20, 3))
    one = nn.Sequential(nn.Flatten(), nn.Linear(16, 20), nn.ReLU(), ann[4])
    with torch.no_grad():
        one[1].weight.copy_(ann[2].weight @ ann[1].weight)
        one[1].bias.copy_(ann[2].weight @ ann[1].bias + ann[2].bias)
    twice, once = (answers(convert(net, Images())) for net in (ann, one))
    # rounding moves a spike now and then
    assert (twice - once).abs().mean() < 0.01 * once.abs().mean()


def test_batch_norm_is_folded_into_convolutions_and_dense_layers():
    ann = seeded(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(16, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )
    for norm in (ann[1], ann[7]):
        norm.running_mean.copy_(torch.linspace(-0.2, 0.2, norm.num_features))
        norm.running_var.copy_(torch.linspace(0.5, 2, norm.num_features))
    before = {name: value.clone() for name, value in ann.state_dict().items()}
    snn = convert(ann, Images())
    assert not any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in snn.modules())
    assert (answers(snn) - answers(ann)).abs().mean() < 0.1 * answers(ann).abs().mean()
    assert all(torch.equal(before[name], value) for name, value in ann.state_dict().items())


def test_an_ann_that_was_left_training_is_converted_as_it_is_and_not_changed():
    dense = (nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    ann = seeded(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.ReLU(), nn.Flatten(), *dense)
    wanted = answers(convert(ann, Images()))
    ann.train()[1].eval()
    before = {name: value.clone() for name, value in ann.state_dict().items()}
    assert torch.equal(answers(convert(ann, Images())), wanted)
    assert all(torch.equal(before[name], value) for name, value in ann.state_dict().items())
    assert [layer.training for layer in ann] == [True, False, *[True] * 6]


class Squared(nn.ReLU):
    def forward(self, current: Tensor) -> Tensor:
        return super().forward(current) ** 2


class Doubled(nn.Linear):
    def forward(self, current: Tensor) -> Tensor:
        return 2 * super().forward(current)


class Shortcut(nn.Sequential):
    """Not the chain of its layers."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + 5 * images.flatten(1)[:, :3]


@pytest.mark.parametrize(
    ("ann", "message"),
    [
        (
            Shortcut(nn.Flatten(), nn.Linear(16, 9), nn.ReLU(), nn.Linear(9, 3)),
            "ann=Shortcut does not answer as the chain of its layers does",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2), nn.Flatten()),
            r"layer 2\.0 \(BatchNorm2d.* follows no layer of weights",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Sigmoid()),
            r"layer 2 \(Sigmoid\) cannot be converted",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(16, 9), Squared(), nn.Linear(9, 3)),
            r"layer 2 \(Squared\) cannot be converted: .* none with a forward of its own",
        ),
        (
            nn.Sequential(nn.Flatten(), Doubled(16, 9), nn.ReLU(), nn.Linear(9, 3)),
            r"layer 1 \(Doubled\) cannot be converted",
        ),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), "has no ReLU: nothing would spike"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), r"ann gives \[1, 2, 2, 2\] for one image"),
    ],
)
def test_what_cannot_be_converted_rightly_is_refused(ann, message):
    with pytest.raises(ValueError, match=message):
        convert(ann, Images())


def test_a_relu_that_no_weights_can_scale_is_refused():
    ann = seeded(nn.Flatten(), nn.ReLU(), nn.Linear(16, 3))
    bright = Images()
    convert(ann, bright)  # pixels in 0..1 are rates
    bright.x = 3 * bright.x[:, None]  # frames, whose counts may be above 1
    with pytest.raises(ValueError, match=r"a ReLU reads values up to .* that no weights before it"):
        convert(ann, bright)


def test_hybrid_is_conversion_and_then_training():
    ann = seeded(nn.Flatten(), nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 3))
    settings = {"epochs": 1, "device": "cpu", "progress": False, "steps": 4}
    tuned = learning.hybrid(ann, Images(), seed=3, **settings)
    rows = np.random.default_rng(3).permutation(64)
    by_hand = convert(ann, Images().subset(rows))
    learning.train(by_hand, Images(), seed=3, learning_rate=5e-4, **settings)
    assert torch.equal(answers(tuned), answers(by_hand))


def test_spike_representation_trains_a_network_in_place_as_the_rule_does():
    net = networks.build("quick-conv", (1, 4, 4), 3, seed=0)
    history = learning.train_spike_representation(
        net, Images(), epochs=2, seed=1, device="cpu", progress=False
    )
    built = networks.build("quick-conv", (1, 4, 4), 3, seed=0)
    task = learning.Task.of(built, Images(), epochs=2, seed=1, device="cpu")
    fitted = learning.SpikeRepresentation().fit(task)
    assert history.loss == fitted.history.loss
    assert torch.equal(answers(net), answers(fitted.net))
    with pytest.raises(ValueError, match="net=Linear has no LIF, IF or ReLU layer"):
        learning.train_spike_representation(nn.Linear(2, 2), Images())
