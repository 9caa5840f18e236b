"""The audit of a network that somebody sent: what it is, and whether it looks attacked."""

from __future__ import annotations

from snnbd_core.auditing.audit import audit
from snnbd_core.auditing.parts import Audit, Part, Status, Table
from snnbd_core.auditing.repairing import repaired

__all__ = ["Audit", "Part", "Status", "Table", "audit", "repaired"]
