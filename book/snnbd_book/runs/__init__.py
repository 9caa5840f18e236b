"""An `Experiment` says a run in full; `run` gives its `Record`, from the store or by computing.

    record = run(Experiment(trigger=Static(), rate=0.1, seed=0))
    record.report.attack_success_rate, record.provenance.commit

=============  =================================================================================
module         one subject
=============  =================================================================================
settings       `Experiment`: fields, JSON both ways, content hash
coherence      which settings go together
schema         versions of the settings, for the hash and for older records
twins          the trainings behind an experiment: its own, and its clean twin's
resolving      `resolve`: an experiment with its data sets and the trainings it needs
neuron         `Neuron`: settings of a network's neurons
parts          triggers, rules, repairs and probes by name
codec          values to JSON and back, with errors that name the field
lineage        the code that a run's numbers come from
machine        processor, device and memory
provenance     which code, data, versions and machine made a record
record         `Record`: one line of a file, and lines damaged or edited by hand
shelf          `Shelf`: a file of records, sorted, whole whoever writes
store          the results folder: finding, stale records, committed records
trigger_cache  what is found out of a trigger once: its fit, its stealth
training       trained networks, from the cache or made; what a rule is given
probing        detectors and attacks that measure a network besides the report
computing      the numbers of a run: repairing, evaluating, probing
execution      `run`, `network` and `task`
command        ``snnbd run``, ``snnbd evaluate``, ``snnbd carry``
=============  =================================================================================
"""

from __future__ import annotations

from snnbd_book.runs.execution import fitted_trigger, network, run, task
from snnbd_book.runs.neuron import Neuron
from snnbd_book.runs.provenance import Provenance
from snnbd_book.runs.record import CorruptRecord, Record
from snnbd_book.runs.resolving import Resolved, datasets, resolve, test_sets
from snnbd_book.runs.settings import Experiment
from snnbd_book.runs.store import (
    all_recorded,
    at_hand,
    carry_over,
    commit,
    recorded,
    recorded_of,
    records_in,
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
    "at_hand",
    "carry_over",
    "commit",
    "datasets",
    "fitted_trigger",
    "network",
    "recorded",
    "recorded_of",
    "records_in",
    "resolve",
    "results_dir",
    "run",
    "stored",
    "task",
    "test_sets",
]
