"""Which records are run again."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator

from snnbd_book.runs import Record

# The clean twin is trained as well, and a fresh process has everything to load.
_TWICE = 2.0


def draw(records: Iterable[Record], seed: str, seconds: float) -> list[Record]:
    """A random sample that takes about so long, by what the records' runs took.

    Each kind of run (data set, trigger, rule, defence, probe) has its turn before any has its
    second, so that a short sample reaches many kinds.

    Args:
        records: to draw from.
        seed: the same seed draws the same records; today's date, say.
        seconds: of computing in all. At least one record is drawn if there is any.
    """
    chosen: list[Record] = []
    left = seconds
    for record in _in_turn(records, random.Random(seed)):
        cost = _TWICE * record.provenance.seconds
        if cost <= left or not chosen:
            chosen.append(record)
            left -= cost
        if left <= 0:
            break
    return chosen


def shard(records: Iterable[Record], number: int, of: int) -> list[Record]:
    """Part `number` (from 0) of `of` parts; all parts together are all records.

    Raises:
        ValueError: a part that there is not.
    """
    if not 0 <= number < of:
        raise ValueError(f"shard={number}/{of}: allowed is 0/{of} .. {of - 1}/{of}")
    return [record for record in records if int(record.experiment.hash, 16) % of == number]


def _in_turn(records: Iterable[Record], rng: random.Random) -> Iterator[Record]:
    kinds: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.key):
        kinds[record.experiment.name].append(record)
    for members in kinds.values():
        rng.shuffle(members)
    while kinds:
        names = sorted(kinds)
        rng.shuffle(names)
        for name in names:
            yield kinds[name].pop()
            if not kinds[name]:
                del kinds[name]
