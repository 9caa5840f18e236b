"""One module a chapter: the runs that it shows, as named groups.

    from snnbd_book.chapters import Runs, badsnn

    Runs(badsnn.grid, "quick").group("thresholds")

=====================  =============================================================================
module                 one subject
=====================  =============================================================================
groups                 `Runs`: a name of a group -> its records
findings               what the book says of its runs, tested over them
command                ``snnbd claims``
a chapter's name       `grid`: profile and first seed -> the chapter's groups of experiments
=====================  =============================================================================
"""

from __future__ import annotations

from snnbd_book.chapters.groups import Runs

__all__ = ["Runs"]
