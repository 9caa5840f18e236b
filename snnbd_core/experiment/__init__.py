"""An `Experiment` says a run in full; `run` gives its `Record`, from the store or by computing.

    record = run(Experiment(trigger=Static(), rate=0.1, seed=0))
    record.report.attack_success_rate, record.provenance.commit

=============  =================================================================================
module         one subject
=============  =================================================================================
settings       `Experiment` and `Neuron`: fields, their checks, JSON both ways, content hash
codec          values to JSON and back, with errors that name the field
provenance     which code, data, versions and machine made a record
record         `Record`: its file format, and files damaged or edited by hand
store          the results folder: finding, stale records, recorded runs
execution      `run` and `network`: training, evaluating, locks
=============  =================================================================================
"""

from __future__ import annotations

from snnbd_core.experiment.execution import network, run
from snnbd_core.experiment.provenance import Provenance, code_fingerprint
from snnbd_core.experiment.record import CorruptRecord, Record
from snnbd_core.experiment.settings import Experiment, Neuron
from snnbd_core.experiment.store import datasets, recorded, results_dir, stored

__all__ = [
    "CorruptRecord",
    "Experiment",
    "Neuron",
    "Provenance",
    "Record",
    "code_fingerprint",
    "datasets",
    "network",
    "recorded",
    "results_dir",
    "run",
    "stored",
]
