"""Grids: all combinations, each run once, errors that name the field."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from snnbd_book.runs import Experiment
from snnbd_book.runs.profiles import PROFILES
from snnbd_book.sweeps import Grid, load_grid, write_frame
from snnbd_book.sweeps.frame import to_frame
from snnbd_core.triggers import Static

STATIC = {"kind": "Static", "polarity": "off"}


def test_a_grid_is_all_combinations_in_order() -> None:
    grid = Grid(
        axes={"rate": [0.1, 0.2], "trigger.position": ["middle", [3, 4]], "seed": [0, 1]},
        fixed={"trigger": STATIC, "epochs": 2},
    )
    found = grid.experiments()
    assert len(found) == len(grid) == 8
    assert [(e.rate, e.trigger.position, e.seed) for e in found[:3]] == [
        (0.1, "middle", 0),
        (0.1, "middle", 1),
        (0.1, (3, 4), 0),
    ]
    assert {(e.epochs, e.trigger.polarity, e.profile) for e in found} == {(2, "off", "quick")}
    assert found[0].network == PROFILES["quick"]["network"]


def test_equal_runs_are_done_once() -> None:
    grid = Grid(axes={"trigger": [None, STATIC], "rate": [0.1, 0.2], "seed": [0, 1]})
    found = grid.experiments()
    assert len(grid) == 8
    assert len(found) == 6  # a clean run has no rate
    assert [e.seed for e in found if e.trigger is None] == [0, 1]


def test_fields_of_trigger_and_neuron_are_set_one_by_one() -> None:
    grid = Grid(
        axes={
            "neuron.threshold": [1.0, 1.5],
            "trigger.size": [0.1, 0.2],
            "trigger": [STATIC, {"kind": "Moving"}, None],
        },
        fixed={"rate": 0.1},
    )
    found = grid.experiments()
    assert len(found) == 2 * (2 + 2 + 1)
    assert {e.neuron.threshold for e in found} == {1.0, 1.5}
    sizes = {(type(e.trigger).__name__, e.trigger.size) for e in found if e.trigger}
    assert len(sizes) == 4


def test_a_grid_comes_from_yaml(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(
        "profile: sample\nfixed: {trigger: {kind: Static, polarity: 'on'}}\n"
        "grid: {rate: [0.01, 0.1], seed: [0, 1, 2]}\n"
    )
    assert len(load_grid(path).experiments()) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile: quick", r"grid=\{\} is empty"),
        ("grid: {}", r"grid=\{\} is empty"),
        ("grid: {seed: []}", r"grid\.seed=\[\] must be a list of at least one value"),
        ("grid: {seed: 3}", r"grid\.seed=3 must be a list"),
        ("grid: {sead: [3]}", "sead is not a field of Experiment; allowed: data"),
        ("grid: {epochs: ['3']}", "epochs='3' must be a whole number"),
        ("grid: {trigger.size: [0.1]}", r"grid\.trigger\.size: fixed\.trigger must say .* kind"),
        ("grid: {data.root: [x]}", r"grid\.data\.root: only trigger and neuron have"),
        (
            "{fixed: {trigger: {kind: Static}}, grid: {trigger.colour: [1]}}",
            r"trigger\.colour is not a field of Static",
        ),
        ("grid: {neuron.tau: [2]}", r"neuron\.tau is not a field of Neuron"),
        ("axes: {seed: [1]}", "'axes' is unknown; allowed: fixed, grid, profile"),
        ("{profile: fast, grid: {seed: [1]}}", "profile='fast' is unknown"),
        ("{fixed: 3, grid: {seed: [1]}}", "fixed=3 must be a mapping"),
        ("[1, 2]", "must be a mapping with"),
        ("grid: [", "is not YAML"),
    ],
)
def test_a_wrong_grid_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_grid(path).experiments()


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_table_survives_its_file(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    items = [Experiment(trigger=Static(position=(1, 2)), rate=0.1), Experiment()]
    frame = to_frame(items, {}, {items[0].hash: "Traceback: no"})
    path = write_frame(frame, tmp_path / "new" / f"table{suffix}")
    read = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
    assert read["hash"].tolist() == [item.hash for item in items]
    assert read["trigger.position"].tolist()[0] == "1,2"
    assert read["status"].tolist() == ["failed", "failed"]
    assert list(read.columns) == list(frame.columns)
    with pytest.raises(ValueError, match=r"must end in one of \.parquet, \.csv"):
        write_frame(frame, tmp_path / "table.xlsx")
