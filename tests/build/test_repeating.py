"""The page that says how far figures repeat."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from snnbd_book.build import repeating
from snnbd_book.runs import Record, all_recorded
from snnbd_book.verify import Entry

ENTRY = Entry(
    date="2026-11-28T01:02:03+00:00",
    seed="x",
    commit="0123",
    processor="one kind",
    made_on={"one kind": 3, "another": 2},
    equal=3,
    agrees=1,
    differs=1,
    reasons=("digits-static-0123: floor was 0.1, is 0.9 (p = 1e-9)",),
    seconds=90.0,
)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return all_recorded(Path(__file__).parents[2] / "results")


def test_the_page_counts_the_records_of_each_kind_of_processor(records: list[Record]) -> None:
    text = repeating.page(records, ())
    counts = {}
    for row in text.partition("| made on | records |\n|---|---:|\n")[2].splitlines():
        if not row.startswith("|"):
            break
        kind, count = row.strip("| ").split(" | ")
        counts[kind] = int(count)
    assert sum(counts.values()) == len(records)
    assert set(counts) - {"a processor that was not written down"} == {
        record.provenance.processor for record in records
    } - {None}
    assert "None is recorded yet" in text


def test_the_page_shows_verifications_the_latest_first_and_what_differed(
    records: list[Record],
) -> None:
    later = dataclasses.replace(ENTRY, date="2026-11-29T01:02:03+00:00", reasons=(), differs=0)
    text = repeating.page(records, (ENTRY, later))
    assert "| 2026-11-28 01:02 | one kind | 3 one kind; 2 another | 3 | 1 | 1 | 1.5 |" in text
    assert text.index("2026-11-29") < text.index("2026-11-28")
    assert "- 2026-11-28 01:02: digits-static-0123: floor was 0.1, is 0.9" in text
