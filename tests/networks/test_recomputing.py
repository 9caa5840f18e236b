"""Networks that run their layers again in backward give the very bits of those that do not."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from snnbd_core import networks
from snnbd_core.neurons import LIF
from snnbd_core.view import override

SHAPE = (2, 16, 16)
Neuron = Callable[[], nn.Module]


def twins(name: str, neuron: Neuron = LIF) -> tuple[networks.Network, networks.Network]:
    """A network as it is, and one of the same weights that recomputes."""
    plain, again = (networks.build(name, SHAPE, 3, neuron, seed=0).train() for _ in range(2))
    again.recompute = True
    return plain, again


def step(net: networks.Network, **overridden: float) -> list[Tensor]:
    """Logits, gradients and what batch norms hold after a step, backward beyond the override."""
    frames = torch.poisson(
        torch.full((4, 3, *SHAPE), 0.3), generator=torch.Generator().manual_seed(1)
    )
    torch.manual_seed(2)  # of dropout
    if overridden:
        with override(net, **overridden):
            logits = net(frames)
    else:
        logits = net(frames)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    gradients = [weight.grad for weight in net.parameters()]
    return [logits, *gradients, *net.buffers()]


@pytest.mark.parametrize("neuron", [LIF, nn.ReLU])
@pytest.mark.parametrize("name", ["quick-conv", "nmnist-conv", "quick-resnet"])
def test_logits_gradients_and_statistics_have_the_same_bits(name: str, neuron: Neuron) -> None:
    plain, again = twins(name, neuron)
    assert all(map(torch.equal, step(plain), step(again)))


def test_backward_sees_the_neurons_that_forward_saw() -> None:
    plain, again = twins("quick-conv")
    usual = step(plain)
    plain, again = twins("quick-conv")
    expected = step(plain, threshold=0.5, beta=0.7)
    assert not torch.equal(expected[1], usual[1])
    assert all(map(torch.equal, expected, step(again, threshold=0.5, beta=0.7)))
    layers = [layer for layer in again.modules() if isinstance(layer, LIF)]
    assert not any(layer._overrides for layer in layers)


def test_backward_runs_as_often_as_it_is_asked_for() -> None:
    gradients = []
    for net in twins("quick-conv"):
        frames = torch.ones(4, 3, *SHAPE, requires_grad=True)
        logits = net(frames)
        gradients.append(
            [torch.autograd.grad(logits[:, one].sum(), frames, retain_graph=True) for one in (0, 1)]
        )
    for expected, again in zip(*gradients, strict=True):
        assert torch.equal(expected[0], again[0])
    assert not torch.equal(gradients[0][0][0], gradients[0][1][0])


def test_backward_runs_in_the_mode_that_forward_ran_in() -> None:
    results = []
    for net in twins("quick-conv"):
        frames = torch.rand(4, 3, *SHAPE, generator=torch.Generator().manual_seed(3))
        norm = next(one for one in net.modules() if isinstance(one, nn.BatchNorm2d)).eval()
        logits = net(frames)
        norm.train()
        logits.square().sum().backward()
        assert norm.training
        results.append([weight.grad for weight in net.parameters()] + list(net.buffers()))
    assert all(map(torch.equal, *results))


def change_a_weight(net: networks.Network) -> None:
    with torch.no_grad():
        next(net.parameters()).mul_(1.5)


def move_held_statistics(net: networks.Network) -> None:
    norm = next(one for one in net.modules() if isinstance(one, nn.BatchNorm2d))
    norm.running_mean.add_(1.0)


@pytest.mark.parametrize("change", [change_a_weight, move_held_statistics])
def test_what_changed_since_forward_is_an_error_not_a_wrong_gradient(
    change: Callable[[networks.Network], None],
) -> None:
    _, again = twins("quick-conv")
    next(one for one in again.modules() if isinstance(one, nn.BatchNorm2d)).eval()
    logits = again(torch.ones(4, 3, *SHAPE))
    change(again)
    with pytest.raises(RuntimeError, match="changed between forward and backward"):
        logits.sum().backward()


def test_what_a_batch_norm_gives_is_not_kept() -> None:
    kept = []
    for net in twins("nmnist-conv"):
        stored: list[weakref.ref[torch.UntypedStorage]] = []
        for norm in net.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.register_forward_hook(
                    lambda _norm, _inputs, out, stored=stored: stored.append(
                        weakref.ref(out.untyped_storage())
                    )
                )
        logits = net(torch.ones(4, 3, *SHAPE))
        kept.append([one() is not None for one in stored])
        assert logits.requires_grad
    assert kept == [[True, True], [False, False]]


def test_layers_run_twice_for_training_alone() -> None:
    _, again = twins("quick-conv")
    runs: list[int] = []
    again.layers[0].register_forward_hook(lambda *_: runs.append(1))
    with torch.no_grad():
        again(torch.ones(2, 1, *SHAPE))
    assert len(runs) == 1
    step(again.eval())
    assert len(runs) == 2
    step(again.train())
    assert len(runs) == 4
