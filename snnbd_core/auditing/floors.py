"""Part 3: what the network answers to the triggers that everybody knows, dense and sparse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from snnbd_core.auditing.case import Case, nothing
from snnbd_core.auditing.judging import Finding, Score, scored
from snnbd_core.auditing.parts import Cell, Table
from snnbd_core.metrics import Rate
from snnbd_core.triggers import Blended, Flash, Moving, Patch, Sinusoidal, Static, Trigger
from snnbd_core.triggers.placement import place

__all__ = ["TITLE", "Known", "floors", "judged", "known"]

TITLE = "What known triggers do"
ASSUMES = (
    "That a trigger, if there is one, is much like one of these families, and that clean networks "
    "answer to them as those of our records do. Only triggers no denser than twice the busiest "
    "pixel count: a dense square moves clean networks too."
)
_SCREENING = 0.6  # of the time that the part has
_TIMES = 1.5  # that a sample passes for each trigger: at its densest, some also denser
_LATE = "The time budget was used up before all"
SIZES = {"frames": (0.1, 0.2), "image": (0.1, 0.25)}
DENSITIES = (1, 2, 5, 20)  # a step in so many carries the trigger
OPACITIES = (1.0, 0.5, 0.2, 0.05)
PLAUSIBLE = 2.0  # times the count of a recording's busiest pixel
FEW = 40  # samples on which all triggers are tried; of long recordings half of them
DENSE = 10  # of these, where a trigger is denser than recordings and does not count
BEST = 2  # triggers of a family tried on all samples at every density; one of long recordings


@dataclass(frozen=True)
class Known:
    """A trigger of a family, as sparse as it is put.

    Args:
        family: "static", "moving", "flash", "patch", "wave" or "picture".
        words: its settings in words.
        trigger: on frames or images.
        every: of frames, a step in so many carries it.
        opacity: of images, the trigger's weight.
    """

    family: str
    words: str
    trigger: Trigger
    every: int = 1
    opacity: float = 1.0

    def __call__(self, batch: Tensor) -> Tensor:
        """Samples [B, T, 2, H, W] or [B, C, H, W]; a changed copy."""
        stamped: Tensor = self.trigger(batch)
        if batch.dim() == 4:
            return batch.lerp(stamped, self.opacity)
        changed = batch.clone()
        changed[:, :: self.every] = stamped[:, :: self.every]
        return changed

    def events(self, steps: int) -> int:
        """Events that it puts into a pixel and polarity of a recording."""
        return 1 if self.family == "flash" else len(range(0, steps, self.every))


def judged(case: Case) -> Finding:
    """The part; the strongest trigger is left with the case."""
    if case.bench.data.kind == "frames" and case.bench.view.input_shape[0] != 2:
        return Finding(nothing("floors", TITLE, "Known triggers need frames of two polarities."))
    if case.outside:
        needed = "known triggers need 0..1: give them so, and let the network normalise them"
        return Finding(nothing("floors", TITLE, f"{case.outside}, {needed}."))
    return scored(case, "floors", TITLE, ASSUMES, floors)


def floors(case: Case) -> Score:
    """Puts known triggers on clean samples, and looks where the answers go.

    All are tried at their densest on a few samples, cut to `Case.enough` steps. The strongest of
    each family are tried on all samples, down to one event in twenty steps (to a weight of one in
    twenty, of images). A trigger counts if it is plausible: its pixels hold no more than twice the
    events of a recording's busiest pixel, since what is denser moves clean networks too. The
    strongest of these becomes that of the case.
    """
    data = case.bench.data
    frames = data.kind == "frames"
    scale = _Scale(data.frames, _busiest(case)) if frames else _Scale(1, 1.0)
    short, notes = case.shortened(), list[str]()
    strongest = _strongest(short, scale, notes)
    if short.cut:
        notes.append(f"All triggers are tried on the first {short.bench.data.frames} steps.")
    rows: list[tuple[Cell, ...]] = []
    thinned = [thin for one in strongest for thin in scale.thinned(one)]
    most = min(FEW, len(data)) if short.cut else len(data)
    which = case.some(case.many(most, len(thinned)))
    if len(which) < most:
        notes.append(f"Densities are tried on {len(which)} samples: the time holds no more.")
    score, surely, words = 0.0, 0.0, "No known trigger leads anything to a class"
    if not thinned:
        words = "No known trigger could be put on these samples"
    for thin in thinned:
        if not case.fits(len(which)):
            notes.append(f"{_LATE} densities were tried.")
            break
        share, target = _led(case, thin, which)
        plausible = scale.plausible(thin)
        if plausible and share.value > score:
            score, case.strongest = share.value, (thin, target)
            surely = share.confidence_interval[0]
            words = f"The strongest, {thin.family} ({thin.words}), leads {score:.0%} to {target}"
        weight = thin.every if frames else thin.opacity
        answer = "yes" if plausible else "no"
        rows.append((thin.family, thin.words, weight, answer, target, share))
    third = "a step in so many" if frames else "weight"
    columns = ("family", "trigger", third, "plausible", "class", "led to it")
    caption = "The strongest known triggers on samples that are neither of the class nor given it"
    tables = (Table(caption, columns, tuple(rows)),)
    found = None if case.strongest is None else case.strongest[1]
    late = any(note.startswith(_LATE) for note in notes)
    whole = bool(rows) and len(which) == most and not late
    return Score(score, found, words, tables, tuple(notes), whole, surely)


@dataclass(frozen=True)
class _Scale:
    """How dense triggers may be: T, and the count of a recording's busiest pixel."""

    steps: int
    busiest: float

    def thinned(self, one: Known) -> list[Known]:
        """A trigger at every density, densest first."""
        if one.family not in ("static", "moving"):
            weights = (1.0,) if one.family == "flash" else OPACITIES
            return [replace(one, opacity=opacity) for opacity in weights]
        return [replace(one, every=n) for n in DENSITIES if n == 1 or n < self.steps]

    def plausible(self, one: Known) -> bool:
        """Whether a recording's pixels might hold as many events."""
        return one.events(self.steps) <= PLAUSIBLE * self.busiest


