"""What a training run reports about itself, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["History"]


@dataclass(frozen=True)
class History:
    """One value per epoch in each field.

    Attributes:
        loss: mean training loss over the epoch's samples.
        accuracy: share of training samples answered rightly while training (dropout on); a silent
            or tied answer is not right.
        learning_rate: of the optimiser in that epoch.
        seconds: wall time.
    """

    loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    learning_rate: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.loss)

    def extended(self, **values: float) -> History:
        """The history with one more epoch: a value for each field."""
        return self.followed_by(History(**{name: (value,) for name, value in values.items()}))

    def followed_by(self, later: History) -> History:
        """This history and then another's epochs."""
        mine, others = asdict(self), asdict(later)
        return History(**{name: (*values, *others[name]) for name, values in mine.items()})

    def to_dict(self) -> dict[str, list[float]]:
        """Plain lists, ready for JSON."""
        return {name: list(values) for name, values in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Sequence[Any]]) -> History:
        """The inverse of ``to_dict``."""
        return cls(**{name: tuple(float(x) for x in column) for name, column in values.items()})
