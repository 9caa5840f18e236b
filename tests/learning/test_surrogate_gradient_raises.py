"""What training refuses, by message."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from snnbd_core import learning


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs=0 must be a whole number >= 1"),
        ({"batch_size": 0}, "batch_size=0 must be a whole number >= 1"),
        ({"seed": -1}, "seed=-1 must be a whole number >= 0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be a number > 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be a number > 0"),
        ({"loss": "hinge"}, "loss='hinge' is unknown; allowed: mse, cross_entropy"),
    ],
)
def test_a_bad_argument_is_named(settings, message, toy):
    with pytest.raises(ValueError, match=re.escape(message)):
        learning.train(toy.network(), toy.Toy(), **toy.SETTINGS | settings)


def test_an_empty_data_set_is_refused(toy):
    with pytest.raises(ValueError, match="dataset has no samples"):
        learning.train(toy.network(), toy.Toy(0), **toy.SETTINGS)


def test_another_number_of_outputs_than_classes_is_named(toy):
    with pytest.raises(ValueError, match=r"logits of shape \(16, 3\): allowed is .* = \(16, 4\)"):
        learning.train(toy.network(), toy.Toy(classes=4), **toy.SETTINGS)


def test_a_loss_that_is_not_finite_stops_the_run(toy):
    net = toy.network()
    net.register_forward_hook(lambda module, args, logits: logits / 0)
    with pytest.raises(FloatingPointError, match=r"loss became (nan|inf) .* lower learning_rate"):
        learning.train(net, toy.Toy(), **toy.SETTINGS)


def test_weights_that_break_stop_the_run_and_keep_the_last_checkpoint(toy, tmp_path):
    """A NaN never fires a neuron, so the loss of a spiking network stays finite here."""
    path = tmp_path / "run.pt"
    net = toy.network()
    calls = []

    def broken_from_the_second_epoch_on(module, args):
        calls.append(1)
        return (args[0] * torch.nan,) if len(calls) > 4 else None

    net.layers[0].register_forward_pre_hook(broken_from_the_second_epoch_on)
    with pytest.raises(FloatingPointError, match=r"layers\.0\.0\.weight are no longer finite"):
        learning.train(net, toy.Toy(), checkpoint=path, **toy.SETTINGS)
    saved = torch.load(path, weights_only=True)
    assert len(saved["history"]["loss"]) == 1
    assert all(torch.isfinite(weight).all() for weight in saved["net"].values())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, toy):
    path = tmp_path_factory.mktemp("run") / "run.pt"
    learning.train(toy.network(), toy.Toy(), checkpoint=path, **toy.SETTINGS)
    return path


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("epochs", {"epochs": 6}),
        ("seed", {"seed": 5}),
        ("batch_size", {"batch_size": 8}),
        ("learning_rate", {"learning_rate": 2e-3}),
        ("loss", {"loss": "cross_entropy"}),
    ],
)
def test_a_checkpoint_of_other_settings_is_left_alone(finished, name, settings, toy):
    before = finished.read_bytes()
    message = rf"belongs to another run: its {name} is .*, this run's is .* is run-\w{{12}}.pt"
    with pytest.warns(UserWarning, match=message):
        learning.train(toy.network(), toy.Toy(), checkpoint=finished, **toy.SETTINGS | settings)
    assert finished.read_bytes() == before


def test_a_run_whose_path_is_taken_resumes_from_a_file_of_its_own(finished, toy):
    """Two data sets, one path: neither run is taken for the other."""
    data = toy.Toy()
    data.fingerprint = "other"
    data.x = 4 - data.x.clip(max=4)
    nets = [toy.network() for _ in range(2)]
    for net in nets:
        with pytest.warns(UserWarning, match="its data is '.*', this run's is '.*'"):
            history = learning.train(net, data, checkpoint=finished, **toy.SETTINGS)
    first = toy.network()
    learning.train(first, toy.Toy(), checkpoint=finished, **toy.SETTINGS)
    ours, again, theirs = (net.layers[0][0].weight for net in (*nets, first))
    assert torch.equal(ours, again)
    assert not torch.equal(ours, theirs)
    assert len(history) == toy.SETTINGS["epochs"]


def test_a_checkpoint_of_another_network_is_left_alone(finished, toy):
    net = toy.network(threshold=1.5)
    with pytest.warns(UserWarning, match="belongs to another run: its network"):
        learning.train(net, toy.Toy(), checkpoint=finished, **toy.SETTINGS)


@pytest.mark.parametrize("damage", ["truncated", "random", "empty", "flipped"])
def test_a_damaged_checkpoint_is_named(finished, tmp_path, damage, toy):
    data = bytearray(finished.read_bytes())
    path = tmp_path / "damaged.pt"
    path.write_bytes(
        {
            "truncated": bytes(data[: len(data) // 2]),
            "random": np.random.default_rng(0).bytes(5000),
            "empty": b"",
            "flipped": bytes(b ^ 0xFF for b in data[:2000]) + bytes(data[2000:]),
        }[damage]
    )
    with pytest.raises(ValueError, match=r"damaged\.pt' cannot be read"):
        learning.train(toy.network(), toy.Toy(), checkpoint=path, **toy.SETTINGS)


def test_a_file_of_torch_that_is_no_checkpoint_is_named(tmp_path, toy):
    path = tmp_path / "weights.pt"
    torch.save(toy.network().state_dict(), path)
    with pytest.raises(ValueError, match=r"weights\.pt' is not a checkpoint of format 1"):
        learning.train(toy.network(), toy.Toy(), checkpoint=path, **toy.SETTINGS)


def test_a_checkpoint_in_a_folder_that_is_not_there_is_refused_before_training(tmp_path, toy):
    with pytest.raises(ValueError, match="its folder does not exist"):
        learning.train(
            toy.network(), toy.Toy(), checkpoint=tmp_path / "no" / "run.pt", **toy.SETTINGS
        )


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 2, 3, 4, 5, 6)])
def test_as_sequence_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"must be \[B, T, C, H, W\] or \[B, C, H, W\]"):
        learning.as_sequence(torch.zeros(shape), 4)


def test_as_sequence_refuses_no_steps():
    with pytest.raises(ValueError, match=r"steps=0 must be .*>= 1"):
        learning.as_sequence(torch.zeros(2, 1, 4, 4), 0)


@pytest.mark.parametrize("device", ["tpu", "cuda:0", "cuda"])
def test_a_device_that_is_not_here_is_named_with_those_that_are(device):
    if torch.cuda.is_available() and device != "tpu":
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ValueError, match=rf"device='{device}' is not here; allowed: auto, cpu"):
        learning.choose_device(device)
