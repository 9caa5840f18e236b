"""The networks: layers as published, voting, folding of time, the ANN twin, errors."""

from __future__ import annotations

import pytest
import torch
from snntorch import spikegen
from spikingjelly.activation_based import functional as sj_functional
from spikingjelly.activation_based import neuron as sj_neuron
from spikingjelly.activation_based import surrogate as sj_surrogate
from spikingjelly.activation_based.model import parametric_lif_net
from torch import nn

from snnbd_core import networks
from snnbd_core.networks.layers import Gain, PoissonCode, Residual, SharedDropout
from snnbd_core.neurons import LIF, spiking_layers

PAPERS = {
    "nmnist-conv": (parametric_lif_net.NMNISTNet, (2, 34, 34), 10),
    "cifar10dvs-conv": (parametric_lif_net.CIFAR10DVSNet, (2, 128, 128), 10),
    "gesture-conv": (parametric_lif_net.DVSGestureNet, (2, 128, 128), 11),
}


def weights_of(net: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict without the settings of the neurons, which other networks do not have."""
    settings = (".beta", ".threshold")
    return {n: value for n, value in net.state_dict().items() if not n.endswith(settings)}


def frames(steps: int, batch: int, shape: tuple[int, int, int], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(steps, batch, *shape, generator=generator).mul(3).floor()


@pytest.mark.parametrize("name", PAPERS)
def test_paper_network_has_the_weights_of_its_authors_library(name):
    """SpikingJelly is by the authors of Fang et al. 2021, whose networks these are."""
    peer_class, shape, classes = PAPERS[name]
    with torch.device("meta"):
        peer = peer_class(channels=128, spiking_neuron=nn.Identity)
    ours = networks.build(name, shape, classes)
    assert [tuple(p.shape) for p in ours.parameters()] == [
        tuple(p.shape) for p in peer.parameters()
    ]


@pytest.mark.parametrize("training", [False, True])
def test_nmnist_network_computes_what_spikingjellys_does_with_the_same_weights(training):
    torch.manual_seed(0)
    peer = parametric_lif_net.NMNISTNet(
        channels=128,
        spiking_neuron=sj_neuron.LIFNode,
        tau=2.0,
        detach_reset=True,
        surrogate_function=sj_surrogate.ATan(2.0),
    )
    sj_functional.set_step_mode(peer, "m")
    for module in peer.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.5)  # torch's own start leaves the votes silent
    ours = networks.build(
        "nmnist-conv",
        (2, 34, 34),
        10,
        neuron=lambda: LIF(0.5, reset="zero", update="spikingjelly", decay_input=True),
    )
    ours.load_state_dict(dict(zip(weights_of(ours), peer.state_dict().values(), strict=True)))
    for net in (peer, ours):
        net.train(training).double()
        for module in net.modules():
            if type(module).__name__ in ("SharedDropout", "Dropout"):
                module.eval()  # its masks are random; tested apart
    x = 10 * frames(3, 2, (2, 34, 34)).double()
    expected = peer(x).mean(0)
    logits = ours(x)
    assert expected.max() > 0  # the comparison is not one of silent networks
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-12)


def test_the_papers_networks_lie_channels_last_and_give_what_they_gave_before():
    """Only the order of additions changes; weights load from networks that lie otherwise."""
    net = networks.build("nmnist-conv", (2, 34, 34), 10, seed=0).eval()
    plain = networks.build("nmnist-conv", (2, 34, 34), 10, seed=0).eval()
    for weight in plain.parameters():
        weight.data = weight.contiguous()
    layouts = []
    for layer in spiking_layers(net)[:2]:
        layer.register_forward_hook(lambda _, currents, __: layouts.append(currents[0]))
    plain.load_state_dict(net.state_dict())
    net.load_state_dict(plain.state_dict())
    weights = [one for one in net.parameters() if one.dim() == 4]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in weights)
    sequence = frames(4, 3, (2, 34, 34))
    with torch.no_grad():
        ours, theirs = net(sequence), plain(sequence)
    for current in layouts:
        assert current.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert len(layouts) == 2
    assert (ours - theirs).abs().max() <= 1 / 40  # of 40 votes for a class, one may round away
    small = networks.build("quick-conv", (2, 34, 34), 10).parameters()
    assert all(one.is_contiguous() for one in small)


def test_dropout_drops_the_same_units_at_all_time_steps():
    dropout = SharedDropout(0.5)
    torch.manual_seed(0)
    out = dropout(torch.ones(5, 40, 50))
    assert all(torch.equal(out[t], out[0]) for t in range(5))
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert 0.45 < (out[0] == 0).float().mean() < 0.55
    assert torch.equal(dropout.eval()(out), out)


def test_logits_are_the_mean_of_ten_voters_over_time():
    layer = nn.Flatten(2)
    net = networks.Network([layer], (20, 1, 1), classes=2)
    votes = frames(4, 3, (20, 1, 1))
    expected = torch.stack(
        [votes[:, :, :10].mean((0, 2, 3, 4)), votes[:, :, 10:].mean((0, 2, 3, 4))]
    )
    torch.testing.assert_close(net(votes), expected.T)


@pytest.mark.parametrize("name", networks.NAMES)
def test_ann_twin_has_the_same_weights_and_takes_those_of_the_spiking_network(name):
    shape = (2, 34, 34)
    spiking = networks.build(name, shape, 10)
    twin = networks.build(name, shape, 10, neuron=nn.ReLU)
    twin.load_state_dict(weights_of(spiking))
    assert [(n, p.shape) for n, p in twin.named_parameters()] == [
        (n, p.shape) for n, p in spiking.named_parameters()
    ]
    assert spiking_layers(twin) == []


def test_ann_twin_sees_frame_by_frame():
    twin = networks.build("quick-conv", (2, 34, 34), 10, neuron=nn.ReLU, seed=0).eval()
    x = frames(4, 3, (2, 34, 34))
    each = torch.stack([twin(x[t : t + 1]) for t in range(4)]).mean(0)
    torch.testing.assert_close(twin(x), each)
    torch.testing.assert_close(twin(x), twin(x.flip(0)))


@pytest.mark.parametrize("neuron", [LIF, nn.ReLU])
@pytest.mark.parametrize("training", [False, True])
def test_a_static_image_repeated_without_copies_gives_what_its_copies_give(neuron, training):
    net = networks.build("quick-conv", (1, 28, 28), 10, neuron=neuron, seed=1).train(training)
    image = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    repeated = image.expand(6, *image.shape)
    torch.testing.assert_close(net(repeated), net(repeated.clone()))


@pytest.mark.parametrize("name", networks.NAMES)
def test_a_seed_fixes_the_weights_and_leaves_torchs_random_state_alone(name):
    before = torch.get_rng_state()
    first, second, other = (
        networks.build(name, (2, 34, 34), 3, seed=seed).state_dict() for seed in (5, 5, 6)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_twin_and_spiking_network_of_one_seed_start_from_the_same_weights():
    spiking = networks.build("quick-conv", (2, 34, 34), 10, seed=3).state_dict()
    twin = networks.build("quick-conv", (2, 34, 34), 10, neuron=nn.ReLU, seed=3).state_dict()
    assert all(torch.equal(spiking[key], twin[key]) for key in twin)


@pytest.mark.parametrize("shape", [(2, 34, 34), (1, 28, 28), (1, 8, 8), (3, 32, 32), (2, 16, 20)])
def test_quick_network_adapts_to_the_input_and_every_weight_gets_a_gradient(shape):
    net = networks.build("quick-conv", shape, 7, seed=0)
    logits = net(10 * frames(5, 4, shape))
    assert logits.shape == (4, 7)
    (logits - 1).square().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_logits_of_half_precision_votes_are_float32():
    net = networks.build("quick-conv", (1, 8, 8), 10, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(frames(4, 2, (1, 8, 8))).dtype == torch.float32


def test_an_unknown_name_lists_the_names():
    with pytest.raises(ValueError, match=r"name='resnet' .* nmnist-conv, cifar10dvs-conv, gesture"):
        networks.build("resnet", (2, 34, 34), 10)


@pytest.mark.parametrize(
    ("name", "shape", "least"),
    [
        ("nmnist-conv", (2, 3, 34), 4),
        ("cifar10dvs-conv", (2, 128, 15), 16),
        ("gesture-conv", (2, 31, 31), 32),
    ],
)
def test_an_input_too_small_for_the_pooling_is_refused(name, shape, least):
    with pytest.raises(ValueError, match=rf"too small for {name}: .* at least {least} pixels"):
        networks.build(name, shape, 10)


@pytest.mark.parametrize("shape", [(34, 34), (2, 0, 34), (2, 34.0, 34), (-2, 34, 34)])
def test_an_input_shape_that_is_not_three_sizes_is_refused(shape):
    with pytest.raises(ValueError, match=r"input_shape=.* must be \(C, H, W\), each >= 1"):
        networks.build("quick-conv", shape, 10)


def test_fewer_than_one_class_is_refused():
    with pytest.raises(ValueError, match="classes=0 must be a whole number"):
        networks.build("quick-conv", (2, 34, 34), 0)


@pytest.mark.parametrize(
    "shape", [(2, 34, 34), (3, 2, 34, 34), (3, 2, 2, 34, 33), (3, 2, 1, 34, 34)]
)
def test_a_sequence_of_another_shape_is_refused(shape):
    net = networks.build("quick-conv", (2, 34, 34), 10)
    with pytest.raises(ValueError, match=r"must be \[T, B, 2, 34, 34\]"):
        net(torch.zeros(shape))


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("vgg16", 14_714_688 - 4_224),  # torchvision's features of VGG-16 without their biases
        ("vgg11", 9_220_480 - 2_752),
        (
            "resnet18",
            11_173_962 - 5_130,
        ),  # the usual ResNet-18 for CIFAR-10 without its dense layer
    ],
)
def test_deep_networks_have_the_weights_of_the_published_ones(name, weights):
    net = networks.build(name, (3, 32, 32), 10)
    found = sum(p.numel() for p in net.parameters()) - 512 * 100 - 100
    norms = sum(p.numel() for p in net.parameters() if p.dim() == 1) - 100
    assert found - (norms if "vgg" in name else 0) == weights


def test_resnet19_gives_rates_and_a_block_adds_its_shortcut():
    net = networks.build("resnet19", (3, 16, 16), 10, seed=0).eval()
    with torch.no_grad():
        votes = net(torch.rand(2, 1, 3, 16, 16))
    assert votes.shape == (1, 10)
    block = Residual(nn.Sequential(nn.Identity()), Gain(), nn.ReLU())
    assert torch.equal(block(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 4.0]))


def test_poisson_code_spikes_at_the_rate_of_the_pixel_and_repeats_when_evaluating():
    values = torch.rand(1, 4, 1, 3, 3).expand(2000, -1, -1, -1, -1)
    code = PoissonCode()
    spikes = code(values)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    peer = spikegen.rate(values[0], num_steps=2000)
    for drawn in (spikes, peer):
        torch.testing.assert_close(drawn.mean(dim=0), values[0], atol=0.06, rtol=0)
    code.eval()
    assert torch.equal(code(values), code(values))
    with pytest.raises(ValueError, match=r"allowed is 0\.\.1"):
        code(values + 1)


def test_poisson_spikes_pass_the_gradient_of_their_expectation():
    image = torch.rand(1, 2, 1, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    spikes = PoissonCode().eval()(image.expand(5, *image.shape[1:]))
    assert set(spikes.detach().unique().tolist()) == {0.0, 1.0}
    torch.autograd.backward(spikes.sum())
    assert torch.equal(image.grad, torch.full_like(image, 5.0))


def test_a_coded_network_reads_spikes_or_clipped_or_divided_counts():
    net = networks.build("quick-conv", (1, 8, 8), 10, seed=0, coding="poisson").eval()
    image = torch.rand(2, 1, 8, 8)
    direct = networks.build("quick-conv", (1, 8, 8), 10, seed=0).eval()
    sequence = image.expand(4, *image.shape)
    assert torch.equal(net(sequence), direct(net.encoder(sequence)))
    counts = torch.randint(0, 4, (4, 2, 1, 8, 8)).float()
    clipped = networks.build("quick-conv", (1, 8, 8), 10, seed=0, coding="clipped").eval()
    assert counts.max() > 1
    assert torch.equal(clipped(counts), direct((counts > 0).float()))
    counts[:, 1] = 0
    scaled = networks.build("quick-conv", (1, 8, 8), 10, seed=0, coding="scaled").eval()
    assert torch.equal(scaled(counts), direct(counts / 3))
    assert torch.equal(scaled(7 * counts), scaled(counts))
    with pytest.raises(ValueError, match="coding='rank'"):
        networks.build("quick-conv", (1, 8, 8), 10, coding="rank")


@pytest.mark.parametrize("name", networks.NAMES)
def test_half_the_width_halves_every_layer_but_the_input_and_the_vote(name):
    whole, half = (
        networks.build(name, (3, 32, 32), 10, seed=0, width=width) for width in (1.0, 0.5)
    )
    pairs = list(zip(whole.modules(), half.modules(), strict=True))
    convolutions = [(a, b) for a, b in pairs if isinstance(a, nn.Conv2d)]
    assert all(b.out_channels * 2 == a.out_channels for a, b in convolutions)
    dense = [(a, b) for a, b in pairs if isinstance(a, nn.Linear)]
    assert dense[-1][1].out_features == dense[-1][0].out_features == 100
    assert all(b.out_features * 2 == a.out_features for a, b in dense[:-1])
    assert half(torch.rand(2, 1, 3, 32, 32)).shape == (1, 10)


def test_the_whole_width_is_the_published_network_to_the_bit():
    for name in ("quick-conv", "vgg11"):
        one, other = (
            networks.build(name, (3, 32, 32), 10, seed=3, **more) for more in ({}, {"width": 1})
        )
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)


def test_a_width_that_leaves_no_channel_leaves_one_and_a_bad_one_is_refused():
    net = networks.build("quick-conv", (2, 34, 34), 10, width=0.001)
    assert next(m for m in net.modules() if isinstance(m, nn.Conv2d)).out_channels == 1
    for width in (0, -1.0, float("nan"), "wide"):
        with pytest.raises(ValueError, match="width="):
            networks.build("quick-conv", (2, 34, 34), 10, width=width)
