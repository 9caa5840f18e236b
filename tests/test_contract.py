"""The public contract: the code that the README and the page of the library show does run."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

import snnbd_core as sb

# The sizes of a reader's run, and those of a test's; what is run stays the same.
SMALLER = {
    "frames=16": "frames=4",
    "epochs=10": "epochs=1",
    "epochs=8": "epochs=1",
    '"nmnist-conv"': '"quick-conv"',
}


def block(page: Path) -> str:
    """The first Python block of a page that uses the library."""
    blocks: list[str] = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    return next(text for text in blocks if "import snnbd_core as sb" in text)


@pytest.fixture
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sb.data.load` gives the first samples of both sets."""
    load = sb.data.load

    def few(*arguments: Any, **settings: Any) -> tuple[Any, Any]:
        train, test = load(*arguments, **settings)
        return train.subset(range(100)), test.subset(range(60))

    monkeypatch.setattr(sb.data, "load", few)


@pytest.mark.trains
@pytest.mark.usefixtures("small_sets")
@pytest.mark.parametrize("page", ["README.md", "book/api.md"])
def test_the_code_that_a_page_shows_runs(project: Path, page: str) -> None:
    code = block(project / page)
    for long, short in SMALLER.items():
        code = code.replace(long, short)
    names: dict[str, Any] = {}
    exec(compile(code, page, "exec"), names)
    assert len(names["poisoned"].poisoned_indices) == 10
    report = names["report"]
    assert report.clean_accuracy.total == 60
    assert 0 < report.attack_success_rate.total < 60  # the target's own samples are left out


def test_every_name_of_the_contract_exists(project: Path) -> None:
    named = sorted(set(re.findall(r"\bsb((?:\.\w+)+)", block(project / "book" / "api.md"))))
    assert len(named) > 20
    missing = []
    for name in named:
        try:
            functools.reduce(getattr, name[1:].split("."), sb)
        except AttributeError:
            missing.append(f"sb{name}")
    assert missing == []


def test_the_rates_of_the_audit_in_the_readme_are_those_measured(project: Path) -> None:
    text = (project / "benchmarks" / "results" / "audit.json").read_text(encoding="utf-8")
    rates, readme = json.loads(text)["rates"], (project / "README.md").read_text(encoding="utf-8")
    for group, words, before in (
        ("", "clean ones (95 % interval {}) and misses {} attacked ones ({})", "accuses"),
        ("images, ", "({}) and misses {} ({})", "for images it accuses"),
    ):
        clean, attacked = rates[f"{group}clean"], rates[f"{group}attacked"]
        told = words.format(
            f"{100 * clean['low']:.0f} to {100 * clean['high']:.0f} %",
            f"{attacked['of'] - attacked['accused']} of {attacked['of']}",
            f"{100 - 100 * attacked['high']:.0f} to {100 - 100 * attacked['low']:.0f} %",
        )
        told = f"{before} {clean['accused']} of {clean['of']} {told}"
        assert told in " ".join(readme.split())


def test_no_description_of_an_argument_is_read_as_the_item_of_a_list(project: Path) -> None:
    """Sphinx renders "frames: T." as the twentieth item of a list: "20."."""
    item = re.compile(r"^ +[\w, ]+: (?:[A-Za-z]|[ivxIVX]+|\d+)\.$", re.MULTILINE)
    assert item.search('    frames: T.\n"""')
    paths = (project / "snnbd_core").rglob("*.py")
    assert [str(path) for path in paths if item.search(path.read_text(encoding="utf-8"))] == []
