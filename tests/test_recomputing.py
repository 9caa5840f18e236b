"""Networks that run their layers again in backward give the very bits of those that do not."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from snnbd_core import networks
from snnbd_core.neurons import LIF, override

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


def test_without_gradients_all_layers_run_once() -> None:
    _, again = twins("quick-conv")
    runs: list[int] = []
    again.layers[0].register_forward_hook(lambda *_: runs.append(1))
    with torch.no_grad():
        again(torch.ones(2, 1, *SHAPE))
    assert len(runs) == 1
    step(again)
    assert len(runs) == 3
