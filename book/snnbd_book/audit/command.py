"""``snnbd audit``: exit status 0 nothing found, 1 suspicious, 2 could not judge, 3 error."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from typer.core import TyperCommand

from snnbd_book.audit.html import JUDGING, WORDS
from snnbd_book.audit.network import Reading, read_network, sha256
from snnbd_book.audit.samples import Labels, read_samples
from snnbd_book.audit.sets import Cut
from snnbd_book.audit.writing import check_place, write_report
from snnbd_core import __version__, auditing, checks
from snnbd_core.auditing import Audit
from snnbd_core.auditing.case import drawn
from snnbd_core.data import IMAGES, SampleSet
from snnbd_core.defenses import REPAIRS
from snnbd_core.learning import choose_device
from snnbd_core.view import NotVisible

__all__ = ["AuditCommand", "audit"]

STATUSES = {"clear": 0, "suspicious": 1, "unjudged": 2}
ERROR = 3
LARGEST_CARD = 2**20  # bytes


class AuditCommand(TyperCommand):
    """Wrong options end with the status of an error, where other commands say 2."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """As any command's, with errors of usage at status 3."""
        try:
            return super().make_context(*args, **kwargs)
        except Exception as error:
            if getattr(error, "exit_code", 0):
                error.exit_code = ERROR  # type: ignore[attr-defined]  # of click's errors
            raise


