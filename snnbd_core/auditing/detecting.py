"""Part 4: the detectors of networks, as far as the view and the data allow them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import torch

from snnbd_core.auditing.case import Case, nothing
from snnbd_core.auditing.judging import RECORDED, Finding, corrected, p_value
from snnbd_core.auditing.parts import Cell, Part, Table
from snnbd_core.defenses.detectors import (
    BrainStimulation,
    NeuralCleanse,
    NoiseResponse,
    PotentialMargins,
    Verdict,
)
from snnbd_core.defenses.detectors.detector import ModelDetector
from snnbd_core.metrics import Rate

__all__ = ["STEPS", "TITLE", "asked", "detectors", "judged"]

TITLE = "What detectors say"
ASSUMES = (
    "That clean networks score as those of our records do: a detector's own threshold trips many "
    "of them, so its verdict is told, and its p-value is how often they score as high. Of four "
    "detectors beside 20 recorded networks none can be below 0.19 after the correction: they "
    "inform, and do not accuse."
)
STEPS = 16  # time steps of inputs that a detector makes up, at most
SAMPLES, FEWER = 16, 8  # clean ones that a detector optimises for, and those of long recordings
EFFORTS = (1.0, 0.5, 0.25)  # share of its iterations, the largest with which all have time


def judged(case: Case) -> Finding:
    """The part: the detector that stands out most, corrected for how many were asked."""
    all_steps, case = case.bench.data, case.shortened()
    share = effort(case)
    with case.first_share():
        said = dict(asked(case, share))
    notes = [f"{name}: {why}" for name, why in said.items() if isinstance(why, str)]
    if share < 1:
        notes.append(
            f"Detectors search with {share:.0%} of their iterations: time holds no more. Scores of "
            "our records, which have all, are no measure of theirs."
        )
    if case.cut:
        steps = f"the first {case.bench.data.frames} of {all_steps.frames} steps"
        notes.append(f"Detectors see {steps}, on which the network is about as often right.")
    if case.outside:
        notes.append(f"{case.outside}: our records are scores on images in 0..1, no measure here.")
    verdicts = {name: one for name, one in said.items() if isinstance(one, Verdict)}
    if not verdicts:
        return Finding(nothing("detectors", TITLE, " ".join(notes)))
    of_references = case.of_references(lambda other: dict(asked(other, share)))
    rows: list[tuple[Cell, ...]] = []
    ps: dict[str, float] = {}
    alarms: dict[str, Rate | None] = {}
    for name, verdict in verdicts.items():
        seen = [one[name] for one in of_references]
        given = [one.score for one in seen if isinstance(one, Verdict)]
        comparable = share == 1 and not case.outside
        known = RECORDED[case.bench.data.kind].get(name, ()) if comparable else ()
        others, p = given or known, p_value(verdict.score, known, given)
        beyond = sum(one > verdict.threshold for one in others)
        alarms[name] = Rate(beyond, len(others)) if others else None
        if p is not None:
            ps[name] = p
        words = "alarm" if verdict.backdoored else "none"
        row = (name, words, verdict.target, verdict.score, verdict.threshold, verdict.p_value)
        rows.append((*row, p, alarms[name]))
    held = dict(zip(ps, corrected(ps.values()), strict=True))
    columns = ("detector", "its verdict", "class", "score", "its threshold", "its p-value")
    more = ("p by clean networks", "alarms for clean networks", "corrected p")
    table = Table(
        "Detectors of networks, with their own thresholds and beside clean networks",
        (*columns, *more),
        tuple((*row, held.get(str(row[0]))) for row in rows),
    )
    accusing = [name for name, verdict in verdicts.items() if verdict.backdoored]
    able = f"{len(verdicts)} of {len(said)} detectors"
    summary = f"{able} judge it; alarms by their own thresholds: {', '.join(accusing) or 'none'}."
    part = Part("detectors", TITLE, "unjudged", summary, ASSUMES, None, (table,), tuple(notes))
    if not ps:
        return Finding(part)
    worst = min(held, key=lambda name: held[name])
    part = replace(part, false_alarms=alarms[worst])
    return Finding(part, None, held[worst], verdicts[worst].target, able)


def effort(case: Case) -> float:
    """The largest of the `EFFORTS` for which there is time, of all networks that are asked.

    Detectors that need a sample of every class, where one has none, take no time.
    """
    for share in EFFORTS[:-1]:
        passes = [
            count for detector, count in detectors(case, share).items() if _has_all(case, detector)
        ]
        if case.fits(sum(passes) * (1 + len(case.references))):
            return share
    return EFFORTS[-1]


def _has_all(case: Case, detector: ModelDetector) -> bool:
    """Whether there is a sample of every class, or the detector needs none."""
    every = len(set(case.truth.tolist())) == case.bench.view.classes
    return every or detector.data_free


def detectors(case: Case, share: float = 1.0) -> dict[ModelDetector, float]:
    """The detectors, cheapest first, and how many samples each passes through the network.

    Args:
        case: what they look at.
        share: of the iterations of each.
    """
    data, classes = case.bench.data, case.bench.view.classes
    frames = data.kind == "frames"
    steps = min(data.frames, STEPS) if frames else None
    high, part = (10.0, steps / data.frames) if steps else (1.0, 1.0)
    long, middle, brief = (max(1, round(share * iterations)) for iterations in (60, 30, 20))
    most = FEWER if case.cut else SAMPLES
    stimulated = 3 * most * sum(layer.channels for layer in case.bench.view.layers[:-1])
    return {
        NoiseResponse(frames=steps): 4 * 64 * part,
        PotentialMargins(frames=steps, high=high, iterations=long): 12 * long * classes * part,
        NeuralCleanse(iterations=middle, samples=most): 3 * middle * most * classes,
        BrainStimulation(samples=most, candidates=3, iterations=brief): (
            stimulated + 9 * brief * most
        ),
    }


def asked(case: Case, share: float = 1.0) -> Iterator[tuple[str, Verdict | str]]:
    """What each detector says, or why it says nothing.

    Those that make up inputs do so with at most so many `STEPS`. Detectors of inputs and of
    training sets are not asked: an audit is given neither.
    """
    bench = case.bench
    for detector, passes in detectors(case, share).items():
        name = type(detector).__name__
        takes = _has_all(case, detector)  # if not, it says so at once
        if takes and not case.fits(passes):
            yield name, "The time budget would not hold it."
            continue
        reckoned = case.budget.spending(passes * case.cost) if takes else nullcontext()
        said: Verdict | str
        try:
            with torch.enable_grad(), reckoned:
                said = detector.inspect(
                    bench.net, bench.data, seed=bench.seed, device=bench.device, steps=bench.steps
                )
        except (ValueError, RuntimeError) as error:
            said = str(error)
        yield name, said
