"""The generated page *Reproduction status*: the claims of all papers, judged from the records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from snnbd_book import claims
from snnbd_book.build import plan, recorded
from snnbd_book.build import records as files
from snnbd_book.build.settings import Book, Parameters
from snnbd_book.claims import Claim
from snnbd_book.runs import Record, all_recorded

PAGE = "book/reproduction"
RECORDED_PAGE = "book/reproduction-recorded"
RECORDED_PROFILE = "sample"
_HEAD = """# Reproduction status

What the papers say that can be checked, and what our runs say of it (profile **{profile}**).

"""

_READING = """
*Partly* has a test of its own. *Under-trained* has one too: accuracy too low to judge by, or longer
training that changes the answer. *Other data*: the statement is about a data set that was not at
hand, and what our data say is added. *Not run*: the reason is folded below; {doc}`sweeps` says how
long the papers' own rows would take on two cores and on a card. Folded below the others are our
figures beside the paper's, the test of the verdict with the measured values in brackets, and the
runs. CA is the clean accuracy, ASR the attack success rate.

The tests stand in `claims/`, and their thresholds are ours. `digits-events` stand for N-MNIST and
`digits` for MNIST, so a verdict says whether the *behaviour* is the same, not the figure. Success
rates leave the target class out unless the paper's row counts it in; {doc}`intervals` says what the
intervals are. The training settings were chosen by clean accuracy on a validation split of the
training set (`benchmarks/choose_training.py`). What is quoted of BadSNN (Miah et al.) beyond its
abstract comes from a public transcription by its re-implementers, confirmed by nobody.
"""


_RECORDED_HEAD = """# Reproduction status: recorded runs

The claims of {{doc}}`reproduction`, to be read in the same way, judged from runs on real recordings
and images (profile **{profile}**). Rows "on the stand-in" for gestures are the runs of the other
page. A build of another profile does **not** repeat them; each record names the commit, the
versions and the machine that made it.

"""

_EVERY_RUN = """
## Every recorded run

One row for each setting: the mean of its seeds with a 95 % interval. The tables
from here on are not printed.

"""

_KEPT = """
## Kept runs of the quick profile

Runs that a chapter reads because a build of the book would be too short for them
(`python -m benchmarks.record_runs` makes them again). *Accused* is the share of networks that the
detector under *other settings* (`probe=...`) accuses at its own threshold.

"""


def run_claims(
    book: Book,
    parameters: Parameters,
    only: Sequence[str] | None,
    scheduler: Callable[[], str],
    console: Console,
) -> None:
    """Runs the experiments of the claims side by side, so that the chapters find their records.

    Args:
        only: pages of chapters; None takes the claims of all papers.
        scheduler: gives the address of the one whose workers run them, if there are any to run.
    """
    chosen = [one for one in _claims(book) if only is None or one.chapter in only]
    claims.run_missing(
        chosen,
        parameters.profile,
        _seeds(parameters),
        device=parameters.device,
        scheduler=scheduler,
        console=console,
    )


def write(book: Book, parameters: Parameters, folder: Path) -> None:
    """Writes both pages, the records that they lead to, and what a sweep would cost.

    One is of this build's profile, the other of runs on real recordings.
    """
    every = _claims(book)
    now = [
        claims.judge(one, parameters.profile, seeds=_seeds(parameters), run=False) for one in every
    ]
    kept = [claims.judge(one, RECORDED_PROFILE, run=False) for one in every]
    pages = (
        (PAGE, _HEAD.format(profile=parameters.profile), now),
        (RECORDED_PAGE, _RECORDED_HEAD.format(profile=RECORDED_PROFILE), kept),
    )
    for page, head, judgements in pages:
        text = head + claims.status_page(
            judgements,
            record_link=f"{files.FOLDER}/{{file}}",
            chapter_link="/{chapter}.ipynb",
            notes=_READING,
        )
        if page == RECORDED_PAGE:
            text += _every_run(all_recorded())
        (folder / page).with_suffix(".md").write_text(text, encoding="utf-8")
        files.write((one for item in judgements for one in item.records), (folder / page).parent)
    costs = plan.page(now, kept, claims=every)
    (folder / plan.PAGE).with_suffix(".md").write_text(costs, encoding="utf-8")


def _every_run(records: Sequence[Record]) -> str:
    """The table of the long runs, and one of the quick profile's runs that are kept, if any are."""
    kept = [one for one in records if one.experiment.profile == "quick"]
    long = [one for one in records if one.experiment.profile != "quick"]
    text = _EVERY_RUN + recorded.table(long)
    if kept:
        text += _KEPT + recorded.table(kept, {"accused": "alarm", **recorded.COLUMNS})
    return text


def _claims(book: Book) -> list[Claim]:
    """None where the book has no claims, as a book of other chapters may."""
    folder = book.root / "claims"
    if not folder.is_dir():
        return []
    return [claim for paper in claims.load_all(folder) for claim in paper.claims]


def _seeds(parameters: Parameters) -> list[int]:
    """Three, as the chapters take them."""
    return [parameters.seed, parameters.seed + 1, parameters.seed + 2]
