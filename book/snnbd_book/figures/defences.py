"""Tables and pictures of what detectors and repairs achieve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from snnbd_book.claims import Sample
from snnbd_book.claims.intervals import exact
from snnbd_book.claims.pairs import effectiveness, separation
from snnbd_book.figures import style
from snnbd_book.runs import Record
from snnbd_core.defenses.detectors import Roc, Verdict, pooled

Grid = Mapping[str, Mapping[str, Sequence[Record]]]
"""Attack -> defence, or detector -> attack -> the records of its seeds."""


def verdicts_table(found: Grid) -> pd.DataFrame:
    """How often each detector of models is right, at its own threshold and over all.

    Args:
        found: detector -> records that it probed, of "clean" and of "attacked" networks.

    Raises:
        ValueError: a record of something else than a detector of models.
    """
    rows = {}
    for name, groups in found.items():
        found_here, right = _accusations(groups["attacked"])
        clean = [_verdict(one).backdoored for one in groups["clean"]]
        rows[name] = {
            "false alarms": _share(sum(clean), len(clean)),
            "found": found_here,
            "right target": right,
            "AUC": str(separation(groups["clean"], groups["attacked"])),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def accused_table(found: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """How many attacked networks a detector accuses, and of how many it names the target.

    Args:
        found: attack -> records that the detector probed.

    Raises:
        ValueError: a record of something else than a detector of models.
    """
    rows = {
        attack: dict(zip(("accused", "right target"), _accusations(group), strict=True))
        for attack, group in found.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _accusations(attacked: Sequence[Record]) -> tuple[str, str]:
    """Networks that are accused, and those of them that are accused of the target."""
    verdicts = [(_verdict(one), one.experiment.target) for one in attacked]
    right = [one.target == target for one, target in verdicts if one.backdoored]
    return _share(len(right), len(attacked)), _share(sum(right), len(right))


def _share(some: int, count: int) -> str:
    """ "2 of 3 (9-99 %)": with the interval of the share, networks being few."""
    if not count:
        return "0 of 0"
    low, high = exact(some, count)
    return f"{some} of {count} ({100 * low:.0f}-{100 * high:.0f} %)"


def pooled_curves(found: Grid) -> dict[str, dict[str, Roc]]:
    """Attack -> detector -> one curve for the samples of all seeds.

    Args:
        found: detector -> attack -> records that it probed.

    Raises:
        ValueError: a record of something else than a detector of samples.
    """
    curves: dict[str, dict[str, Roc]] = {}
    for detector, by_attack in found.items():
        for attack, group in by_attack.items():
            curve = pooled(record.report.extra for record in group)
            curves.setdefault(attack, {})[detector] = curve
    return curves


def areas_table(found: Grid) -> pd.DataFrame:
    """Areas under the curve, mean over networks: an attack a row, a detector a column.

    Args:
        found: detector -> attack -> records that it probed; "-" stands for an attack without.

    Raises:
        ValueError: a record of something else than a detector of samples.
    """
    columns = {
        detector: {attack: str(Sample.of(group, "detection_area")) for attack, group in by.items()}
        for detector, by in found.items()
    }
    return pd.DataFrame(columns).fillna("-")


def draw_rocs(found: Mapping[str, Mapping[str, Roc]]) -> Figure:
    """ROC curves, one panel for each attack, one curve for each detector."""
    figure = style.new_figure(2.9)
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (attack, by_detector) in zip(panels, found.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=style.CURRENT, linestyle=":", linewidth=0.8)
        for (name, curve), colour in zip(by_detector.items(), style.SERIES, strict=False):
            axes.plot(curve.false_positives, curve.true_positives, color=colour, label=name)
        axes.set(title=attack, xlabel="false alarms", aspect="equal")
    panels[0].set_ylabel("found")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4)
    return figure


def draw_repairs(runs: Grid) -> Figure:
    """Two maps, attacks by repairs: clean accuracy kept, and success left, with intervals."""
    attacks, repairs = list(runs), list(next(iter(runs.values())))
    figure = style.new_figure(0.55 * len(repairs) + 1.6)
    panels = figure.subplots(1, 2, sharey=True)
    fields = {"clean accuracy kept": "clean_accuracy", "attack success left": "attack_success_rate"}
    for axes, (title, field) in zip(panels, fields.items(), strict=True):
        cells = [[Sample.of(runs[a][r], field) for a in attacks] for r in repairs]
        values = np.array([[cell.mean for cell in row] for row in cells])
        axes.imshow(
            values,
            cmap="Blues" if field == "clean_accuracy" else "Oranges",
            vmin=0,
            vmax=1.1,
            aspect="auto",
        )
        for (row, column), value in np.ndenumerate(values):
            ends = (f"{100 * end:.0f}" for end in cells[row][column].interval)
            colour = "white" if value > 0.6 else "black"
            middle = {"ha": "center", "color": colour}
            axes.text(column, row, f"{100 * value:.0f}", va="bottom", fontsize=8, **middle)
            axes.text(column, row, f"({'-'.join(ends)})", va="top", fontsize=6, **middle)
        axes.set_xticks(range(len(attacks)), attacks, rotation=40, ha="right", fontsize=8)
        axes.set_yticks(range(len(repairs)), repairs, fontsize=8)
        axes.set_title(f"{title} (%)")
    return figure


def effectiveness_table(runs: Grid, nothing: str = "nothing") -> pd.DataFrame:
    """DER of each repair against each attack, mean over seeds with its interval.

    Args:
        runs: attack -> repair -> records of its seeds, in the same order of seeds.
        nothing: the row without a repair.
    """
    rows: dict[str, dict[str, str]] = {}
    for attack, by_repair in runs.items():
        before = by_repair[nothing]
        for repair, after in by_repair.items():
            if repair != nothing:
                rows.setdefault(repair, {})[attack] = str(effectiveness(before, after))
    return pd.DataFrame.from_dict(rows, orient="index")


def costs_table(runs: Mapping[str, Grid], nothing: str = "nothing") -> pd.DataFrame:
    """What each repair takes: clean samples, rounds, and the median of its seconds.

    A run's seconds are those beyond the same run without a repair, whose training is the same; what
    is below the noise of an evaluation, some tenths of a second, is shown as it came out or as 0.

    Args:
        runs: kind of data -> attack -> repair -> records of its seeds, in the same order of seeds.
        nothing: the row without a repair.
    """
    rows: dict[str, dict[str, str]] = {}
    seconds: dict[tuple[str, str], list[float]] = {}
    for kind, grid in runs.items():
        for by_repair in grid.values():
            for repair, after in by_repair.items():
                if repair != nothing:
                    first = after[0].experiment
                    given = "-" if first.defence.data_free else f"{first.held_out}"
                    rows.setdefault(repair, {"clean samples per class": given})
                    rows[repair]["rounds"] = _rounds(first.defence)
                    seconds.setdefault((repair, kind), []).extend(
                        other.provenance.seconds - one.provenance.seconds
                        for one, other in zip(by_repair[nothing], after, strict=True)
                    )
    for (repair, kind), values in seconds.items():
        rows[repair][f"{kind} (s)"] = f"{max(0.0, float(np.median(values))):.1f}"
    return pd.DataFrame.from_dict(rows, orient="index").fillna("-")


def figure_table(runs: Grid, figure: str) -> pd.DataFrame:
    """One figure of all records: mean over seeds with its interval, a row for each outer name."""
    rows = {
        name: {inner: str(Sample.of(group, figure)) for inner, group in groups.items()}
        for name, groups in runs.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


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


def _verdict(record: Record) -> Verdict:
    return Verdict.from_figures(record.report.extra)
