"""The report on a network that somebody sent: reads it, has it audited, and writes a page."""

from __future__ import annotations

from snnbd_book.audit.command import AuditCommand, audit
from snnbd_book.audit.network import Reading, read_network
from snnbd_book.audit.samples import Labels, read_samples
from snnbd_book.audit.sets import Cut

__all__ = [
    "AuditCommand",
    "Cut",
    "Labels",
    "Reading",
    "audit",
    "html",
    "read_network",
    "read_samples",
]
