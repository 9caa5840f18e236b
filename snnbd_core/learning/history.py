"""What a training run reports about itself, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["History"]


@dataclass(frozen=True)
class History:
    """What happened, with one value per epoch.

    Attributes:
        loss: mean training loss over the epoch's samples.
        accuracy: share of training samples answered rightly while training (dropout on); a silent
            or tied answer is not right.
        learning_rate: of the optimiser in that epoch.
        seconds: wall time.
        precision: what the network computed in, "float32" or "bf16"; of two trainings, "bf16" if
            one of them did. Of the whole training.
    """

    loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    learning_rate: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    precision: str = "float32"

    def __len__(self) -> int:
        return len(self.loss)

    def extended(self, **values: float) -> History:
        """The history with one more epoch: a value for each field that has one per epoch."""
        columns: dict[str, Any] = {name: (*getattr(self, name), values[name]) for name in _COLUMNS}
        return replace(self, **columns)

    def followed_by(self, later: History) -> History:
        """This history and then another's epochs."""
        columns = {name: (*getattr(self, name), *getattr(later, name)) for name in _COLUMNS}
        half = "bf16" in (self.precision, later.precision)
        return History(**columns, precision="bf16" if half else "float32")

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, ready for JSON; "precision" only where it is not float32."""
        columns: dict[str, Any] = {name: list(getattr(self, name)) for name in _COLUMNS}
        return columns if self.precision == "float32" else columns | {"precision": self.precision}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> History:
        """The inverse of ``to_dict``."""
        columns = {
            name: tuple(float(x) for x in values[name]) for name in values if name != "precision"
        }
        return cls(**columns, precision=values.get("precision", "float32"))


_COLUMNS = ("loss", "accuracy", "learning_rate", "seconds")
