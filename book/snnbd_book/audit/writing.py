"""Writes the folder of a report: whole, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from snnbd_book.audit.html import html
from snnbd_core import exchange
from snnbd_core.auditing import Audit

__all__ = ["check_place", "write_report"]

Pairs = Sequence[tuple[str, str]]


def check_place(out: Path) -> None:
    """Raises FileExistsError or OSError for a folder that could not be made at the end."""
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise FileExistsError(f"--out {out} is there already: name a new folder, or remove it")
    parent = out.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(dir=parent, prefix=f".{out.name}.", suffix=".part")).rmdir()
    except OSError as error:
        raise OSError(
            f"--out {out}: nothing can be written in {parent} ({error.strerror}): name another "
            "folder"
        ) from error


def write_report(
    out: Path, audit: Audit, about: Pairs, fixed: nn.Module | None = None
) -> list[str]:
    """Makes a folder with report.html, report.json and card.json; gives the names of its files.

    They are written under another name beside it, which the folder then gets; where anything ends
    the writing before, nothing stays behind.

    Args:
        out: the folder; an empty one may be there.
        audit: what was found.
        about: see `html`; in report.json under "about".
        fixed: a repaired network, written as fixed.nir, or as fixed.safetensors where NIR has no
            node for what the repair put in.
    """
    place = out.absolute()
    made = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{out.name}.", suffix=".part"))
    try:
        told = [*about, *([] if fixed is None else [("Repaired network", _write(fixed, made))])]
        texts = {
            "report.html": html(audit, told),
            "report.json": _json({**audit.to_json(), "about": dict(told)}),
            "card.json": _json(audit.card),
        }
        for name, text in texts.items():
            (made / name).write_text(text, encoding="utf-8")
        names = sorted(path.name for path in made.iterdir())
        made.chmod(0o755)
        os.replace(made, place)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return names


def _write(net: nn.Module, folder: Path) -> str:
    """Writes a network, and gives in words how it is read again."""
    try:
        how = exchange.write_nir(net, folder / "fixed.nir")
        return f"fixed.nir, to be read with --dt {how['dt']:g} --reset {how['reset']}" + (
            "" if how["update"] == "nir" else f" --update {how['update']}"
        )
    except ValueError as error:
        from safetensors.torch import save_file

        state = {name: values.contiguous().clone() for name, values in net.state_dict().items()}
        save_file(state, folder / "fixed.safetensors")
        return (
            f"fixed.safetensors, since as NIR it cannot be written ({error}); it is loaded by "
            "sb.exchange.load_weights into the network that it was repaired from"
        )


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, allow_nan=False) + "\n"
