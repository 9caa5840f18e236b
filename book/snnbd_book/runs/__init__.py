"""An `Experiment` says a run in full; `run` gives its `Record`, from the store or by computing.

    record = run(Experiment(trigger=Static(), rate=0.1, seed=0))
    record.report.attack_success_rate, record.provenance.commit

=============  =================================================================================
module         one subject
=============  =================================================================================
settings       `Experiment`: fields, JSON both ways, content hash
coherence      which settings go together
schema         versions of the settings, for the hash and for older records
resolving      `resolve`: an experiment with its data sets and the trainings it needs
neuron         `Neuron`: settings of a network's neurons
parts          triggers, rules, repairs and probes by name
probing        detectors and attacks that measure a network besides the report
codec          values to JSON and back, with errors that name the field
provenance     which code, data, versions and machine made a record
record         `Record`: its file format, and files damaged or edited by hand
store          the results folder: finding, stale records, recorded runs
trigger_cache  what is found out of a trigger once: its fit, its stealth
training       trained networks, from the cache or made; what a rule is given
command        ``snnbd run``, ``snnbd evaluate``, ``snnbd carry``
execution      `run`, `network` and `task`: repairing, evaluating, probing
=============  =================================================================================
"""

from __future__ import annotations

from snnbd_book.runs.execution import fitted_trigger, network, run, task
from snnbd_book.runs.neuron import Neuron
from snnbd_book.runs.provenance import Provenance, code_fingerprint
from snnbd_book.runs.record import CorruptRecord, Record
from snnbd_book.runs.resolving import Resolved, datasets, resolve, test_sets
from snnbd_book.runs.settings import Experiment
from snnbd_book.runs.store import (
    all_recorded,
    carry_over,
    recorded,
    recorded_of,
    results_dir,
    stored,
)

__all__ = [
    "CorruptRecord",
    "Experiment",
    "Neuron",
    "Provenance",
    "Record",
    "Resolved",
    "all_recorded",
    "carry_over",
    "code_fingerprint",
    "datasets",
    "fitted_trigger",
    "network",
    "recorded",
    "recorded_of",
    "resolve",
    "results_dir",
    "run",
    "stored",
    "task",
    "test_sets",
]
