"""The language of the tests, and the figures it speaks of."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from snnbd_book.claims import Expression, Sample
from snnbd_core.metrics import Rate

SAMPLES = {
    ("a", "clean_accuracy"): Sample((Rate(90, 100), Rate(80, 100), Rate(100, 100))),
    ("b", "clean_accuracy"): Sample((Rate(50, 100),)),
    ("a", "spikes_clean"): Sample((10.0, 14.0)),
}


def lookup(experiment: str, figure: str) -> Sample:
    return SAMPLES[experiment, figure]


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("mean(a.clean_accuracy) >= 0.9", True),
        ("mean(a.clean_accuracy) > 0.9 + 1e-9", False),
        ("min(a.clean_accuracy) == 0.8", None),
        ("min(a.clean_accuracy) <= 0.8 and max(a.clean_accuracy) >= 1", True),
        ("not mean(b.clean_accuracy) < 0.5", True),
        ("lower(b.clean_accuracy) < 0.5 < upper(b.clean_accuracy)", True),
        ("mean(a.clean_accuracy) - mean(b.clean_accuracy) > 0.39", True),
        ("min(mean(a.clean_accuracy), mean(b.clean_accuracy), 0.7) >= 0.6", False),
        ("abs(mean(b.clean_accuracy) - 1) * 2 >= 1 or 1 < 0", True),
        ("mean(a.spikes_clean) / 3 <= 4", True),
        ("-mean(b.clean_accuracy) < 0", True),
        ("1 < 2 < 2", False),
    ],
)
def test_an_expression_means_what_it_means_in_python(text: str, truth: bool | None) -> None:
    if truth is None:
        with pytest.raises(ValueError, match="is not allowed"):
            Expression.parse(text)
    else:
        assert Expression.parse(text).holds(lookup) is truth


NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 3))
TERMS = st.recursive(
    NUMBERS.map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"abs({t})"),
        st.tuples(inner, inner).map(lambda t: f"min({t[0]}, {t[1]})"),
    ),
    max_leaves=6,
)
TESTS = st.recursive(
    st.tuples(TERMS, st.sampled_from(["<", "<=", ">", ">="]), TERMS).map(" ".join),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        inner.map(lambda t: f"not ({t})"),
    ),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(TESTS)
def test_random_expressions_agree_with_python(text: str) -> None:
    ours = Expression.parse(text).holds(lookup)
    assert ours is eval(text, {"__builtins__": {}, "abs": abs, "min": min})


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true') < 1",
        "open('x') < 1",
        "a.clean_accuracy >= 0.9",
        "mean(a.clean_accuracy.real) < 1",
        "mean(a) < 1",
        "mean(0.5) < 1",
        "sum(a.floor) < 1",
        "(lambda: 1)() < 1",
        "[1 for x in a] < 1",
        "mean(*a) < 1",
        "mean(a.floor, key=1) < 1",
        "2 ** 99 < 1",
        "1 if 1 < 2 else 0",
        "'a' < 'b'",
        "True < 2",
        "a[0] < 1",
        "x < 1",
        "(y := 1) < 2",
        "f'{1}' < 1",
        "1 == 1",
        "1 is 1",
        "1 in a",
        "abs(1, 2) < 1",
        "min(1) < 2",
        "mean(a.__class__) < 1",
        "abs(key=1) < 2",
        "1j < 2",
        "None < 1",
        "... < 1",
    ],
)
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not allowed|is no figure"):
        Expression.parse(text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_an_error(text: str) -> None:
    try:
        Expression.parse(text)
    except ValueError as error:
        assert "test=" in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mean(a.clean_accuracy) >=", "cannot be read"),
        ("", "cannot be read"),
        ("1 +\x00 1 < 2", "cannot be read"),
        ("mean(a.clean_accuracy)", "must be a comparison"),
        ("0.5", "must be a comparison"),
        ("mean(a.accuracy) > 0.5", "a.accuracy is no figure; allowed .* clean_accuracy"),
        ("1 < 2" + " and 1 < 2" * 200, "at most 1000 characters"),
    ],
)
def test_an_error_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Expression.parse(text)
    with pytest.raises(ValueError, match="must be a text"):
        Expression.parse(0.5)  # type: ignore[arg-type]  # YAML may give a number


def test_a_division_by_zero_is_named() -> None:
    with pytest.raises(ValueError, match=r"test='1 / \(1 - 1\) < 2' divides by zero"):
        Expression.parse("1 / (1 - 1) < 2").holds(lookup)


def test_an_expression_tells_its_figures_and_its_numbers() -> None:
    text = "mean(a.clean_accuracy) >= 0.9 and upper(b.clean_accuracy) <= mean(a.clean_accuracy)"
    expression = Expression.parse(text)
    assert expression.figures == (("a", "clean_accuracy"), ("b", "clean_accuracy"))
    assert expression.explained(lookup) == (
        "mean(a.clean_accuracy)[0.9] >= 0.9 and "
        "upper(b.clean_accuracy)[0.5962] <= mean(a.clean_accuracy)[0.9]"
    )


def test_the_interval_of_equal_seeds_is_wilsons_of_all_samples() -> None:
    sample = Sample((Rate(100, 100),) * 3)
    assert sample.interval == Rate(300, 300).confidence_interval
    assert Sample((Rate(50, 100),)).interval == Rate(50, 100).confidence_interval


def test_the_interval_of_numbers_is_students() -> None:
    values = (10.0, 14.0, 13.0, 9.5)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert Sample(values).interval == pytest.approx((expected.low, expected.high))
    assert Sample((10.0,)).interval == (-math.inf, math.inf)
    low, high = Sample((0.95, 0.99)).interval
    assert high > 1  # of a similarity, which ends at 1, no more is said
    assert Sample((0.95, 0.99), most=1.0).interval == (low, 1.0)
    low, high = Sample((0.0, 0.03)).interval
    assert low < 0
    assert Sample((0.0, 0.03), least=0.0).interval == (0.0, high)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=5))
def test_the_interval_of_rates_holds_both_and_stays_a_share(hits: list[int]) -> None:
    sample = Sample(tuple(Rate(hit, 50) for hit in hits))
    low, high = sample.interval
    pooled = Rate(sum(hits), 50 * len(hits)).confidence_interval
    assert 0 <= low <= pooled[0] <= sample.mean <= pooled[1] <= high <= 1
    assert sample.mean == pytest.approx(statistics.fmean(hits) / 50)
    if len(set(hits)) > 1:
        student = ttest_1samp([hit / 50 for hit in hits], 0).confidence_interval(0.95)
        assert low == pytest.approx(max(0, min(pooled[0], student.low)))
        assert high == pytest.approx(min(1, max(pooled[1], student.high)))


def test_a_sample_is_of_one_kind() -> None:
    with pytest.raises(ValueError, match="at least one seed"):
        Sample(())
    with pytest.raises(ValueError, match="all rates or all numbers"):
        Sample((Rate(1, 2), 0.5))


def test_a_sample_is_written_with_its_interval() -> None:
    assert str(Sample((Rate(50, 100),))) == "50.0 % (40.4-59.6)"
    assert str(Sample((100.0, 102.0))) == "101 (88.3-114)"
    assert str(Sample((0.994, 0.996))) == "0.995 (0.982-1.01)"
    assert str(Sample((2300.0, 2320.0))) == "2310 (2183-2437)"
