"""Learning rules, one module per rule; all take a network and a data set and return a History."""

from __future__ import annotations

from snnbd_core.learning.batches import as_sequence, choose_device
from snnbd_core.learning.history import History
from snnbd_core.learning.surrogate_gradient import train
from snnbd_core.learning.task import Rule, SurrogateGradient, Task, Trained

__all__ = [
    "History",
    "Rule",
    "SurrogateGradient",
    "Task",
    "Trained",
    "as_sequence",
    "choose_device",
    "train",
]
