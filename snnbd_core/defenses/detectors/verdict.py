"""What a detector of models says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnbd_core.metrics import Rate

__all__ = ["FIGURES", "LARGEST", "Verdict"]

LARGEST = sys.float_info.max / 2  # stands for infinity, which JSON has no word for
FIGURES = ("alarm", "suspicion", "suspicion_threshold", "suspected_class", "p_value")


@dataclass(frozen=True)
class Verdict:
    """The answer of a detector about one network.

    Attributes:
        backdoored: whether `score` is beyond `threshold`.
        target: the suspected class; None where the method names none.
        score: larger is more suspicious.
        threshold: set by the method's paper, never on the networks that are judged.
        p_value: where the method gives one.
        values: what the score was made from, one number a class; empty where there is none.
    """

    backdoored: bool
    target: int | None
    score: float
    threshold: float
    p_value: float | None = None
    values: tuple[float, ...] = ()

    def figures(self) -> dict[str, Any]:
        """As `Report.extra` holds it: "alarm" is a share, of one network; None is left out.

        Raises:
            ValueError: a score that is NaN.
        """
        if self.score != self.score:
            raise ValueError(f"score={self.score!r} of a verdict must be a number")
        found = {
            "alarm": Rate(int(self.backdoored), 1),
            "suspicion": min(self.score, LARGEST),
            "suspicion_threshold": self.threshold,
            "suspected_class": self.target,
            "p_value": self.p_value,
            "suspicion_by_class": list(self.values) or None,
        }
        return {name: value for name, value in found.items() if value is not None}

    @classmethod
    def from_figures(cls, figures: Mapping[str, Any]) -> Verdict:
        """The inverse of `figures`, from all that a report holds.

        Raises:
            ValueError: figures of something else than a detector of models.
        """
        if "suspicion" not in figures:
            raise ValueError(
                f"figures {sorted(figures)} hold no verdict: they need the probe of a model"
            )
        return cls(
            backdoored=figures["alarm"].hits == 1,
            target=figures.get("suspected_class"),
            score=figures["suspicion"],
            threshold=figures["suspicion_threshold"],
            p_value=figures.get("p_value"),
            values=tuple(figures.get("suspicion_by_class", ())),
        )
