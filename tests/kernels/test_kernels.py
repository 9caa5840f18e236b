"""The dispatcher, the rule and the surrogates, apart from the modules that use them."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate
from snntorch import surrogate as snn_surrogate
from spikingjelly.activation_based import surrogate as sj_surrogate

from snnbd_core import kernels
from snnbd_core.kernels import SURROGATES, Rule, surrogates

ONE = torch.tensor(1.0)
DISTANCES = torch.cat([torch.linspace(-3, 3, 601), torch.tensor([0.0, 1e-8, -1e-8, 40.0, -40.0])])


@pytest.mark.parametrize("slope", [1.0, 2.0, 7.5])
@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("atan", snn_surrogate.atan),
        ("fast_sigmoid", snn_surrogate.fast_sigmoid),
        ("atan", sj_surrogate.ATan),
        ("triangle", sj_surrogate.PiecewiseQuadratic),
    ],
    ids=["atan snnTorch", "fast_sigmoid snnTorch", "atan SpikingJelly", "triangle SpikingJelly"],
)
def test_surrogate_derivative_equals_its_peer(name, peer, slope):
    ours = DISTANCES.clone().requires_grad_()
    theirs = DISTANCES.clone().requires_grad_()
    surrogates.spike(ours, name, slope).sum().backward()
    peer(slope)(theirs).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["atan", "triangle"])
def test_these_derivatives_have_unit_area_like_the_true_one(name):
    def derivative(x: float) -> float:
        return surrogates.DERIVATIVES[name](torch.tensor(x, dtype=torch.float64), 2.0).item()

    reach = 1e4
    area = 2 * integrate.quad(derivative, 0, reach, points=(0.5, 5, 50), limit=500)[0]
    assert area == pytest.approx(1.0, abs=2 / (math.pi**2 * reach) + 1e-6)


def test_a_neuron_at_the_threshold_fires_by_spikingjellys_rule_only():
    distance = torch.tensor([-1.0, 0.0, 1.0])
    assert surrogates.spike(distance, "atan", 2.0).tolist() == [0, 0, 1]
    assert surrogates.spike(distance, "atan", 2.0, at_threshold=True).tolist() == [0, 1, 1]


def test_there_is_a_derivative_for_each_surrogate_a_rule_allows():
    assert tuple(surrogates.DERIVATIVES) == SURROGATES


def test_a_rule_is_a_value_that_can_be_compared_and_hashed():
    assert Rule() == Rule("subtract", "snntorch", "atan", 2.0, True, False)
    assert len({Rule(), Rule(), Rule(reset="zero")}) == 2


@pytest.mark.parametrize("update", kernels.UPDATES)
def test_an_empty_batch_and_no_time_steps_give_empty_results(update):
    for shape in ((0, 3, 4), (5, 0, 4)):
        spikes, potential = kernels.step(torch.zeros(shape), ONE, ONE, Rule(update=update))
        assert spikes.shape == potential.shape == shape


@pytest.mark.parametrize("update", kernels.UPDATES)
def test_the_current_is_not_changed_and_may_be_strided(update):
    current = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0)).transpose(0, 1)
    before = current.clone()
    rule = Rule(update=update, decay_input=True)
    strided = kernels.step(current, ONE * 0.5, ONE, rule)
    packed = kernels.step(current.contiguous(), ONE * 0.5, ONE, rule)
    assert torch.equal(current, before)
    assert all(torch.equal(a, b) for a, b in zip(strided, packed, strict=True))


@pytest.mark.parametrize("update", kernels.UPDATES)
def test_a_current_that_repeats_one_tensor_equals_its_copies(update):
    frame = torch.rand(2, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    (repeated,) = (frame.expand(9, 2, 5),)
    spikes, _ = kernels.step(repeated, ONE * 0.9, ONE, Rule(update=update))
    copied, _ = kernels.step(repeated.clone(), ONE * 0.9, ONE, Rule(update=update))
    gradients = [torch.autograd.grad(s.sum(), frame)[0] for s in (spikes, copied)]
    assert torch.equal(spikes, copied)
    assert torch.equal(*gradients)


def test_not_a_number_stays_in_its_neuron_and_never_fires():
    current = torch.full((4, 1, 2), 0.8)
    current[1, 0, 0] = math.nan
    spikes, potential = kernels.step(current, ONE, ONE, Rule())
    assert spikes[:, 0, 0].tolist() == [0, 0, 0, 0]
    assert potential[1:, 0, 0].isnan().all()
    assert spikes[:, 0, 1].tolist() == [0, 1, 1, 1]


def test_the_potential_is_left_out_on_request():
    assert kernels.step(torch.ones(3, 2), ONE, ONE, Rule(), return_potential=False)[1] is None


def test_attached_reset_has_the_gradient_worked_out_by_hand():
    """Two steps, one neuron, snnTorch's rule: d s[1] / d x[0] by the chain rule.

    v0 = x0, s0 = H(v0 - 1), v1 = beta v0 + x1 - s0;  ds1/dx0 = g(v1 - 1) (beta - g(v0 - 1)).
    """
    x0, x1, beta = 1.25, 0.5, 0.5

    def g(distance: float) -> float:
        return 1 / (1 + (math.pi * distance) ** 2)

    current = torch.tensor([[x0], [x1]], dtype=torch.float64, requires_grad=True)
    spikes, _ = kernels.step(current, torch.tensor(beta).double(), ONE.double(), Rule(detach=False))
    (gradient,) = torch.autograd.grad(spikes[1].sum(), current)
    v1 = beta * x0 + x1 - 1
    assert gradient[0].item() == pytest.approx(g(v1 - 1) * (beta - g(x0 - 1)), rel=1e-12)
    assert gradient[1].item() == pytest.approx(g(v1 - 1), rel=1e-12)