def audit(
    network: Annotated[
        Path,
        typer.Argument(help="A NIR file; or weights (safetensors, torch.save, a zoo's folder)."),
    ],
    *,
    data: Annotated[
        str, typer.Option(help="Clean samples: a folder, a .zip, or a name of sb.data.load.")
    ],
    per_class: Annotated[
        int, typer.Option("--clean-per-class", min=1, help="Clean samples of each class.")
    ] = 10,
    card: Annotated[
        Path | None, typer.Option(help="The card.json that its publisher gives.")
    ] = None,
    reset: Annotated[
        str | None, typer.Option(help="Of a NIR file: zero, subtract or multispike.")
    ] = None,
    dt: Annotated[float | None, typer.Option(help="Of a NIR file: a step, in its unit.")] = None,
    update: Annotated[
        str | None, typer.Option(help="Of a NIR file: nir [default], snntorch or spikingjelly.")
    ] = None,
    factory: Annotated[
        str | None, typer.Option(help="module:function that builds the network of weights.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Name of the state dict in a file by torch.save.")
    ] = None,
    clean_network: Annotated[
        list[Path] | None,
        typer.Option(help="A network known to be clean, read likewise; may be repeated."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of a recording [default: 16].")
    ] = None,
    bin_ms: Annotated[
        float | None, typer.Option(help="Length of a frame; else equally many events in each.")
    ] = None,
    sensor: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT of recordings [default: the network's input].")
    ] = None,
    first_label: Annotated[
        int | None, typer.Option(min=0, max=1, help="The label of the first output: 0 or 1.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="Time budget.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    repair: Annotated[
        str | None, typer.Option(help="Write a repaired copy too; a name of sb.defenses.REPAIRS.")
    ] = None,
    out: Annotated[Path, typer.Option(help="A folder that is not there yet.")] = Path("report"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Look a network over that somebody sent, for backdoors.

    Writes report.html, report.json and card.json. Nothing in the received file is executed.
    Exit status: 0 nothing found, 1 suspicious, 2 could not judge, 3 error.

    snnbd audit net.nir --dt 1 --reset multispike --data clean/ --bin-ms 1 --frames 300
    """
    with told(Console(stderr=True)) as console:
        if repair is not None:
            checks.choice("--repair", repair, REPAIRS)
        choose_device(device)
        check_place(out)
        how = Reading(factory, key, dt, reset, update)
        net = read_network(network, how)
        cut = Cut(frames, _microseconds(bin_ms))
        clean = read_samples(data, net, cut, Labels(_pixels(sensor), first_label))
        about = [
            *_about(network, how, card, clean_network or ()),
            *_samples(data, clean, per_class, None if data in IMAGES else cut),
            ("Seed, time budget", f"{seed}, {minutes:g} minutes"),
            ("Program", f"snnbd {__version__}"),
        ]
        given = None if card is None else _read_card(card)
        references = [read_network(path, how) for path in clean_network or ()]
        with _progress(console) as told_of:
            found = auditing.audit(
                net,
                clean,
                card=given,
                clean_networks=references,
                minutes=minutes,
                repair=repair,
                progress=told_of,
                per_class=per_class,
                seed=seed,
                device=device,
            )
        fixed = None
        if repair is not None:
            used = drawn(clean, per_class, clean.classes, seed)
            fixed = auditing.repaired(net, used, repair, seed=seed, device=device)
        names = write_report(out, found, about, fixed)
    _tell(found, out, names)
    raise typer.Exit(STATUSES[found.status])


@contextmanager
def told(console: Console) -> Iterator[Console]:
    """Whatever goes wrong ends the command with status 3, and nothing half-written."""
    try:
        yield console
    except KeyboardInterrupt as error:
        typer.secho("Interrupted: no report was written.", err=True, fg=typer.colors.RED)
        raise typer.Exit(ERROR) from error
    except ModuleNotFoundError as error:
        typer.secho(f"{error}; this needs: pip install -e '.[exchange]'", err=True)
        raise typer.Exit(ERROR) from error
    except (ValueError, OSError, NotVisible, FloatingPointError) as error:
        typer.secho(_line(error), err=True, fg=typer.colors.RED)
        raise typer.Exit(ERROR) from error
    except Exception as error:  # status 1 would say "suspicious"
        typer.secho(_printable(traceback.format_exc()), err=True)
        typer.secho("This is a fault of the program; no report was written.", err=True)
        raise typer.Exit(ERROR) from error


@contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """A bar on a terminal; gives what takes (what is done now, share of all)."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("reading", total=1.0)
        yield lambda what, share: bar.update(task, description=_line(what), completed=share)


def _tell(found: Audit, out: Path, names: Sequence[str]) -> None:
    """The verdict in a few lines."""
    typer.secho(_line(found.summary), bold=True)
    for part in found.parts:
        status = WORDS[part.status] if part.name in JUDGING else ""
        typer.echo(f"  {_line(part.title)}{': ' if status else ''}{status}")
    typer.echo(f"{out}: {', '.join(names)}")


def _about(
    network: Path, how: Reading, card: Path | None, references: Sequence[Path]
) -> list[tuple[str, str]]:
    """What was audited, and how its file was read."""
    if how.factory is None:
        read = f"NIR, dt {how.dt:g}, reset {how.reset}, update {how.update or 'nir'}"
    else:
        read = f"weights in the network of {how.factory}"
    return [
        ("Network", str(network)),
        ("sha256", sha256(network)),
        ("Read as", read),
        ("Card of its publisher", "none given" if card is None else str(card)),
        ("Clean reference networks", ", ".join(map(str, references)) or "none given"),
    ]


def _samples(
    where: str, clean: SampleSet, per_class: int, cut: Cut | None
) -> list[tuple[str, str]]:
    """On which samples."""
    many = f"{where}: {len(clean)} samples of {clean.classes} classes, {per_class} of each used"
    if cut is None or clean.kind != "frames" or "events" not in clean.spaces:
        return [("Clean samples", many)]
    steps = len(clean[0][0])
    return [("Clean samples", many), ("Recordings cut to", str(Cut(steps, cut.window)))]


def _read_card(path: Path) -> Mapping[str, Any]:
    """A card as an audit writes it."""
    if not path.is_file():
        raise ValueError(f"--card {path}: there is no such file")
    if path.stat().st_size > LARGEST_CARD:
        raise ValueError(f"--card {path} holds more than {LARGEST_CARD:,} bytes: it is no card")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"--card {path} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"--card {path} holds a {type(values).__name__}: needed is a card.json")
    return values


def _microseconds(bin_ms: float | None) -> int | None:
    if bin_ms is None:
        return None
    milliseconds = checks.number("--bin-ms", bin_ms, lambda ms: ms >= 0.001, ">= 0.001")
    return round(1000 * milliseconds)


def _pixels(sensor: str | None) -> tuple[int, int] | None:
    if sensor is None:
        return None
    width, _, height = sensor.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"--sensor {sensor!r} must be WIDTHxHEIGHT in pixels, as in 34x34")
    return int(width), int(height)


def _line(text: object) -> str:
    """A text as one line of a terminal, which a received name could otherwise steer."""
    return _printable(" ".join(str(text).split()))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
