"""One LIF neuron to play with: sliders for beta, threshold and current.

Two forms of one picture. :func:`explore` is a widget and computes as the reader drags, so it
needs a running kernel. :func:`explore_offline` carries states computed beforehand and works on a
static page, with nothing fetched from another host.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from string import Template
from typing import Any
from uuid import uuid4

import ipywidgets as widgets
import torch
from IPython.display import HTML

from snnbd_book.figures import style
from snnbd_book.figures.neurons import draw_neuron
from snnbd_core.neurons import LIF


@dataclass(frozen=True)
class State:
    """A LIF neuron under a constant current from step 0, snnTorch's rule with reset by subtraction.

    Attributes:
        beta: decay of the potential per step, 0..1.
        threshold: potential above which it fires.
        current: input in each step.
        steps: how many steps it runs.
    """

    beta: float = 0.9
    threshold: float = 1.0
    current: float = 0.3
    steps: int = 40

    def run(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return current, spikes and potential, each [steps]."""
        current = torch.full((self.steps, 1), self.current)
        neuron = LIF(beta=self.beta, threshold=self.threshold)
        spikes, potential = neuron(current, return_potential=True)
        return current[:, 0], spikes[:, 0], potential[:, 0]

    def describe(self) -> str:
        """Say in words what the picture shows; used as its text alternative."""
        _, spikes, potential = self.run()
        return (
            f"beta {self.beta:.2f}, threshold {self.threshold:.2f}, current {self.current:.2f}: "
            f"{int(spikes.sum())} spikes in {self.steps} steps, "
            f"highest potential {float(potential.max()):.2f}"
        )


def explore(start: State | None = None) -> widgets.VBox:
    """Return sliders for beta, threshold and current above the picture they redraw.

    Args:
        start: the state shown first; by default that of ``State()``.
    """
    first = State() if start is None else start
    sliders = {
        "beta": _slider("beta", first.beta, 0.0, 1.0),
        "threshold": _slider("threshold", first.threshold, 0.1, 3.0),
        "current": _slider("current", first.current, 0.0, 2.0),
    }
    picture = widgets.HTML(_picture(first))

    def redraw(_: Any) -> None:
        beta, threshold, current = (slider.value for slider in sliders.values())
        picture.value = _picture(State(beta, threshold, current, first.steps))

    for slider in sliders.values():
        slider.observe(redraw, names="value")
    return widgets.VBox([*sliders.values(), picture])


def explore_offline(
    betas: Sequence[float] = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0),
    thresholds: Sequence[float] = (0.5, 1.0, 1.5, 2.0),
    currents: Sequence[float] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
    start: State | None = None,
) -> HTML:
    """Return the same neuron for a static page: every combination is computed here, beforehand.

    Args:
        betas: the stops of the slider for beta.
        thresholds: the stops of the slider for the threshold.
        currents: the stops of the slider for the current.
        start: the state shown first, also without JavaScript; one of the combinations.

    Raises:
        ValueError: if ``start`` is not one of the combinations.
    """
    first = State() if start is None else start
    stops = {"beta": list(betas), "threshold": list(thresholds), "current": list(currents)}
    chosen = {"beta": first.beta, "threshold": first.threshold, "current": first.current}
    for name, value in chosen.items():
        if value not in stops[name]:
            raise ValueError(f"start.{name} is {value}; allowed: one of {stops[name]}")
    states = [State(*values, first.steps) for values in product(betas, thresholds, currents)]
    top = max(max(float(state.run()[2].max()), state.threshold) for state in states)
    drawings = [_drawing(state, top) for state in states]
    page = _PAGE.substitute(
        id=f"explorer-{uuid4().hex}",
        controls="".join(
            f'<label style="display: inline-block; margin-right: 1em">{name} <input type="range" '
            f'min="0" max="{len(values) - 1}" value="{values.index(chosen[name])}"></label>'
            for name, values in stops.items()
        ),
        states=json.dumps(drawings, separators=(",", ":")),
        sizes=json.dumps([len(values) for values in stops.values()]),
        axis="".join(
            f'<text x="{_LEFT - 6}" y="{_level(value, top) + 5}" text-anchor="end">{value}</text>'
            for value in range(int(top) + 1)
        ),
        box=style.WIDE,
        colours=f"--limit: {style.THRESHOLD}; --curve: {style.POTENTIAL}; --ticks: {style.SPIKE}",
        last=first.steps - 1,
        **drawings[states.index(first)],
    )
    show: Callable[[str], HTML] = HTML  # IPython has no type hints; this gives it ours
    return show(page)


