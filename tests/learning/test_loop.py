"""The one loop: its schedule, its seeds, when it stops, what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snnbd_core import learning
from snnbd_core.learning.checkpoint import Checkpoint
from snnbd_core.learning.loop import Step, epochs_of, mixed_seed, scored
from snnbd_core.neurons import LIF


def square(weight: Tensor, _: int) -> Step:
    """The loss w^2 of one weight, whose gradient is 2 w; one of two samples is answered rightly."""
    loss = weight.square().sum()
    return Step(loss, loss.item(), torch.eye(2), torch.tensor([0, 0]))


def looped(rate: float = 0.1, optimizer=torch.optim.SGD, epochs: int = 3, **settings):
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 1.0)
    return net, epochs_of(
        net,
        optimizer(net.parameters(), lr=rate),
        lambda _: [0],
        lambda at: square(net.weight, at),
        epochs=epochs,
        seed_of=lambda epoch: epoch,
        **settings,
    )


@pytest.mark.parametrize("rate", [1e-3, 2e-3, 0.1, 0.00073])
@pytest.mark.parametrize("epochs", [1, 3, 10, 60])
def test_learning_rates_are_those_of_the_closed_cosine_to_the_bit(rate, epochs):
    _, histories = looped(rate, epochs=epochs)
    *_, history = histories
    assert history.learning_rate == tuple(
        rate / 2 * (1 + math.cos(math.pi * epoch / epochs)) for epoch in range(epochs)
    )
    _, histories = looped(rate, epochs=epochs, cosine=False)
    *_, history = histories
    assert history.learning_rate == (rate,) * epochs


def test_weights_follow_gradient_descent_in_closed_form():
    net, histories = looped(0.1, epochs=3, cosine=False)
    losses = [history.loss[-1] for history in histories]
    assert losses == pytest.approx([0.8 ** (2 * epoch) for epoch in range(3)])
    assert net.weight.item() == pytest.approx(0.8**3)


def test_gradients_are_cut_to_a_norm():
    net, histories = looped(0.1, epochs=1, clip=0.5)
    list(histories)
    assert net.weight.item() == pytest.approx(1 - 0.1 * 0.5, rel=1e-5)


def test_a_loop_that_is_left_early_does_no_more_epochs():
    net, histories = looped(0.1, epochs=5, cosine=False)
    for history in histories:
        if len(history) == 2:
            break
    assert net.weight.item() == pytest.approx(0.8**2)
    assert history.accuracy == (0.5, 0.5)


def test_a_resumed_loop_goes_on_at_its_epochs_rate(tmp_path):
    saved = Checkpoint(tmp_path / "run.checkpoint")
    *_, whole = looped(0.1, epochs=4)[1]
    for history in looped(0.1, epochs=4, saved=saved)[1]:
        if len(history) == 3:  # of which two are saved
            break
    _, (third, resumed) = looped(0.1, epochs=4, saved=saved)
    assert len(third) == 3
    assert resumed.learning_rate == whole.learning_rate


def test_a_finished_loop_gives_its_history_once(tmp_path):
    saved = Checkpoint(tmp_path / "run.checkpoint")
    *_, whole = looped(saved=saved)[1]
    net, histories = looped(saved=saved)
    assert list(histories) == [whole]
    assert net.weight.item() < 1


def test_each_epoch_draws_from_its_own_seed_and_the_callers_state_comes_back():
    drawn = []
    net = nn.Linear(1, 1)

    def step(_):
        drawn.append(torch.rand(1).item())
        return square(net.weight, 0)

    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    loop = epochs_of(
        net,
        torch.optim.SGD(net.parameters(), lr=0.1),
        lambda _: [0, 1],
        step,
        epochs=2,
        seed_of=lambda epoch: 40 + epoch,
    )
    between = [torch.rand(1).item() for _ in loop]
    assert between == expected.tolist()
    for epoch in range(2):
        generator = torch.Generator().manual_seed(40 + epoch)
        assert drawn[2 * epoch : 2 * epoch + 2] == torch.rand(2, generator=generator).tolist()


def test_seeds_of_neighbouring_runs_and_epochs_differ():
    seeds = {mixed_seed(seed, epoch) for seed in range(30) for epoch in range(30)}
    assert len(seeds) == 900


def test_a_tied_answer_is_scored_as_wrong():
    logits = nn.Parameter(torch.tensor([[0.0, 0.0], [0.1, 0.4]]))
    net = nn.ParameterList([logits])
    (history,) = epochs_of(
        net,
        torch.optim.SGD(net.parameters(), lr=0.0),
        lambda _: [0, 1],
        lambda _: scored(logits.sum(), logits, torch.tensor([0, 1])),
        epochs=1,
        seed_of=lambda epoch: epoch,
    )
    assert (history.loss, history.accuracy) == ((0.5,), (0.5,))


class Own(nn.Module):
    """A user's network over [T, B, 2, 6, 6], whose answer has another form than logits."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.dense, self.neurons = how, nn.Linear(72, 3), LIF(0.9)

    def forward(self, sequence: Tensor):
        out = self.neurons(self.dense(sequence.flatten(2)))
        return {
            "all steps": out,
            "pair": (out.mean(dim=0), out),
            "one for a step": out.mean(dim=1),
            "right": out.mean(dim=0),
        }[self.how]


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "all steps",
            r"logits of shape \(4, \d, 3\): allowed is \[B, classes\].*logits\.mean\(0\)",
        ),
        ("pair", "net gives a tuple, no tensor: allowed is .B, classes."),
        ("one for a step", "the first axis must be the samples, not time"),
    ],
)
def test_an_answer_that_is_no_logits_is_refused_also_where_t_is_the_batch(toy, how, message, loss):
    for batch_size in (4, 7):  # T is 4
        settings = toy.SETTINGS | {"batch_size": batch_size, "loss": loss, "epochs": 1}
        with pytest.raises(ValueError, match=message):
            learning.train(Own(how), toy.Toy(28), **settings)


def test_the_look_at_the_batch_axis_changes_no_numbers(toy):
    """Batches of T samples are looked at twice; batch norm and dropout do not notice."""
    nets = [toy.network(), toy.network()]
    data = toy.Toy(20)
    for net, padded in zip(nets, (False, True), strict=True):
        if padded:  # a fifth frame without a weight: T is no longer the size of a batch
            data.x = np.concatenate((data.x, np.zeros_like(data.x[:, :1])), axis=1)
            net.register_forward_pre_hook(lambda _, given: (given[0][:4],))
        learning.train(net, data, **toy.SETTINGS | {"batch_size": 4, "epochs": 2})
    for ours, theirs in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_numbers_of_numpy_and_torch_are_numbers(toy):
    nets = [toy.network(), toy.network()]
    plain = {"epochs": 2, "seed": 1, "batch_size": 16, "learning_rate": 0.001}
    theirs = {
        "epochs": np.int64(2),
        "seed": torch.tensor(1),
        "batch_size": np.int32(16),
        "learning_rate": np.float32(0.001),
    }
    histories = [
        learning.train(net, toy.Toy(), **toy.SETTINGS | settings)
        for net, settings in zip(nets, (plain, theirs), strict=True)
    ]
    assert histories[0].loss == histories[1].loss
    assert type(histories[1].learning_rate[0]) is float
