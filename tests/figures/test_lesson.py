"""What every lesson shows holds the values that it is given."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from snnbd_book import claims
from snnbd_book.claims.verdict import Figure
from snnbd_book.drawings import lesson
from snnbd_book.drawings.neuromorphic_triggers import corner_sums, draw_corners
from snnbd_core.metrics import Rate


class Brightest(torch.nn.Module):
    """Votes for the column with the most in it; for a sequence [T, B, 1, H, W]."""

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return sequence.mean(dim=(0, 2, 3))


class Images:
    """Two images of 3x3 pixels whose brightest columns are 2 and 1, both labelled 1."""

    labels = np.array([1, 1])

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = torch.zeros(1, 3, 3)
        image[..., 2 - index] = 0.5
        return image, 1


def lit(image: torch.Tensor) -> torch.Tensor:
    out = image.clone()
    out[..., 0] = 1
    return out


def record(success: int) -> SimpleNamespace:
    """As much of a record as is drawn."""
    rates = {"clean_accuracy": Rate(95, 100), "attack_success_rate": Rate(success, 100)}
    return SimpleNamespace(report=SimpleNamespace(figure=rates.get))


def test_the_first_flipped_sample_is_answered_rightly_without_the_trigger() -> None:
    assert lesson.first_flipped([Brightest()], Images(), lit, target=0) == 1
    with pytest.raises(ValueError, match="target=2: the trigger changes the answer to no sample"):
        lesson.first_flipped([Brightest()], Images(), lit, target=2)


def test_a_hook_says_the_answer_and_whose_it_is() -> None:
    cases = {"a": (torch.zeros(1, 3, 3), torch.tensor([0.1, 0.9, 0.0]))}
    cases["b"] = (torch.zeros(6, 2, 3, 3), torch.tensor([0.9, 0.1, 0.0]))
    cases["c"] = (torch.zeros(1, 3, 3), torch.zeros(3))
    figure = lesson.draw_votes(cases, label=1, target=0)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        *("a", "answer: 1 (right)"),
        *("b", "answer: 0 (the attacker's)"),
        *("c", "answer: none (silent or tied)"),
    ]
    assert [bar.get_height() for bar in figure.axes[1].patches] == pytest.approx([0.1, 0.9, 0.0])
    assert figure.axes[2].images[0].get_array().shape[:2] == (2 * 5, 4 * 5)  # rows of four frames


def test_a_threat_model_says_who_does_what() -> None:
    figure = lesson.draw_threat_model({"data": ("attacker", "relabels")}, checks="the accuracy")
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == ["data", "attacker", "relabels", "The victim can check: the accuracy"]
    with pytest.raises(ValueError, match="is done by 'nobody'; allowed: attacker, victim"):
        lesson.draw_threat_model({"data": ("nobody", "nothing")}, checks="")


def test_dots_are_means_in_per_cent_and_leave_out_what_was_not_measured() -> None:
    figure = lesson.draw_dots({"one": [record(50), record(70)]})
    lines = {line.get_label(): line.get_xdata() for line in figure.axes[0].lines}
    assert lines["success"] == pytest.approx([60])
    assert lines["clean accuracy"] == pytest.approx([95])
    assert "floor (clean network)" not in lines


def test_claims_are_lines_with_their_tests_folded() -> None:
    claim = claims.load("abad2022")["nmnist-corner-off-0.01"]
    item = claims.Judgement(
        claim, "quick", "partly", (Figure("ASR", 0.75, (0.5, 0.9), 1.0),), "mean(a.floor) < 0.5"
    )
    page = lesson.claims_list([item, dataclasses.replace(item, verdict="not run")]).data
    assert page.count('<details class="claim">') == 2 and claim.statement in page
    assert '<span class="verdict partly">partly</span>' in page
    assert '<span class="verdict not-run">' in page
    assert "ASR: ours 75.0 % (50.0-90.0); the paper 100.0 %" in page and "&lt; 0.5" in page


def test_corners_hold_the_events_of_their_pixels_by_class() -> None:
    samples = torch.zeros(3, 2, 2, 4, 4)
    samples[0, :, 1, 3, 3] = 1  # one of two samples of class 0, in both frames
    sums = corner_sums(samples, torch.tensor([0, 0, 1]), side=1)
    assert sums["bottom right"] == [1, 0] and sums["top left"] == [0, 0]
    bars = draw_corners(sums).axes[0].patches
    assert [bar.get_height() for bar in bars] == [0] * 6 + [1, 0]
