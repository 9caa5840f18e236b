"""The libraries whose neurons a view knows, in the order in which they are asked."""

from __future__ import annotations

from snnbd_core.view.adapter import Adapter
from snnbd_core.view.ours import Ours, Rectified

ADAPTERS: tuple[Adapter, ...] = (Ours(), Rectified())
