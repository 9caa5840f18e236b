"""Judgements for eyes and machines: a table, JSON, a page of the book."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from snnbd_book.claims.verdict import VERDICTS, Figure, Judgement

_NO_BREAK = "\N{NO-BREAK SPACE}"
_STYLES = dict(zip(VERDICTS, ("green", "yellow", "red", "magenta", "cyan", "dim"), strict=True))


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
            Text(item.words, style="bold red" if item.lost else _STYLES[item.verdict]),
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
    notes: str = "",
) -> str:
    """The body of the book's page *Reproduction status*, in MyST Markdown.

    On top the papers by verdicts, then each paper's claims: a sentence, the verdict in words, and
    folded what it rests on. All of it can be read on a phone.

    Args:
        judgements: of any papers, in order.
        record_link: the address of a record; ``{file}`` is its file name.
        chapter_link: the address of a chapter; ``{chapter}`` is as in the claims file. A claim
            whose chapter is not written has no such link.
        notes: how to read it, behind the papers by verdicts.
    """
    papers: dict[str, list[Judgement]] = {}
    for item in judgements:
        papers.setdefault(item.claim.paper, []).append(item)
    lines = [*_matrix(papers), "", notes]
    for items in papers.values():
        first = items[0].claim
        lines += [f"## {first.title}", "", f"{{cite:t}}`{first.cite}`. {summary(items)}.", ""]
        for item in items:
            lines += _entry(item, record_link, chapter_link)
    return "\n".join(lines).replace(" %", _NO_BREAK + "%")


def _matrix(papers: Mapping[str, Sequence[Judgement]]) -> list[str]:
    """How many claims of each paper have which verdict."""
    rows = {f"{{cite:t}}`{items[0].claim.cite}`": items for items in papers.values()}
    rows["all"] = [item for items in papers.values() for item in items]
    lines = [":::{table} Papers by verdicts: how many claims", ":class: matrix", ""]
    lines += [f"| paper | {' | '.join(VERDICTS)} |", f"|---|{'---:|' * len(VERDICTS)}"]
    for name, items in rows.items():
        counts = Counter(item.verdict for item in items)
        lines.append(f"| {name} | {' | '.join(str(counts[one] or '') for one in VERDICTS)} |")
    return [*lines, ":::"]


def _entry(item: Judgement, record_link: str, chapter_link: str) -> list[str]:
    """A claim in a sentence with its verdict, and folded its figures, its test and its runs."""
    claim = item.claim
    words = item.words + (" (was reproduced)" if item.lost else "")
    style = item.verdict.replace(" ", "-")
    sentence = f'<span class="verdict {style}">{words}</span> **{claim.where}.** {claim.statement}'
    if claim.chapter:
        sentence += f" ([chapter]({chapter_link.format(chapter=claim.chapter)}))"
    inside = [
        f"- {figure.label}: {_beside(figure)}"
        for figure in item.figures
        if figure.value is not None or figure.paper is not None
    ]
    inside += ["", breakable(item.reason), ""]
    links = [
        f"[{record.experiment.hash[:6]}]({record_link.format(file=f'{record.key}.json')})"
        for record in item.records
    ]
    if links:
        commits = {(one.provenance.commit or "none")[:7] for one in item.records}
        inside += [f"Runs: {' '.join(links)} (commit {', '.join(sorted(commits))})", ""]
    title = "figures, test and runs" if links else "why"
    return [sentence, "", f":::{{dropdown}} {title}", *inside, ":::", ""]


def _beside(figure: Figure) -> str:
    """ "ours 97.2 % (95.1-98.9), floor 0.3 % (0.0-1.1); the paper 99.0 %"."""
    parts = []
    if figure.value is not None:
        floor = "" if figure.floor is None else f", floor {figure.floor_text}"
        parts.append(f"ours {figure.ours_text}{floor}")
    if figure.paper is not None:
        parts.append(f"the paper {figure.paper_text}")
    return "; ".join(parts)


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
        "behaviour": item.behaviour,
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
