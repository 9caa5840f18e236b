"""Which folder is a book, which pages and chapters it has, which runs are possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from snnbd_book.build import Book, BookError, Parameters


def test_a_run_gives_the_three_parameters_every_chapter_takes() -> None:
    expected = {"PROFILE": "sample", "SEED": 3, "DEVICE": "cpu"}
    assert Parameters("sample", 3, "cpu").values == expected


def test_an_unknown_profile_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"profile='fast': must be one of quick, sample, paper"):
        Parameters(profile="fast")


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed=-1: must be 0 or more"):
        Parameters(seed=-1)


def test_a_folder_without_settings_is_no_book(tmp_path: Path) -> None:
    with pytest.raises(BookError, match=r"holds no _config.yml"):
        Book(tmp_path)


def test_the_published_address_is_that_of_the_repositorys_pages(project: Path) -> None:
    book = Book(project)
    owner, name = book.repository.split("/")[-2:]
    assert book.address == f"https://{owner}.github.io/{name}/"


def test_pages_come_in_reading_order(book: Book) -> None:
    assert book.pages == ["book/intro", "notebooks/01_one", "notebooks/02_two", "book/built"]


def test_chapters_are_the_pages_below_notebooks(book: Book) -> None:
    assert [chapter.name for chapter in book.chapters] == ["01_one", "02_two"]


def test_a_chapter_is_chosen_by_the_start_of_its_name(book: Book) -> None:
    assert [chapter.name for chapter in book.select("02")] == ["02_two"]


@pytest.mark.parametrize("only", ["03", "two", ""])
def test_an_unknown_chapter_is_refused_with_the_names_there_are(book: Book, only: str) -> None:
    with pytest.raises(ValueError, match=rf"only='{only}': must be .* 01_one, 02_two"):
        book.select(only)


def test_a_chapter_without_its_text_is_named(book: Book) -> None:
    (book.root / "notebooks" / "02_two.md").unlink()
    with pytest.raises(BookError, match=r"notebooks/02_two.md is missing"):
        _ = book.chapters


def test_a_chapter_without_its_pair_is_named_with_the_remedy(book: Book) -> None:
    (book.root / "notebooks" / "01_one.ipynb").unlink()
    with pytest.raises(BookError, match=r"no notebooks/01_one.ipynb .* `snnbd pair`"):
        _ = book.chapters


@pytest.mark.parametrize(
    ("text", "message"), [("a: [", "is not YAML"), ("- a", "holds a list, not a mapping")]
)
def test_settings_that_cannot_be_read_are_named(book: Book, text: str, message: str) -> None:
    (book.root / "_config.yml").write_text(text, encoding="utf-8")
    with pytest.raises(BookError, match=rf"_config.yml {message}"):
        _ = Book(book.root).repository
