"""The language of the tests, and the figures it speaks of."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from snnbd_book.claims import Expression, Sample
from snnbd_core.metrics import Rate, Report


def seeds(*hits: int, spikes: float = 10.0, **extra: Any) -> list[Any]:
    """Stand-ins for the records of some seeds, with these clean accuracies in per cent."""
    return [
        SimpleNamespace(
            report=Report(
                target=0,
                clean_accuracy=Rate(hit, 100),
                no_prediction_clean=Rate(0, 100),
                untriggered_target_rate=Rate(0, 100),
                spikes_clean=spikes + 4 * number,
                synops_clean=None,
                attack_success_rate=Rate(100 - hit, 100),
                extra=extra,
            ),
            experiment=SimpleNamespace(target=0),
        )
        for number, hit in enumerate(hits)
    ]


GROUPS: dict[str, Any] = {
    "a": seeds(90, 80, 100),
    "b": seeds(50),
    "c": seeds(60, 70),
    "targets": {"target 0": {1.0: seeds(20), 1.2: seeds(90)}, 3: {1.0: seeds(30), 1.2: seeds(40)}},
    "accused": seeds(1, 2, alarm=Rate(1, 1), suspicion=3.0, suspected_class=0),
    "calm": seeds(1, 2, alarm=Rate(0, 1), suspicion=1.0, suspected_class=0),
}


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
        ("mean(c.spikes_clean) / 3 <= 4", True),
        ("mean(c.clean_accuracy) < mean(a.clean_accuracy)", True),
        ("-mean(b.clean_accuracy) < 0", True),
        ("1 < 2 < 2", False),
        ('mean(targets["target 0"][1.2].clean_accuracy) > 0.8', True),
        ("all(mean(t[1.0].clean_accuracy) < mean(t[1.2].clean_accuracy) for t in targets)", True),
        ("all(mean(t[1.2].clean_accuracy) > 0.5 for t in targets)", False),
        ("any(mean(t[1.2].clean_accuracy) > 0.5 for t in targets)", True),
        ("all(mean(at.clean_accuracy) < 0.95 for t in targets for at in t)", True),
        ("max(mean(t[1.0].clean_accuracy) for t in targets) <= 0.3", True),
        ("min(mean(t[1.2].clean_accuracy) for t in but(targets, 3)) >= 0.9", True),
        ("all(mean(t[1.2].clean_accuracy) < 0.5 for t in only(targets, 3))", True),
        ("all(mean(targets[t][1.0].clean_accuracy) < 0.4 for t in names(targets))", True),
        ("any(mean(targets[t][1.2].clean_accuracy) < 0.5 for t in names(but(targets, 3)))", False),
        ("mean(der(a, a)) >= 0.5 and upper(der(a, a)) <= 1", True),
        ("mean(auc(calm, accused)) >= 1 and lower(auc(calm, accused)) < 0.9", True),
        ("mean(named(accused)) >= 1 and mean(named(calm)) <= 0", True),
        ("mean(accused.alarm) > upper(calm.alarm)", True),
    ],
)
def test_an_expression_means_what_it_means_in_python(text: str, truth: bool | None) -> None:
    if truth is None:
        with pytest.raises(ValueError, match="is not allowed"):
            Expression.parse(text)
    else:
        assert Expression.parse(text).holds(GROUPS) is truth


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
    ours = Expression.parse(text).holds(GROUPS)
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
        "mean(names(targets)) < 1",
        "mean(targets[1 + 1].clean_accuracy) < 1",
        "all(1 < 2 for a, b in targets)",
        "all(1 < 2 for a in targets if 1 < 2)",
        "all([1 < 2 for a in targets])",
        "mean(der(a)) < 1",
        "mean(der(a, b, c)) < 1",
        "der(a, b) < 1",
        "mean(only(targets)) < 1",
        "abs(1 for a in targets) < 1",
        "mean(auc(a.floor, b)) < 1",
    ],
)
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not allowed|is no figure|only 'for NAME"):
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
        ("1 < 2" + " and 1 < 2" * 200, "at most 2000 characters"),
    ],
)
def test_an_error_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Expression.parse(text)
    with pytest.raises(ValueError, match="must be a text"):
        Expression.parse(0.5)  # type: ignore[arg-type]  # YAML may give a number


def test_a_division_by_zero_is_named() -> None:
    with pytest.raises(ValueError, match=r"test='1 / \(1 - 1\) < 2' divides by zero"):
        Expression.parse("1 / (1 - 1) < 2").holds(GROUPS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mean(d.clean_accuracy) < 1", "'d' is not in the groups; there are: a, b, c, targets"),
        ('mean(targets["x"].floor) < 1', "'x' is not in targets; there are: target 0, 3"),
        ("mean(targets[3].clean_accuracy) < 1", "holds several settings, 1.0, 1.2: name one"),
        ("all(mean(t.clean_accuracy) < 1 for t in targets)", "t holds several settings"),
        ("mean(a[0].clean_accuracy) < 1", "a is one setting and has no 0"),
        ("all(1 < 2 for t in a)", "a has no members"),
        ("mean(targets[a].clean_accuracy) < 1", r"a is no name: go through names\(..\)"),
        ("mean(targets[x].clean_accuracy) < 1", "'x' is not in the groups"),
        ("all(1 < 2 for t in but(targets, 4))", "4 is not in targets"),
        ("mean(a.floor) < 1", "a.floor was not measured"),
        ("mean(a.detection_area) < 1", "a.detection_area was not measured"),
        ("all(1 / mean(t[1.0].untriggered_target_rate) < 1 for t in targets)", "divides by zero"),
    ],
)
def test_a_test_that_cannot_be_told_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Expression.parse(text).holds(GROUPS)


def test_a_loop_is_told_member_by_member() -> None:
    text = "all(mean(t[1.2].clean_accuracy) > 0.5 for t in targets)"
    assert Expression.parse(text).explained(GROUPS) == f"{text}[target 0: 0.9 > 0.5; 3: 0.4 > 0.5]"


def test_an_expression_tells_its_figures_and_its_numbers() -> None:
    text = "mean(a.clean_accuracy) >= 0.9 and upper(b.clean_accuracy) <= mean(a.clean_accuracy)"
    expression = Expression.parse(text)
    assert expression.figures == (("a", "clean_accuracy"), ("b", "clean_accuracy"))
    assert expression.explained(GROUPS) == (
        "mean(a.clean_accuracy)[0.9] >= 0.9 and "
        "upper(b.clean_accuracy)[0.5962] <= mean(a.clean_accuracy)[0.9]"
    )


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
