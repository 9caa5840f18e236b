"""Tables and pictures of what detectors and repairs achieve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from snnbd_book.claims import Sample
from snnbd_book.claims.pairs import right_target
from snnbd_book.runs import Record

Grid = Mapping[str, Mapping[str, Sequence[Record]]]
"""Attack -> defence, or detector -> attack -> the records of its seeds."""


def accused_table(found: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """How many attacked networks a detector accuses, and how many of the target.

    Args:
        found: attack -> records that the detector probed.
    """
    rows = {
        attack: {
            "accused": _count(Sample.of(group, "alarm")),
            "of the right class": _count(right_target(group)),
        }
        for attack, group in found.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _count(sample: Sample) -> str:
    """ "7 of 10 (35-93 %)" networks."""
    low, high = sample.interval
    hits = round(sum(sample.floats))
    return f"{hits} of {len(sample.values)} ({100 * low:.0f}-{100 * high:.0f} %)"


def costs_table(runs: Mapping[str, Grid]) -> pd.DataFrame:
    """What each repair takes: clean samples, rounds, and the median of its seconds.

    A run's seconds are those beyond the same run without a repair, whose training is the same; what
    is below the noise of an evaluation, some tenths of a second, is shown as it came out or as 0.

    Args:
        runs: kind of data -> attack -> repair, or "nothing" -> records of its seeds, in the same
            order of seeds.
    """
    rows: dict[str, dict[str, str]] = {}
    seconds: dict[tuple[str, str], list[float]] = {}
    for kind, grid in runs.items():
        for by_repair in grid.values():
            for repair, after in by_repair.items():
                if repair != "nothing":
                    first = after[0].experiment
                    given = "-" if first.defence.data_free else f"{first.held_out}"
                    rows.setdefault(repair, {"clean samples per class": given})
                    rows[repair]["rounds"] = _rounds(first.defence)
                    seconds.setdefault((repair, kind), []).extend(
                        other.provenance.seconds - one.provenance.seconds
                        for one, other in zip(by_repair["nothing"], after, strict=True)
                    )
    for (repair, kind), values in seconds.items():
        rows[repair][f"{kind} (s)"] = f"{max(0.0, float(np.median(values))):.1f}"
    return pd.DataFrame.from_dict(rows, orient="index").fillna("-")


def _rounds(defence: Any) -> str:
    """ "30 epochs, 100 iterations", or what the defence says itself; "-" for one that has none."""
    if hasattr(defence, "rounds"):
        return str(defence.rounds.format(**vars(defence)))
    kinds = ("epochs", "iterations", "episodes")
    found = [(field.name, getattr(defence, field.name)) for field in fields(defence)]
    said = [
        f"{value} {name.replace('_', ' ')}"
        for name, value in found
        if name.endswith(kinds) and value
    ]
    return ", ".join(said) or "-"
