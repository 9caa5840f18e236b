"""Chapter 10: figures of audits, and what others read in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import snnbd_core as sb
from snnbd_book.chapters import a_network_somebody_sent_you as chapter
from snnbd_book.drawings import a_network_somebody_sent_you as draw
from snnbd_core.auditing import Audit, Part, Table
from snnbd_core.metrics import Rate


@pytest.fixture
def audit() -> Audit:
    """An audit with the tables that the figures read."""
    names = ("settings", "floors", "detectors")
    own = {
        "settings": (
            ("threshold", 1.5, Rate(5, 10), Rate(0, 10), 3, Rate(8, 10)),
            ("threshold", 1.0, Rate(9, 10), Rate(0, 10), 3, Rate(1, 10)),
            ("decay", 1.5, Rate(9, 10), Rate(0, 10), 3, Rate(10, 10)),
        ),
        "floors": (
            ("static", "small", 1, "no", 3, Rate(6, 10)),
            ("static", "large", 1, "no", 3, Rate(7, 10)),
            ("static", "large", 5, "yes", 3, Rate(2, 10)),
            ("static", "large", 20, "yes", 3, Rate(0, 10)),
        ),
        "detectors": (("Strict", "alarm"), ("Mild", "none")),
    }
    judged = Table(
        "How it is judged", ("score", "p", "corrected p", "class"), ((0.7, 0.1, 0.2, 3),)
    )
    parts = tuple(
        Part(name, name, "clear", "", "", None, (judged, Table("", ("what",), own[name])))
        for name in names
    )
    return Audit(parts, "clear", None, "", {}, 0, 1.0)


def test_the_curves_are_those_of_the_tables(audit: Audit) -> None:
    settings, floors = draw.draw_found({"one": audit}).axes
    assert settings.lines[0].get_xydata().tolist() == [[1.0, 10.0], [1.5, 80.0]]
    assert floors.lines[0].get_xydata().tolist() == [[1.0, 70.0], [5.0, 20.0], [20.0, 0.0]]


def test_floors_are_those_of_the_table(audit: Audit) -> None:
    assert draw.floors(audit)[1:3] == [(1, False, Rate(7, 10)), (5, True, Rate(2, 10))]


def test_a_table_has_scores_alarms_and_the_verdict(audit: Audit) -> None:
    (row,) = draw.audits_table({"one": audit}).to_dict("records")
    assert row == {
        "settings: score (class)": "0.70 (3)",
        "floors: score (class)": "0.70 (3)",
        "detectors, by their own thresholds": "Strict",
        "verdict": "Nothing found",
    }


def test_without_how_it_is_judged_the_alarms_are_told_too(audit: Audit) -> None:
    last = replace(audit.parts[2], tables=audit.parts[2].tables[1:])
    (row,) = draw.audits_table({"one": replace(audit, parts=(*audit.parts[:2], last))}).to_dict(
        "records"
    )
    assert row["detectors, by their own thresholds"] == "Strict"


def test_detectors_have_names_that_a_narrow_column_can_break(audit: Audit) -> None:
    settings, floors, detectors = audit.parts
    own = replace(detectors.tables[1], rows=(("PotentialMargins", "alarm"),))
    told = replace(detectors, tables=(detectors.tables[0], own))
    (row,) = draw.audits_table({"one": replace(audit, parts=(settings, floors, told))}).to_dict(
        "records"
    )
    assert row["detectors, by their own thresholds"] == "Potential Margins"


def test_a_score_without_a_class_says_so(audit: Audit) -> None:
    settings, floors, detectors = audit.parts
    judged = replace(floors.tables[0], rows=((0.0, None, None, None),))
    told = replace(floors, tables=(judged, *floors.tables[1:]))
    (row,) = draw.audits_table({"one": replace(audit, parts=(settings, told, detectors))}).to_dict(
        "records"
    )
    assert row["floors: score (class)"] == "0.00 (none)"


def test_votes_without_and_with_a_trigger_stand_beside_the_frames() -> None:
    frame = torch.zeros(2, 4, 4)
    votes = [np.array([0.1, 0.9]), np.array([0.8, 0.2])]
    figure = draw.draw_sent({"a": frame, "b": frame}, dict.fromkeys("xyz", votes))
    assert [axes.axison for axes in figure.axes] == [True, True, False, True, True, True]
    heights = [bar.get_width() for bar in figure.axes[3].patches]
    assert heights == pytest.approx([0.1, 0.9, 0.8, 0.2])


def test_others_read_other_networks_in_the_same_file(tmp_path: Path) -> None:
    net = sb.networks.build(
        "quick-conv",
        input_shape=(2, 8, 8),
        classes=3,
        neuron=lambda: sb.LIF(beta=0.5, reset="zero", update="spikingjelly"),
        seed=0,
    ).eval()
    how = sb.exchange.write_nir(net, tmp_path / "net.nir")
    read = chapter.elsewhere(tmp_path / "net.nir", how)
    batch = 3 * torch.rand(6, 4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    counts = {}
    for name, other in read.items():
        with torch.no_grad(), sb.override(other, threshold=0.2):
            counts[name] = other(batch)
    with torch.no_grad(), sb.override(net, threshold=0.2):
        torch.testing.assert_close(counts["SpikingJelly: to zero, at once"], net(batch))
    assert not torch.allclose(counts["SpikingJelly: to zero, at once"], counts["half the step"])
    weights = dict(read["weights of 4 bits"].named_parameters())
    for values in weights.values():
        assert values.dim() < 2 or len(values.unique()) <= 15


def test_the_example_is_read_rightly_and_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed(torch.nn.Module):
        def __init__(self, changed: bool) -> None:
            super().__init__()
            self.changed = changed

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            label, lit = x[0, :, 0, 0, 0].long(), x[0, :, 1, 0, 0] > 0
            label = torch.where(lit & self.changed, torch.zeros_like(label), label)
            return torch.nn.functional.one_hot(label, 3).float()

    def lit(batch: torch.Tensor) -> torch.Tensor:
        changed = batch.clone()
        changed[:, :, 1] = 1
        return changed

    samples = [(torch.full((2, 2, 4, 4), 0.0), 0), (torch.full((2, 2, 4, 4), 0.0), 1)]
    samples += [(torch.cat([torch.full((2, 1, 4, 4), 2.0), torch.zeros(2, 1, 4, 4)], 1), 2)]
    data = sb.data.as_set(samples, classes=3)
    sent = {name: chapter.Sent(Fixed(name != "clean"), lit) for name in ("clean", "square")}
    assert chapter.example(sent, data) == 2
    with pytest.raises(ValueError, match="no test recording is read rightly"):
        chapter.example({"square": chapter.Sent(Fixed(False), lit)}, data)


def test_false_alarms_and_misses_are_counted_with_their_intervals() -> None:
    judged = {"group": "judged", "accused": True}
    audited = {
        "networks": {
            "a": {**judged, "attack": "clean", "form": "ours"},
            "b": {**judged, "attack": "moving", "form": "NIR"},
            "c": {"group": "known", "attack": "clean", "form": "ours"},
        },
        "rates": {
            "clean": {"accused": 2, "of": 10},
            "attacked": {"accused": 7, "of": 10},
            "moving": {"accused": 1, "of": 4},
            "attacked, ours": {"accused": 3, "of": 3},
            "attacked, NIR": {"accused": 2, "of": 4},
            "attacked, snnTorch": {"accused": 2, "of": 3},
        },
    }
    (axes,) = draw.draw_rates(audited).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "clean: false alarms",
        "attacked: misses",
        "moving",
        "sent in own form",
        "sent as NIR",
        "sent in snnTorch",
    ]
    wrong = ["2 of 10", "3 of 10", "3 of 4", "0 of 3", "2 of 4", "1 of 3"]
    assert [text.get_text() for text in axes.texts] == wrong
    points = [line for line in axes.lines if line.get_label()[0] != "_"]
    assert [point.get_xdata()[0] for point in points] == pytest.approx([20, 30, 75, 0, 50, 100 / 3])
    # Wilson's intervals as statsmodels.stats.proportion.proportion_confint gives them
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [5.668, 50.984], atol=1e-3)
    audited["rates"] |= {
        "images, clean": {"accused": 1, "of": 12},
        "images, attacked": {"accused": 9, "of": 15},
    }
    audited["networks"] |= {
        name: {"group": "judged images", "attack": attack, "form": "ours", "accused": accused}
        for name, attack, accused in (
            ("d", "warp", False),
            ("e", "warp", True),
            ("f", "patch", True),
        )
    }
    (axes,) = draw.draw_rates(audited).axes
    rows = [label.get_text() for label in axes.get_yticklabels()[-3:]]
    assert rows == ["images, clean: false alarms", "images, warp", "images, patch"]
    assert [text.get_text() for text in axes.texts[-3:]] == ["1 of 12", "1 of 2", "0 of 1"]


def test_detectors_stand_beside_each_other_and_what_is_missing_is_said(audit: Audit) -> None:
    rows = (("Strict", "alarm", 3, 2.0, 1.5), ("Mild", "none", 1, 0.25, 1.0))
    last = replace(audit.parts[2], tables=(Table("", ("detector",), rows),))
    other = replace(last, tables=(Table("", ("detector",), rows[:1]),))
    audits = {
        name: replace(audit, parts=(*audit.parts[:2], part))
        for name, part in {"one": last, "two": other}.items()
    }
    assert draw.detectors_table(audits).to_dict() == {
        "one": {"Strict": "alarm: 2.00 (1.50)", "Mild": "none: 0.25 (1.00)"},
        "two": {"Strict": "alarm: 2.00 (1.50)", "Mild": "not asked"},
    }


def test_what_benchmarks_wrote_is_read_from_the_package_where_there_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "audit.json").write_text('{"rates": {}}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(chapter, "_PACKAGED", tmp_path)
    assert chapter.audited("audit") == {"rates": {}}


def test_published_networks_stand_with_what_is_right_under_each_reset(audit: Audit) -> None:
    accuracy = {"zero": {"hits": 8, "of": 10}, "subtract": {"hits": 5, "of": 9}}
    table = draw.received_table({"one": {"accuracy": accuracy, "audit": audit.to_json()}})
    assert table.loc["one", "right, by reset"] == "zero 8 of 10, subtract 5 of 9"
    assert table.loc["one", "verdict"] == "Nothing found"
    assert table.columns[0] == "right, by reset"


def test_what_exports_lose_is_told_without_the_names_of_errors() -> None:
    rows = {"decay": {"one": "kept", "two": "not written (KeyError)"}}
    assert draw.losses_table(rows).to_dict("index") == {
        "decay": {"one": "kept", "two": "not written"}
    }


def test_poisoned_networks_stand_with_what_their_sender_knows(audit: Audit) -> None:
    rates = {"accuracy": (158, 162), "success": (140, 146), "accuracy, first 50 ms": (150, 162)}
    attack = {name: {"hits": hits, "of": of} for name, (hits, of) in rates.items()}
    table = draw.poisoned_table({"seed 0": {"attack": attack, "audit": audit.to_json()}})
    (row,) = table.to_dict("records")
    assert row == {
        "right, first 50 ms": "150 of 162",
        "right": "158 of 162",
        "success": "140 of 146",
        "settings: score (class)": "0.70 (3)",
        "floors: score (class)": "0.70 (3)",
        "verdict": "Nothing found",
    }
