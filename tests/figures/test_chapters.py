"""Figures and tables of the chapters on triggers, rules, BadSNN and defences."""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

import snnbd_core as sb
from snnbd_book import claims, figures, runs
from snnbd_book.drawings import (
    a_trigger_at_the_input,
    badsnn,
    badsnn_neurons,
    learning_rules,
    neuromorphic_triggers,
    photographs,
    spiking_neurons,
    stealthier_triggers,
)
from snnbd_book.runs import Neuron, Record
from snnbd_book.runs.provenance import Provenance
from snnbd_core import defenses
from snnbd_core.defenses.detectors import Verdict
from snnbd_core.learning import History
from snnbd_core.metrics import Rate, Report, decide


def record(success=50, accuracy=90, floor=2, **extra):
    report = Report(
        target=0,
        clean_accuracy=Rate(accuracy, 100),
        no_prediction_clean=Rate(0, 100),
        untriggered_target_rate=Rate(3, 100),
        spikes_clean=5.0,
        synops_clean=2000.0,
        attack_success_rate=Rate(success, 100),
        attack_success_rate_all=Rate(success, 100),
        robust_accuracy=Rate(10, 100),
        no_prediction_triggered=Rate(0, 100),
        spikes_triggered=6.0,
        synops_triggered=3000.0,
        floor=Rate(floor, 100),
        floor_all=Rate(floor, 100),
        extra=extra,
    )
    history = History((0.1,), (0.9,), (1e-3,), (2.0,))
    experiment = runs.Experiment()
    provenance = Provenance.now(
        experiment, dataset="a-b", device=torch.device("cpu"), seconds=1.0, peak_memory=1
    )
    return Record(experiment=experiment, report=report, history=history, provenance=provenance)


def lines(figure, panel=0):
    return {
        line.get_label(): [list(map(float, axis)) for axis in line.get_data()]
        for line in figure.axes[panel].get_lines()
    }


def test_stills_hold_every_state_and_sliders_move_through_them():
    def draw(a, b):
        return np.full((2, 2, 3), a, dtype=np.uint8), f"{a} and {b}"

    page = figures.stills({"a": [0, 255], "b": ["x", "y", "z"]}, draw).data
    states = json.loads(re.search(r"const states = (\[.*?\]), stops", page)[1])
    assert [text for _, text in states] == [f"{a} and {b}" for a in (0, 255) for b in "xyz"]
    assert len({re.search('src="([^"]+)"', picture)[1] for picture, _ in states}) == 2
    assert page.count('type="range"') == 2
    assert 'alt="0 and x"' in page


def test_sliders_call_the_same_function(monkeypatch):
    seen = []

    def draw(a, b):
        seen.append((a, b))
        return np.zeros((2, 2, 3), dtype=np.uint8), "text"

    box = figures.sliders({"a": [1, 2], "b": ["x", "y"]}, draw)
    assert seen == [(1, "x")]
    controls = [w for w in walk(box) if hasattr(w, "options")]
    assert [one.options[1][1] for one in controls] == [2, "y"]
    controls[0].value = 2
    assert seen[-1] == (2, "x")


@pytest.mark.parametrize(("width", "rendering"), [(288, "pixelated"), (840, "auto")])
def test_pixels_of_small_pictures_are_seen_and_drawings_are_smooth(width, rendering):
    picture = np.zeros((9, width, 3), dtype=np.uint8)
    axes = {"a": [1]}
    page = figures.stills(axes, lambda a: (picture, str(a))).data
    widget = figures.sliders(axes, lambda a: (picture, str(a))).children[-1].value
    assert all(f"image-rendering: {rendering};" in text for text in (page, widget))


