"""The neuron to play with: its sliders redraw it, and its page holds what the neuron does."""

from __future__ import annotations

import json
import re
from html import unescape

import ipywidgets as widgets
import numpy as np
import pytest
import snntorch
import torch

from snnbd_book.drawings.spiking_neurons import run_leaky
from snnbd_book.figures import State, explore, explore_offline


def test_a_state_is_snntorchs_neuron_under_the_same_current() -> None:
    state = State(beta=0.8, threshold=1.5, current=0.45, steps=60)
    current, spikes, potential = state.run()
    theirs = run_leaky(snntorch.Leaky(beta=0.8, threshold=1.5), current[:, None])
    assert torch.equal(spikes, theirs[0][:, 0]) and torch.equal(potential, theirs[1][:, 0])


def test_the_widget_starts_with_its_state_and_text_for_its_picture() -> None:
    widget = explore(State(beta=0.8))
    beta, threshold, current, picture = widget.children
    assert (beta.value, threshold.value, current.value) == (0.8, 1.0, 0.3)
    assert f'aria-label="{State(beta=0.8).describe()}"' in picture.value


@pytest.mark.parametrize(("slider", "value"), [(0, 0.5), (1, 2.0), (2, 1.0)])
def test_moving_a_slider_redraws_the_picture(slider: int, value: float) -> None:
    widget = explore()
    before = widget.children[-1].value
    moved = widget.children[slider]
    assert isinstance(moved, widgets.SelectionSlider)
    moved.value = value
    expected = {"beta": 0.9, "threshold": 1.0, "current": 0.3, moved.description: value}
    after = widget.children[-1].value
    assert State(**expected).describe() in after
    assert curve(after) != curve(before)


def test_the_page_holds_every_combination_in_the_order_its_script_counts() -> None:
    betas, thresholds, currents = (0.5, 0.9), (1.0,), (0.1, 0.3, 0.5)
    states = found(explore_offline(betas, thresholds, currents).data)
    assert len(states) == 6
    for at, beta in enumerate(betas):
        for last, current in enumerate(currents):
            assert states[at * 3 + last][1] == State(beta, 1.0, current).describe()


def test_the_pages_curve_is_the_potential_and_its_ticks_are_the_spikes() -> None:
    ((picture, _),) = found(explore_offline((0.9,), (1.0,), (0.3,)).data)
    _, spikes, potential = State().run()
    limit, *points = re.findall(r' d="M([^"]*)"', picture)
    heights = [float(point.split(",")[1]) for point in points[0].split()]
    bottom, unit = level(picture, "0"), level(picture, "0") - level(picture, "1")
    np.testing.assert_allclose((bottom - np.array(heights)) / unit, potential, atol=2e-3)
    at = float(limit.split()[1].split("H")[0])
    assert (bottom - at) / unit == pytest.approx(1.0, abs=2e-3)
    assert 1 + points[1].count("M") == int(spikes.sum())


def test_the_page_shows_its_first_state_without_javascript_and_says_it_in_words() -> None:
    start = State(beta=0.5, threshold=1.0, current=0.5)
    page = explore_offline(start=start).data
    still = page.split("<script>")[0]
    (shown,) = [picture for picture, text in found(page) if text == start.describe()]
    assert shown in still
    assert f'aria-label="{start.describe()}"' in unescape(still)
    assert not re.search(r"https?:|(src|href)=.//", page)


def test_axes_of_large_potentials_have_few_labels() -> None:
    picture = explore(State(beta=1.0, threshold=0.1, current=2.0)).children[-1].value
    assert 2 <= len(re.findall(r'text-anchor="end">\d+</text>', picture)) <= 7


def test_a_start_that_no_slider_reaches_is_refused() -> None:
    for make in (lambda start: explore_offline(start=start), explore):
        with pytest.raises(ValueError, match=r"start has beta=0.33: allowed is one of \[0.0"):
            make(State(beta=0.33))


def found(page: str) -> list[tuple[str, str]]:
    """The page's states: a picture and its words."""
    match = re.search(r"const states = (\[.*?\]), stops = ", page)
    assert match is not None
    states: list[tuple[str, str]] = json.loads(match[1])
    return states


def curve(picture: str) -> str:
    """The path of the potential."""
    return re.findall(r' d="M([^"]*)"', picture)[1]


def level(page: str, tick: str) -> float:
    """Height of a tick of the potential's axis; its label stands 5 units lower."""
    match = re.search(rf'y="([\d.]+)" text-anchor="end">{tick}</text>', page)
    assert match is not None
    return float(match[1]) - 5
