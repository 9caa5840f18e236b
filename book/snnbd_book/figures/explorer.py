"""One LIF neuron to play with: sliders for beta, threshold and current."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from string import Template

import ipywidgets as widgets
import torch
from IPython.display import HTML

from snnbd_book.figures import style
from snnbd_book.figures.stills import sliders, stills
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
    """Sliders above the picture that they redraw; needs a kernel.

    Args:
        start: the state shown first; by default that of ``State()``.

    Raises:
        ValueError: a start that no slider reaches; they stop at multiples of 0.05.
    """
    first = State() if start is None else start
    stops = {"beta": _stops(0, 20), "threshold": _stops(2, 60), "current": _stops(0, 40)}
    return sliders(stops, partial(_drawn, steps=first.steps), _chosen(first))


def explore_offline(
    betas: Sequence[float] = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0),
    thresholds: Sequence[float] = (0.5, 1.0, 1.5, 2.0),
    currents: Sequence[float] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
    start: State | None = None,
) -> HTML:
    """The same neuron for a static page: every combination is computed here, on one scale.

    Args:
        betas, thresholds, currents: the stops of the sliders.
        start: the state shown first, also without JavaScript.

    Raises:
        ValueError: a start that no slider reaches.
    """
    first = State() if start is None else start
    states = [State(*values, first.steps) for values in product(betas, thresholds, currents)]
    top = max(_top(state) for state in states)
    stops = {"beta": betas, "threshold": thresholds, "current": currents}
    return stills(stops, partial(_drawn, steps=first.steps, top=top), _chosen(first))


def _stops(first: int, last: int) -> list[float]:
    return [round(0.05 * count, 2) for count in range(first, last + 1)]


def _chosen(state: State) -> dict[str, float]:
    return {"beta": state.beta, "threshold": state.threshold, "current": state.current}


def _top(state: State) -> float:
    """The largest value on the axis of potentials."""
    return max(float(state.run()[2].max()), state.threshold)


# The drawing's own units, as in its viewBox: 0 0 640 280.
_LEFT, _RIGHT, _TOP, _FLOOR = 50, 630, 10, 210


def _drawn(
    beta: float, threshold: float, current: float, steps: int, top: float | None = None
) -> tuple[str, str]:
    """The picture of a state as SVG, and what it shows in words."""
    state = State(beta, threshold, current, steps)
    scale = _top(state) if top is None else top
    _, spikes, potential = state.run()

    def level(value: float) -> float:
        return round(_FLOOR - (_FLOOR - _TOP) * value / scale, 1)

    width = (_RIGHT - _LEFT) / max(1, steps - 1)
    at = [round(_LEFT + width * step, 1) for step in range(steps)]
    curve = " ".join(f"{x},{level(y)}" for x, y in zip(at, potential.tolist(), strict=True))
    picture = _PICTURE.substitute(
        text=state.describe(),
        curve=f"M{curve}",
        ticks="".join(f"M{at[step]} 222V244" for step in spikes.nonzero()[:, 0].tolist()),
        limit=f"M{_LEFT} {level(threshold)}H{_RIGHT}",
        axis="".join(
            f'<text x="{_LEFT - 6}" y="{level(value) + 5}" text-anchor="end">{value}</text>'
            for value in range(0, int(scale) + 1, math.ceil(scale / 5))
        ),
        last=steps - 1,
    )
    return picture, state.describe()


_PICTURE = Template(f"""<svg viewBox="0 0 640 280" role="img" aria-label="$text" font-size="13"
 style="width: 100%; background: #fff">
<path d="$limit" stroke="{style.THRESHOLD}" stroke-dasharray="6 4" fill="none"/>
<path d="$curve" stroke="{style.POTENTIAL}" stroke-width="2" fill="none"/>
<path d="$ticks" stroke="{style.SPIKE}" stroke-width="2.5"/>
<path d="M50 10V210H630M50 246H630" stroke="#666" fill="none"/>
$axis
<text transform="translate(14 110) rotate(-90)" text-anchor="middle">potential</text>
<text x="44" y="238" text-anchor="end">spikes</text>
<text x="50" y="262" text-anchor="middle">0</text>
<text x="340" y="272" text-anchor="middle">time (steps)</text>
<text x="630" y="262" text-anchor="end">$last</text>
</svg>""")
