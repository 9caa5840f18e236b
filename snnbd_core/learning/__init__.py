"""Learning rules, one module per rule; all take a network and a data set and return a History."""

from __future__ import annotations

from snnbd_core.data.batches import as_sequence, choose_device
from snnbd_core.learning.ann import ANN
from snnbd_core.learning.conversion import Conversion, Hybrid, convert, hybrid
from snnbd_core.learning.history import History
from snnbd_core.learning.rounding import RoundingAware, rounded
from snnbd_core.learning.spike_representation import SpikeRepresentation, train_spike_representation
from snnbd_core.learning.surrogate_gradient import train
from snnbd_core.learning.task import Rule, SurrogateGradient, Task, Trained

__all__ = [
    "ANN",
    "Conversion",
    "History",
    "Hybrid",
    "RoundingAware",
    "Rule",
    "SpikeRepresentation",
    "SurrogateGradient",
    "Task",
    "Trained",
    "as_sequence",
    "choose_device",
    "convert",
    "hybrid",
    "rounded",
    "train",
    "train_spike_representation",
]
