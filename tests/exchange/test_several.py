"""Neurons that spike several times a step: the compiled loops beside the steps in torch."""

from __future__ import annotations

import pytest
import torch

from snnbd_core.exchange import several
from snnbd_core.exchange.membranes import SynapticLIF

DRAW = torch.Generator().manual_seed(0)
ONE, NONE = torch.ones(()), torch.zeros(())
EACH = [torch.rand(4, 1, 1, generator=DRAW) * scale + low for scale, low in ((1, 0), (1, 0.3))]
SETTINGS = {
    "without a leak": (ONE, 0.7 * ONE, ONE, NONE),
    "of their own": (*EACH, torch.rand(4, 1, 1, generator=DRAW) + 0.5, 0.1 * ONE),
}


def stepped(neurons, x):
    """Spikes, potentials and the gradient of their weighted sum."""
    given = x.clone().requires_grad_()
    found = neurons(given, return_potential=True)
    weights = torch.randn(2, *x.shape, generator=torch.Generator().manual_seed(1))
    sum((one * weight).sum() for one, weight in zip(found, weights, strict=True)).backward()
    return *(one.detach() for one in found), given.grad


@pytest.mark.parametrize("name", SETTINGS)
def test_the_compiled_loops_step_as_torch_does(monkeypatch, name):
    neurons = SynapticLIF(*SETTINGS[name], NONE, reset="multispike", update="nir")
    x = 1.5 * torch.randn(30, 3, 4, 2, 2, generator=DRAW)
    fast = stepped(neurons, x)
    assert several.fits(x, neurons.beta)
    monkeypatch.setattr(several, "fits", lambda *values: False)
    slow = stepped(neurons, x)
    assert torch.equal(fast[0], slow[0]) and slow[0].max() > 2
    torch.testing.assert_close(fast[1], slow[1], rtol=0, atol=0)
    torch.testing.assert_close(fast[2], slow[2])


def test_a_current_that_is_no_number_shows():
    neurons = SynapticLIF(ONE, ONE, ONE, NONE, NONE, reset="multispike", update="nir")
    spikes = neurons(torch.full((2, 1, 3), torch.nan))
    assert spikes.isnan().all()


def test_settings_that_learn_and_other_currents_are_stepped_by_torch():
    x = torch.zeros(2, 1, 3)
    assert not several.fits(x.double(), ONE)
    assert not several.fits(x, ONE.clone().requires_grad_())
    assert not several.fits(torch.zeros(0, 1, 3), ONE)
