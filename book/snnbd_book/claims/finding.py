"""``claims/findings/<chapter>.yaml``: what the book says of its own runs, and the tests of it.

    chapter: notebooks/05_badsnn
    findings:                     # name: a test over the chapter's groups, as `expression` has it
      opens-early: mean(thresholds["target 3"]["BadSNN"][1.2].attack_success_rate) > 0.5
      smart-is-late:              # or with the verdict on a paper's claim that names the same thing
        test: mean(longer[12].attack_success_rate) < 0.5
        claims: {abad2024/smart-works: under-trained}

A page refers to one by the role ``{finding}`its sentence <opens-early>` ``, in its text, in
captions and in alternative texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from snnbd_book.claims.expression import Expression
from snnbd_book.claims.fields import ClaimError, mapping
from snnbd_book.claims.paper import claims_dir

FOLDER = "findings"
ROLE = re.compile(
    r"(?<!`)\{finding\}(`+)(?P<text>(?:(?!\n\s*\n).)+?)\s*<(?P<id>[a-z0-9-]+)>\1", re.DOTALL
)


@dataclass(frozen=True)
class Finding:
    """A statement of the book and its test.

    Attributes:
        id: unique in the book.
        chapter: the page whose groups the test names.
        test: over these groups.
        claims: "paper/claim" -> the verdict that goes with it.
    """

    id: str
    chapter: str
    test: Expression
    claims: Mapping[str, str]


@dataclass(frozen=True)
class Sentence:
    """Where a page states a finding."""

    page: str
    text: str
    finding: str

    def __str__(self) -> str:
        return f"{self.page}: “{self.text}” ({self.finding})"


def sentences(page: str, source: str) -> list[Sentence]:
    """The findings that a page's source states, in order, its captions and alternatives too."""
    return [
        Sentence(page, " ".join(found["text"].split()), found["id"])
        for found in ROLE.finditer(source)
    ]


def plain(text: str) -> str:
    """A text with its roles' sentences in place of the roles."""
    return ROLE.sub(lambda found: found["text"], text)


def load_findings(folder: Path | str | None = None) -> dict[str, Finding]:
    """All findings of a claims folder by their names; none where there is no such folder.

    Raises:
        ClaimError: a file that is not as the module's docstring says, or two of one name.
    """
    found: dict[str, Finding] = {}
    for path in sorted((claims_dir(folder) / FOLDER).glob("*.yaml")):
        where = f"{FOLDER}/{path.name}"
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise ClaimError(f"{where} is not YAML: {error}") from error
        entries = mapping(values, where, {"chapter", "findings"})
        if not isinstance(entries.get("chapter"), str):
            raise ClaimError(f"{where}: chapter={entries.get('chapter')!r} must name a page")
        for name, entry in mapping(entries.get("findings"), f"{where}: findings", None).items():
            if name in found:
                raise ClaimError(f"{where}: {name} is a finding of {found[name].chapter} too")
            found[name] = _finding(name, entry, entries["chapter"], f"{where}: {name}")
    return found


def _finding(name: str, entry: Any, chapter: str, where: str) -> Finding:
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ClaimError(f"{where}: a name has small letters, digits and hyphens")
    values = (
        {"test": entry} if isinstance(entry, str) else mapping(entry, where, {"test", "claims"})
    )
    try:
        test = Expression.parse(values.get("test", ""))
    except ValueError as error:
        raise ClaimError(f"{where}: {error}") from error
    return Finding(name, chapter, test, mapping(values.get("claims") or {}, where, None))
