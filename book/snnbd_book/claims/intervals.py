"""95 % intervals: what each is, and what it is the interval of.

=========================  =========================================================================
of                         how
=========================  =========================================================================
a rate of one network      Wilson's, for the samples of its test set
a mean over networks       two sources of luck, their distances added as squares: the test set,
                           which all seeds share (Wilson's, for the samples of one), and the
                           training (Student's, for the spread over the seeds)
a share of networks        Clopper and Pearson's, for the networks: each gives one answer
an area, inputs            as a mean over networks; Newcombe's interval stands for the test set
an area, networks          Newcombe's and the bootstrap over networks, the wider at either end
=========================  =========================================================================

The hits of several seeds are never added up: networks that are tested on the same samples err on
the same ones. Student's interval is taken on the scale of shares and on that of log odds, where it
is not symmetric, the wider at either end: near 0 and 1 the spread of three seeds misleads.
`tests/runs/test_intervals.py` simulates how often each holds what it should.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import expit, logit
from scipy.stats import beta, norm
from scipy.stats import t as student

LEVEL = 0.95
Interval = tuple[float, float]

_Z = float(norm.ppf((1 + LEVEL) / 2))
_SAMPLES = 15  # of a share whose log odds are taken, since 0 and 1 have none
_RESAMPLES = 2000
_GRID = np.linspace(0, 1, 4001)


def wilson(share: float, total: float) -> Interval:
    """Wilson's interval of a share of so many samples; (0, 1) of none."""
    if not total:
        return 0.0, 1.0
    square = _Z**2 / total
    centre = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total)) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)


def exact(hits: int, networks: int) -> Interval:
    """Clopper and Pearson's interval of a share of networks, few as they are."""
    tail = (1 - LEVEL) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, networks - hits + 1))
    high = 1.0 if hits == networks else float(beta.ppf(1 - tail, hits + 1, networks - hits))
    return low, high


def over_networks(values: Sequence[float], within: Interval | None, is_share: bool) -> Interval:
    """The interval of a mean over networks, from -inf to inf where one network says nothing of it.

    Args:
        values: one for each network.
        within: the interval of their mean that a finite test set alone would give; None for a
            number that has none.
        is_share: whether the values lie in 0..1.
    """
    mean = sum(values) / len(values)
    ends = [] if len(values) < 2 else [_student(values, float, float)]
    if ends and is_share:
        ends.append(_student(values, _log_odds, expit))
    if not ends and within is None:
        return -math.inf, math.inf
    below = [mean - low for low, _ in ends]
    above = [high - mean for _, high in ends]
    low, high = within or (mean, mean)
    return (
        mean - math.hypot(mean - low, max(0.0, *below) if below else 0.0),
        mean + math.hypot(high - mean, max(0.0, *above) if above else 0.0),
    )


def newcombe(area: float, clean: int, attacked: int) -> Interval:
    """Newcombe's interval (2006, method 5) of an area under a curve of so many scores.

    Unlike Hanley and McNeil's it has a width at 0 and 1 too. Student's quantile stands in the place
    of the normal one: three scores of a kind tell little.
    """
    if clean + attacked < 3:
        return 0.0, 1.0
    quantile = _quantile(clean + attacked - 2)
    pairs = (clean + attacked) / 2 - 1
    spread = _GRID * (1 - _GRID) * (1 + pairs * ((1 - _GRID) / (2 - _GRID) + _GRID / (1 + _GRID)))
    far = np.abs(_GRID - area) > quantile * np.sqrt(spread / (clean * attacked))
    inside = np.r_[area, _GRID[~far]]
    return float(inside.min()), float(inside.max())


def area_of_networks(clean: Sequence[float], attacked: Sequence[float]) -> tuple[float, Interval]:
    """Area under the curve of one score a network, and its interval.

    Args:
        clean, attacked: scores of clean and of attacked networks, larger being more suspicious.
    """
    scores = np.asarray(attacked, float)[:, None], np.asarray(clean, float)[None]
    wins = (scores[0] > scores[1]) + 0.5 * (scores[0] == scores[1])
    rng = np.random.default_rng(0)
    drawn = [rng.multinomial(count, np.full(count, 1 / count), _RESAMPLES) for count in wins.shape]
    areas = np.einsum("ba,ac,bc->b", drawn[0], wins, drawn[1]) / wins.size
    low, high = np.quantile(areas, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    formula = newcombe(float(wins.mean()), len(clean), len(attacked))
    return float(wins.mean()), (min(float(low), formula[0]), max(float(high), formula[1]))


@functools.cache
def _quantile(degrees: int) -> float:
    return float(student.ppf((1 + LEVEL) / 2, degrees))


def _student(
    values: Sequence[float], scale: Callable[[float], float], back: Callable[[float], float]
) -> Interval:
    """Student's interval of the mean on a scale, brought back from it."""
    scaled = [scale(value) for value in values]
    count = len(scaled)
    half = _quantile(count - 1) * np.std(scaled, ddof=1) / count**0.5
    return float(back(np.mean(scaled) - half)), float(back(np.mean(scaled) + half))


def _log_odds(share: float) -> float:
    return float(logit((share * _SAMPLES + 0.5) / (_SAMPLES + 1)))
