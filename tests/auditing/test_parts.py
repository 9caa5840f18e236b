"""An audit as JSON and back."""

from __future__ import annotations

import json
import math

import pytest

from snnbd_core.auditing import Audit, Part, Table
from snnbd_core.metrics import Rate


def an_audit() -> Audit:
    rows = (("a", 1, 0.5, Rate(3, 10), None), ("b", 2, 0.25, Rate(0, 0), "words"))
    table = Table("What was found", ("name", "count", "share", "rate", "more"), rows)
    part = Part(
        "floors", "Floors", "clear", "Nothing.", "That.", Rate(1, 20), (table,), ("A.",), 0.5
    )
    other = Part("network", "What", "unjudged", "A network.", "", None, ())
    return Audit(
        (other, part), "clear", None, "Nothing found.", {"layers": [{"decay": 0.5}]}, 3, 10
    )


def test_an_audit_comes_back_from_json_as_it_was():
    text = json.dumps(an_audit().to_json(), allow_nan=False)
    assert Audit.from_json(json.loads(text)) == an_audit()


def test_a_rate_is_written_with_its_wilson_interval():
    written = an_audit().to_json()["parts"][1]["tables"][0]["rows"][0][3]
    assert (written["hits"], written["total"]) == (3, 10)
    p, z = 0.3, 1.959964
    middle = (p + z**2 / 20) / (1 + z**2 / 10)
    half = z / (1 + z**2 / 10) * math.sqrt(p * (1 - p) / 10 + z**2 / 400)
    assert written["low"] == pytest.approx(middle - half, abs=1e-5)
    assert written["high"] == pytest.approx(middle + half, abs=1e-5)


def test_what_is_not_finite_is_written_as_nothing():
    table = Table("t", ("a", "b"), ((math.nan, math.inf),))
    part = Part("floors", "Floors", "clear", "", "", None, (table,))
    written = Audit((part,), "clear", None, "", {}, 0, 1.0).to_json()
    assert written["parts"][0]["tables"][0]["rows"] == [[None, None]]


@pytest.mark.parametrize("schema", [None, 0, 2, "1"])
def test_another_schema_is_refused_by_name(schema):
    with pytest.raises(ValueError, match=f"schema={schema!r} is unknown; allowed: 1"):
        Audit.from_json({**an_audit().to_json(), "schema": schema})


def test_values_that_are_no_audit_are_refused():
    values = an_audit().to_json()
    del values["seed"]
    with pytest.raises(ValueError, match=r"values hold no audit of schema 1: .*seed"):
        Audit.from_json(values)
