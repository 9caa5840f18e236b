"""Training: it learns, repeats itself, resumes after a kill, leaves the caller's state."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from snnbd_core import learning, networks
from snnbd_core.data.batches import shuffled
from snnbd_core.learning import History
from snnbd_core.learning.surrogate_gradient import LOSSES
from snnbd_core.metrics.answers import decide
from snnbd_core.neurons import LIF

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.trains


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order: the killed run's process has one thread as well."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("neuron", [None, nn.ReLU])
def test_training_learns_a_toy_problem(loss, neuron, toy):
    """The accuracy is 1.0 over seeds 0..5 of the network and the order."""
    net = toy.network()
    if neuron:
        net = networks.build("quick-conv", (2, 6, 6), 3, neuron=neuron, seed=0)
    settings = toy.SETTINGS | {"epochs": 12, "loss": loss, "learning_rate": 5e-3}
    history = learning.train(net, toy.Toy(120), **settings)
    batch, labels = toy.Toy(90, seed=1).batch(np.arange(90))
    accuracy = (net(batch.transpose(0, 1)).argmax(1) == labels).float().mean().item()
    assert history.loss[-1] < history.loss[0]
    assert accuracy > 0.95


def test_history_has_one_value_per_epoch_and_survives_json(toy):
    history = learning.train(toy.network(), toy.Toy(), **toy.SETTINGS | {"learning_rate": 0.01})
    cosine = [0.005 * (1 + math.cos(math.pi * e / 5)) for e in range(5)]
    assert history.learning_rate == pytest.approx(cosine)
    assert len(history) == len(history.loss) == len(history.accuracy) == len(history.seconds) == 5
    assert all(seconds > 0 for seconds in history.seconds)
    assert History.from_dict(history.to_dict()) == history


def test_history_gives_the_loss_and_accuracy_of_the_whole_epoch(toy):
    """With a learning rate too small to matter and no dropout, they are those of the network."""
    net = networks.build("quick-conv", (2, 6, 6), 3, seed=0)
    data = toy.Toy(60)
    batch, labels = data.batch(np.arange(60))
    logits = net(batch.transpose(0, 1))
    history = learning.train(
        net, data, epochs=1, batch_size=60, learning_rate=1e-30, device="cpu", progress=False
    )
    one_hot = torch.eye(3)[labels]
    assert history.loss[0] == pytest.approx((logits - one_hot).square().mean().item(), rel=1e-5)
    assert history.accuracy[0] == pytest.approx((decide(logits) == labels).float().mean().item())


def test_a_silent_answer_is_not_right(toy):
    """An argmax would answer class 0, which a third of the samples are."""
    net = networks.build("quick-conv", (2, 6, 6), 3, lambda: LIF(threshold=1e6), seed=0)
    history = learning.train(net, toy.Toy(60), **toy.SETTINGS | {"epochs": 1})
    assert history.accuracy == (0.0,)


def test_same_seed_same_numbers_and_another_seed_others(toy):
    nets, histories = [], []
    for seed in (4, 4, 5):
        nets.append(toy.network())
        histories.append(learning.train(nets[-1], toy.Toy(), **toy.SETTINGS | {"seed": seed}))
        torch.rand(3)  # whatever else the caller draws in between does not matter
    assert same_weights(nets[0], nets[1])
    assert histories[0].loss == histories[1].loss
    assert not same_weights(nets[0], nets[2])


def test_a_run_that_is_killed_within_an_epoch_resumes_to_the_same_bits(tmp_path, toy):
    path = tmp_path / "run.pt"
    # 60 samples in batches of 16 are 4 batches an epoch: the 10th is the second of the third epoch
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/learning/toy.py"), str(path), "10"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # with the same instructions allowed
    )
    try:
        assert process.stdout.readline() == "hanging\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert process.returncode == -signal.SIGKILL

    saved = torch.load(path, weights_only=True)
    assert len(saved["history"]["loss"]) == 2
    resumed, whole = toy.network(seed=99), toy.network()
    resumed_history = learning.train(resumed, toy.Toy(), checkpoint=path, **toy.SETTINGS)
    whole_history = learning.train(whole, toy.Toy(), **toy.SETTINGS)
    assert same_weights(resumed, whole)
    assert resumed_history.loss == whole_history.loss
    assert resumed_history.accuracy == whole_history.accuracy
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def test_a_finished_run_is_loaded_and_not_trained_further(tmp_path, toy):
    path = tmp_path / "run.pt"
    first, second = toy.network(), toy.network(seed=1)
    history = learning.train(first, toy.Toy(), checkpoint=path, **toy.SETTINGS)
    assert learning.train(second, toy.Toy(), checkpoint=path, **toy.SETTINGS) == history
    assert same_weights(first, second)


def test_a_checkpoint_of_a_failed_write_leaves_the_older_one(tmp_path, monkeypatch, toy):
    path = tmp_path / "run.pt"
    real_save, calls = torch.save, []

    def full_disk_at_second_epoch(state, file):
        calls.append(1)
        real_save(state, file)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk_at_second_epoch)
    with pytest.raises(OSError, match="no space left"):
        learning.train(toy.network(), toy.Toy(), checkpoint=path, **toy.SETTINGS)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]
    resumed, whole = toy.network(), toy.network()
    learning.train(resumed, toy.Toy(), checkpoint=path, **toy.SETTINGS)
    learning.train(whole, toy.Toy(), **toy.SETTINGS)
    assert same_weights(resumed, whole)


def test_torchs_random_state_is_left_as_it_was(toy):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    learning.train(toy.network(), toy.Toy(), **toy.SETTINGS | {"epochs": 1})
    assert torch.equal(torch.get_rng_state(), before)


def test_the_network_is_ready_to_use_afterwards(toy):
    net = toy.network()
    learning.train(net, toy.Toy(), **toy.SETTINGS | {"epochs": 1})
    assert not any(module.training for module in net.modules())


def test_static_images_are_repeated_for_the_given_steps(toy):
    seen = []
    net = networks.build("quick-conv", (2, 6, 6), 3, seed=0)
    net.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    images = toy.Toy(20)
    images.x = images.x[:, 0]
    learning.train(net, images, epochs=1, steps=7, device="cpu", progress=False)
    assert seen == [(7, 20, 2, 6, 6)]


def test_each_epoch_sees_each_sample_once_in_its_own_order():
    epochs = [np.concatenate(list(shuffled(50, 16, seed=1, epoch=e))) for e in range(3)]
    for order in epochs:
        assert sorted(order) == list(range(50))
    assert not np.array_equal(epochs[0], epochs[1])
    assert [len(b) for b in shuffled(50, 16, 1, 0)] == [16, 16, 16, 2]


def test_as_sequence_gives_views():
    frames, image = torch.rand(3, 5, 2, 4, 4), torch.rand(3, 2, 4, 4)
    assert torch.equal(learning.as_sequence(frames, 9)[4, 1], frames[1, 4])
    assert learning.as_sequence(frames, 9).data_ptr() == frames.data_ptr()
    repeated = learning.as_sequence(image, 9)
    assert repeated.shape == (9, 3, 2, 4, 4)
    assert repeated.data_ptr() == image.data_ptr()


def test_a_progress_bar_is_shown_on_request_and_on_a_terminal_only(capsys, toy, monkeypatch):
    learning.train(toy.network(), toy.Toy(), **toy.SETTINGS)
    learning.train(toy.network(), toy.Toy(), **toy.SETTINGS | {"progress": True})
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    learning.train(toy.network(), toy.Toy(), **toy.SETTINGS | {"progress": True})
    assert "20/20" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_cuda_learns_and_leaves_the_network_there(toy):
    net = toy.network()
    history = learning.train(net, toy.Toy(), **toy.SETTINGS | {"device": "cuda", "epochs": 12})
    assert next(net.parameters()).device.type == "cuda"
    assert next(net.parameters()).dtype == torch.float32
    assert history.loss[-1] < history.loss[0]


def test_no_checkpoint_is_saved_before_its_time(toy, tmp_path):
    path = tmp_path / "run.pt"
    settings = toy.SETTINGS | {"checkpoint": path}
    learning.train(toy.network(), toy.Toy(24), **settings, checkpoint_seconds=3600)
    assert not path.exists()
    learning.train(toy.network(), toy.Toy(24), **settings)
    assert path.exists()
