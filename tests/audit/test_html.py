"""The page of a report: whole without anything besides, safe whoever wrote its texts."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from snnbd_book.audit.html import html, number, percent

from .made import HOSTILE, audit

ABOUT = [("Network", "net.nir"), ("Read as", "NIR")]
VOID = {"meta", "br", "img", "input", "link"}


class Page(HTMLParser):
    """Elements of a page in their order, with the text directly in each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, Any], list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs), []))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.found and data.strip():
            self.found[-1][2].append(data.strip())

    def all(self, tag: str) -> list[tuple[dict[str, Any], str]]:
        return [(given, " ".join(text)) for name, given, text in self.found if name == tag]


@pytest.mark.parametrize("status", ["clear", "suspicious", "unjudged"])
def test_a_page_needs_no_script_no_other_file_and_no_host(status: str) -> None:
    page = Page(html(audit(status), ABOUT))
    assert page.open == []
    assert {name for name, _, _ in page.found} & {"script", "link", "img", "iframe"} == set()
    for _, given, _ in page.found:
        assert not {"src", "srcset", "onclick", "onerror"} & set(given)
        assert str(given.get("href", "#")).startswith("#")
    text = html(audit(status), ABOUT)
    assert "http://" not in text and "https://" not in text and "url(" not in text
    (policy,) = [given for given, _ in page.all("meta") if "http-equiv" in given]
    assert policy["content"].startswith("default-src 'none'")


def test_the_verdict_stands_first_in_words_with_what_to_do() -> None:
    text = html(audit("suspicious"), ABOUT)
    first = text.index("<h2>")
    assert "Suspicious" in text[first : first + 120]
    assert first < text.index("What to do next") < text.index("Do not put this network to use")
    assert "attacker's target: <strong>9</strong>" in text
    clear = html(audit("clear"), ABOUT)
    assert "no proof that nothing is there" in clear and "Class most suspected" not in clear
    assert "nobody has looked at" in html(audit("unjudged"), ABOUT)


def test_headings_follow_each_other_and_tables_have_captions_and_heads() -> None:
    page = Page(html(audit(), ABOUT))
    levels = [int(name[1]) for name, _, _ in page.found if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(page.all("table")) == len(page.all("caption")) == 3
    assert all(text for _, text in page.all("caption"))
    assert all("scope" in given for given, _ in page.all("th"))
    titles = {given["id"] for name, given, _ in page.found if name == "section"}
    links = {given["href"][1:] for given, _ in page.all("a")}
    assert links == titles and len(titles) == 6


def test_a_rate_is_told_with_its_sample_size_interval_and_bar() -> None:
    text = " ".join(html(audit(), ABOUT).split())
    assert '12 of 146 <span class="interval">(4.8 to 13.8 %)</span>' in text
    bars = re.findall(r'class="share" x="0" y="2" width="([\d.]+)"', text)
    assert "8.22" in bars and "0.68" in bars
    assert "no value" in text and "not a number" in text


@pytest.mark.parametrize("where", ["layer", "about", "status"])
def test_texts_of_a_received_file_stay_texts(where: str) -> None:
    about = [("Network", HOSTILE)] if where == "about" else ABOUT
    text = html(audit(name=HOSTILE), about)
    page = Page(text)
    assert page.open == []
    assert not page.all("script") and not page.all("img")
    assert "&lt;script&gt;alert" in text and "{{ 7 * 7 }}" in text


def test_colour_is_never_alone() -> None:
    text = html(audit(), ABOUT)
    for sign, word in (("✓", "Nothing found"), ("!", "Suspicious"), ("?", "Not judged")):
        assert re.search(rf'aria-hidden="true">{re.escape(sign)}</span> {word}', text)


def light(colour: str) -> float:
    """Relative luminance of #rrggbb, WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return float(sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))


def test_words_have_contrast_by_day_and_by_night() -> None:
    themes = re.findall(r":root \{(.*?)\}", html(audit(), ABOUT), flags=re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", theme))
        for word in ("ink", "soft", "clear", "suspicious", "unjudged", "link"):
            for ground in ("page", "card"):
                pair = sorted((light(colours[word]), light(colours[ground])))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (word, ground)


@pytest.mark.parametrize(
    ("value", "told"),
    [(4624, "4,624"), (0.25, "0.25"), (1 / 3, "0.3333"), (True, "yes"), (float("inf"), "no limit")],
)
def test_numbers_are_short(value: float, told: str) -> None:
    assert number(value) == told


def test_shares_are_percentages() -> None:
    assert [percent(share) for share in (0, 0.1234, 1)] == ["0", "12.3", "100"]
