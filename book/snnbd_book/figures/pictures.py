"""Many small pictures in one: recordings frame by frame, images under triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from snnbd_book.figures import style

COLUMNS = 6
"""At most so many pictures in a row: each is then at least 100 pixels of the page wide."""
_GAP = 0.02  # of a picture's side, on each side


def draw_rows(rows: Mapping[str, Sequence[np.ndarray]], titles: Sequence[str]) -> Figure:
    """Pictures of one shape in one frame, a row for each name and a column for each title.

    Args:
        rows: name -> pictures, uint8 [H, W, 3] or grey levels [H, W] from 0, white, to 1, black.
        titles: of the columns, at most six.

    Raises:
        ValueError: more titles than that, or a row with other than one picture for each.
    """
    if not 1 <= len(titles) <= COLUMNS:
        raise ValueError(f"titles has {len(titles)} entries; allowed: 1 to {COLUMNS}")
    for name, images in rows.items():
        if len(images) != len(titles):
            raise ValueError(f"rows[{name!r}] has {len(images)} pictures; allowed: {len(titles)}")
    height, width = next(iter(rows.values()))[0].shape[:2]
    side = style.WIDTH / (len(titles) + 0.8)  # what names at the left take
    figure = style.new_figure(side * len(rows) * height / width + 0.5)
    axes = figure.subplots()
    inner = 1 - 2 * _GAP
    for row, images in enumerate(rows.values()):
        for column, image in enumerate(images):
            x, y = column + _GAP, row + _GAP
            place = (x, x + inner, y + inner, y)
            axes.imshow(image, "Greys", vmin=0, vmax=1, interpolation="nearest", extent=place)
            axes.add_patch(Rectangle((x, y), inner, inner, fill=False, linewidth=0.8))
    axes.set(xlim=(0, len(titles)), ylim=(len(rows), 0), aspect=height / width)
    axes.set_xticks([column + 0.5 for column in range(len(titles))], titles, fontsize=9)
    axes.set_yticks([row + 0.5 for row in range(len(rows))], list(rows), fontsize=9)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure
