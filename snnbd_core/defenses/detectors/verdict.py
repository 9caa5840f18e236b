"""What a detector of models says."""

from __future__ import annotations

from dataclasses import dataclass


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
