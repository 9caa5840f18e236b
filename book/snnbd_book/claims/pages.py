"""Judgements for eyes and machines: a table, JSON, a page of the book."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from snnbd_book.claims.verdict import VERDICTS, Figure, Judgement

_NO_BREAK = "\N{NO-BREAK SPACE}"
_STYLES = dict(zip(VERDICTS, ("green", "yellow", "red", "dim"), strict=True))


def table(judgements: Sequence[Judgement]) -> Table:
    """A rich table: one row per claim."""
    result = Table(title=summary(judgements), title_justify="left", expand=True)
    result.add_column("claim", ratio=3)
    result.add_column("paper", ratio=2)
    result.add_column("ours, mean (95 %)", ratio=3)
    result.add_column("verdict", ratio=2)
    result.add_column("reason", ratio=5)
    for item in judgements:
        result.add_row(
            f"{item.claim.paper}\n{item.claim.id}",
            "\n".join(f"{figure.label} {figure.paper_text}" for figure in item.figures),
            "\n".join(map(_ours, item.figures)),
            Text(_verdict(item), style="bold red" if item.lost else _STYLES[item.verdict]),
            item.reason,
        )
    return result


def summary(judgements: Iterable[Judgement]) -> str:
    """ "23 claims: 9 reproduced, 2 partly, ..."."""
    counts = Counter(item.verdict for item in judgements)
    parts = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"{counts.total()} claims: {parts}" if parts else "0 claims"


def to_json(judgements: Iterable[Judgement]) -> str:
    """A list of objects, one per claim; shares in 0..1, intervals as [low, high]."""
    return json.dumps([_plain(item) for item in judgements], indent=1, allow_nan=False)


def status_page(
    judgements: Sequence[Judgement],
    *,
    record_link: str = "{file}",
    chapter_link: str = "/{chapter}",
) -> str:
    """The body of the book's page *Reproduction status*, in MyST Markdown.

    One table per paper, one row per claim, with links to the records and to the chapter.

    Args:
        judgements: of any papers, in order.
        record_link: the address of a record; ``{file}`` is its file name.
        chapter_link: the address of a chapter; ``{chapter}`` is as in the claims file. A claim
            whose chapter is not written has no such link.
    """
    lines = [summary(judgements) + ".", ""]
    for paper in dict.fromkeys(item.claim.paper for item in judgements):
        chosen = [item for item in judgements if item.claim.paper == paper]
        first = chosen[0].claim
        lines += [f"## {first.title}", "", f"{{cite:t}}`{first.cite}`. {summary(chosen)}.", ""]
        lines += [":::{table}", ":class: claims", ""]
        lines += ["| claim | the paper | ours, mean (95 %) | verdict | reason | runs |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [_row(item, record_link, chapter_link) for item in chosen]
        lines += [":::", ""]
    return "\n".join(lines)


def _row(item: Judgement, record_link: str, chapter_link: str) -> str:
    links = [
        f"[{record.experiment.hash[:6]}]({record_link.format(file=f'{record.key}.json')})"
        for record in item.records
    ]
    commits = sorted({(record.provenance.commit or "no commit")[:7] for record in item.records})
    if commits:
        links.append(f"(made at {', '.join(commits)})")
    claim = f"**{item.claim.where}.** {item.claim.statement}"
    if item.claim.chapter:
        claim += f" ([chapter]({chapter_link.format(chapter=item.claim.chapter)}))"
    cells = (
        claim,
        "<br>".join(f"{figure.label} {figure.paper_text}" for figure in item.figures) or "-",
        "<br>".join(map(_ours, item.figures)) or "-",
        _verdict(item),
        breakable(item.reason),
        " ".join(links) or "-",
    )
    row = " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells)
    return f"| {row.replace(' %', _NO_BREAK + '%')} |"


def _ours(figure: Figure) -> str:
    """ "ASR 97.2 % (95.1-98.9), floor 0.3 % (0.0-1.1)"; the floor where there is one."""
    floor = "" if figure.floor is None else f", floor {figure.floor_text}"
    return f"{figure.label} {figure.ours_text}{floor}"


def breakable(text: str) -> str:
    """The long names of experiments and figures as code that a browser may break."""

    def as_code(name: re.Match[str]) -> str:
        return f"<code>{re.sub('(?<=[._])', '<wbr>', name[0])}</code>"

    # A name, a dot and a figure's name, "smart_30.clean_accuracy"; no address and no file.
    return re.sub(r"(?<![./\w])[a-z]\w*\.(?:floor|[a-z]+(?:_[a-z]+)+)(?![/\w]|\.\w)", as_code, text)


def _verdict(item: Judgement) -> str:
    text = f"{item.verdict}, on {' and '.join(item.data)}" if item.data else item.verdict
    return f"{text} (was reproduced)" if item.lost else text


def _plain(item: Judgement) -> dict[str, Any]:
    return {
        "paper": item.claim.paper,
        "id": item.claim.id,
        "where": item.claim.where,
        "statement": item.claim.statement,
        "chapter": item.claim.chapter,
        "profile": item.profile,
        "data": list(item.data),
        "verdict": item.verdict,
        "expected": item.claim.expected.get(item.profile),
        "lost": item.lost,
        "figures": [
            {
                "label": figure.label,
                "value": figure.value,
                "interval": None if figure.interval is None else list(figure.interval),
                "paper": figure.paper,
                "floor": None if figure.floor is None else figure.floor.mean,
            }
            for figure in item.figures
        ],
        "reason": item.reason,
        "records": [record.key for record in item.records],
    }
