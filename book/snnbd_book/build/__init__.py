"""The builder: executes the chapters and makes the HTML book.

    settings -> pairing -> execute (cached) -> stage -> HTML -> check

Papermill executes each chapter in a process of its own; jupyter-book only renders. jupyter-book's
own execution cache looks at a notebook's code cells alone and would serve old output after a
change in ``snnbd_core``, so ``cache`` keys on everything a chapter's output depends on.

Needs the ``book`` extra (``pip install -e .[book]``).
"""

from snnbd_book.build.build import build
from snnbd_book.build.check import check
from snnbd_book.build.pairing import check_pairs, write_pairs
from snnbd_book.build.settings import Book, BookError, Parameters

__all__ = ["Book", "BookError", "Parameters", "build", "check", "check_pairs", "write_pairs"]
