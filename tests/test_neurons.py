"""LIF, IF and ParametricLIF against their origins, a table by hand, and override()."""

from __future__ import annotations

import copy

import pytest
import snntorch
import torch
from snntorch import surrogate as snn_surrogate
from spikingjelly.activation_based import neuron as sj_neuron
from spikingjelly.activation_based import surrogate as sj_surrogate
from torch import Tensor, nn

from snnbd_core.neurons import IF, LIF, ParametricLIF, spiking_layers
from snnbd_core.view import override

SHAPES = [(1, 1, 1), (2, 3), (7, 2, 5), (16, 4, 3, 2, 2), (40, 1, 64)]


def random_current(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    current = torch.randn(shape, generator=generator, dtype=torch.float32) + 0.4
    return current.to(dtype).requires_grad_()


def upstream(shape: torch.Size, seed: int) -> Tensor:
    """Weights of a loss, so that each spike counts differently."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + 1000))


def leaky_over_time(leaky: snntorch.Leaky, current: Tensor) -> tuple[Tensor, Tensor]:
    potential = torch.zeros_like(current[0])
    spikes, potentials = [], []
    for x in current:
        fired, potential = leaky(x, potential)
        spikes.append(fired)
        potentials.append(potential)
    return torch.stack(spikes), torch.stack(potentials)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize(("beta", "threshold"), [(0.9, 1.0), (0.5, 0.7), (0.0, 1.3), (1.0, 1.0)])
def test_spikes_and_potential_have_the_same_bits_as_snntorch_leaky(shape, reset, beta, threshold):
    for seed in range(4):
        current = random_current(shape, seed)
        leaky = snntorch.Leaky(beta=beta, threshold=threshold, reset_mechanism=reset)
        expected_spikes, expected_potential = leaky_over_time(leaky, current)
        spikes, potential = LIF(beta, threshold, reset=reset)(current, return_potential=True)
        assert torch.equal(spikes, expected_spikes)
        assert torch.equal(potential, expected_potential)


def test_defaults_are_those_of_leaky():
    current = random_current((30, 5, 20), 0)
    spikes = LIF()(current)
    expected, _ = leaky_over_time(snntorch.Leaky(beta=0.9), current)
    weights = upstream(current.shape, 0)
    (gradient,) = torch.autograd.grad((spikes * weights).sum(), current)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), current)
    assert torch.equal(spikes, expected)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize(
    ("surrogate", "slope", "peer"),
    [
        ("atan", 2.0, snn_surrogate.atan(2.0)),
        ("atan", 5.0, snn_surrogate.atan(5.0)),
        ("fast_sigmoid", 25.0, snn_surrogate.fast_sigmoid(25)),
    ],
)
def test_gradients_of_current_beta_and_threshold_equal_snntorch(
    dtype, rtol, reset, surrogate, slope, peer
):
    for shape in SHAPES:
        current = random_current(shape, 3, dtype)
        leaky = snntorch.Leaky(
            beta=0.8,
            threshold=0.9,
            reset_mechanism=reset,
            # snnTorch's spikes are float32 whatever comes in, and would spoil a float64 run
            spike_grad=lambda distance: peer(distance).to(distance.dtype),
            learn_beta=True,
            learn_threshold=True,
        ).to(dtype)
        ours = LIF(
            0.8,
            0.9,
            reset=reset,
            surrogate=surrogate,
            slope=slope,
            learn_beta=True,
            learn_threshold=True,
        ).to(dtype)
        weights = upstream(current.shape, 3).to(dtype)
        expected_spikes, expected_potential = leaky_over_time(leaky, current)
        spikes, potential = ours(current, return_potential=True)
        expected = torch.autograd.grad(
            (expected_spikes * weights).sum() + expected_potential.square().sum(),
            [current, leaky.beta, leaky.threshold],
        )
        gradients = torch.autograd.grad(
            (spikes * weights).sum() + potential.square().sum(),
            [current, ours.beta, ours.threshold],
        )
        # Those of beta and threshold are sums that may cancel: they round as their terms do.
        scale = max(gradient.abs().max().item() for gradient in expected)
        for name, ours_grad, peer_grad in zip(
            ("current", "beta", "threshold"), gradients, expected, strict=True
        ):
            torch.testing.assert_close(
                ours_grad,
                peer_grad,
                rtol=rtol,
                atol=rtol * scale,
                msg=lambda text, name=name, shape=shape: f"{name} of shape {shape}: {text}",
            )


def test_learned_beta_acts_clamped_to_the_unit_interval_as_in_snntorch():
    current = random_current((10, 2, 3), 5)
    leaky = snntorch.Leaky(beta=0.9, learn_beta=True)
    ours = LIF(0.9, learn_beta=True)
    for value in (-0.3, 1.7):
        leaky.beta.data.fill_(value)
        ours.beta.data.fill_(value)
        assert torch.equal(ours(current), leaky_over_time(leaky, current)[0])


def spikingjelly_over_time(node: nn.Module, current: Tensor) -> tuple[Tensor, Tensor]:
    node.step_mode = "m"
    # For weeks SpikingJelly's "torch" silently ran another kernel: be sure of what is compared.
    assert getattr(node, "backend", "torch") == "torch"
    node.store_v_seq = True
    node.reset()
    return node(current), node.v_seq


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize(("reset", "v_reset"), [("zero", 0.0), ("subtract", None)])
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("tau", [2.0, 10.0])
def test_lif_equals_spikingjelly_lifnode(shape, decay_input, reset, v_reset, detach, tau):
    current = (random_current(shape, 7, torch.float64) * 1.7).detach().requires_grad_()
    node = sj_neuron.LIFNode(
        tau=tau,
        decay_input=decay_input,
        v_reset=v_reset,
        detach_reset=detach,
        surrogate_function=sj_surrogate.ATan(2.0),
    )
    ours = LIF(
        torch.tensor(1 - 1 / tau, dtype=torch.float64),
        update="spikingjelly",
        reset=reset,
        decay_input=decay_input,
        detach_reset=detach,
    )
    assert_same_run(ours, node, current)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("reset", "v_reset"), [("zero", 0.0), ("subtract", None)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_if_equals_spikingjelly_ifnode(shape, reset, v_reset, dtype):
    current = random_current(shape, 11, dtype)
    node = sj_neuron.IFNode(
        v_reset=v_reset, detach_reset=True, surrogate_function=sj_surrogate.ATan(2.0)
    )
    assert_same_run(IF(update="spikingjelly", reset=reset), node, current)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize(("reset", "v_reset"), [("zero", 0.0), ("subtract", None)])
@pytest.mark.parametrize("init_tau", [2.0, 5.0])
def test_parametric_lif_equals_spikingjelly_parametric_lifnode(
    shape, decay_input, reset, v_reset, init_tau
):
    current = (random_current(shape, 13, torch.float64) * 1.7).detach().requires_grad_()
    node = sj_neuron.ParametricLIFNode(
        init_tau=init_tau,
        decay_input=decay_input,
        v_reset=v_reset,
        detach_reset=True,
        surrogate_function=sj_surrogate.ATan(2.0),
    ).double()
    ours = ParametricLIF(init_tau, decay_input=decay_input, reset=reset).double()
    torch.testing.assert_close(ours.w, node.w, rtol=1e-7, atol=1e-7)
    node.w.data.copy_(ours.w.data)
    assert_same_run(ours, node, current)
    weights = upstream(current.shape, 13).double()
    (ours(current) * weights).sum().backward()
    node.reset()
    (node(current) * weights).sum().backward()
    torch.testing.assert_close(ours.w.grad, node.w.grad, rtol=1e-8, atol=1e-9)


def assert_same_run(ours: nn.Module, node: nn.Module, current: Tensor) -> None:
    tolerance = 1e-5 if current.dtype == torch.float32 else 1e-10
    weights = upstream(current.shape, 17).to(current.dtype)
    expected_spikes, expected_potential = spikingjelly_over_time(node, current)
    spikes, potential = ours(current, return_potential=True)
    (gradient,) = torch.autograd.grad((spikes * weights).sum(), current)
    (expected_gradient,) = torch.autograd.grad((expected_spikes * weights).sum(), current)
    assert torch.equal(spikes, expected_spikes)
    torch.testing.assert_close(potential, expected_potential, rtol=tolerance, atol=tolerance)
    scale = expected_gradient.abs().max().item()
    torch.testing.assert_close(
        gradient, expected_gradient, rtol=tolerance, atol=tolerance * max(scale, 1.0)
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "000100001000"),
        ({"reset": "zero", "update": "spikingjelly"}, "000100010001"),
        ({"reset": "zero", "update": "spikingjelly", "decay_input": True}, "000000000000"),
    ],
    ids=["snnTorch subtract", "SpikingJelly tau=10", "SpikingJelly tau=10, decay_input"],
)
def test_constant_current_gives_each_library_its_spike_train(settings, expected):
    """Constant current 0.3, decay 0.9, twelve steps: the conventions disagree."""
    spikes = LIF(0.9, 1.0, **settings)(torch.full((12, 1), 0.3))
    assert "".join(str(int(s)) for s in spikes[:, 0]) == expected


# Worked out by hand: beta 0.5, threshold 1, current 0.75, 0.75, 0.75, 0.75, -0.5, 1.25.
# All values are exact in binary.
HAND_CURRENT = (0.75, 0.75, 0.75, 0.75, -0.5, 1.25)
HAND_TABLE = {
    # 0.375 + 0.75 = 1.125 fires at step 1; the next step pays for it: 0.5625 + 0.75 - 1 = 0.3125
    ("snntorch", "subtract"): (
        (0.75, 1.125, 0.3125, 0.90625, -0.046875, 1.2265625),
        (0, 1, 0, 0, 0, 1),
    ),
    ("snntorch", "zero"): ((0.75, 1.125, 0.75, 1.125, -0.5, 1.0), (0, 1, 0, 1, 0, 0)),
    ("snntorch", "none"): (
        (0.75, 1.125, 1.3125, 1.40625, 0.203125, 1.3515625),
        (0, 1, 1, 1, 0, 1),
    ),
    # 1.125 fires and falls to 0.125 within step 1
    ("spikingjelly", "subtract"): (
        (0.75, 0.125, 0.8125, 0.15625, -0.421875, 0.0390625),
        (0, 1, 0, 1, 0, 1),
    ),
    # the last value, 0.5 * -0.5 + 1.25 = 1, meets the threshold exactly: >= fires, > does not
    ("spikingjelly", "zero"): ((0.75, 0.0, 0.75, 0.0, -0.5, 0.0), (0, 1, 0, 1, 0, 1)),
    ("spikingjelly", "none"): (
        (0.75, 1.125, 1.3125, 1.40625, 0.203125, 1.3515625),
        (0, 1, 1, 1, 0, 1),
    ),
}


@pytest.mark.parametrize("rule", HAND_TABLE, ids=" ".join)
def test_potential_follows_the_table_worked_out_by_hand(rule):
    update, reset = rule
    current = torch.tensor(HAND_CURRENT)[:, None]
    spikes, potential = LIF(0.5, 1.0, update=update, reset=reset)(current, return_potential=True)
    expected_potential, expected_spikes = HAND_TABLE[rule]
    assert potential[:, 0].tolist() == list(expected_potential)
    assert spikes[:, 0].tolist() == list(expected_spikes)


def test_reset_is_applied_one_step_later():
    spikes, potential = LIF(1.0, 1.0)(torch.tensor([[1.5], [0.0]]), return_potential=True)
    assert spikes[:, 0].tolist() == [1, 0]
    assert potential[:, 0].tolist() == [1.5, 0.5]


@pytest.mark.parametrize("update", ["snntorch", "spikingjelly"])
@pytest.mark.parametrize("inner", [(), (4,), (2, 3, 4)])
def test_per_sample_values_equal_one_run_per_sample(update, inner):
    current = random_current((9, 3, *inner), 19)
    betas, thresholds = torch.tensor([0.2, 0.6, 1.0]), torch.tensor([0.5, 1.0, 1.5])
    together = LIF(betas[:, None], thresholds[:, None], update=update)(current)
    for b in range(3):
        alone = LIF(betas[b], thresholds[b], update=update)(current[:, b : b + 1])
        assert torch.equal(together[:, b : b + 1], alone)


def test_per_neuron_values_broadcast_over_the_last_axes():
    current = random_current((9, 2, 3, 4, 5), 23)
    per_channel = torch.tensor([0.1, 0.5, 0.9])
    together = LIF(per_channel[:, None, None], threshold=per_channel[:, None, None])(current)
    for c in range(3):
        alone = LIF(per_channel[c], threshold=per_channel[c])(current[:, :, c])
        assert torch.equal(together[:, :, c], alone)


def test_detached_and_attached_reset_give_the_same_spikes_but_other_gradients():
    current = random_current((12, 2, 6), 29, torch.float64)
    runs = [LIF(0.9, detach_reset=detach)(current) for detach in (True, False)]
    gradients = [torch.autograd.grad(s.sum(), current)[0] for s in runs]
    assert torch.equal(runs[0], runs[1])
    assert not torch.allclose(gradients[0], gradients[1])


def test_a_half_precision_current_is_integrated_in_float32():
    current = random_current((64, 2, 8), 31).detach().to(torch.bfloat16)
    spikes = LIF(0.99)(current)
    assert spikes.dtype == torch.bfloat16
    assert torch.equal(spikes.float(), LIF(0.99)(current.float()))


def test_settings_are_saved_with_the_weights_and_others_are_said_when_they_are_loaded():
    saved = LIF(0.5, 2.0).state_dict()
    assert {name: float(value) for name, value in saved.items()} == {"beta": 0.5, "threshold": 2.0}
    same = LIF(0.5, 2.0)
    same.load_state_dict(saved)  # a warning would be an error here
    other = LIF(0.5, 1.5)
    with pytest.warns(UserWarning, match=r"LIF.threshold=2 is loaded in place of 1.5"):
        other.load_state_dict(saved)
    current = torch.full((6, 1, 3), 0.9)
    assert torch.equal(other(current), LIF(0.5, 2.0)(current))
    assert not torch.equal(other(current), LIF(0.5, 1.5)(current))


def test_a_state_dict_without_settings_leaves_those_of_the_layer():
    layer = LIF(0.5, 1.5)
    layer.load_state_dict({})
    assert float(layer.threshold) == 1.5


def test_settings_per_neuron_load_into_a_layer_of_one_for_all():
    per_neuron = LIF(0.5, torch.tensor([0.5, 1.0, 2.0]))
    layer = LIF(0.5, 1.5)
    with pytest.warns(UserWarning, match=r"threshold=tensor\[3\] in 0.5..2 is loaded"):
        layer.load_state_dict(per_neuron.state_dict())
    current = torch.rand(6, 4, 3)
    assert torch.equal(layer(current), per_neuron(current))


def test_learned_parameters_do_not_share_memory_with_the_callers_tensor():
    mine = torch.tensor([0.5, 0.5])
    layer = LIF(mine, learn_beta=True)
    layer.beta.data.zero_()
    assert mine.tolist() == [0.5, 0.5]


def test_override_holds_inside_the_block_only():
    net = nn.Sequential(LIF(0.5, 1.0), nn.Identity(), IF(2.0), ParametricLIF(4.0))
    current = random_current((10, 3, 4), 37)
    plain = [layer(current) for layer in spiking_layers(net)]
    with override(net, threshold=0.6, beta=0.25) as same:
        assert same is net
        inside = [layer(current) for layer in spiking_layers(net)]
    expected = [
        LIF(0.25, 0.6)(current),
        LIF(0.25, 0.6)(current),
        LIF(0.25, 0.6, update="spikingjelly", reset="zero", decay_input=True)(current),
    ]
    after = [layer(current) for layer in spiking_layers(net)]
    for have, want in zip(inside, expected, strict=True):
        assert torch.equal(have, want)
    for have, want in zip(after, plain, strict=True):
        assert torch.equal(have, want)


def test_override_blocks_nest_and_the_inner_one_wins_for_what_it_names():
    net = LIF(0.5, 1.0)
    current = random_current((10, 3, 4), 41)
    with override(net, threshold=0.6, beta=0.25):
        with override(net, threshold=2.0):
            assert torch.equal(net(current), LIF(0.25, 2.0)(current))
        assert torch.equal(net(current), LIF(0.25, 0.6)(current))
    assert torch.equal(net(current), LIF(0.5, 1.0)(current))


def test_override_is_restored_after_an_exception():
    net = LIF(0.5, 1.0)
    current = random_current((10, 3, 4), 43)
    with pytest.raises(RuntimeError, match="boom"), override(net, threshold=9.0):
        raise RuntimeError("boom")
    assert torch.equal(net(current), LIF(0.5, 1.0)(current))


def test_override_per_sample_runs_two_thresholds_in_one_batch():
    net = nn.Sequential(LIF(0.5, 1.0), nn.Flatten(2), LIF(0.5, 1.0))
    current = random_current((10, 2, 3, 4), 47)
    with override(net, threshold=torch.tensor([[1.0], [1.5]])):
        both = net(current)
    assert torch.equal(both[:, :1], net(current[:, :1]))
    with override(net, threshold=1.5):
        assert torch.equal(both[:, 1:], net(current[:, 1:]))


def test_override_passes_the_gradient_to_the_value_it_is_given():
    threshold = torch.tensor(1.2, requires_grad=True)
    with override(LIF(), threshold=threshold) as net:
        net(random_current((6, 2, 3), 53)).sum().backward()
    assert threshold.grad is not None
    assert threshold.grad.item() < 0


def test_a_copied_layer_is_independent_of_an_override_of_the_original():
    net = LIF(0.5, 1.0)
    other = copy.deepcopy(net)
    current = random_current((10, 3, 4), 59)
    with override(net, threshold=9.0):
        assert torch.equal(other(current), LIF(0.5, 1.0)(current))
