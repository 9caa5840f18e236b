"""Pictures to choose from by sliders: with a kernel, or precomputed for the static page.

`sliders` computes as the reader drags and needs a running kernel; `stills` carries all pictures and
works on a static page, with nothing fetched from another host. Both are given the same axes and the
same function. `draw_states` is a plain figure of some of the states, for readers of neither.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from itertools import product
from string import Template
from textwrap import fill
from typing import Any
from uuid import uuid4

import ipywidgets as widgets
import numpy as np
from IPython.display import HTML
from matplotlib.figure import Figure
from PIL import Image

from snnbd_book.figures import style
from snnbd_book.figures.pages import address, as_html

Draw = Callable[..., tuple[np.ndarray | str, str]]
"""Takes one value per axis by name; gives a picture and what it shows in words.

The picture is an image, uint8 [H, W, 3], or SVG with its own text alternative.
"""


def sliders(
    axes: Mapping[str, Sequence[Any]], draw: Draw, start: Mapping[str, Any] | None = None
) -> widgets.VBox:
    """One slider per axis above the picture that they choose; needs a kernel.

    Args:
        axes: name -> the values that its slider stops at.
        draw: makes the picture.
        start: values shown first; on axes that are left out the first one.

    Raises:
        ValueError: a start that no slider reaches.
    """
    first = _start(axes, start)
    controls = {
        name: widgets.SelectionSlider(
            options=[(str(value), value) for value in values],
            value=first[name],
            description=name,
            continuous_update=False,
        )
        for name, values in axes.items()
    }
    picture = widgets.HTML()

    def redraw(_: Any = None) -> None:
        drawn, text = draw(**{name: control.value for name, control in controls.items()})
        picture.value = f"{_element(drawn, text)}<p>{escape(text)}</p>"

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    return widgets.VBox([*controls.values(), picture])


def stills(
    axes: Mapping[str, Sequence[Any]], draw: Draw, start: Mapping[str, Any] | None = None
) -> HTML:
    """The same for a static page: every combination is drawn here, beforehand.

    Args:
        axes, draw, start: as for `sliders`; the first picture also shows without JavaScript.
    """
    first = _start(axes, start)
    combinations = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    states = [draw(**combination) for combination in combinations]
    pictures = [[_element(drawn, text), text] for drawn, text in states]
    first_picture, first_text = pictures[combinations.index(first)]
    page = _PAGE.substitute(
        id=f"stills-{uuid4().hex}",
        controls="".join(
            _control(name, values, values.index(first[name])) for name, values in axes.items()
        ),
        first=first_picture,
        text=escape(first_text),
        box=style.WIDE,
        states=json.dumps(pictures).replace("</", "<\\/"),
        stops=json.dumps([[str(value) for value in values] for values in axes.values()]),
    )
    return as_html(page)


def draw_states(states: Mapping[str, tuple[np.ndarray, str]]) -> Figure:
    """Some states below each other, each with its name and what it shows in words.

    Args:
        states: name -> what a `Draw` gave.
    """
    images = [image for image, _ in states.values()]
    heights = [style.WIDTH * len(image) / image.shape[1] for image in images]
    figure = style.new_figure(sum(heights) + 0.55 * len(states))
    panels = figure.subplots(len(states), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (name, (image, text)) in zip(panels, states.items(), strict=True):
        axes.imshow(image, interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(fill(f"{name} - {text}", 105), fontsize=9, loc="left")
    return figure


_WIDTH = 400  # pixels: narrower pictures are enlarged, and their pixels are what they show


def _element(drawn: np.ndarray | str, text: str) -> str:
    """A picture as an element of a page."""
    if isinstance(drawn, str):
        return drawn
    rendering = "pixelated" if drawn.shape[1] < _WIDTH else "auto"
    shape = f"width: 100%; max-width: 34em; image-rendering: {rendering}; background: #fff"
    return f'<img src="{_uri(drawn)}" alt="{escape(text, quote=True)}" style="{shape}">'


def _start(axes: Mapping[str, Sequence[Any]], start: Mapping[str, Any] | None) -> dict[str, Any]:
    chosen = {name: values[0] for name, values in axes.items()} | dict(start or {})
    for name, value in chosen.items():
        if name not in axes:
            raise ValueError(f"start has {name!r}: allowed are {', '.join(axes)}")
        if value not in axes[name]:
            raise ValueError(f"start has {name}={value!r}: allowed is one of {list(axes[name])}")
    return chosen


def _control(name: str, values: Sequence[Any], at: int) -> str:
    return (
        f'<label style="display: inline-block; margin-right: 1em">{escape(name)} '
        f'<input type="range" min="0" max="{len(values) - 1}" value="{at}"> '
        f"<output>{escape(str(values[at]))}</output></label>"
    )


_COLOURS = 256  # of a palette; of a drawing, they lose only shades of its letters' edges


def _uri(image: np.ndarray) -> str:
    picture = Image.fromarray(image)
    if image.shape[1] >= _WIDTH or picture.getcolors(_COLOURS):
        picture = picture.quantize(_COLOURS, dither=Image.Dither.NONE)
    return address(partial(picture.save, format="PNG", optimize=True))


_PAGE = Template("""
<div id="$id" class="snnbd-stills">
$controls
<div class="$box">$first</div>
<div class="text" aria-live="polite">$text</div>
<script>
(() => {
  const root = document.getElementById("$id");
  if (!root) return;
  const states = $states, stops = $stops;
  const inputs = [...root.querySelectorAll("input")], names = root.querySelectorAll("output");
  const [box, words] = root.querySelectorAll("div");
  const show = () => {
    const at = inputs.reduce((sum, one, axis) => sum * stops[axis].length + Number(one.value), 0);
    inputs.forEach((one, axis) => { names[axis].textContent = stops[axis][one.value]; });
    box.innerHTML = states[at][0];
    words.textContent = states[at][1];
  };
  inputs.forEach((one) => one.addEventListener("input", show));
})();
</script>
</div>
""")