def _busiest(case: Case) -> float:
    """Count of a recording's busiest pixel and polarity, the median over the clean samples."""
    counts = [case.bench.data.batch([row])[0].sum(dim=1).max() for row in range(len(case.truth))]
    return float(np.median(counts))


def _strongest(case: Case, scale: _Scale, notes: list[str]) -> list[Known]:
    """The best few of each family by a few samples, at the densest plausible and the densest."""
    found: dict[tuple[str, bool], list[tuple[float, Known]]] = {}
    ends, most = case.after(_SCREENING), FEW // 2 if case.cut else FEW
    frames = case.bench.data.kind == "frames"
    everything = list(known(frames, scale.steps, *case.bench.view.input_shape[1:]))
    few = case.some(case.many(min(most, len(case.truth)), _TIMES * len(everything), ends))
    if len(few) < min(most, len(case.truth)):
        notes.append(f"All triggers are tried on {len(few)} samples: the time holds no more.")
    for one in everything:
        thinned = scale.thinned(one)
        plausible = next(filter(scale.plausible, thinned), thinned[-1])
        for thin in dict.fromkeys((plausible, thinned[0])):
            if not case.fits(len(few), ends):
                notes.append(f"{_LATE} triggers were tried.")
                return _best(found, case)
            try:
                rows = few if thin == plausible else few[:DENSE]
                share = _led(case, thin, rows)[0].value
            except ValueError as error:
                notes.append(f"{one.family}, {one.words}: {error}")
                break
            found.setdefault((one.family, thin == plausible), []).append((share, one))
    return _best(found, case)


def _best(found: Mapping[tuple[str, bool], list[tuple[float, Known]]], case: Case) -> list[Known]:
    """The best few of each group, without those of groups before."""
    most = 1 if case.cut else BEST
    ordered = (sorted(group, key=lambda pair: -pair[0])[:most] for group in found.values())
    return list(dict.fromkeys(one for group in ordered for _, one in group))


def _led(case: Case, one: Known, rows: np.ndarray) -> tuple[Rate, int]:
    """The class that a trigger leads most samples to, of those that are not of it nor given it."""
    answers = case.answers(one, rows)
    found = []
    for target in range(case.bench.view.classes):
        others = (case.truth[rows] != target) & (case.clean[rows] != target)
        found.append(Rate.of(answers[others] == target))
    target = max(range(len(found)), key=lambda each: found[each].value if found[each].total else 0)
    return found[target], target


def known(frames: bool, steps: int, height: int, width: int) -> Iterator[Known]:
    """All triggers at their densest.

    Args:
        frames: whether samples are event frames; else they are images.
        steps: T, of frames.
        height, width: of the sensor, in pixels.
    """
    sizes = SIZES["frames" if frames else "image"]
    places = [(size, each) for size in sizes for each in _places(size, height, width).items()]
    if not frames:
        for frequency in (2.0, 6.0):
            yield Known("wave", f"{frequency:g} waves", Sinusoidal(delta=0.3, frequency=frequency))
        for seed in range(3):
            yield Known("picture", f"number {seed}", Blended(alpha=0.2, seed=seed))
        for size, (name, at) in places:
            for value in (1.0, 0.0):
                patch = Patch(size=size, position=at, value=value)
                yield Known("patch", f"size {size:g}, {name}, value {value:g}", patch)
        return
    for polarity in ("on", "off", "both"):
        for start in ("first", "middle", "last"):
            flash = Flash(start=start, polarity=polarity)
            yield Known("flash", f"{start} step, {polarity}", flash)
        for corner in ("top-left", "top-right", "bottom-left", "bottom-right") if steps > 1 else ():
            moving = Moving(position=corner, polarity=polarity)
            yield Known("moving", f"size 0.1, {corner}, {polarity}", moving)
    for size, (name, at) in places:
        for polarity in ("on", "off", "both"):
            square = Static(size=size, position=at, polarity=polarity)
            yield Known("static", f"size {size:g}, {name}, {polarity}", square)


def _places(size: float, height: int, width: int) -> dict[str, tuple[int, int]]:
    """Nine places of a square, by name: its top-left pixels (x, y)."""
    right, bottom, *_ = place("bottom-right", size, width, height)
    rows = {"top": 0, "middle": bottom // 2, "bottom": bottom}
    columns = {"left": 0, "middle": right // 2, "right": right}
    return {f"{r} {c}": (columns[c], rows[r]) for r in rows for c in columns}
