"""Pictures to choose from by sliders: with a kernel, or precomputed for the static page.

`sliders` computes as the reader drags and needs a running kernel; `stills` carries all pictures and
works on a static page, with nothing fetched from another host. Both are given the same axes and the
same function.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import product
from string import Template
from typing import Any
from uuid import uuid4

import ipywidgets as widgets
import numpy as np
from IPython.display import HTML
from matplotlib.image import imsave

Draw = Callable[..., tuple[np.ndarray, str]]
"""Takes one value per axis by name; gives an image, uint8 [H, W, 3], and what it shows in words."""


def sliders(axes: Mapping[str, Sequence[Any]], draw: Draw) -> widgets.VBox:
    """One slider per axis above the picture that they choose; needs a kernel.

    Args:
        axes: name -> the values that its slider stops at; the first ones are shown first.
        draw: makes the picture.
    """
    controls = {
        name: widgets.SelectionSlider(
            options=[(str(value), value) for value in values], description=name,
            continuous_update=False,
        )
        for name, values in axes.items()
    }  # fmt: skip
    picture = widgets.HTML()

    def redraw(_: Any = None) -> None:
        image, text = draw(**{name: control.value for name, control in controls.items()})
        picture.value = (
            f'<img src="{_uri(image)}" alt="{escape(text, quote=True)}" {_SIZE}>'
            f"<p>{escape(text)}</p>"
        )

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    return widgets.VBox([*controls.values(), picture])


def stills(axes: Mapping[str, Sequence[Any]], draw: Draw) -> HTML:
    """The same for a static page: every combination is drawn here, beforehand.

    Args:
        axes, draw: as for `sliders`; the first picture also shows without JavaScript.
    """
    states = [draw(**dict(zip(axes, values, strict=True))) for values in product(*axes.values())]
    first_image, first_text = states[0]
    page = _PAGE.substitute(
        id=f"stills-{uuid4().hex}",
        controls="".join(_control(name, values) for name, values in axes.items()),
        first=_uri(first_image),
        text=escape(first_text, quote=True),
        size=_SIZE,
        states=json.dumps([[_uri(image), text] for image, text in states]).replace("</", "<\\/"),
        stops=json.dumps([[str(value) for value in values] for values in axes.values()]),
    )
    show: Callable[[str], HTML] = HTML  # IPython has no type hints; this gives it ours
    return show(page)


_SIZE = 'style="width: 100%; max-width: 34em; image-rendering: pixelated; background: #fff"'


def _control(name: str, values: Sequence[Any]) -> str:
    return (
        f'<label style="display: inline-block; margin-right: 1em">{escape(name)} '
        f'<input type="range" min="0" max="{len(values) - 1}" value="0"> '
        f"<output>{escape(str(values[0]))}</output></label>"
    )


def _uri(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    imsave(buffer, image)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


_PAGE = Template("""
<div id="$id" class="snnbd-stills">
$controls
<p><img src="$first" alt="$text" $size></p>
<div class="text" aria-live="polite">$text</div>
<script>
(() => {
  const root = document.getElementById("$id");
  if (!root) return;
  const states = $states, stops = $stops;
  const inputs = [...root.querySelectorAll("input")], names = root.querySelectorAll("output");
  const image = root.querySelector("img"), words = root.querySelector(".text");
  const show = () => {
    const at = inputs.reduce((sum, one, axis) => sum * stops[axis].length + Number(one.value), 0);
    inputs.forEach((one, axis) => { names[axis].textContent = stops[axis][one.value]; });
    image.src = states[at][0];
    image.alt = words.textContent = states[at][1];
  };
  inputs.forEach((one) => one.addEventListener("input", show));
})();
</script>
</div>
""")
