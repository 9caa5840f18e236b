"""One current through the update rules in use, side by side: they do not agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

import snntorch
import torch
from IPython.display import HTML

from snnbd_core.neurons import LIF

Trace = tuple[torch.Tensor, torch.Tensor]


def run_leaky(leaky: snntorch.Leaky, current: torch.Tensor) -> Trace:
    """Step snnTorch's neuron through a current.

    Args:
        leaky: the neuron.
        current: input [T, ...].

    Returns:
        Spikes and potential, each [T, ...].
    """
    potential = torch.zeros_like(current[0])
    fired, potentials = [], []
    for now in current:
        spike, potential = leaky(now, potential)
        fired.append(spike)
        potentials.append(potential)
    return torch.stack(fired), torch.stack(potentials)


def run_conventions(current: torch.Tensor, beta: float = 0.9) -> dict[str, Trace]:
    """Run one neuron under six published update rules.

    Args:
        current: input [T].
        beta: decay per step; SpikingJelly's tau is 1 / (1 - beta).

    Returns:
        Name of the rule -> (spikes [T], potential [T]). snnTorch's rows are computed by snnTorch
        itself, SpikingJelly's by our LIF under its rule (the tests compare it with the original).
    """
    sequence = current[:, None]
    neurons = {
        "snnTorch, subtract (its default)": snntorch.Leaky(beta=beta),
        "snnTorch, subtract, reset_delay=False": snntorch.Leaky(beta=beta, reset_delay=False),
        "snnTorch, zero": snntorch.Leaky(beta=beta, reset_mechanism="zero"),
        "SpikingJelly, hard reset (its default)": LIF(
            beta, reset="zero", update="spikingjelly", decay_input=True
        ),
        "SpikingJelly, hard, decay_input=False": LIF(beta, reset="zero", update="spikingjelly"),
        "SpikingJelly, soft, decay_input=False": LIF(beta, update="spikingjelly"),
    }
    runs = {}
    for name, neuron in neurons.items():
        if isinstance(neuron, LIF):
            spikes, potential = neuron(sequence, return_potential=True)
        else:
            spikes, potential = run_leaky(neuron, sequence)
        runs[name] = (spikes[:, 0], potential[:, 0])
    return runs


def spike_table(runs: Mapping[str, Trace]) -> HTML:
    """Return a table of spike trains, one row a rule, one digit a step.

    HTML, since Markdown in a cell's output is read without tables when the book is built.

    Args:
        runs: name -> (spikes [T], potential [T]).
    """
    rows = [
        f"<tr><th scope='row'>{escape(name)}</th><td><code>{_digits(spikes)}</code></td>"
        f"<td>{int(spikes.sum())}</td></tr>"
        for name, (spikes, _) in runs.items()
    ]
    heads = "".join(f"<th scope='col'>{head}</th>" for head in ("rule", "spikes by step", "count"))
    body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    show: Callable[[str], HTML] = HTML  # IPython has no type hints; this gives it ours
    return show(f"<table class='table'>{body}</table>")


def _digits(spikes: torch.Tensor) -> str:
    return "".join(str(int(spike)) for spike in spikes)
