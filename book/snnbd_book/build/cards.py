"""The pictures that messengers show beside a link: a page's title over an attacked recording."""

from __future__ import annotations

import textwrap
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from snnbd_book import figures
from snnbd_core import data
from snnbd_core.triggers import Static

WIDTH: Final = 1200
HEIGHT: Final = 630
ALT: Final = (
    "An event recording of a handwritten digit, ON events in green and OFF events in dark blue, "
    "with a small square of events in a corner."
)
_DPI = 100
_LINE = 16  # letters of the title in a line


@cache
def attacked_frame() -> np.ndarray:
    """A frame of the embedded data with the square trigger, uint8 [H, W, 3]."""
    _, test = data.load("digits-events", frames=4, seed=0)
    frames, _ = test[0]
    return figures.polarity_image(Static(size=0.15)(frames)[1])


def draw(title: str, book: str, picture: np.ndarray, path: Path) -> None:
    """Writes a card of 1200 x 630 pixels.

    Args:
        title: of the page.
        book: name of the book, in small letters below.
        picture: uint8 [H, W, 3], shown pixel by pixel.
        path: where the PNG goes; its folder is made.
    """
    figure = Figure(figsize=(WIDTH / _DPI, HEIGHT / _DPI), dpi=_DPI, facecolor="white")
    axes = figure.add_axes((0.53, 0.06, 0.46, 0.88))
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    lines = textwrap.wrap(title, _LINE)
    size = 40 if len(lines) <= 4 else 30
    figure.text(0.05, 0.56, "\n".join(lines), fontsize=size, weight="bold", va="center")
    figure.text(0.05, 0.08, book, fontsize=18, color=to_rgba("#444444"))
    path.parent.mkdir(parents=True, exist_ok=True)
    # No note of the version that drew it: the same page gives the same file.
    FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})
