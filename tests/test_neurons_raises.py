"""What neurons refuse, by message."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snnbd_core.neurons import IF, LIF, ParametricLIF
from snnbd_core.view import override

NAN = float("nan")


@pytest.mark.parametrize("value", [0.0, -1.0, NAN, float("inf"), torch.tensor([1.0, 0.0])])
def test_threshold_must_be_positive_and_finite(value):
    with pytest.raises(ValueError, match=r"threshold=.* must be finite and > 0"):
        LIF(threshold=value)
    with (
        pytest.raises(ValueError, match=r"threshold=.* must be finite and > 0"),
        override(LIF(), threshold=value),
    ):
        pass


@pytest.mark.parametrize("value", [-0.1, 1.1, NAN, 2, torch.tensor([[0.5], [1.5]])])
def test_beta_must_lie_within_the_unit_interval(value):
    with pytest.raises(ValueError, match=r"beta=.* must lie within 0\.\.1"):
        LIF(beta=value)
    with (
        pytest.raises(ValueError, match=r"beta=.* must lie within 0\.\.1"),
        override(LIF(), beta=value),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reset": "soft"}, "reset='soft' is unknown; allowed: subtract, zero, none"),
        ({"update": "norse"}, "update='norse' is unknown; allowed: snntorch, spikingjelly"),
        ({"surrogate": "relu"}, "surrogate='relu' is unknown; allowed: atan, fast_sigmoid"),
        ({"slope": 0.0}, "slope=0.0 must be a finite number > 0"),
        ({"slope": NAN}, "slope=nan must be a finite number > 0"),
        ({"beta": True}, "beta=True must be a real number or tensor"),
        ({"beta": 1j}, "beta=1j must be a real number or tensor"),
    ],
)
def test_unknown_names_and_bad_numbers_are_named(settings, message):
    with pytest.raises(ValueError) as caught:
        LIF(**settings)
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", [(), (4,)])
def test_a_current_needs_time_and_batch(shape):
    with pytest.raises(ValueError, match=r"current of shape .* must be \[T, B, \.\.\.\]"):
        LIF()(torch.zeros(shape))


def test_a_current_of_integers_is_refused():
    with pytest.raises(ValueError, match=r"torch\.int64 must be floating point"):
        LIF()(torch.zeros(3, 2, dtype=torch.int64))


@pytest.mark.parametrize("name", ["beta", "threshold"])
@pytest.mark.parametrize("shape", [(3,), (2, 4), (7, 1, 4), (1, 5, 4, 4)])
def test_a_value_that_does_not_broadcast_to_the_neurons_is_named(name, shape):
    layer = LIF(**{name: torch.full(shape, 0.5)})
    with pytest.raises(ValueError, match=rf"{name} of shape .* does not broadcast .*\[5, 6, 4\]"):
        layer(torch.zeros(9, 5, 6, 4))


def test_a_value_must_not_outgrow_the_current():
    with pytest.raises(ValueError, match="does not broadcast"):
        LIF(beta=torch.full((5, 6), 0.5))(torch.zeros(9, 1, 6))


def test_per_sample_values_must_be_as_many_as_the_samples():
    with pytest.raises(ValueError, match=r"one value per sample.* has 5 samples"):
        LIF(threshold=torch.ones(4, 1))(torch.zeros(9, 5, 6))


@pytest.mark.parametrize("tau", [1.0, 0.5, NAN, float("inf")])
def test_init_tau_must_exceed_one(tau):
    with pytest.raises(ValueError, match=r"init_tau=.* must be a finite number > 1"):
        ParametricLIF(tau)


def test_parametric_lif_takes_no_beta():
    with pytest.raises(ValueError, match="pass init_tau instead"):
        ParametricLIF(2.0, beta=0.5)


def test_if_takes_no_leak():
    with pytest.raises(ValueError, match="IF has no leak"):
        IF(beta=0.5)


def test_override_of_a_network_without_spiking_layers_is_refused():
    with (
        pytest.raises(ValueError, match="net=Linear has no spiking layer"),
        override(nn.Linear(2, 2), threshold=1.1),
    ):
        pass


def test_override_of_nothing_is_refused():
    with pytest.raises(ValueError, match="override needs threshold= or beta="), override(LIF()):
        pass
