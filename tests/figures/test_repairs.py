"""What repairs look at is drawn where it is, and marked as the repair decided."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from torch import nn

import snnbd_core as sb
from snnbd_book.drawings import poison_in_the_data, removing_backdoors
from snnbd_book.runs import Neuron
from snnbd_core.defenses.nad import attention
from snnbd_core.defenses.pruning import Choice
from snnbd_core.learning import as_sequence
from snnbd_core.metrics import Rate, Report
from snnbd_core.neurons import spiking_layers
from snnbd_core.triggers import Patch

CHOICE = Choice(
    scores=(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.1, 0.9])),
    keep=(torch.tensor([True, False, True]), torch.tensor([False, True])),
    limits=(None, 0.5),
)
CHANGE = [torch.tensor([0.3, -0.2, 0.0]), torch.tensor([0.7, 0.6]), torch.zeros(9)]


@pytest.fixture
def net():
    return sb.networks.build("quick-conv", (1, 8, 8), 10, Neuron().build, seed=0).eval()


def points(axes):
    """Label -> the points drawn with it."""
    return {
        one.get_label(): np.round(np.asarray(one.get_offsets()), 6).tolist()
        for one in axes.collections
        if isinstance(one, PathCollection)
    }


def steps(axes):
    """Label -> heights of the stairs drawn with it, and their edges."""
    return {one.get_label(): one.get_data() for one in axes.patches if hasattr(one, "get_data")}


def test_a_channel_stands_at_its_score_and_its_change():
    first, second = removing_backdoors.draw_channels(CHOICE, CHANGE, "mask").axes
    assert points(first) == {"kept": [[1.0, 0.3], [3.0, 0.0]], "silenced": [[2.0, -0.2]]}
    assert points(second) == {"kept": [[0.9, 0.6]], "silenced": [[0.1, 0.7]]}
    assert first.get_title() == "layer 1: 1 of 3 silenced"
    assert [line.get_label() for line in second.lines][1:] == ["limit"]
    assert list(second.lines[1].get_xdata()) == [0.5, 0.5]
    assert len(first.lines) == 1  # no limit
    looks = [(str(one.get_facecolor()), len(one.get_paths()[0])) for one in first.collections]
    assert looks[0][0] != looks[1][0] and looks[0][1] != looks[1][1]  # colour and shape
    weakened = removing_backdoors.draw_channels(CHOICE, CHANGE, "mask", chosen="weakened").axes[0]
    assert points(weakened).keys() == {"kept", "weakened"}
    assert weakened.get_title() == "layer 1: 1 of 3 weakened"


def test_a_change_of_another_layer_is_refused():
    with pytest.raises(ValueError, match="change of layer 1 has 2 channels, its scores 3"):
        removing_backdoors.draw_channels(CHOICE, CHANGE[1:], "mask")


def spikes_of(net, sequence):
    """Spikes of the hidden layers."""
    seen = []
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output))
        for layer in spiking_layers(net)[:-1]
    ]
    with torch.no_grad():
        net(sequence)
    for hook in hooks:
        hook.remove()
    return seen


def test_rates_change_by_what_the_network_does_under_the_trigger(net):
    _, test = sb.data.load("digits", seed=0)
    few, trigger = test.subset(np.arange(20)), Patch(size=0.25)
    found = removing_backdoors.changed_rates(net, few, trigger, 3)
    images, _ = few.batch(np.arange(20))
    seen = []
    for batch in (torch.as_tensor(trigger(images)).float(), images):
        convolutional, dense = spikes_of(net, as_sequence(batch, 3))
        seen.append([convolutional.mean(dim=(0, 1, 3, 4)), dense.mean(dim=(0, 1))])
    for change, with_it, without in zip(found, *seen, strict=True):
        torch.testing.assert_close(change, with_it - without)
    assert float(found[0].abs().max()) > 0


def test_strengths_are_drawn_in_order_in_per_cent():
    def report(right, hit):
        none = Rate(0, 10)
        return Report(
            target=0,
            clean_accuracy=Rate(right, 10),
            no_prediction_clean=none,
            untriggered_target_rate=none,
            spikes_clean=0.0,
            synops_clean=0.0,
            attack_success_rate=Rate(hit, 10),
        )

    found = {0.1: report(5, 1), 0.01: report(9, 10)}
    (axes,) = removing_backdoors.draw_strengths(found, "learning rate", log=True).axes
    accuracy, success = axes.lines
    assert list(accuracy.get_xdata()) == [0.01, 0.1]
    assert list(accuracy.get_ydata()) == [90, 50]
    assert list(success.get_ydata()) == [100, 10]
    assert [one.get_text() for one in axes.get_xticklabels()] == ["0.01", "0.1"]


def test_attention_is_drawn_as_a_map_of_the_first_layer(net):
    _, test = sb.data.load("digits", seed=0)
    sequence = as_sequence(test.batch([3])[0], 4)
    sample, drawn = removing_backdoors.draw_attention(sequence, {"attacked": net}).axes
    np.testing.assert_allclose(sample.images[0].get_array(), sequence.sum(dim=(0, 1, 2)))
    values = np.asarray(drawn.images[0].get_array())
    assert values.shape == (8, 8)
    np.testing.assert_allclose(values.ravel(), attention(spikes_of(net, sequence)[0])[0], rtol=1e-6)
    with pytest.raises(ValueError, match="sequence has 2 samples: allowed is 1"):
        removing_backdoors.draw_attention(as_sequence(test.batch([3, 4])[0], 4), {"attacked": net})
    dense = sb.adapt(
        nn.Sequential(nn.Flatten(2), nn.Linear(64, 5), sb.LIF(), nn.Linear(5, 3), sb.LIF())
    )
    with pytest.raises(ValueError, match="the first hidden layer of 'dense' has no places"):
        removing_backdoors.draw_attention(sequence, {"dense": dense})


def test_clamps_are_drawn_for_the_channels_that_the_trigger_drives_furthest():
    clean = torch.tensor([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])  # [T, C]
    triggered = torch.tensor([[1.5, 1.0, 4.0], [2.0, 3.0, 2.0]])
    panels = removing_backdoors.draw_clamps([clean], [0.5 * clean], [triggered], count=2).axes
    assert [one.get_title() for one in panels] == ["layer 1, channel 2", "layer 1, channel 1"]
    drawn = {line.get_label(): line.get_ydata().tolist() for line in panels[0].lines}
    assert drawn == {"largest clean": [1, 2], "largest triggered": [4, 2], "bound": [0.5, 1]}


def test_gaps_are_shares_of_all_neurons_and_steps():
    gaps = {"before": [torch.tensor([[-0.05, -0.05], [-0.3, -9.0]])], "after": [torch.zeros(4) + 9]}
    (axes,) = removing_backdoors.draw_gaps(gaps, margin=0.5).axes
    drawn = steps(axes)
    heights, edges, _ = drawn["before"]
    at = {value: heights[np.searchsorted(edges, value) - 1] for value in (-0.05, -0.3)}
    assert at == {-0.05: 50.0, -0.3: 25.0}
    assert heights.sum() == 75  # one is outside of what is drawn
    assert drawn["after"][0].sum() == 0
    assert (edges[0], edges[-1]) == (-1.5, 1.5)
    assert axes.get_title() == "read-out"


def test_losses_of_poisoned_samples_are_drawn_apart():
    losses = torch.tensor([0.1, 0.2, 0.9, 1.0])
    (axes,) = poison_in_the_data.draw_isolated(losses, np.array([2, 3]), share=0.25).axes
    drawn = steps(axes)
    for name, places in (("clean", (0.1, 0.2)), ("poisoned", (0.9, 1.0))):
        heights, edges, _ = drawn[name]
        assert heights.sum() == pytest.approx(100)
        filled = np.flatnonzero(heights)
        assert len(filled) == 2
        for place, bin_ in zip(places, filled, strict=True):
            assert edges[bin_] - 1e-6 <= place <= edges[bin_ + 1] + 1e-6
    (strip,) = [one for one in axes.patches if one.get_label() == "set aside"]
    assert strip.get_x() + strip.get_width() == pytest.approx(0.1)


def test_the_read_out_is_drawn_last(net):
    layers = [torch.zeros(3) for _ in spiking_layers(net)]
    titles = [one.get_title() for one in removing_backdoors.draw_gaps({"before": layers}, 0.2).axes]
    assert titles == ["layer 1", "layer 2", "read-out"]
