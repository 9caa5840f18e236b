"""Claims: what a paper says, the runs that test it, and the verdict.

    paper = load("abad2022")
    judgement = judge(paper.claims[0], "quick")
    judgement.verdict, judgement.reason

============  ==================================================================================
module        one subject
============  ==================================================================================
intervals     95 % intervals: of a rate, of a mean over networks, of an area
sample        one figure over several seeds, its mean and interval
pairs         figures of two groups of runs: effectiveness of a repair, areas, migration
grammar       what a test may say
expression    the tests: comparisons over such figures, evaluated
paper         ``claims/<paper>.yaml`` -> `Paper` and `Claim`, checked
finding       ``claims/findings/<chapter>.yaml`` -> `Finding`; the role that states one in a page
verdict       `judge`: a claim and its records -> a `Judgement`
running       the runs that claims need
pages         judgements as a table on a terminal, as JSON, as a page of the book
============  ==================================================================================
"""

from __future__ import annotations

from snnbd_book.claims.expression import Expression
from snnbd_book.claims.fields import ClaimError
from snnbd_book.claims.pages import status_page, table, to_json
from snnbd_book.claims.paper import Claim, Paper, claims_dir, load, load_all
from snnbd_book.claims.running import run_missing
from snnbd_book.claims.sample import Sample
from snnbd_book.claims.verdict import VERDICTS, Figure, Judgement, experiments, judge

__all__ = [
    "VERDICTS",
    "Claim",
    "ClaimError",
    "Expression",
    "Figure",
    "Judgement",
    "Paper",
    "Sample",
    "claims_dir",
    "experiments",
    "judge",
    "load",
    "load_all",
    "run_missing",
    "status_page",
    "table",
    "to_json",
]
