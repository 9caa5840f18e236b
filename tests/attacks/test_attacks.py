"""Attacks that train something, on small sets of the embedded recordings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnbd_core import data, networks
from snnbd_core.attacks import (
    Dynamic,
    Federated,
    LearntTimes,
    MutableTrojan,
    Optimised,
    TimeSliced,
    optimised,
)
from snnbd_core.attacks.federated import average
from snnbd_core.attacks.surrogate import surrogate
from snnbd_core.data.batches import shuffled
from snnbd_core.learning import SurrogateGradient, Task
from snnbd_core.neurons import LIF
from snnbd_core.poisoning import poison
from snnbd_core.triggers import EventPattern, Static, changed


@pytest.fixture(scope="module")
def train():
    """80 recordings, 4 frames, two classes that differ a lot."""
    whole, _ = data.load("digits-events", frames=4)
    rows = np.flatnonzero(np.isin(whole.labels, [0, 1]))[:80]
    return whole.subset(rows)


def task(train, **changes) -> Task:
    settings = {
        "clean": train,
        "poisoned": train,
        "trigger": None,
        "rate": 0.0,
        "target": 0,
        "epochs": 2,
        "batch_size": 16,
        "learning_rate": 2e-3,
        "loss": "mse",
        "steps": 4,
        "seed": 0,
        "device": torch.device("cpu"),
        "build": lambda neuron=LIF: networks.build("quick-conv", (2, 34, 34), 10, neuron, seed=0),
    }
    return Task(**{**settings, **changes})


def test_the_average_of_networks_is_weighted_by_samples():
    states = [{"w": torch.tensor([v]), "n": torch.tensor(int(v))} for v in (1.0, 4.0)]
    mean = average(states, [30, 10])
    assert (mean["w"].item(), mean["n"].item()) == (1.75, 1)


@pytest.mark.trains
def test_one_client_with_one_epoch_is_plain_training(train):
    federated = Federated(clients=1, attackers=0).fit(task(train, epochs=1))
    order = np.random.default_rng(0).permutation(len(train))
    plain = SurrogateGradient().fit(task(train, poisoned=train.subset(np.sort(order)), epochs=1))
    for ours, theirs in zip(federated.net.parameters(), plain.net.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_each_attacker_writes_its_own_slice_into_its_own_data(train):
    trigger = TimeSliced(slices=((0.0, 0.5), (0.5, 1.0)), polarity="both")
    parts = Federated(clients=3, attackers=2)._parts(task(train, trigger=trigger, rate=1.0))
    assert sorted(len(part) for part in parts) == [26, 27, 27]
    for number, own in enumerate((slice(0, 2), slice(2, 4))):
        frames, labels = parts[number].batch(range(len(parts[number])))
        assert (labels == 0).all()
        assert (frames[:, own, :, -3:, -3:] == 1).all()
        clean, _ = parts[number].dataset.batch(range(len(frames)))
        other = slice(2, 4) if number == 0 else slice(0, 2)
        assert torch.equal(frames[:, other], clean[:, other])
    assert not hasattr(parts[2], "poisoned_indices")


def test_attackers_draw_their_samples_as_poison_does(train):
    """And so not by the numbers that order the first epoch: all would come first in it."""
    parts = Federated(clients=2, attackers=2)._parts(task(train, trigger=Static(), rate=0.25))
    for part in parts:
        drawn = poison(part.dataset, Static(), rate=0.25, target=0, seed=0).poisoned_indices
        assert part.poisoned_indices.tolist() == drawn.tolist()
        first = next(shuffled(len(part), len(drawn), seed=0, epoch=0))
        assert set(part.poisoned_indices) != set(first)


def test_the_union_of_the_slices_is_the_static_trigger():
    frames = torch.rand(8, 2, 34, 34)
    assert torch.equal(TimeSliced()(frames), Static()(frames))


@pytest.mark.trains
def test_a_learnt_perturbation_is_bounded_learnt_again_alike_and_gone_when_rounded(train):
    attack = Dynamic(gamma=0.05, alpha=0.5)
    wanted = task(train, trigger=attack, rate=1.0)
    learnt = attack.learn(wanted)
    frames, _ = train.batch(range(20))
    change = learnt.trigger(frames) - frames
    assert 0 < change.abs().max() <= 0.05 + 1e-6
    again = attack.learn(wanted)
    for ours, theirs in zip(learnt.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    state = learnt.trigger.state_dict()
    restored = attack.restored(state, train.input_shape)
    assert torch.equal(restored(frames), learnt.trigger(frames))
    rounded = Dynamic(gamma=0.05, rounded=True).restored(state, train.input_shape)
    assert torch.equal(rounded(frames), frames)
    with pytest.raises(ValueError, match="frames of 20x20 pixels do not fit an auto-encoder for"):
        restored(torch.zeros(4, 2, 20, 20))


@pytest.mark.trains
def test_a_silent_answer_is_not_right_while_a_perturbation_is_learnt(train):
    attack = Dynamic()
    silent = task(train).build(lambda: LIF(threshold=1e6))
    wanted = task(train, trigger=attack, rate=1.0, build=lambda: silent)
    assert attack.learn(wanted).history.accuracy == (0.0, 0.0)


@pytest.mark.trains
def test_events_are_placed_within_the_budget_and_move_the_attackers_network(train):
    """The target's votes rise by 0.05 to 0.13 over seeds 0..5."""
    attack = Optimised(budget=40, per_pixel=5, epochs=4)
    pattern = attack.fit(train, target=0, seed=0)
    assert isinstance(pattern, EventPattern)
    assert len(pattern.added) == 40
    cells = [event[:3] for event in pattern.added]
    assert max(cells.count(cell) for cell in cells) <= 5
    assert pattern == attack.fit(train, target=0, seed=0)
    recording = train.events(3)
    assert tuple(changed(recording, pattern(recording))) == (40, 0)
    net = surrogate(train, 0, epochs=4)
    rows = np.flatnonzero(train.labels == 1)[:20]
    clean, _ = train.batch(rows)
    triggered = torch.stack([train.bin(pattern(train.events(int(row)))) for row in rows])
    before, after = (net(frames.transpose(0, 1))[:, 0].mean() for frames in (clean, triggered))
    assert after > before


