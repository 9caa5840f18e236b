"""Networks from and for other people: NIR files, state dicts, safetensors, folders of a zoo."""

from __future__ import annotations

from snnbd_core.exchange.errors import CorruptNetwork
from snnbd_core.exchange.reading import read_nir
from snnbd_core.exchange.weights import load_weights
from snnbd_core.exchange.writing import write_nir

__all__ = ["CorruptNetwork", "load_weights", "read_nir", "write_nir"]