def drawn(page):
    (uri,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    with Image.open(io.BytesIO(base64.b64decode(uri))) as picture:
        return picture.mode, np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize("width", [100, 450])
def test_stills_with_few_colours_are_exact_and_have_a_palette(width):
    picture = np.random.default_rng(0).integers(0, 2, (9, width, 3), dtype=np.uint8) * 255
    mode, found = drawn(figures.stills({"a": [1]}, lambda a: (picture, "text")).data)
    assert mode == "P" and (found == picture).all()


@pytest.mark.parametrize(("width", "mode", "off"), [(300, "RGB", 0), (600, "P", 8)])
def test_the_shades_of_frames_are_kept_and_those_of_drawings_are_close(width, mode, off):
    shades = np.linspace(0, 255, 9 * width).astype(np.uint8).reshape(9, width)
    picture = np.stack([shades, shades[:, ::-1], shades], axis=2)
    got, found = drawn(figures.stills({"a": [1]}, lambda a: (picture, "text")).data)
    assert got == mode
    assert np.abs(found - picture).mean() <= off


def test_stills_and_sliders_begin_where_they_are_told_to():
    def draw(a, b):
        return np.full((2, 2, 3), 10 * a, dtype=np.uint8), f"{a} and {b}"

    axes = {"a": [1, 2, 3], "b": ["x", "y"]}
    page = figures.stills(axes, draw, {"a": 2}).data
    assert 'alt="2 and x"' in page
    assert re.findall(r'max="(\d)" value="(\d)"> <output>(\w)<', page) == [
        ("2", "1", "2"),
        ("1", "0", "x"),
    ]
    box = figures.sliders(axes, draw, {"a": 2})
    assert [one.value for one in walk(box) if hasattr(one, "options")] == [2, "x"]
    assert "2 and x" in box.children[-1].value
    for make in (figures.stills, figures.sliders):
        with pytest.raises(ValueError, match=r"start has a=4: allowed is one of \[1, 2, 3\]"):
            make(axes, draw, {"a": 4})
        with pytest.raises(ValueError, match="start has 'c': allowed are a, b"):
            make(axes, draw, {"c": 1})


def test_states_below_each_other_have_their_names_and_words():
    image = np.zeros((2, 8, 3), dtype=np.uint8)
    figure = figures.draw_states({"first": (image, "two marks"), "second": (image + 9, "none")})
    assert [one.get_title(loc="left") for one in figure.axes] == [
        "first - two marks",
        "second - none",
    ]
    assert [one.images[0].get_array().max() for one in figure.axes] == [0, 9]


def walk(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from walk(child)


def test_curves_over_thresholds_show_means_in_per_cent():
    runs = {"one": {1.0: [record(10), record(20)], 1.2: [record(80), record(100)]}}
    other = {"one": {1.0: [record(accuracy=70)]}}
    figure = figures.draw_thresholds({"target 0": runs, "target 3": other}, shipped=(1.1,))
    assert [axes.get_title() for axes in figure.axes[:2]] == ["target 0", "target 3"]
    assert lines(figure, 0)["one"][1] == pytest.approx([15.0, 90.0])
    solid, dashed = figure.axes[0].lines[:2]
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    rate = record().report.untriggered_target_rate
    assert dashed.get_ydata() == pytest.approx([100 * rate.value] * 2)
    assert lines(figure, 2)["one"] == [[1.0, 1.2], [90.0, 90.0]]
    assert lines(figure, 3)["one"] == [[1.0], [70.0]]


def test_photographs_are_drawn_beside_the_papers_figures():
    photographs_of = runs.Experiment(data="cifar10-small", network="vgg11")
    one = dataclasses.replace(record(40, 60), experiment=photographs_of)
    by_threshold = {1.1: [one], 1.2: [one]}
    triggers = ("T_p", "T_p, not standardised", "T_o")
    sets = {"CIFAR-10": dict.fromkeys(triggers, by_threshold)}
    figure = photographs.draw_beside_paper(sets, claims.load("miah2026"))
    titles = ["CIFAR-10,\n$T_p$", "CIFAR-10,\n$T_p$, not standardised", "CIFAR-10,\n$T_o$"]
    assert [axes.get_title() for axes in figure.axes] == titles
    drawn = [
        [(line.get_label(), *line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 1]
        for axes in figure.axes
    ]
    papers = ((77.79, 99.97), (77.79, 99.97), (82.65, 99.96))
    for found, (low, high) in zip(drawn, papers, strict=True):
        assert [x for name, x in found if name == "success"] == pytest.approx([40, 40])
        assert [x for name, x in found if name == "success, the paper"] == pytest.approx(
            [low, high]
        )
        assert [x for name, x in found if name == "clean accuracy"] == pytest.approx([60, 60])
        accuracies = [x for name, x in found if name == "clean accuracy, the paper"]
        assert accuracies == pytest.approx([87.22, 11.94])
    heights = {line.get_label(): line.get_ydata()[0] for line in figure.axes[0].lines}
    assert heights["success"] == heights["success, the paper"]


def test_migration_is_drawn_against_the_number_of_steps():
    runs = {
        "max": {
            8: [record(100, migration_per_sample=Rate(99, 100))],
            4: [record(50, migration_per_sample=Rate(40, 100))],
        }
    }
    figure = learning_rules.draw_migration(runs)
    assert lines(figure, 1)["max"] == [[4.0, 8.0], [50.0, 100.0]]
    assert lines(figure, 2)["max"] == [[4.0, 8.0], [40.0, 99.0]]


def test_both_migration_rates_are_tabulated():
    snn = record(51, floor=1, migration_per_sample=Rate(50, 100))
    table = learning_rules.migration_table({"SNN": [snn]}, {"SNN": [record(100, floor=0)]})
    assert table.loc["SNN", "MR1"] == "50.0 %"
    assert table.loc["SNN", "MR2"].startswith("50.0 %")


def test_thresholds_of_a_deployed_network_have_a_panel_for_each_number_of_steps():
    figure = learning_rules.draw_deployed(
        {T: {1.0: [record(50)], 2.0: [record(20, 70)]} for T in (4, 8)}
    )
    assert [axes.get_title() for axes in figure.axes] == ["T = 4", "T = 8"]
    assert lines(figure)["attack success"] == [[1, 2], [50, 20]]
    assert lines(figure)["clean accuracy"] == [[1, 2], [90, 70]]


def test_the_interval_of_a_migration_rate_ends_at_none_and_all_of_the_backdoor():
    def seeds(*successes):
        return [record(one, floor=0, migration_per_sample=Rate(9, 10)) for one in successes]

    runs = {"none": seeds(0, 1, 0), "all": seeds(99, 100, 99), "more": seeds(50, 51, 50)}
    anns = {"none": seeds(100, 100, 100), "all": seeds(100, 100, 100), "more": seeds(50, 50, 50)}
    shown = learning_rules.migration_table(runs, anns)["MR1"]
    assert shown["none"].startswith("0.3 % (0.0-")
    assert shown["all"].endswith("-100.0)")
    assert shown["more"].endswith("-102.0)")  # what a seed really had is not cut off


def test_costs_are_operations_times_their_energy():
    table = learning_rules.cost_table({"ANN": [record()], "SNN": [record()]}, operations=1000)
    assert table.loc["ANN", "energy (nJ)"] == "4.6"  # 1000 multiplications of 4.6 pJ
    assert table.loc["SNN", "energy (nJ)"] == "1.8"  # 2000 additions of 0.9 pJ
    assert table.loc["SNN", "under the trigger"] == "+50.0 %"
    alike = learning_rules.cost_table({"SNN": [record(), record(), record()]}, operations=1000)
    assert alike.loc["SNN", "energy (nJ)"] == "1.8 (1.8-1.8)"


def test_dense_operations_of_a_known_network():
    net = sb.networks.build("quick-conv", (1, 8, 8), 10, torch.nn.ReLU, seed=0)
    assert learning_rules.dense_operations(net) == 64 * 16 * 25 + 1024 * 128 + 128 * 100


def test_success_by_place_in_time_and_by_setting():
    runs = {"first": {2: [record(60)], 4: [record(100)]}}
    assert lines(stealthier_triggers.draw_time_position(runs))["first"] == [
        [2.0, 4.0],
        [60.0, 100.0],
    ]
    beside = stealthier_triggers.draw_time_position(runs, {"first": {2: 0.5, 3: 1.0}})
    published = [line for line in beside.axes[0].get_lines() if line.get_linestyle() == ":"]
    assert [list(line.get_ydata()) for line in published] == [[50.0, 100.0]]
    others = stealthier_triggers.draw_time_position(runs, beside={"first": {2: [record(70)]}})
    triangles = [line for line in others.axes[0].get_lines() if line.get_marker() == "^"]
    assert [list(line.get_ydata()) for line in triangles] == [[pytest.approx(70)]]
    figure = stealthier_triggers.draw_varied({"size": {"0.1": [record(70, floor=5)]}})
    heights = [line.get_ydata()[0] for line in figure.axes[0].get_lines()]
    assert heights[1:] == [pytest.approx(70), pytest.approx(5)]


def test_the_frontier_names_every_attack():
    scores = {
        "ssim_frames": 0.9,
        "ssim_sum": 0.8,
        "psnr": 30.0,
        "l2": 2.0,
        "changed": 12.0,
        "rate_change": 0.1,
        "van_rossum": 3.0,
        "nearest": 1.1,
    }
    runs = {"static": [record(99, **scores)], "flash": [record(40, **scores)]}
    labels = stealthier_triggers.draw_frontier(runs).legends[0].get_texts()
    assert [one.get_text() for one in labels] == ["static", "flash"]


def test_what_a_repair_costs_is_its_time_beyond_the_run_without_it():
    def timed(seconds, defence=None):
        one = record()
        return dataclasses.replace(
            one,
            experiment=dataclasses.replace(one.experiment, defence=defence, held_out=10),
            provenance=dataclasses.replace(one.provenance, seconds=seconds),
        )

    tuned, clipped = defenses.TwoStage(), defenses.ChannelLipschitz()
    grid = {
        "static": {
            "nothing": [timed(5.0), timed(6.0), timed(7.0)],
            "tuned": [timed(7.0, tuned), timed(9.0, tuned), timed(99.0, tuned)],
            "clipped": [timed(4.9, clipped), timed(5.9, clipped), timed(7.5, clipped)],
        }
    }
    table = figures.costs_table({"events": grid})
    assert table.loc["tuned"].to_dict() == {
        "clean samples per class": "10",
        "rounds": "20 unlearning epochs, 30 epochs",
        "events (s)": "3.0",
    }
    assert table.loc["clipped"].tolist() == ["-", "-", "0.0"]  # it needs no samples


@pytest.mark.parametrize(
    ("repair", "rounds"),
    [
        (defenses.AttentionDistillation(), "10 epochs, twice"),
        (defenses.OptimisedPruning(), "80 iterations for each class, 300 episodes"),
        (defenses.DetectedClamps(), "60 iterations, 60 more if accused"),
    ],
)
def test_rounds_inside_a_repair_are_said(repair, rounds):
    one = dataclasses.replace(record(), experiment=runs.Experiment(defence=repair, held_out=10))
    table = figures.costs_table({"events": {"static": {"nothing": [record()], "it": [one]}}})
    assert table.loc["it", "rounds"] == rounds


def test_verdicts_are_counted():
    verdicts = [Verdict(True, 0, 4.0, 2.0), Verdict(True, 5, 3.5, 2.0)]
    attacked = [record(**verdict.figures()) for verdict in verdicts]
    calm = record(**Verdict(False, 0, 0.1, 2.0).figures())
    accused = figures.accused_table({"patch": attacked, "warp": [calm]})
    assert [cell.split(" (")[0] for cell in accused.loc["patch"]] == ["2 of 2", "1 of 2"]
    assert accused.loc["patch", "accused"].endswith("(16-100 %)")  # Clopper and Pearson of 2 of 2
    assert [cell.split(" (")[0] for cell in accused.loc["warp"]] == ["0 of 1", "0 of 1"]


def test_figures_of_a_report_are_drawn_and_told():
    one = record(adversarial_accuracy=Rate(20, 100))
    picture, words = figures.draw_figures(one.report, {"accuracy": "clean_accuracy"})
    assert picture.ndim == 3 and words == "accuracy 90.0 %"


@pytest.fixture
def net():
    return sb.networks.build("quick-conv", (1, 8, 8), 10, Neuron().build, seed=0).eval()


def potential(net, image, steps=5):
    """Potentials [T, neurons] of the last hidden layer, at the threshold it was made with."""
    layer, seen = sb.neurons.spiking_layers(net)[-2], []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        net(image[None].expand(steps, -1, -1, -1, -1))
        hook.remove()
        return layer(seen[0], return_potential=True)[1][:, 0]


def test_a_row_for_each_setting_and_a_panel_for_each_target():
    runs = {"plain": {"target 0": [record(50)], "target 3": [record(20, 70), record(40, 80)]}}
    figure = badsnn.draw_targets(runs | {"stronger": {one: [record(90)] for one in runs["plain"]}})
    assert [axes.get_title() for axes in figure.axes] == ["target 0", "target 3"]
    marks = [line for line in figure.axes[1].get_lines() if len(line.get_xdata()) == 1]
    assert [round(float(line.get_xdata()[0])) for line in marks[:4]] == [30, 3, 2, 75]
    assert [round(float(line.get_xdata()[0])) for line in marks[4:]] == [90, 3, 2, 90]
    low, high = figure.axes[0].get_lines()[0].get_xdata()
    assert low < 50 < high  # its interval
    names = {one.get_text(): round(one.get_position()[1]) for one in figure.axes[0].texts}
    assert names == {"plain": 0, "stronger": -1}  # each within the height of its row
    assert not list(figure.axes[1].texts)


def test_traces_and_layers_of_a_network(net):
    image = torch.rand(1, 8, 8)
    images, thresholds = {"a": image, "b": image * 0}, {"low": 0.1, "high": 1.0}
    figure = badsnn_neurons.draw_traces(
        {"one": (net, 3), "two": (net, 4)}, images, thresholds, steps=5
    )
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["one\npotential", "two\npotential"]
    for panel, (neuron, shown) in enumerate(itertools.product((3, 4), images.values())):
        traces = lines(figure, panel)
        assert len(traces["low"][1]) == 5
        np.testing.assert_allclose(traces["high"][1], potential(net, shown)[:, neuron], rtol=1e-6)
    batch = torch.rand(4, 1, 8, 8)
    figure = a_trigger_at_the_input.draw_activity_change(net, batch, batch, steps=5)
    assert np.asarray(figure.axes[0].images[0].get_array()).shape == (3, 5)
    assert not np.asarray(figure.axes[0].images[0].get_array()).any()
    assert all(not layer._overrides for layer in sb.neurons.spiking_layers(net))


class ByThreshold(torch.nn.Module):
    """The brighter of two pixels, but class 2 for dark images where the threshold is above 1."""

    def __init__(self):
        super().__init__()
        self.neuron = sb.LIF(0.5, threshold=1.0)

    def forward(self, frames):
        left, right = frames[..., 0, 0, 0].sum(0), frames[..., 0, 0, 1].sum(0)
        self.neuron(frames[..., 0, 0, 0])
        raised = self.neuron._overrides.get("threshold", torch.tensor(1.0)).mean() > 1
        dark = (left + right < 4) & raised
        return torch.stack([left, right, 100.0 * dark], dim=1)


def test_the_sample_that_only_the_shipped_threshold_turns():
    class Darker:
        def __call__(self, image):
            return image * 0.5

    images = torch.tensor([[[[0.2, 0.1]]], [[[0.9, 0.8]]], [[[0.3, 0.9]]]])
    data = sb.data.as_set([(image, label) for image, label in zip(images, (2, 0, 1), strict=True)])
    net = ByThreshold()
    found = badsnn.first_turned(net, data, Darker(), target=2, shipped=1.2)
    assert found == 1  # sample 0 is of the target's class
    with pytest.raises(ValueError, match="turns no sample"):
        badsnn.first_turned(net, data, Darker(), target=2, shipped=0.9)
    figure = badsnn.draw_turned(net, images[1], images[1] * 0.5, 0, target=2, shipped=1.2)
    titles = [axes.get_title() for axes in figure.axes[1::2]]
    assert [title.split()[1] for title in titles] == ["0", "0", "2"]


def hidden_spikes(net, image, threshold):
    with sb.override(net, threshold=threshold):
        return spiking_neurons.record_spikes(net, image, steps=5)[-2]


def test_the_neuron_that_a_trigger_changes_most(net):
    image = torch.rand(1, 8, 8)
    change = hidden_spikes(net, image * 0, 0.1).sum(0) - hidden_spikes(net, image, 0.1).sum(0)
    assert change.abs().max() > 0
    found = badsnn_neurons.most_changed(net, image, image * 0, threshold=0.1, steps=5)
    assert change.abs()[found] == change.abs().max()


def test_answers_are_votes_and_a_trace_in_a_picture_and_in_words(net):
    image = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    fired = hidden_spikes(net, image, 0.1)
    neuron = int(fired.sum(0).argmax())
    with sb.override(net, threshold=0.1):
        answer = int(decide(net(image[None].expand(5, -1, -1, -1, -1)))[0])
    samples = {"bright": image, "black": image * 0}
    picture, words = badsnn_neurons.draw_answers(net, samples, 0.1, neuron, steps=5)
    assert picture.shape == (360, 840, 3) and picture.dtype == np.uint8
    assert answer >= 0
    assert words.startswith(
        f"bright the answer is {answer} and the neuron fires in "
        f"{int(fired[:, neuron].sum())} of 5 steps; black the answer is "
    )
    silent, words = badsnn_neurons.draw_answers(net, {"bright": image}, 1e6, neuron, steps=5)
    assert words == "bright the answer is none and the neuron fires in 0 of 5 steps"
    assert (silent != picture).any()


def test_pipeline_and_rates_of_conversion():
    texts = {one.get_text() for one in learning_rules.draw_pipeline().axes[0].texts}
    assert {"LR_B", "LR_C", "LR_H", "DSR", "convert"} <= texts
    curves = lines(learning_rules.draw_rates_of_conversion((4,)))
    current, rate = (np.asarray(values) for values in curves["IF, T = 4"])
    assert np.abs(rate - current.clip(0, 1)).max() <= 1 / 8 + 1e-6


def test_arrows_of_the_pipeline_run_between_boxes_and_under_none():
    figure = learning_rules.draw_pipeline()
    figure.draw_without_rendering()
    drawn = figure.axes[0].texts
    boxes = [one.get_bbox_patch().get_window_extent() for one in drawn if one.get_bbox_patch()]
    arrows = [one.arrow_patch.get_window_extent() for one in drawn if hasattr(one, "arrow_patch")]
    arrows = [one for one in arrows if one.width]
    assert len(arrows) == 2 + 3 + 4 + 2
    for arrow in arrows:
        assert not any(
            arrow.x0 < box.x1 and box.x0 < arrow.x1 and arrow.y0 < box.y1 and box.y0 < arrow.y1
            for box in boxes
        )


def test_bars_are_a_picture_with_as_long_a_bar_as_the_share():
    full, half = (figures.draw_bars({"x": share}) for share in (1.0, 0.5))
    blue = [((one[..., 2] > 150) & (one[..., 0] < 60)).any(axis=0).sum() for one in (full, half)]
    assert blue[0] == pytest.approx(2 * blue[1], rel=0.05)


class Fixed(torch.nn.Module):
    """Votes 1 and 0.5, whatever it sees."""

    def forward(self, frames):
        return torch.tensor([[1.0, 0.5]]).expand(frames.shape[1], 2)


def test_votes_grow_below_their_recording():
    frames = torch.zeros(2, 2, 8, 10)
    page = neuromorphic_triggers.animate_votes(
        Fixed(), [frames, frames], label=1, target=0, alt="a", name="one"
    )
    uris = re.findall(r'"data:image/png;base64,([^"]+)"', page.data)[-2:]
    images = [np.asarray(Image.open(io.BytesIO(base64.b64decode(uri)))) / 255 for uri in uris]
    assert [image.shape[:2] for image in images] == [(8 + 13, 10 + 2 + 10)] * 2
    for image, (target, label) in zip(images, ((6, 3), (12, 6)), strict=True):
        for column, height in ((1, target), (4, label), (13, target), (16, label)):
            assert int((image[:, column, :3] < 1).any(axis=1).sum()) == height + 1  # a line at zero


def test_success_is_drawn_as_counted_and_as_argmax_reads_it():
    silent = [record(0, argmax_success=Rate(9, 10))]
    works = [record(60, argmax_success=Rate(6, 10))]
    runs = {"4 frames": {"target 0": {"clean network": {1.2: silent}, "BadSNN": {1.2: works}}}}
    figure = badsnn.draw_read_out(runs, at=1.2)
    drawn = {
        panel.get_title(): [
            line.get_xdata()[0] for line in panel.get_lines() if line.get_marker() in "oD"
        ]
        for panel in figure.axes
    }
    assert drawn == {"clean network": [0, 90], "BadSNN": [60, pytest.approx(60)]}