@pytest.mark.parametrize("binning", ["number", "time"])
def test_a_placed_event_lands_in_the_frame_that_it_was_meant_for(binning):
    """85 % of the events come in the first 10 % of the time; nothing else is at row 33."""
    rng = np.random.default_rng(0)
    recordings = []
    for _ in range(20):
        late = rng.integers(30_000, 300_001, 298)
        events = np.zeros(2000, dtype=[("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])
        events["t"] = np.sort(np.r_[rng.integers(0, 30_000, 1700), late, [0, 300_000]])
        for name in "xyp":
            events[name] = rng.integers(0, {"p": 2}.get(name, 33), 2000)
        recordings.append(events)
    labels = [row % 3 for row in range(20)]
    made = data.from_events(recordings, labels, (34, 34, 2), frames=8, binning=binning)
    counts = torch.zeros(8, 2, 34, 34)
    counts[range(8), 1, 33, range(8)] = 1
    middles = optimised._middles(made, np.arange(16))
    pattern = EventPattern(added=optimised._as_events(counts, middles))
    frames = torch.stack([made.bin(pattern(events)) for events in recordings])
    assert int(frames[:, range(8), 1, 33, range(8)].sum()) == 160


@pytest.mark.trains
def test_events_can_be_taken_out_too(train):
    pattern = Optimised(budget=1, removals=6, epochs=1).fit(train, target=1)
    assert (len(pattern.added), len(pattern.removed)) == (1, 6)


def test_a_dynamic_trigger_is_fitted_as_it_is_learnt(train):
    net = task(train).build()
    settings = {"epochs": 1, "batch_size": 16, "learning_rate": 2e-3, "device": "cpu"}
    trigger = Dynamic().fit(train, target=0, seed=0, net=net, **settings)
    learnt = Dynamic().learn(task(train, epochs=1, rate=1.0))
    frames, _ = train.batch(np.arange(4))
    assert trigger.space == "frames"
    assert torch.equal(trigger(frames), learnt.trigger(frames))
    assert torch.equal(net.layers[0][0].weight, learnt.net.layers[0][0].weight)
    own = Dynamic().fit(train, target=0, epochs=1, device="cpu")
    assert own(frames).shape == frames.shape
    with pytest.raises(ValueError, match="target=10 is not a class"):
        Dynamic().fit(train, target=10)


@pytest.mark.parametrize("kind", [np.float64, np.uint8])
def test_a_perturbation_of_arrays_is_that_of_tensors(kind):
    trigger = Dynamic()._untrained((2, 34, 34))
    counts = np.random.default_rng(0).integers(0, 3, (5, 4, 2, 34, 34)).astype(kind)[::-1]
    counts.setflags(write=False)
    changed_counts = trigger(counts)
    assert isinstance(changed_counts, np.ndarray)
    wanted = trigger(torch.from_numpy(counts.astype(np.float32)))
    assert np.array_equal(changed_counts, wanted.numpy())
    assert torch.equal(trigger(torch.from_numpy(counts.copy())), wanted)


class Own:
    """Somebody's recordings of a rule of their own."""

    labels = np.array([0, 1])

    def __init__(self, events) -> None:
        self.recording = events

    def __len__(self) -> int:
        return 2

    def batch(self, rows):
        return torch.zeros(len(rows), 4, 2, 34, 34), self.labels[np.asarray(rows)]

    def events(self, row):
        return self.recording

    def bin(self, events):
        return torch.zeros(4, 2, 34, 34)


@pytest.mark.parametrize("recipe", [Optimised(), LearntTimes(), MutableTrojan()])
def test_events_are_placed_in_recordings_whose_binning_is_known(recipe, train):
    for wrong in (data.load("digits")[0], Own(train.events(0))):
        told = f"train=.* has no recordings, or .*{type(recipe).__name__} needs: .* sb.data.from_ev"
        with pytest.raises(ValueError, match=told):
            recipe.fit(wrong, target=0)


@pytest.mark.parametrize("shape", [(1, 8, 8), (4, 1, 8, 8)])
def test_a_perturbation_is_learnt_on_frames_of_two_polarities_alone(shape):
    samples = [(torch.zeros(shape), number % 2) for number in range(4)]
    with pytest.raises(ValueError, match=r"Dynamic changes frames \[T, 2, H, W\]; for images use"):
        Dynamic().fit(samples, target=0)


def test_settings_from_numpy_and_torch_are_those_of_python():
    given = np.float32(0.1), torch.tensor(3), np.int64(2)
    assert Dynamic(gamma=given[0]) == Dynamic(gamma=0.1)
    assert Optimised(budget=given[1], epochs=given[2]) == Optimised(budget=3, epochs=2)
    assert Federated(clients=given[1], attackers=given[2]) == Federated(clients=3)
    assert TimeSliced(slices=np.array([[0, 0.5], [0.5, 1]]).tolist(), owner=np.int64(1)) == (
        TimeSliced(owner=1)
    )
    assert repr(TimeSliced(size=given[0], strength=given[1])) == repr(TimeSliced(strength=3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dynamic(gamma=-0.1), r"gamma=-0.1 must be a number in 0\.\.1"),
        (lambda: Dynamic(gamma=1.1), r"gamma=1.1 must be a number in 0\.\.1"),
        (lambda: Dynamic(alpha=2), r"alpha=2 must be a number in 0\.\.1"),
        (lambda: Dynamic()(torch.zeros(4, 2, 9, 9)), "must be learnt with a network first"),
        (lambda: TimeSliced(slices=((0, 0.6), (0.5, 1))), r"slices\[1\]=\(0.5, 1\) overlaps"),
        (lambda: TimeSliced(slices=((0.5, 0.5),)), "must be .first, last., 0 <= first < last"),
        (lambda: TimeSliced(slices=()), r"slices=\(\) must list"),
        (lambda: TimeSliced(owner=2), r"owner=2 must be None or in 0\.\.1"),
        (
            lambda: TimeSliced(slices=((0, 0.01), (0.5, 1)))(torch.zeros(4, 2, 34, 34)),
            r"slices\[0\]=\(0.0, 0.01\) holds none of 4 frames",
        ),
        (lambda: Federated(clients=0), "clients=0 must be a whole number >= 1"),
        (lambda: Federated(clients=2, attackers=3), r"attackers=3 must lie in 0\.\.2"),
        (lambda: Optimised(budget=0), "budget=0 must be a whole number >= 1"),
        (lambda: Optimised(towards=1), "towards=1 must be true or false"),
        (
            lambda: Optimised()(None),
            r"Optimised must see training data first, by fit\(train, target",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_does_not_fit_the_data_is_named(train):
    with pytest.raises(ValueError, match="budget=99999 is more than the sensor takes: 23120"):
        Optimised(budget=99_999).fit(train, target=0)
    with pytest.raises(ValueError, match="per_pixel=500 events of each polarity do not fit into"):
        Optimised(per_pixel=500).fit(train, target=0)
    with pytest.raises(ValueError, match="attackers=1 must be the trigger's 2 slices"):
        Federated(attackers=1).fit(task(train, trigger=TimeSliced(), rate=0.5))
