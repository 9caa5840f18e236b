"""What a repair puts on a layer for good: masks, bounds, factors, held with the network.

A guard is a buffer of the module that it changes, so that state_dict, deepcopy, torch.save and
safetensors carry it, and a hook that reads the buffer whenever the module runs.

========  ===========  =====================================================================
kind      values       what becomes of the module
========  ===========  =====================================================================
gate      [C]          its current is multiplied channel by channel; 0 silences
bound     [T, C]       its current is cut at an upper bound of each step and channel
floor     [T, C]       its current is cut at a lower bound of each step and channel; where the
                       two bounds cross, the upper one holds
factor    [...]        its thresholds are multiplied neuron by neuron
noise     [3]          its thresholds are multiplied by a number drawn in low..high for each
                       sample, anew at each run; see `noise`
scale     []           its output is multiplied
========  ===========  =====================================================================

Where neurons know no threshold per neuron or sample, the current is divided instead: where the
potential starts from 0 and is reset to 0 or by the threshold, the spikes are the same.

The name of the buffer says it all: "guard_bound", or "guard_bound_step_1of2" of the second of two
uses of a module that runs step by step. So a state dict tells a new network which guards it needs:
networks of this library take it as it is, any other after `prepare(net, state)`.
"""

from __future__ import annotations

from snnbd_core.guards.guard import (
    AXES,
    KINDS,
    Guard,
    bounded,
    folded,
    gated,
    noise,
    raised,
    unfolded,
)
from snnbd_core.guards.holding import answer_again, answers_once, attach, prepare, steps, undrawn

__all__ = [
    "AXES",
    "KINDS",
    "Guard",
    "answer_again",
    "answers_once",
    "attach",
    "bounded",
    "folded",
    "gated",
    "noise",
    "prepare",
    "raised",
    "steps",
    "undrawn",
    "unfolded",
]
