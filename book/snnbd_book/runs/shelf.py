"""Files of records: one for each data set, a line for each record, sorted by its key."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from snnbd_book.runs.locking import locked
from snnbd_book.runs.record import CorruptRecord, Record
from snnbd_book.runs.settings import Experiment
from snnbd_core.files import write_atomically

CHANGES_NO_NUMBER = True

_KEY = re.compile(rb'\{"record":"([^"]+-([0-9a-f]{12}))"')

Index = dict[str, list[tuple[int, bytes]]]
"""Hash -> number and text of its lines; "" -> lines that do not begin as a record does."""


class Shelf:
    """The records of one data set in one file.

    Args:
        path: the file; it need not be there.
        steady: True reads it once, for whoever looks for many records; False at each look.
    """

    def __init__(self, path: Path, steady: bool = False) -> None:
        self.path = path
        self._steady = steady
        self._read: Index | None = None

    @classmethod
    def of(
        cls, experiment: Experiment, folder: Path, opened: dict[Path, Shelf] | None = None
    ) -> Shelf:
        """The file of a folder that an experiment's record belongs to.

        Args:
            experiment: whose.
            folder: of the files.
            opened: those that are read already, for whoever looks for many records.
        """
        path = folder / f"{experiment.data}.jsonl"
        return cls(path) if opened is None else opened.setdefault(path, cls(path, steady=True))

    def find(self, experiment: Experiment) -> Record | None:
        """The experiment's record; None if there is none.

        Raises:
            CorruptRecord: its line is damaged or edited, or some line is too damaged to say whose
                it is, and so may be this one.
            ValueError: two lines with its hash.
        """
        found = self._index.get(experiment.hash, [])
        if len(found) > 1:
            numbers = " and ".join(str(number) for number, _ in found)
            raise ValueError(
                f"hash={experiment.hash!r} has two records, in lines {numbers} of {self.path}: "
                "remove the one that is not to be trusted"
            )
        if not found:
            for number, line in self._index.get("", []):
                _parsed(line, self._where(number))
            return None
        number, line = found[0]
        record = _parsed(line, self._where(number))
        if record.experiment.digest != experiment.digest:
            raise CorruptRecord(
                f"the record in {self._where(number)} cannot be trusted: its experiment has hash "
                f"{record.experiment.hash}. Restore the line, or remove it and run again"
            )
        return record

    def all(self) -> Iterator[Record]:
        """All records, in the order of their keys.

        Raises:
            CorruptRecord: a line that is damaged or edited.
            ValueError: two lines with one hash.
        """
        index = self._index  # the file is read once
        lines = sorted(pair for pairs in index.values() for pair in pairs)
        for number, line in lines:
            record = _parsed(line, self._where(number))
            if len(index.get(record.experiment.hash, [])) > 1:
                self.find(record.experiment)
            yield record

    def put(self, *records: Record) -> Path:
        """Writes records, each in place of an older one of its hash; whole or not at all.

        Other processes that write at the same time wait. Lines that cannot be read stay.

        Raises:
            OSError: naming the folder and ``$SNNBD_RESULTS`` where the disk is full.
        """
        folder = self.path.parent
        with locked(folder / ".locks" / f"{self.path.name}.lock"):
            self._read = None  # another process may have written since
            new = {record.experiment.hash: record.to_line() for record in records}
            old = (
                line
                for hash_, pairs in self._index.items()
                for _, line in pairs
                if hash_ not in new
            )
            text = b"".join(sorted([*old, *new.values()]))
            write_atomically(self.path, lambda file: file.write(text), "SNNBD_RESULTS")
            self._read = None
        return self.path

    @property
    def _index(self) -> Index:
        """What the file holds, read again where it may have changed."""
        if self._read is None or not self._steady:
            self._read = self._looked_up()
        return self._read

    def _looked_up(self) -> Index:
        content = self.path.read_bytes() if self.path.exists() else b""
        seen = _SEEN.get(self.path)
        if seen is None or seen[0] != content:
            _SEEN[self.path] = seen = (content, _indexed(content))
        return seen[1]

    def _where(self, number: int) -> str:
        return f"line {number} of {self.path}"


_SEEN: dict[Path, tuple[bytes, Index]] = {}


def _indexed(content: bytes) -> Index:
    found: Index = {}
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        if line.strip():
            match = _KEY.match(line)
            whole = line if line.endswith(b"\n") else line + b"\n"
            found.setdefault(match[2].decode() if match else "", []).append((number, whole))
    return found


@functools.lru_cache(maxsize=8192)
def _parsed(line: bytes, where: str) -> Record:
    """The record in a line, parsed once for as long as it stays the same."""
    return Record.from_line(line, where)
