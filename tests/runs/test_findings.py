"""Findings: sentences of the book that a test over records stands behind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from snnbd_book.chapters import findings as tested
from snnbd_book.chapters.groups import Runs, seeded
from snnbd_book.claims import ClaimError, load_all
from snnbd_book.claims.finding import Sentence, load_findings, plain, sentences
from snnbd_book.runs import Experiment, commit, run

PAGE = "notebooks/02_toy"
PROSE = """# A page

{finding}`The square works, *always* <works>`, says the text, and ``{finding}`x` `` is code.

```{code-cell} ipython3
---
mystnb:
  figure:
    caption: A curve. {finding}`It rises
      to 100 % <rises>`.
  image:
    alt: A curve that {finding}`rises <rises>`.
---
draw()
```

{finding}``Of {glue:text}`n` runs none fails <none>``
"""


def written(folder: Path, text: str) -> Path:
    """A claims folder with findings."""
    (folder / "findings").mkdir(parents=True)
    (folder / "findings" / "02_toy.yaml").write_text(text)
    return folder


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, results: Path) -> Runs:
    """The groups of a chapter: two runs with a record and one without."""
    fields = {"data": "nmnist", "frames": 2, "epochs": 1, "network": "quick-conv"}

    def grid(profile: str, seed: int) -> Mapping[str, Any]:
        return {
            "learnt": {"one": seeded(profile, seed, 2, **fields)},
            "missing": seeded(profile, 7, 1, **fields),
        }

    runs = Runs(grid)
    commit([run(one, progress=False) for one in runs.planned["learnt"]["one"]], results)
    monkeypatch.setattr(tested, "runs_of", lambda page: runs)
    return runs


def problems(folder: Path, text: str, *stated: str) -> list[str]:
    """What is wrong with the findings in a text, which sentences of a page state."""
    found = load_findings(written(folder / "claims", f"chapter: {PAGE}\nfindings:\n{text}"))
    outcomes = tested.evaluated(found.values())
    return tested.problems([Sentence(PAGE, "It is so", one) for one in stated], found, outcomes)


def test_sentences_are_found_in_the_text_in_captions_and_in_alternatives() -> None:
    found = sentences(PAGE, PROSE)
    assert [(one.text, one.finding) for one in found] == [
        ("The square works, *always*", "works"),
        ("It rises to 100 %", "rises"),
        ("rises", "rises"),
        ("Of {glue:text}`n` runs none fails", "none"),
    ]
    assert plain("A curve that {finding}`rises <rises>`.") == "A curve that rises."


def test_a_finding_that_holds_is_no_problem(toy: Runs, tmp_path: Path) -> None:
    text = "  ok: all(mean(x.clean_accuracy) >= 0 for x in learnt)\n"
    assert problems(tmp_path, text, "ok", "ok") == []


def test_a_false_finding_names_page_and_sentence_and_its_numbers(toy: Runs, tmp_path: Path) -> None:
    text = '  wrong: mean(learnt["one"].clean_accuracy) > 1\n'
    (line,) = problems(tmp_path, text, "wrong")
    assert line.startswith(f"{PAGE}: “It is so” (wrong) does not hold: mean(learnt['one'].clean")
    assert line.endswith("] > 1")


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("mean(missing.clean_accuracy) > 0", r"no record of nmnist-clean-\w+ \(seed 7\)"),
        ("1 / mean(learnt['one'].untriggered_target_rate - 1) > 0", None),
        ("1 / (1 - 1) > 0", "divides by zero"),
        ("mean(other.clean_accuracy) > 0", "'other' is not in the groups; there are: learnt, miss"),
        ("mean(learnt.clean_accuracy) > 0", "learnt holds several settings, one: name one"),
        ("mean(learnt['one'].floor) > 0", "was not measured"),
    ],
)
def test_what_cannot_be_tested_is_named(
    toy: Runs, tmp_path: Path, test: str, message: str | None
) -> None:
    if message is None:
        with pytest.raises(ClaimError, match=r"findings/02_toy\.yaml: x: test=.* is not allowed"):
            problems(tmp_path, f'  x: "{test}"\n', "x")
        return
    (line,) = problems(tmp_path, f'  x: "{test}"\n', "x")
    assert line.startswith(f"{PAGE}: “It is so” (x) cannot be tested: ")
    assert re.search(message, line)


def test_unknown_and_unused_findings_are_named(toy: Runs, tmp_path: Path) -> None:
    lines = problems(tmp_path, "  a: 1 < 2\n  b: 1 < 2\n", "a", "c")
    assert lines == [
        f"{PAGE}: “It is so” (c): there is no such finding",
        f"{PAGE}: no sentence states the finding b",
    ]


def test_a_finding_and_a_papers_claim_must_agree(
    toy: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tested, "_verdict", lambda claim: "partly")
    text = "  a: {test: 1 < 2, claims: {toy2020/works: reproduced}}\n"
    (line,) = problems(tmp_path, text, "a")
    assert line.endswith("does not hold: the verdict on toy2020/works is partly, not reproduced")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chapter: [", "is not YAML"),
        ("findings: {}", "chapter=None must name a page"),
        ("chapter: x\nfindings: {A: 1 < 2}", "small letters, digits and hyphens"),
        ("chapter: x\nfindings: {a: mean(b) < 2}", "'b' is not allowed|is not allowed"),
        ("chapter: x\nfindings: {a: {text: 1 < 2}}", "'text' is unknown"),
        ("chapter: x\nfindings: [a]", "must be a mapping"),
        ("chapter: x\nother: 1", "'other' is unknown"),
    ],
)
def test_a_wrong_file_of_findings_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ClaimError, match=rf"findings/02_toy\.yaml.*({message})"):
        load_findings(written(tmp_path, text))


def test_two_findings_have_two_names(tmp_path: Path) -> None:
    folder = written(tmp_path, f"chapter: {PAGE}\nfindings: {{a: 1 < 2}}")
    (folder / "findings" / "03_toy.yaml").write_text("chapter: y\nfindings: {a: 1 < 2}")
    with pytest.raises(ClaimError, match=rf"a is a finding of {PAGE} too"):
        load_findings(folder)


def test_the_groups_of_a_page_are_those_of_its_chapter() -> None:
    planned = tested.runs_of("notebooks/05_badsnn").planned
    assert isinstance(planned["thresholds"]["target 0"]["BadSNN"][1.2][0], Experiment)
    with pytest.raises(ValueError, match="chapter='book/intro' has no groups"):
        tested.runs_of("book/intro")


def test_a_claim_and_the_finding_that_names_the_same_thing_agree(project: Path) -> None:
    """What papers say in words is named by a finding; rows of tables of figures need none."""
    found = load_findings(project / "claims")
    judged = {
        f"{paper.id}/{claim.id}": claim.expected["quick"]
        for paper in load_all(project / "claims")
        for claim in paper.claims
        if "quick" in claim.expected
    }
    named = {name: said for one in found.values() for name, said in one.claims.items()}
    assert {name: judged.get(name) for name in named} == named
    rows = ("abad2022/gesture-", "abad2022/nmnist-", "abad2024/nmnist-")
    rows += ("abad2024/gesture-", "tmpbd2025/")
    assert not [name for name in judged.keys() - named.keys() if not name.startswith(rows)]


def test_two_findings_do_not_give_a_claim_two_verdicts(project: Path) -> None:
    verdicts: dict[str, set[str]] = {}
    for one in load_findings(project / "claims").values():
        for claim, verdict in one.claims.items():
            verdicts.setdefault(claim, set()).add(verdict)
    assert {claim: said for claim, said in verdicts.items() if len(said) > 1} == {}


def test_all_findings_of_the_book_hold_and_are_stated(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNBD_RESULTS", str(project / "results"))
    found = load_findings(project / "claims")
    pages = sorted((*(project / "notebooks").glob("*.md"), *(project / "book").glob("*.md")))
    stated = [
        one
        for path in pages
        for one in sentences(f"{path.parent.name}/{path.stem}", path.read_text(encoding="utf-8"))
    ]
    assert tested.problems(stated, found, tested.evaluated(found.values())) == []
