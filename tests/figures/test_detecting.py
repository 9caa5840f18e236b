"""What each detector looks at: the values that are drawn are the known ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnbd_book import figures, runs
from snnbd_book.drawings import a_backdoor_in_the_network, poison_in_the_data
from snnbd_book.runs.provenance import Provenance
from snnbd_book.runs.record import Record
from snnbd_core.defenses.detectors import Verdict
from snnbd_core.learning import History
from snnbd_core.metrics import Rate, Report


def record(**extra):
    half = Rate(1, 2)
    report = Report(
        target=0,
        clean_accuracy=half,
        no_prediction_clean=half,
        untriggered_target_rate=half,
        spikes_clean=1.0,
        synops_clean=1.0,
        extra=extra,
    )
    provenance = Provenance.now(
        runs.Experiment(),
        dataset="a-b",
        device=torch.device("cpu"),
        seconds=1.0,
        peak_memory=1,
    )
    history = History((0.1,), (0.9,), (1e-3,), (2.0,))
    return Record(
        experiment=runs.Experiment(), report=report, history=history, provenance=provenance
    )


def bars(axes):
    """Heights of bars by their centres."""
    return {round(bar.get_x() + bar.get_width() / 2, 6): bar.get_height() for bar in axes.patches}


def legend(figure):
    return [one.get_text() for one in figure.legends[0].get_texts()]


def test_scores_of_all_seeds_are_one_panel():
    found = [
        record(clean_scores=[0.0, 1.0], attacked_scores=[2.0]),
        record(clean_scores=[0.5], attacked_scores=[3.0]),
    ]
    panel = figures.pool_scores(found, attacked="poisoned")
    assert {name: values.tolist() for name, values in panel.items()} == {
        "clean": [0.0, 1.0, 0.5],
        "poisoned": [2.0, 3.0],
    }
    with pytest.raises(ValueError, match=r"figures \['x'\] hold no scores"):
        figures.pool_scores([record(x=1.0)])


def test_histograms_are_per_cent_of_each_group_in_bins_that_panels_share():
    clean = np.array([0.0, 0.0, 0.0, 10.0])
    found = {
        "near": {"clean": clean, "triggered": np.array([0.0, 20.0])},
        "far": {"clean": clean, "triggered": np.array([20.0] * 5)},
    }
    figure = figures.draw_scores(found, label="distance")
    assert [axes.get_title() for axes in figure.axes] == ["near", "far"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"distance"}
    assert legend(figure) == ["clean", "triggered"]
    for axes, last in zip(figure.axes, (50, 100), strict=True):
        *filled, step = axes.patches
        heights = [bar.get_height() for bar in filled]
        assert len(heights) == 20
        assert (filled[0].get_x(), filled[-1].get_x() + filled[-1].get_width()) == (0, 20)
        assert heights[0] == pytest.approx(75)
        assert sum(heights) == pytest.approx(100)
        corners = step.get_xy()
        assert corners[corners[:, 0] > 19.5, 1].max() == pytest.approx(last)
        assert step.get_hatch() and not step.get_fill()


def test_the_threshold_is_what_a_share_of_the_clean_ones_is_above():
    clean = np.arange(101.0)
    panel = {"a": {"clean": clean, "triggered": clean + 50}}
    figure = figures.draw_scores(panel, label="x", false_alarms=0.05)
    (line,) = figure.axes[0].get_lines()
    assert list(line.get_xdata()) == [95, 95]
    assert (clean > 95).mean() <= 0.05
    assert "5 % of clean above" in legend(figure)
    with pytest.raises(ValueError, match=r"false_alarms=2 must be within 0\.\.1"):
        figures.draw_scores(panel, label="x", false_alarms=2)
    with pytest.raises(ValueError, match=r"'a' has the groups \['clean'\]: allowed are two"):
        figures.draw_scores({"a": {"clean": clean}}, label="x")


def test_the_suspected_class_is_thick_among_the_curves_of_all():
    values = np.array([[0.1, 0.2, 0.3], [0.4, 0.9, 0.5]])
    figure = a_backdoor_in_the_network.draw_by_level(
        {"one": ([0.5, 1.0], values, 1), "two": ([1.0, 2.0], values, 2)}, xlabel="x", ylabel="y"
    )
    assert legend(figure) == ["other classes", "suspected class"]
    assert [axes.get_title() for axes in figure.axes] == ["one\nclass 1", "two\nclass 2"]
    for axes, levels, suspect in zip(figure.axes, ([0.5, 1.0], [1.0, 2.0]), (1, 2), strict=True):
        thick = [line for line in axes.get_lines() if line.get_label() == "suspected class"]
        assert [list(line.get_ydata()) for line in thick] == [list(values[:, suspect])]
        assert thick[0].get_linewidth() > 1 and thick[0].get_marker() == "o"
        assert {tuple(line.get_ydata()) for line in axes.get_lines()} == set(map(tuple, values.T))
        assert all(list(line.get_xdata()) == levels for line in axes.get_lines())


def test_verdicts_are_a_bar_for_each_class_with_the_p_value():
    found = {
        "low": Verdict(True, 2, 1.0, 0.95, 1e-5, (1.0, 2.0, 5.0)),
        "high": Verdict(False, 0, 0.5, 0.95, 0.25, (3.0, 1.0, 2.0)),
        "none": Verdict(True, 1, 3.0, 2.0, None, (3.0, 4.0, 2.0)),
    }
    figure = figures.draw_verdicts(found, ylabel="margin")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["low, p < 0.001", "high, p = 0.250", "none"]
    for axes, verdict in zip(figure.axes, found.values(), strict=True):
        assert bars(axes) == dict(enumerate(verdict.values))
        hatched = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches if bar.get_hatch()]
        assert hatched == pytest.approx([verdict.target])
    with pytest.raises(ValueError, match="'card' has a verdict without values"):
        figures.draw_verdicts({"card": Verdict(True, None, 0.2, 0.01)}, ylabel="margin")


def test_clusters_are_told_by_marks_and_poisoned_samples_have_rings():
    places = np.arange(15.0).reshape(5, 3)
    side = np.array([0, 1, 1, 1, 0])
    poisoned = np.array([True, False, False, True, False])
    figure = poison_in_the_data.draw_clusters({"static": (places, side, poisoned)})
    groups = {one.get_label(): one for one in figure.axes[0].collections}
    expected = {
        "larger cluster": side == 1,
        "smaller cluster": side == 0,
        "poisoned": poisoned,
    }
    assert {name: one.get_offsets().tolist() for name, one in groups.items()} == {
        name: places[rows, :2].tolist() for name, rows in expected.items()
    }
    assert legend(figure) == list(expected)
    assert not len(groups["poisoned"].get_facecolors())
    shapes = [len(groups[f"{size} cluster"].get_paths()[0]) for size in ("larger", "smaller")]
    assert shapes[0] != shapes[1]


def test_the_sizes_of_masks_stand_above_the_smallest():
    row = [torch.ones(3, 3), torch.eye(3), torch.full((3, 3), 0.5)]
    figure = a_backdoor_in_the_network.draw_masks({"net": row})
    above, below = figure.axes
    assert bars(above) == {0: 9.0, 1: 3.0, 2: 4.5}
    assert [bool(bar.get_hatch()) for bar in above.patches] == [False, True, False]
    assert below.images[0].get_array().tolist() == torch.eye(3).tolist()
    assert below.get_title() == "class 1: 3.0 pixels"


def test_four_networks_stand_in_two_rows():
    values = np.zeros((2, 3))
    found = {name: ([0, 1], values, 0) for name in "abcd"}
    figure = a_backdoor_in_the_network.draw_by_level(found, xlabel="x", ylabel="y")
    assert [axes.get_subplotspec().rowspan.start for axes in figure.axes] == [0, 0, 1, 1]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "x", "x"]
