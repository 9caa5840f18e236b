"""Drawings of the chapter on low bits: levels, lines over bits, flipped bits, and what is seen."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import snnbd_core as sb
from snnbd_book.drawings import low_bits as draw
from snnbd_core.deployment import BitFlips, NeuronTrojan
from tests.figures.test_chapters import record
from tests.learning.toy import Toy


@pytest.fixture
def net():
    built = sb.networks.build("quick-conv", (2, 6, 6), 3, partial(sb.LIF, 0.5, 1.0), seed=0)
    return built.eval()


def test_a_channel_is_drawn_against_its_levels():
    weight = torch.tensor([[-1.0, -0.4, 0.2, 0.9]])
    panels = draw.draw_levels(weight, (8, 2)).axes
    assert [axes.get_title() for axes in panels] == ["8 bits: 4 values", "2 bits: 3 values"]
    exact, dots = panels[1].get_lines()
    assert list(exact.get_ydata()) == pytest.approx([-1, -0.4, 0.2, 0.9])
    assert list(dots.get_ydata()) == [-1, 0, 0, 1]


def test_success_and_accuracy_are_lines_over_bits_with_floors_as_ticks():
    runs = {"static": {"float32": [record(success=90)], "4 bits": [record(success=80)]}}
    panels = draw.draw_bits(runs, {"static": {"4 bits": [record(success=7)]}}).axes
    success, ticks = panels[0].get_lines()
    assert list(success.get_ydata()) == pytest.approx([90, 80])
    assert (list(ticks.get_xdata()), list(ticks.get_ydata())) == ([1], [pytest.approx(7)])
    assert [label.get_text() for label in panels[1].get_xticklabels()] == ["float32", "4 bits"]
    assert len(panels[1].get_lines()) == 1


def test_no_line_is_left_out_silently():
    runs = {str(number): {"float32": [record(success=90)]} for number in range(5)}
    floors = {name: {} for name in runs}
    assert len(draw.draw_bits(runs, floors).axes[1].get_lines()) == 5
    with pytest.raises(ValueError, match="6 lines, 0, 1, 2, 3, 4, 5: allowed are 5"):
        draw.draw_bits({**runs, "5": runs["0"]}, {**floors, "5": {}})


def test_each_bit_of_a_threshold_has_its_row(net):
    trigger = sb.triggers.Static(size=0.3)
    found = draw.flips_of(net, Toy(12), trigger, 0)
    rows = list(found)
    assert rows[0] == "bit 0: 1.01" and rows[5:] == ["bit 5: 1.25", "bit 6: 1.5", "bit 7: 0"]
    with sb.override(net, threshold=1.5):
        there = sb.evaluate(net, Toy(12), trigger, 0, device="cpu")
    assert found["bit 6: 1.5"]["success"].mean == float(there.attack_success_rate)
    alone = found["bit 6: 1.5"]["target without trigger"].mean
    assert alone == float(there.untriggered_target_rate)


def test_a_table_has_a_figure_by_detector_and_bits():
    scores = {"clean_scores": [0.1] * 20, "attacked_scores": [0.2] * 20}
    found = {"STRIP": {"8 bits": [record(detection_area=0.75, **scores)]}}
    assert draw.by_bits_table(found).loc["STRIP", "8 bits"].startswith("0.75")


def test_a_threshold_set_in_float32_is_kept_at_fewer_bits():
    clean = [float(score) for score in range(20)]
    found = {
        "STRIP": {
            "float32": [record(clean_scores=clean, attacked_scores=[18.5, 30.0, 30.0, 30.0])],
            "4 bits": [record(clean_scores=[x + 10 for x in clean], attacked_scores=[30.0, 0.0])],
        }
    }
    caught = draw.caught_at(found, 0.05)["STRIP"]
    # 95 % of the clean scores in float32 lie below 18.05; ten more points lift eleven above it.
    assert [float(one.mean) for one in caught["float32"]] == [1, 0.05]
    assert [float(one.mean) for one in caught["4 bits"]] == [0.5, 0.55]
    assert draw.caught_table({"STRIP": caught}).loc["STRIP", "4 bits"] == "50 / 55"


def test_what_is_seen_of_a_chip_is_told_apart(net):
    changed = {
        "first": BitFlips(layers=1).apply(net),
        "all": BitFlips().apply(net),
        "Trojan": NeuronTrojan(awake=True).apply(net),
    }
    table = draw.seen_table(net, changed, Toy(12))
    assert table["card of settings"].tolist() == ["alarm", "alarm", "silent"]
    assert table["layers compared, no card"].tolist() == ["alarm", "silent", "silent"]


def audited(status: str, by: list[str], score: float | None, *differs: str) -> dict[str, object]:
    scores = {} if score is None else {part: {"score": score} for part in ("settings", "floors")}
    said = {"status": status, "by": by, "scores": scores, "differs": differs}
    return {"kind": "clean", "change": "a Trojan", **said}


def test_audits_of_one_kind_are_a_row_whatever_they_say():
    found = [
        audited("suspicious", ["settings"], 0.75, "layer", "other"),
        audited("suspicious", ["floors", "settings"], 0.5),
        audited("unjudged", [], None),
    ]
    table = draw.audited_table([*found, {**found[-1], "change": "a flip"}])
    assert table.loc["clean: a Trojan"].tolist() == [
        "2 suspicious, 1 unjudged",
        "floors, settings",
        "0.50 to 0.75",
        "0.50 to 0.75",
        "0 or 2",
    ]
    assert table.loc["clean: a flip", "settings: gain"] == "not asked"
