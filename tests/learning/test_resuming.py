"""A killed training goes on from its checkpoint to the same bits, whatever the rule."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from snnbd_book.runs import parts
from snnbd_core import attacks, learning, networks
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.attacks.dynamic import _Best
from snnbd_core.data import as_set
from snnbd_core.defenses.abl import AntiBackdoorLearning
from snnbd_core.learning import Task, loop
from snnbd_core.learning.checkpoint import network_identity
from snnbd_core.neurons import LIF
from snnbd_core.poisoning import poison
from snnbd_core.triggers import Static

TRAINED = (
    learning.SurrogateGradient(),
    learning.ANN(),
    learning.Hybrid(epochs=3),
    learning.SpikeRepresentation(),
    learning.RoundingAware(),
    DualSpike(share=0.1),
    DualSpike(share=0.1, schedule="two-pass-equal", batch_norm="separate", clip=1.0),
    attacks.Dynamic(),
    attacks.Federated(clients=2, attackers=1),
    attacks.FrozenReadout(),
    attacks.MarginAware(every=2),
    attacks.WakesRounded(),
    attacks.Watermark(keys=4),
    AntiBackdoorLearning(unlearning=2),
)


@pytest.fixture
def epochs(monkeypatch):
    """Epochs begun so far, and after how many a training is killed."""
    seen = {"begun": 0, "most": 1000}
    one = loop._epoch

    def epoch(*given):
        if seen["begun"] == seen["most"]:
            raise KeyboardInterrupt
        seen["begun"] += 1
        return one(*given)

    monkeypatch.setattr(loop, "_epoch", epoch)
    return seen


@pytest.fixture
def fitted(toy, epochs):
    """Trains by a rule from a checkpoint, killed after so many epochs; how many it took."""
    made = toy.Toy()
    data = as_set(TensorDataset(torch.from_numpy(made.x), torch.from_numpy(made.labels)))
    trigger = Static(size=0.3)

    def build(neuron=LIF):
        return networks.build("quick-conv", (2, 6, 6), 3, neuron=neuron, seed=0)

    def fit(rule, checkpoint=None, most=1000):
        migrating = isinstance(rule, learning.Hybrid)
        task = Task(
            clean=data,
            poisoned=poison(data, trigger, rate=0.2, target=0),
            build=build,
            epochs=3,
            device=torch.device("cpu"),
            trigger=trigger,
            rate=0.2,
            batch_size=16,
            source=copy.deepcopy(build(torch.nn.ReLU) if migrating else build()),
            checkpoint=checkpoint,
        )
        epochs.update(begun=0, most=most)
        done = rule.learn(task) if isinstance(rule, attacks.Dynamic) else rule.fit(task)
        return done, epochs["begun"]

    return fit


def test_every_rule_that_trains_is_here():
    kinds = {type(rule) for rule in TRAINED} - {attacks.Dynamic}
    assert kinds == set(parts.RULES.values()) - {learning.Conversion}


def told(done):
    """All that a training gave, but for how long it took."""
    trigger = {} if done.trigger is None else done.trigger.state_dict()
    figures = {name: str(value) for name, value in done.figures.items()}
    weights = {**done.net.state_dict(), **{f"trigger {name}": trigger[name] for name in trigger}}
    return replace(done.history, seconds=()), figures, weights


@pytest.mark.parametrize("rule", TRAINED, ids=lambda rule: type(rule).__name__)
def test_a_killed_training_goes_on_where_it_was_to_the_same_bits(rule, fitted, tmp_path):
    """Killed after its first epoch, and before its last; a whole one is not trained again."""
    done, count = fitted(rule)
    history, figures, weights = told(done)
    assert len(history) == 3 and count >= 3
    at_once = getattr(rule, "clients", 1)  # a round of clients is done as a whole
    for most in (1, count - 1):
        path = tmp_path / f"{most}.checkpoint"
        with pytest.raises(KeyboardInterrupt):
            fitted(rule, path, most)
        for left in (count - most // at_once * at_once, 0):
            again, begun = fitted(rule, path)
            assert begun == left
            assert told(again)[:2] == (history, figures)
            assert all(torch.equal(told(again)[2][name], weights[name]) for name in weights)


def test_the_best_epoch_of_a_learnt_trigger_may_come_before_the_kill(fitted, tmp_path, monkeypatch):
    take = _Best.take

    def first(best, score, net):
        if not best.weights:
            take(best, score, net)

    monkeypatch.setattr(_Best, "take", first)
    whole, _ = fitted(attacks.Dynamic())
    with pytest.raises(KeyboardInterrupt):
        fitted(attacks.Dynamic(), tmp_path / "run.checkpoint", 2)
    resumed, _ = fitted(attacks.Dynamic(), tmp_path / "run.checkpoint")
    weights = told(whole)[2]
    assert all(torch.equal(told(resumed)[2][name], weights[name]) for name in weights)


def test_a_task_that_is_replaced_counts_its_trainings_on(fitted, tmp_path):
    class Twice(learning.SurrogateGradient):
        def fit(self, task):
            first = task.fitted(task.build())
            again = replace(task, seed=7).fitted(first.net)
            return replace(again, history=first.history.followed_by(again.history))

    whole, _ = fitted(Twice())
    with pytest.raises(KeyboardInterrupt):
        fitted(Twice(), tmp_path / "run.checkpoint", 5)
    assert {path.name for path in tmp_path.iterdir()} == {"run.checkpoint", "run.1.checkpoint"}
    resumed, begun = fitted(Twice(), tmp_path / "run.checkpoint")
    assert (begun, resumed.history.loss) == (1, whole.history.loss)


def test_a_loss_that_is_a_function_is_trained_without_a_checkpoint(fitted, tmp_path):
    class Own(learning.SurrogateGradient):
        def fit(self, task):
            net = task.build()
            return learning.Trained(net, task.train(net, loss=lambda votes, _: votes.sum()))

    fitted(Own(), tmp_path / "run.checkpoint")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (attacks.FrozenReadout, {"layers": 1}, {"layers": 2}),
        (learning.ANN, {"levels": 2}, {"levels": 16}),
        (learning.RoundingAware, {"bits": 2}, {"bits": 8}),
        (attacks.WakesRounded, {"bits": 2}, {"bits": 8}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_rule_of_other_settings_leaves_the_checkpoint_alone(kind, one, other, fitted, tmp_path):
    """And it trains as it does without a checkpoint."""
    kept = {"activation": "qcfs"} if kind is learning.ANN else {}
    path = tmp_path / "run.checkpoint"
    fitted(kind(**one, **kept), path)
    whole, _ = fitted(kind(**other, **kept))
    with pytest.warns(UserWarning, match="belongs to another run: its network"):
        second, _ = fitted(kind(**other, **kept), path)
    (_, _, wanted), (_, _, weights) = told(whole), told(second)
    assert all(torch.equal(weights[name], wanted[name]) for name in wanted)


def test_what_neurons_have_learnt_makes_no_other_run():
    """SpikingJelly's print the time constant that they learn."""
    neurons = pytest.importorskip("spikingjelly.activation_based.neuron")
    net = nn.Sequential(nn.Linear(2, 2), neurons.ParametricLIFNode())
    before, told_before = network_identity(net), net[1].extra_repr()
    nn.init.ones_(net[1].w)
    assert net[1].extra_repr() != told_before
    assert network_identity(net) == before
