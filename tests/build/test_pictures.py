"""Wide pictures on narrow screens keep a size at which their text can be read."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from snnbd_book import figures


def figure() -> str:
    """As the theme has it, without which a picture keeps within its column."""
    address = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 7 3'/>"
    return (
        '<figure style="margin: 0"><a class="image-reference" href="#">'
        f'<img alt="" src="{address}" style="width: 731px; height: 300px; max-width: 100%">'
        "</a></figure>"
    )


def stills() -> str:
    picture = np.zeros((36, 288, 3), dtype=np.uint8)
    page = str(figures.stills({"a": [1]}, lambda a: (picture, str(a))).data)
    return f'<div class="output">{page}</div>'


def explorer() -> str:
    return str(figures.explore_offline((0.9,), (1.0,), (0.3,)).data)


PICTURES = {
    "figure": (figure(), "a"),
    "stills": (stills(), ".snnbd-stills > div"),
    "explorer": (explorer(), ".snnbd-stills > div"),
}


def shown(tab: Any, folder: Path, style: str, body: str, screen: int) -> None:
    """Opens a page with the book's style on a screen of that width."""
    page = folder / "page.html"
    page.write_text(
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<style>{style}</style><article>{body}</article>",
        encoding="utf-8",
    )
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        width=screen,
        height=800,
        deviceScaleFactor=1,
        mobile=screen < 500,
    )
    tab.call("Page.navigate", url=page.as_uri())
    there = "document.readyState == 'complete' && !!document.querySelector('article *')"
    assert tab.wait(there, 30)


@pytest.fixture
def style(project: Path) -> str:
    return (project / "book" / "_static" / "book.css").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "screen", "moves"),
    [
        ("figure", 360, True),
        ("figure", 1280, False),
        ("stills", 360, True),
        ("stills", 1280, False),
        ("explorer", 360, True),
        ("explorer", 1280, False),
    ],
)
def test_a_wide_picture_moves_sideways_on_a_phone_and_the_page_does_not(
    browser: str,
    style: str,
    tmp_path: Path,
    devtools: ModuleType,
    name: str,
    screen: int,
    moves: bool,
) -> None:
    body, box = PICTURES[name]
    with devtools.Page(browser, tmp_path / "browser", "about:blank") as tab:
        shown(tab, tmp_path, style, body, screen)
        box = f"document.querySelector('{box}')"
        width = tab.evaluate(f"{box}.firstElementChild.getBoundingClientRect().width")
        tab.evaluate(f"{box}.scrollLeft = 50")
        assert (tab.evaluate(f"{box}.scrollLeft") > 0) == moves
        assert (width >= 500) == (moves or screen > 500)
        root = "document.documentElement"
        assert tab.evaluate(f"{root}.scrollWidth == {root}.clientWidth")


def test_a_figure_on_a_desktop_is_as_wide_as_it_is_drawn(
    browser: str, style: str, tmp_path: Path, devtools: ModuleType
) -> None:
    """So that its panels have the pixels that `snnbd_book.figures.style.require_room` asks for."""
    line = 676  # of the theme's text, on a screen of 1280
    picture = figure().replace("731px", "720px").replace("margin: 0", "")
    body = f'<div style="width: {line}px; margin: auto">{picture}</div>'
    with devtools.Page(browser, tmp_path / "browser", "about:blank") as tab:
        shown(tab, tmp_path, style, body, 1280)
        assert tab.evaluate("document.querySelector('img').getBoundingClientRect().width") == 720


def test_a_moving_picture_that_is_too_wide_keeps_its_shape(
    browser: str, style: str, tmp_path: Path, devtools: ModuleType
) -> None:
    player = str(figures.animate(torch.zeros(2, 2, 34, 70), alt="nothing", size=640).data)
    with devtools.Page(browser, tmp_path / "browser", "about:blank") as tab:
        shown(tab, tmp_path, style, player, 360)
        size = "(({width, height}) => width / height)"
        shape = tab.evaluate(f"{size}(document.querySelector('img').getBoundingClientRect())")
    assert abs(shape - 70 / 34) < 0.05
