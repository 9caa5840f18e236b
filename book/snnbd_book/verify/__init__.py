"""Proof of the records: some are run again, and what they gave is compared with what they give.

    snnbd verify --minutes 5     a random sample, drawn by today's date
    snnbd stale                  which records other code made, and what running them again costs
    snnbd reproduce              every run of the book again on this machine

=========  =====================================================================================
module     one subject
=========  =====================================================================================
groups     a record among the other seeds of its setting, and how far seeds lie apart
comparing  `compare`: a record and its rerun, equal bits or figure by figure
judging    `judge`: the verdict of a whole sample, at a family-wise level
sampling   `draw`: which records are run again
choosing   which runs are done again, and how many at once
holdings   which of the sets that runs need are here
costs      what runs take before they are done; `work` counts their passes
rerunning  `rerun`: experiments run anew, apart from all stored results; `again`: gone on with
history    the append-only file of all verifications
command    the three commands
=========  =====================================================================================
"""

from __future__ import annotations

from snnbd_book.verify.command import reproduce, stale, verify
from snnbd_book.verify.comparing import Check, Comparison, compare
from snnbd_book.verify.groups import Groups
from snnbd_book.verify.history import Entry, append, entries
from snnbd_book.verify.judging import Judgement, judge
from snnbd_book.verify.sampling import draw

__all__ = [
    "Check",
    "Comparison",
    "Entry",
    "Groups",
    "Judgement",
    "append",
    "compare",
    "draw",
    "entries",
    "judge",
    "reproduce",
    "stale",
    "verify",
]
