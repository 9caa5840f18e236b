"""The papers' networks and their ANN twins, by name; layers without neurons."""

from __future__ import annotations

from snnbd_core.networks.building import CODINGS, NAMES, VOTERS, Network, build, seeded

__all__ = ["CODINGS", "NAMES", "VOTERS", "Network", "build", "seeded"]
