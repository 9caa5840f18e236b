"""The report as one page that needs nothing besides: no other file, no host, no script."""

from __future__ import annotations

import importlib.resources
import math
from collections.abc import Sequence

from snnbd_core.auditing import Audit
from snnbd_core.metrics import Rate

__all__ = ["html", "number", "percent"]

WORDS = {"clear": "Nothing found", "suspicious": "Suspicious", "unjudged": "Not judged"}
SIGNS = {"clear": "✓", "suspicious": "!", "unjudged": "?"}
JUDGING = ("settings", "floors", "detectors")  # the other parts only tell

NEXT = {
    "suspicious": (
        "Do not put this network to use as it is.",
        "Ask who sent it how it was trained, on which data, and for its card.json; compare the "
        "sha256 below with the one they publish.",
        "Read which part accuses it, and how often the same happens to clean networks: an alarm "
        "is a reason to look, no proof.",
        "Train it again from data that you trust. Where that cannot be done, apply a repair from "
        "the last part (--repair NAME) and audit the repaired network again.",
    ),
    "clear": (
        "Nothing was found by what could be looked at; this is no proof that nothing is there.",
        "Run the network with the settings of the card, and refuse other thresholds, decays and "
        "resets: publish or keep card.json beside it.",
        "Where inputs come from people whom you do not trust, watch them when the network is used; "
        "an audit sees the network, not its future inputs.",
    ),
    "unjudged": (
        "Treat this network as one that nobody has looked at.",
        "Check that it was read as its sender runs it: the reset, the step (--dt) and the frames "
        "(--frames, --bin-ms). A network that guesses or is silent cannot be judged.",
        "Give more clean samples of every class, reference networks (--clean-network) or more "
        "time (--minutes), as the notes of the parts below ask for.",
    ),
}


def html(audit: Audit, about: Sequence[tuple[str, str]]) -> str:
    """The report on an audit; every text in it is escaped, whoever wrote it.

    Args:
        audit: what was found.
        about: what was audited and how, as pairs of words and a value.
    """
    import jinja2

    source = importlib.resources.files(__package__).joinpath("report.html.jinja")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=number, percent=percent)
    environment.tests["rate"] = lambda value: isinstance(value, Rate)
    environment.tests["figure"] = lambda value: isinstance(value, Rate | int | float)
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        audit=audit, about=about, words=WORDS, signs=SIGNS, judging=JUDGING, following=NEXT
    )


def percent(share: float) -> str:
    """A share as a percentage without its sign: 12.3, 0, 100."""
    return f"{100 * share:.1f}".removesuffix(".0")


def number(value: float) -> str:
    """A number in four digits, whole ones in full; words for what is not finite."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "no limit" if value > 0 else "no lower limit"
    return f"{value:.4g}"
