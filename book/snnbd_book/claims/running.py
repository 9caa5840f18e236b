"""The runs that claims need, done side by side before they are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import Console

from snnbd_book.claims.paper import Claim
from snnbd_book.claims.verdict import experiments
from snnbd_book.runs import Experiment, at_hand
from snnbd_core.data import DataNotFound


def run_missing(
    claims: Iterable[Claim],
    profile: str,
    seeds: Sequence[int] | None = None,
    *,
    device: str = "auto",
    workers: int = 0,
    scheduler: Callable[[], str] | None = None,
    console: Console | None = None,
) -> None:
    """Runs side by side what judging the claims will ask for; a judgement then reads the records.

    Args:
        claims, profile, seeds: as for `judge`.
        workers: processes to run in; 0: as `sweeps.run` has them.
        scheduler: gives the address of one whose workers run them; asked if there are any to run.
        console: where progress is shown; default: the standard error.
    """
    todo = [item for item in experiments(claims, profile, seeds) if _is_missing(item)]
    if todo:
        # Dask is slow to import and not needed to read records.
        from snnbd_book import sweeps

        shown = console or Console(stderr=True)
        address = None if scheduler is None else scheduler()
        sweeps.run(todo, scheduler=address, workers=workers or None, device=device, console=shown)


def _is_missing(item: Experiment) -> bool:
    """Whether it must be run, and can be: without its data set there is nothing to do."""
    try:
        return at_hand(item) is None
    except DataNotFound:
        return False
