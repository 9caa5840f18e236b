"""The moving picture of the preface: one recording of the embedded data, clean and attacked."""

from __future__ import annotations

from pathlib import Path

import torch

from snnbd_book import figures
from snnbd_book.build.settings import Book
from snnbd_core import data
from snnbd_core.triggers import Moving

PICTURE = "attacked.html"
_FRAMES = 16
_SIZE = 640
_GAP = 2  # empty pixels between the two halves
_ALT = (
    "Two event recordings of the same handwritten digit side by side. In the right one a small "
    "square of events jumps through the frame."
)


def write(book: Book, folder: Path) -> None:
    """Writes the picture into the staged book, where the first page asks for it."""
    page = folder / f"{book.pages[0]}.md"
    if not page.is_file() or PICTURE not in page.read_text(encoding="utf-8"):
        return
    _, test = data.load("digits-events", frames=_FRAMES, seed=0)
    clean, _ = test[0]
    gap = torch.zeros(*clean.shape[:3], _GAP, dtype=clean.dtype)
    both = torch.cat([clean, gap, Moving()(clean)], dim=3)
    player = figures.animate(both, alt=_ALT, fps=6, name="attacked-recording", size=_SIZE)
    (page.parent / PICTURE).write_text(str(player.data), encoding="utf-8")
