"""Neurons under torch.compile, torch.export and torch.func: one operator, the same numbers."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

import snnbd_core as sb
from snnbd_core.kernels import RESETS, UPDATES

pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]
SHAPE = (2, 12, 12)


@pytest.fixture(autouse=True)
def nothing_captured():
    """Each test captures by itself: torch counts how often a function was captured."""
    yield
    torch._dynamo.reset()


def frames(batch: int = 3, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full((4, batch, *SHAPE), 0.5), generator=draw)


def network(name: str = "quick-conv", seed: int = 0, shape=SHAPE) -> nn.Module:
    return sb.networks.build(name, shape, 3, seed=seed)


class Own(nn.Module):
    """A user's module, with settings that are learned."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with sb.networks.seeded(seed):
            self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 3)
        self.spiking = sb.LIF(0.6 + 0.1 * seed, 0.4, learn_beta=True, learn_threshold=True)
        self.readout = sb.ParametricLIF(threshold=0.3)

    def forward(self, sequence: Tensor) -> Tensor:
        out: Tensor = self.readout(self.second(self.spiking(self.first(sequence))))
        return out.mean(dim=0)


# torch.compile


@pytest.mark.parametrize("name", ["quick-conv", "quick-resnet", "nmnist-conv"])
def test_a_network_is_one_graph_with_the_same_bits(name):
    net = network(name).eval()
    captured = torch.compile(net, backend="eager", fullgraph=True)
    with torch.no_grad():
        assert torch.equal(captured(frames()), net(frames()))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_training_step_is_one_graph_with_the_same_bits(backend):
    nets = [network(), network()]
    optimisers = [torch.optim.Adam(net.parameters()) for net in nets]

    def loss(net: nn.Module, sequence: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(net(sequence), labels)

    captured = torch.compile(loss, backend=backend, fullgraph=True)
    for seed in range(3):
        labels = torch.tensor([0, 1, 2])
        for run, net, optimiser in zip((captured, loss), nets, optimisers, strict=True):
            optimiser.zero_grad()
            torch.autograd.backward(run(net, frames(seed=seed), labels))
            optimiser.step()
    for ours, plain in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(ours, plain)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_users_own_module_is_one_graph_whose_learned_settings_get_their_gradients(backend):
    sequence = torch.randn(6, 5, 8, generator=torch.Generator().manual_seed(0))
    nets = [Own(), Own()]
    captured = torch.compile(nets[0], backend=backend, fullgraph=True)
    for run in (captured, nets[1]):
        torch.autograd.backward((run(sequence) - 1).square().sum())
    assert nets[1].spiking.beta.grad.abs() > 0
    for (name, ours), plain in zip(nets[0].named_parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(ours.grad, plain.grad, msg=name)


def test_the_network_can_be_captured_under_autocast():
    net = network().eval()
    captured = torch.compile(net, backend="aot_eager", fullgraph=True)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(captured(frames()), net(frames()))


def test_the_potential_is_given_in_a_graph_too():
    layer, current = (
        sb.LIF(0.5, 0.7),
        torch.randn(5, 2, 9, generator=torch.Generator().manual_seed(0)),
    )
    captured = torch.compile(layer, backend="aot_eager", fullgraph=True)
    given = captured(current, return_potential=True)
    assert all(map(torch.equal, given, layer(current, return_potential=True)))


# torch.export


@pytest.mark.parametrize("strict", [True, False])
def test_an_exported_network_holds_one_operator_a_layer_and_takes_other_batches(strict):
    net = network().eval()
    batches = {1: torch.export.Dim("batch", min=2, max=64)}
    exported = torch.export.export(net, (frames(),), dynamic_shapes=(batches,), strict=strict)
    operators = [node for node in exported.graph.nodes if "snnbd.step" in str(node.target)]
    assert len(operators) == 3
    assert torch.equal(exported.module()(frames(7)), net(frames(7)))


# torch.func


def test_networks_of_several_seeds_run_as_one():
    nets, sequence = [network(seed=seed).eval() for seed in range(3)], frames()
    weights, buffers = stack_module_state(nets)

    def loss(weights, buffers):
        logits = functional_call(nets[0], (weights, buffers), (sequence,))
        return logits.square().sum(), logits

    gradients, logits = vmap(grad(loss, has_aux=True))(weights, buffers)
    for number, net in enumerate(nets):
        own = net(sequence)
        torch.autograd.backward(own.square().sum())
        torch.testing.assert_close(logits[number], own)
        for name, weight in net.named_parameters():
            torch.testing.assert_close(gradients[name][number], weight.grad, msg=name)


@pytest.mark.parametrize("over", [(0, None), (None, 0), (0, 0)], ids=["nets", "data", "both"])
def test_learned_settings_get_a_gradient_for_each_network(over):
    nets = [Own(seed) for seed in range(3)]
    sequences = torch.randn(3, 6, 5, 8, generator=torch.Generator().manual_seed(0))
    weights, _ = stack_module_state(nets)
    if over[0] is None:
        weights, nets = {name: value[0] for name, value in weights.items()}, [nets[0]] * 3
    if over[1] is None:
        sequences = sequences[:1].expand(3, -1, -1, -1)

    def loss(weights, sequence):
        return (functional_call(nets[0], weights, (sequence,)) - 1).square().sum()

    gradients = vmap(grad(loss), over)(weights, sequences if over[1] == 0 else sequences[0])
    for number, (net, sequence) in enumerate(zip(nets, sequences, strict=True)):
        net.zero_grad()
        torch.autograd.backward((net(sequence) - 1).square().sum())
        for name, weight in net.named_parameters():
            torch.testing.assert_close(
                gradients[name][number], weight.grad, rtol=1e-4, atol=1e-5, msg=name
            )


# torch's own checks of an operator: its shapes, strides, backward, and that it changes nothing


@pytest.mark.parametrize("kernel", ["cpu", "reference"])
@pytest.mark.parametrize(
    ("reset", "update", "potential", "dtype"),
    [
        (*rule, potential, dtype)
        for rule, (potential, dtype) in zip(
            itertools.product(RESETS, UPDATES),
            itertools.cycle(
                [(True, torch.float32), (False, torch.bfloat16), (True, torch.bfloat16)]
            ),
            strict=False,
        )
    ],
)
def test_torch_finds_no_fault_with_the_operator(reset, update, potential, dtype, kernel):
    pytest.importorskip("numba")
    current = torch.randn(4, 3, 5, 6, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    arranged = [
        current,
        current.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
        current[:1].expand(4, -1, -1, -1, -1),
    ]
    for layout, learns in zip(arranged, (True, False, True), strict=True):
        beta = torch.rand(5, 1, 1).requires_grad_(learns)
        torch.library.opcheck(
            torch.ops.snnbd.step.default,
            (
                layout.detach().requires_grad_(),
                beta,
                torch.tensor(0.7),
                kernel,
                reset,
                update,
                "atan",
                2.0,
                True,
                False,
                potential,
                [learns, False],
            ),
        )
