"""What the book is made of: its folder, its settings, its chapters, the parameters of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from snnbd_book.runs.profiles import PROFILES

CHAPTER_FOLDER = "notebooks"


class BookError(Exception):
    """The book cannot be built or is not whole; the message says what to do about it."""


@dataclass(frozen=True)
class Parameters:
    """The papermill parameters that every chapter takes.

    Raises:
        ValueError: the profile is not one of ``PROFILES``, or the seed is negative.
    """

    profile: str = "quick"
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(f"profile={self.profile!r}: must be one of {', '.join(PROFILES)}")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must be 0 or more")

    @property
    def values(self) -> dict[str, str | int]:
        """Names and values as they stand in a chapter's parameters cell."""
        return {"PROFILE": self.profile, "SEED": self.seed, "DEVICE": self.device}


@dataclass(frozen=True)
class Chapter:
    """One notebook of the book. ``page`` is its path below the book's folder, without suffix."""

    root: Path
    page: str

    @property
    def name(self) -> str:
        return self.page.rsplit("/", 1)[-1]

    @property
    def text(self) -> Path:
        """The MyST file that people edit."""
        return self.root / f"{self.page}.md"

    @property
    def notebook(self) -> Path:
        """Its pair, without outputs, which Binder and Colab open."""
        return self.root / f"{self.page}.ipynb"


@dataclass(frozen=True)
class Book:
    """The folder that holds ``_config.yml`` and ``_toc.yml``, and where its products go.

    Raises:
        BookError: the folder is not a book's.
    """

    root: Path

    def __post_init__(self) -> None:
        for name in ("_config.yml", "_toc.yml"):
            if not (self.root / name).is_file():
                raise BookError(f"{self.root} holds no {name}: run this in the book's folder")

    @property
    def build(self) -> Path:
        """Everything made from the sources; may be deleted at any time."""
        return self.root / "_build"

    @property
    def stage(self) -> Path:
        """What Sphinx reads: page paths equal repository paths, so that the buttons point right."""
        return self.build / "stage"

    @property
    def html(self) -> Path:
        return self.build / "html"

    @cached_property
    def config(self) -> dict[str, Any]:
        return read_mapping(self.root / "_config.yml")

    @property
    def repository(self) -> str:
        return str(self.config["repository"]["url"]).rstrip("/")

    @property
    def address(self) -> str:
        """Where the book is published, with a slash at its end."""
        return str(self.config["html"]["baseurl"]).rstrip("/") + "/"

    @property
    def branch(self) -> str:
        return str(self.config["repository"]["branch"])

    @cached_property
    def pages(self) -> list[str]:
        """All pages of the table of contents in reading order, without suffix."""
        toc = read_mapping(self.root / "_toc.yml")
        return [str(toc["root"]), *_files(toc.get("parts", [])), *_files(toc.get("chapters", []))]

    @property
    def chapters(self) -> list[Chapter]:
        """The executable pages.

        Raises:
            BookError: the table of contents names a chapter without ``.md`` or ``.ipynb``.
        """
        found = [Chapter(self.root, p) for p in self.pages if p.startswith(f"{CHAPTER_FOLDER}/")]
        for chapter in found:
            if not chapter.text.is_file():
                raise BookError(f"_toc.yml names {chapter.page}, but {chapter.page}.md is missing")
            if not chapter.notebook.is_file():
                raise BookError(
                    f"{chapter.page}.md has no {chapter.page}.ipynb beside it: run `snnbd pair`"
                )
        return found

    def select(self, only: str | None) -> list[Chapter]:
        """The chapters whose name starts with ``only`` (``"02"``, or the whole name); all for None.

        Raises:
            ValueError: no chapter has that name.
        """
        chapters = self.chapters
        if only is None:
            return chapters
        chosen = [chapter for chapter in chapters if chapter.name.startswith(only)]
        if not only or not chosen:
            names = ", ".join(chapter.name for chapter in chapters)
            raise ValueError(f"only={only!r}: must be the start of a chapter's name: {names}")
        return chosen


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file that must hold a mapping.

    Raises:
        BookError: it is not YAML, or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BookError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise BookError(f"{path} holds a {type(content).__name__}, not a mapping")
    return content


def _files(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        if "file" in entry:
            yield str(entry["file"])
        for deeper in ("chapters", "sections"):
            yield from _files(entry.get(deeper, []))
