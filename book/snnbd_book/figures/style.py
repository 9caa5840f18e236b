"""One look for every figure: colours, sizes and the resolution of bitmaps.

Event colours follow Figure 1 of Abad et al. (CCS 2022): ON green, OFF dark blue, both in one
pixel light blue. The three also differ in lightness, so that they stay apart in print and for
readers with a colour vision deficiency (the tests simulate all three kinds). Curves use the
palette of Okabe and Ito.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from IPython.core.getipython import get_ipython
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib_inline.config import InlineBackend

T = TypeVar("T")

ON: Final = "#1b8a1b"
OFF: Final = "#10206b"
BOTH: Final = "#56b4e9"
EMPTY: Final = "#ffffff"
MARK: Final = "#d55e00"

POTENTIAL: Final = "#0072b2"
SPIKE: Final = "#000000"
THRESHOLD: Final = "#d55e00"
CURRENT: Final = "#666666"
SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")

WIDTH: Final = 7.2
"""Width of a full figure in inches: what a page shows on a desktop at 100 dots per inch."""

PANELS: Final = 6
PANEL, PICTURE = 200, 100
"""At most so many panels in a figure; at least so many pixels of the page across a panel with axes,
and across a picture without."""

CHECKED: Final = "SNNBD_CHECK_FIGURES"
"""Set in the environment while the book is built; the figures of a reader are not checked."""

WIDE: Final = "pst-scrollable-table-container snnbd-wide"
"""Classes of the box around a wide picture in a page, which moves sideways on narrow screens.

The theme lets the keyboard into whatever has the first; the book's style knows the second.
"""

# Any: matplotlib types its keys by a list that changes with its version.
_SETTINGS: Final[Any] = {
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.w_pad": 0.02,
    "savefig.pad_inches": 0.04,  # around what a notebook shows: a page has room for 722 pixels
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=SERIES),
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def use_style() -> None:
    """Set the book's look for this process; in a notebook, bitmaps get twice the resolution."""
    mpl.rcParams.update(_SETTINGS)
    pd.set_option("display.max_colwidth", None)  # no cell of a table is cut short
    shell = get_ipython()
    if shell is not None:
        # "retina" doubles the pixels and notes the intended size beside the picture.
        InlineBackend.instance(parent=shell).figure_formats = {"retina"}
        _check_what_is_shown(shell)


def told_apart(named: Mapping[str, T]) -> Iterator[tuple[str, T, str, str]]:
    """Name, value, colour and mark of each line of a figure.

    Raises:
        ValueError: more lines than there are colours.
    """
    colours = (*SERIES, SPIKE)
    if len(named) > len(colours):
        raise ValueError(f"{len(named)} lines, {', '.join(named)}: allowed are {len(colours)}")
    for (name, value), colour, mark in zip(named.items(), colours, "osD^v", strict=False):
        yield name, value, colour, mark


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of ``width`` x ``height`` inches in the book's look.

    It is not registered with pyplot: a notebook shows it once, as the value of its cell, and
    nothing has to be closed.
    """
    with mpl.rc_context(_SETTINGS):
        return Figure(figsize=(width, height), layout="constrained")


def _check_what_is_shown(shell: Any) -> None:
    """Lets a cell fail, and so the build, whose figure `require_room` refuses."""
    bitmaps = shell.display_formatter.formatters["image/png"]
    draw = bitmaps.lookup_by_type(Figure)

    def drawn(figure: Figure) -> Any:
        shown = draw(figure)  # which lays the panels out
        _check_in_a_build(figure)
        return shown

    bitmaps.for_type(Figure, drawn)


def _check_in_a_build(figure: Figure) -> None:
    if os.environ.get(CHECKED):
        require_room(figure)


def require_room(figure: Figure) -> None:
    """Checks a drawn figure: small multiples that are too small, or too many, are not read.

    Raises:
        ValueError: more than six panels, one that is less than 200 pixels of the page wide, or a
            picture, which has no ticks, of less than 100.
    """
    panels = [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]
    if len(panels) > PANELS:
        raise ValueError(f"figure has {len(panels)} panels; allowed: at most {PANELS}")
    for number, axes in enumerate(panels, start=1):
        width = round(100 * figure.get_figwidth() * axes.get_position().width)
        least = PANEL if len(axes.get_xticks()) else PICTURE
        if width < least:
            raise ValueError(f"panel {number} is {width} pixels wide; allowed: {least} or more")


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """One legend below all panels, each name of these axes once."""
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=columns)


def bitmap(figure: Figure) -> np.ndarray:
    """A figure, left as it was, as an image uint8 [H, W, 3] for `stills`: 150 pixels an inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    _check_in_a_build(figure)
    buffer.seek(0)
    image: np.ndarray = (imread(buffer)[..., :3] * 255).astype(np.uint8)
    return image
