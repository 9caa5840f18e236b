"""Part 5: what changes when the network is exported, rounded, and read by another's rules."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnbd_core import checks
from snnbd_core.auditing.case import Case, led, unjudged
from snnbd_core.auditing.parts import Cell, Part, Table
from snnbd_core.auditing.resetting import resetting, stepping
from snnbd_core.exchange import read_nir, write_nir
from snnbd_core.guards import Guard
from snnbd_core.metrics import Rate
from snnbd_core.view import Adapted

__all__ = ["TITLE", "migrated", "rounded"]

TITLE = "What changes when it moves"
_DT = 1e-3


def migrated(case: Case) -> Part:
    """The part that says what the network becomes elsewhere; it judges nothing."""
    before = case.clean
    rows: list[tuple[Cell, ...]] = [("as it is", case.right(before), None, led(case))]
    failed: dict[str, list[str]] = {}
    unwritten = _unwritten(case.bench.net)
    for name, move in _moves(case, unwritten is None):
        try:
            if not case.fits(2 * len(before)):
                raise RuntimeError("the time budget was used up")
            with move() as other:
                after = other.answers()
                alike = Rate.of(after == before)
                rows.append((name, other.right(after), alike, led(other)))
        except (ValueError, RuntimeError) as error:
            failed.setdefault(str(error), []).append(name)
            rows.append((name, None, None, None))
    columns = ("moved", "accuracy", "answers alike", "led by the strongest trigger")
    table = Table("Copies of the network, on clean samples", columns, tuple(rows))
    notes = [f"{', '.join(names)}: cannot be seen, {why}" for why, names in failed.items()]
    if unwritten is not None:
        notes.append(f"Resets and steps are tried on its own neurons, not through NIR: {unwritten}")
    told = [f"{name} {_told(right)}" for name, right, *_ in rows]
    return unjudged(
        "migration", TITLE, f"Right on clean samples: {', '.join(told)}.", [table], *notes
    )


def _told(right: Cell) -> str:
    return f"{right.hits} of {right.total}" if isinstance(right, Rate) else "cannot be seen"


def rounded(net: nn.Module, bits: int) -> nn.Module:
    """A copy whose weights are whole multiples of their largest / (2^(bits - 1) - 1), per tensor.

    Biases and batch norm stay: chips hold them in wider numbers. So do guards.
    """
    other, most = checks.copied(net), 2 ** (bits - 1) - 1
    with torch.no_grad():
        for name, weight in other.named_parameters():
            if weight.dim() > 1 and Guard.named(name) is None and bool(weight.any()):
                unit = weight.abs().max() / most
                weight.copy_((weight / unit).round() * unit)
    return other


def _moves(
    case: Case, written: bool
) -> Iterator[tuple[str, Callable[[], AbstractContextManager[Case]]]]:
    for bits in (8, 4):
        yield f"weights of {bits} bits", partial(_asking, case, partial(rounded, bits=bits))
    for reset in ("zero", "subtract"):
        own = partial(_in_block, case, partial(resetting, case.bench.view, reset))
        read = partial(_asking, case, partial(_read, reset=reset, factor=1.0))
        yield f"read with reset {reset}", read if written else own
    for factor in (0.5, 2.0):
        own = partial(_in_block, case, partial(stepping, case.bench.view, factor))
        read = partial(_asking, case, partial(_read, reset=None, factor=factor))
        yield f"read with dt times {factor:g}", read if written else own


@contextmanager
def _asking(case: Case, make: Callable[[nn.Module], nn.Module]) -> Iterator[Case]:
    """The case of what is made of the network."""
    with case.asking(make(case.bench.net)) as other:
        yield other


@contextmanager
def _in_block(case: Case, change: Callable[[], AbstractContextManager[None]]) -> Iterator[Case]:
    """The case itself, in the block in which its neurons are changed."""
    with change():
        yield case


def _unwritten(net: nn.Module) -> str | None:
    """Why the network cannot be written to NIR."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            write_nir(net, Path(folder) / "network.nir", dt=_DT)
    except (ValueError, RuntimeError) as error:
        return str(error)
    return None


def _read(net: nn.Module, reset: str | None, factor: float) -> Adapted:
    """The network written to NIR and read again by another rule."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.nir"
        given: dict[str, Any] = write_nir(net, path, dt=_DT)
        given |= {"dt": factor * _DT} | ({} if reset is None else {"reset": reset})
        return read_nir(path, **given)
