"""Chapter 13: rounded weights, what bits and neurons do, and what of it is seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from snnbd_book.claims import Sample
from snnbd_book.figures import style
from snnbd_book.runs import Record
from snnbd_core import Rate, evaluate
from snnbd_core.defenses.detectors import HyperParameters, card
from snnbd_core.deployment import BitFlips, flipped
from snnbd_core.learning import rounded

__all__ = [
    "audited_table",
    "by_bits_table",
    "draw_bits",
    "draw_levels",
    "seen_table",
]

SCORES = {"settings": "settings: gain", "floors": "floors: led"}
PANELS = {"attack_success_rate": "success (%)", "clean_accuracy": "clean accuracy (%)"}


def draw_levels(weight: Tensor, bits: Sequence[int]) -> Figure:
    """One channel's weights against what they are rounded to, a panel for each number of bits.

    Args:
        weight: [out, ...]; the first channel is shown.
        bits: numbers of bits.
    """
    figure = style.new_figure(2.3)
    panels = figure.subplots(1, len(bits), sharey=True, squeeze=False)[0]
    shown = weight.detach()[0].flatten()
    for axes, count in zip(panels, bits, strict=True):
        to = rounded(weight.detach(), count)[0].flatten()
        axes.plot(shown, shown, color=style.CURRENT, linewidth=0.8)
        axes.plot(shown, to, ".", color=style.MARK, markersize=4)
        axes.set(title=f"{count} bits: {len(to.unique())} values", xlabel="trained weight")
    panels[0].set_ylabel("rounded weight")
    return figure


def draw_bits(
    runs: Mapping[str, Mapping[str, Sequence[Record]]],
    floors: Mapping[str, Mapping[str, Sequence[Record]]],
) -> Figure:
    """Success and clean accuracy by the number of bits, a line for each attack, with 95 % bands.

    Args:
        runs: attack -> "float32", "8 bits" and so on -> the records of its seeds.
        floors: the same of clean networks; their success is drawn as grey ticks.
    """
    figure = style.new_figure(3.2)
    panels = figure.subplots(1, len(PANELS))
    for axes, (field, label) in zip(panels, PANELS.items(), strict=True):
        for name, by_bits, colour, mark in style.told_apart(runs):
            samples = [Sample.of(records, field) for records in by_bits.values()]
            ends = [[100 * one.interval[end] for one in samples] for end in (0, 1)]
            axes.fill_between(range(len(samples)), *ends, color=colour, alpha=0.15)
            means = [100 * one.mean for one in samples]
            axes.plot(means, mark + "-", color=colour, label=name, markersize=5)
            if field == "attack_success_rate":
                places = [list(by_bits).index(bits) for bits in floors[name]]
                low = [100 * Sample.of(one, field).mean for one in floors[name].values()]
                axes.plot(places, low, "_", color=style.CURRENT, markersize=12)
        axes.set_xticks(range(len(by_bits)), list(by_bits), fontsize=8)
        axes.set(ylabel=label, ylim=(-3, 103))
    style.legend_below(figure, panels[0])
    return figure


def flips_of(net: nn.Module, test: Any, trigger: Any, target: int) -> dict[str, dict[str, Sample]]:
    """Rates for each bit of an 8-bit threshold, flipped in all layers of one network.

    Args:
        net: attacked, with one threshold for all layers.
        test, trigger, target: as for `snnbd_core.evaluate`.
    """
    rows = {}
    for bit in range(8):
        now = float(flipped(torch.tensor(1.0), bit, "fixed8"))
        report = evaluate(
            BitFlips(bit=bit, number="fixed8").apply(net), test, trigger, target, device="cpu"
        )
        rates = {
            "success": report.attack_success_rate,
            "target without trigger": report.untriggered_target_rate,
            "clean accuracy": report.clean_accuracy,
        }
        rows[f"bit {bit}: {now:.3g}"] = {
            name: Sample((rate,)) for name, rate in rates.items() if rate is not None
        }
    return rows


def by_bits_table(
    groups: Mapping[str, Mapping[str, Sequence[Record]]], field: str = "detection_area"
) -> pd.DataFrame:
    """A figure with its 95 % interval by row, such as a detector, and number of bits.

    Args:
        groups: row -> "float32", "8 bits" and so on -> records.
        field: of their reports.
    """
    return pd.DataFrame.from_dict(
        {
            name: {bits: str(Sample.of(records, field)) for bits, records in by_bits.items()}
            for name, by_bits in groups.items()
        },
        orient="index",
    )


Caught = dict[str, dict[str, tuple[Sample, Sample]]]


def caught_at(groups: Mapping[str, Mapping[str, Sequence[Record]]], share: float) -> Caught:
    """Finds and false alarms of detectors whose thresholds were set on the network in float32.

    Args:
        groups: detector -> "float32", "8 bits" and so on -> records, one for each seed.
        share: of clean samples that the threshold accuses in float32.

    Returns:
        Detector -> bits -> shares of attacked and of clean samples above the threshold.
    """
    found: Caught = {}
    for name, by_bits in groups.items():
        clean = [np.asarray(one.report.extra["clean_scores"]) for one in by_bits["float32"]]
        limits = [float(np.quantile(scores, 1 - share)) for scores in clean]
        found[name] = {
            bits: (
                _above(records, "attacked_scores", limits),
                _above(records, "clean_scores", limits),
            )
            for bits, records in by_bits.items()
        }
    return found


def _above(records: Sequence[Record], scores: str, limits: Sequence[float]) -> Sample:
    marks = [
        np.asarray(one.report.extra[scores]) > limit
        for one, limit in zip(records, limits, strict=True)
    ]
    return Sample(tuple(Rate(int(above.sum()), len(above)) for above in marks))


def caught_table(found: Caught) -> pd.DataFrame:
    """A row for each detector, finds and false alarms in percent for each number of bits."""
    rows = {
        name: {
            bits: f"{100 * finds.mean:.0f} / {100 * alarms.mean:.0f}"
            for bits, (finds, alarms) in by_bits.items()
        }
        for name, by_bits in found.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def rates_table(rates: Mapping[str, Mapping[str, Sequence[Rate]]]) -> pd.DataFrame:
    """Row -> column -> a rate for each seed, as mean with 95 % interval."""
    rows = {
        name: {what: str(Sample(tuple(found))) for what, found in columns.items()}
        for name, columns in rates.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def seen_table(net: nn.Module, changed: Mapping[str, nn.Module], test: Any) -> pd.DataFrame:
    """What three checks say of changed networks.

    Args:
        net: as it was trained; its settings are the card.
        changed: name -> the network on the device.
        test: labelled samples.
    """
    told = HyperParameters(expected=card(net))
    rows = {}
    for name, one in changed.items():
        with_card, without = (
            judge.inspect(one, None, device="cpu").backdoored for judge in (told, HyperParameters())
        )
        right = evaluate(one, test, device="cpu").clean_accuracy
        rows[name] = {
            "card of settings": "alarm" if with_card else "silent",
            "layers compared, no card": "alarm" if without else "silent",
            "right on clean recordings": str(Sample((right,))),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def audited_table(networks: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """What audits say of networks as shipped and as changed on a device, all seeds in one row.

    Args:
        networks: what `benchmarks.audit_deployed` wrote of each.
    """
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for one in networks:
        rows.setdefault(f"{one['kind']}: {one['change']}", []).append(one)
    return pd.DataFrame.from_dict({name: _said(seeds) for name, seeds in rows.items()}, "index")


def _said(seeds: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    said = Counter(one["status"] for one in seeds)
    scores = {
        title: [one["scores"][part]["score"] for one in seeds if part in one["scores"]]
        for part, title in SCORES.items()
    }
    return {
        "verdicts": ", ".join(f"{count} {status}" for status, count in said.items()),
        "by": ", ".join(sorted({part for one in seeds for part in one["by"]})) or "none",
        **{
            title: f"{min(found):.2f} to {max(found):.2f}" if found else "not asked"
            for title, found in scores.items()
        },
        "not as on the card": " or ".join(
            str(n) for n in sorted({len(one["differs"]) for one in seeds})
        ),
    }
