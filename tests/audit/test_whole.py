"""The command with the audit itself, on networks that can be judged and on some that cannot."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest

from .conftest import Invoke
from .made import graph, templates
from .test_command import DATA, READ

BRIEF = ("--clean-per-class", 6, "--minutes", 1)


def said(folder: str = "report") -> str:
    return Path(folder, "report.html").read_text(encoding="utf-8")


def test_a_network_that_knows_its_recordings_is_described_and_repaired(invoked: Invoke) -> None:
    nir.write("net.nir", graph(weights=templates()))
    told = invoked("net.nir", *READ, *DATA, *BRIEF, "--repair", "FineTuning")
    assert told[0] in (0, 1, 2), told
    values = json.loads(Path("report/report.json").read_text())
    assert [part["name"] for part in values["parts"]] == [
        "network",
        "settings",
        "floors",
        "detectors",
        "migration",
        "repairs",
    ]
    assert "It is right on 18 of 18 clean samples" in values["parts"][0]["summary"]
    card = json.loads(Path("report/card.json").read_text())
    assert (card["classes"], card["layers"][0]["threshold"]) == (3, 1.0)
    assert Path("report/fixed.nir").is_file()


def test_the_same_seed_gives_the_same_page(invoked: Invoke) -> None:
    nir.write("net.nir", graph(weights=templates()))
    for folder in ("first", "second"):
        invoked("net.nir", *READ, *DATA, "--clean-per-class", 2, "--minutes", 10, "--out", folder)
    assert said("first") == said("second")


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        (np.full((3, 128), -1.0), "the network is silent on 18 of 18 clean samples"),
        (np.tile([[0.0], [0.0], [1.0]], 128), "which is no better than chance (33%)"),
    ],
    ids=["silent", "untrained"],
)
def test_a_network_that_cannot_be_judged_ends_with_status_2(
    invoked: Invoke, weights: np.ndarray, why: str
) -> None:
    nir.write("net.nir", graph(weights=weights))
    status, text, error = invoked("net.nir", *READ, *DATA, *BRIEF)
    assert (status, error) == (2, "")
    assert why in text and why in said()


def test_a_card_of_another_network_is_named(invoked: Invoke) -> None:
    nir.write("net.nir", graph(weights=templates()))
    card = {"input_shape": [2, 34, 34], "classes": 10, "layers": [{"neurons": 8970}]}
    Path("card.json").write_text(json.dumps(card))
    invoked("net.nir", *READ, *DATA, *BRIEF, "--card", "card.json")
    assert "The card is of another network: it says [2, 34, 34] and layers of [8970]" in said()


def test_a_card_without_layers_is_refused(invoked: Invoke) -> None:
    nir.write("net.nir", graph(weights=templates()))
    Path("card.json").write_text("{}")
    status, _, error = invoked("net.nir", *READ, *DATA, *BRIEF, "--card", "card.json")
    assert status == 3 and "card has no input_shape: needed is a card" in error
    assert not Path("report").exists()