def _slider(name: str, value: float, low: float, high: float) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value=value, min=low, max=high, step=0.05, description=name, continuous_update=False
    )


def _picture(state: State) -> str:
    current, spikes, potential = state.run()
    buffer = io.BytesIO()
    draw_neuron(current, spikes, potential, state.threshold).savefig(buffer, dpi=100)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{state.describe()}" src="data:image/png;base64,{data}">'


# The drawing's own units, as in its viewBox: 0 0 640 280.
_LEFT, _RIGHT, _TOP, _FLOOR = 50, 630, 10, 210


def _level(value: float, top: float) -> float:
    """Return the height on the page of a potential between 0 and ``top``."""
    return round(_FLOOR - (_FLOOR - _TOP) * value / top, 1)


def _drawing(state: State, top: float) -> dict[str, str]:
    """Return what changes between states: SVG paths of the curve, the spikes and the threshold."""
    _, spikes, potential = state.run()
    width = (_RIGHT - _LEFT) / max(1, state.steps - 1)
    at = [round(_LEFT + width * step, 1) for step in range(state.steps)]
    curve = " ".join(
        f"{x},{_level(value, top)}" for x, value in zip(at, potential.tolist(), strict=True)
    )
    ticks = "".join(f"M{at[step]} 222V244" for step in spikes.nonzero()[:, 0].tolist())
    return {
        "curve": f"M{curve}",
        "ticks": ticks or "M0 0",
        "limit": f"M{_LEFT} {_level(state.threshold, top)}H{_RIGHT}",
        "text": state.describe(),
    }


_PAGE = Template("""
<div id="$id" class="snnbd-explorer" style="$colours">
$controls
<div class="$box">
<svg viewBox="0 0 640 280" role="img" aria-label="$text" font-size="13"
 style="width: 100%; background: #fff">
<path class="limit" d="$limit" stroke="var(--limit)" stroke-dasharray="6 4" fill="none"/>
<path class="curve" d="$curve" stroke="var(--curve)" stroke-width="2" fill="none"/>
<path class="ticks" d="$ticks" stroke="var(--ticks)" stroke-width="2.5"/>
<path d="M50 10V210H630M50 246H630" stroke="#666" fill="none"/>
$axis
<text transform="translate(14 110) rotate(-90)" text-anchor="middle">potential</text>
<text x="44" y="238" text-anchor="end">spikes</text>
<text x="50" y="262" text-anchor="middle">0</text>
<text x="340" y="272" text-anchor="middle">time (steps)</text>
<text x="630" y="262" text-anchor="end">$last</text>
</svg>
</div>
<div class="text" aria-live="polite">$text</div>
<script>
(() => {
  const root = document.getElementById("$id");
  if (!root) return;
  const states = $states, sizes = $sizes;
  const sliders = [...root.querySelectorAll("input")];
  const show = () => {
    const at = sliders.reduce((sum, one, axis) => sum * sizes[axis] + Number(one.value), 0);
    for (const name of ["curve", "ticks", "limit"])
      root.querySelector("path." + name).setAttribute("d", states[at][name]);
    root.querySelector("svg").setAttribute("aria-label", states[at].text);
    root.querySelector(".text").textContent = states[at].text;
  };
  sliders.forEach((slider) => slider.addEventListener("input", show));
})();
</script>
</div>
""")
