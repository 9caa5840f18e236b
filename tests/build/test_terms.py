"""First uses of terms lead to the glossary, on a small page; nothing else is touched."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx

from snnbd_book.build.terms import first_sentence, pattern

GLOSSARY = """
Words
=====

.. glossary::

   trigger
      The pattern that
      sets it off. It is small.

   clean label
      No wrong label.

   event
      One report.
"""
CHAPTER = """
A trigger in a heading
======================

``trigger`` and `a trigger <https://example.org>`__ stay; the Trigger does not, the next trigger
does. Eventual things are no events. With a clean
label it is hard.

.. code-block:: python

   event = 1
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BeautifulSoup]:
    root = tmp_path_factory.mktemp("terms")
    (root / "notebooks").mkdir()
    (root / "index.rst").write_text(f"{GLOSSARY}\n.. toctree::\n\n   notebooks/one\n", "utf-8")
    (root / "notebooks" / "one.rst").write_text(CHAPTER, encoding="utf-8")
    settings = {"extensions": ["snnbd_book.build.terms"], "project": "x"}
    Sphinx(
        root, None, root / "out", root / "trees", "html", settings, status=None, warning=None
    ).build()
    return {
        page: BeautifulSoup((root / "out" / f"{page}.html").read_text("utf-8"), "html.parser")
        for page in ("index", "notebooks/one")
    }


def links(soup: BeautifulSoup) -> list[Tag]:
    return list(soup.select("a.term"))


def test_the_first_use_in_running_text_is_a_link_with_the_meaning_as_its_title(
    pages: dict[str, BeautifulSoup],
) -> None:
    found = [
        (" ".join(one.text.split()), one["href"], one["title"])
        for one in links(pages["notebooks/one"])
    ]
    assert found == [
        ("Trigger", "../index.html#term-trigger", "The pattern that sets it off."),
        ("events", "../index.html#term-event", "One report."),
        ("clean label", "../index.html#term-clean-label", "No wrong label."),
    ]


def test_the_links_lead_to_places_that_are_there(pages: dict[str, BeautifulSoup]) -> None:
    for link in links(pages["notebooks/one"]):
        assert pages["index"].find(id=str(link["href"]).split("#")[1]) is not None


def test_a_page_that_is_no_chapter_stays_as_it_is(pages: dict[str, BeautifulSoup]) -> None:
    assert links(pages["index"]) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("One. Two.", "One."), ("About 0.5 of\nall. More.", "About 0.5 of all."), ("None", "None")],
)
def test_a_sentence_ends_at_a_stop_before_a_capital(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


def test_the_longer_name_wins_and_parts_of_words_do_not_count() -> None:
    names = pattern(["class", "target class"])
    text = "target classes, subclass, class-wise, one-class, Class"
    assert [found[0] for found in names.finditer(text)] == [
        "target classes",
        "Class",
    ]
