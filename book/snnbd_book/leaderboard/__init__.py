"""The leaderboard: every attack of the book against every defence, and your own beside them.

=============  =================================================================================
module         one subject
=============  =================================================================================
cells          which attacks and defences there are, and the runs behind each pair
rows           a cell with its records: the figures that pages and tables show
own            an attack in a reader's file, loaded and tried
measuring      that attack against all defences, within a time budget
command        ``snnbd leaderboard`` and ``snnbd leaderboard add``
=============  =================================================================================
"""

from __future__ import annotations

from snnbd_book.leaderboard.cells import SETS, Cell, cells
from snnbd_book.leaderboard.rows import Row, committed, row_of

__all__ = ["SETS", "Cell", "Row", "cells", "committed", "row_of"]
