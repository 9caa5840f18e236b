"""The command line: ``snnbd COMMAND``. Holds no logic, only arguments."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from snnbd_book.audit import AuditCommand, audit
from snnbd_book.chapters import command as judging
from snnbd_book.leaderboard.command import app as leaderboard
from snnbd_book.runs import command

app = typer.Typer(
    name="snnbd",
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# The builder is imported inside its commands: it needs the `book` extra, which a reader's
# environment does not have, and the other commands must work there.

Folder = Annotated[Path, typer.Option(help="The folder that holds _config.yml.", file_okay=False)]


@app.command()
def book(
    profile: Annotated[str, typer.Option(help="quick, sample or paper.")] = "quick",
    seed: Annotated[int, typer.Option(help="Seed of every chapter.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    only: Annotated[str | None, typer.Option(help="One chapter: 02, or its whole name.")] = None,
    folder: Folder = Path(),
) -> None:
    """Execute the chapters that changed and build the HTML."""
    from snnbd_book.build import Book, BookError, Parameters, build

    try:
        page = build(
            Book(folder.resolve()), Parameters(profile, seed, device), only=only, console=Console()
        )
    except (BookError, ValueError, ConnectionError) as error:
        raise _failure(error) from error
    typer.echo(f"The book is ready. Open {page.as_uri()}")


@app.command("check")
def check_pages(folder: Folder = Path()) -> None:
    """Test the findings, and look at the built HTML: pages, pictures, links, failed cells."""
    from snnbd_book.build import Book, BookError, check, findings

    try:
        the_book = Book(folder.resolve())
        problems = check(the_book) + findings.told(the_book).problems
    except BookError as error:
        raise _failure(error) from error
    if problems:
        raise _failure("\n".join(problems))
    typer.echo(f"The book is whole: {len(the_book.pages)} pages.")


@app.command()
def pair(
    check: Annotated[bool, typer.Option("--check", help="Change nothing, only compare.")] = False,
    folder: Folder = Path(),
) -> None:
    """Write each chapter's .ipynb from its .md, without outputs."""
    from snnbd_book.build import Book, BookError, check_pairs, write_pairs

    try:
        the_book = Book(folder.resolve())
        written = [] if check else write_pairs(the_book)
        problems = check_pairs(the_book)
    except BookError as error:
        raise _failure(error) from error
    for path in written:
        typer.echo(f"wrote {path.relative_to(the_book.root)}")
    if problems:
        raise _failure("\n".join(problems))
    typer.echo("Every chapter and its notebook agree.")


app.command("audit", cls=AuditCommand)(audit)
app.command("claims")(judging.cli)
app.command("run")(command.run)
app.command("evaluate")(command.evaluate_saved)
app.command("carry")(command.carry)
app.add_typer(leaderboard, name="leaderboard")


def _later(name: str, module: str, function: str, summary: str) -> None:
    """Adds a command whose module is imported when it is called.

    These need Dask, which takes a second to import and is not part of a reader's environment.
    """

    def call(context: typer.Context) -> None:
        try:
            command = getattr(importlib.import_module(module), function)
        except ModuleNotFoundError as error:
            raise _failure(f"{error}; this needs: pip install -e '.[sweep]'") from error
        inner = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        inner.command()(command)
        inner(args=context.args, prog_name=f"snnbd {name}")

    app.command(
        name,
        help=summary,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(call)


_VERIFY = "snnbd_book.verify"
_later("sweep", "snnbd_book.sweeps", "cli", "Run a grid of experiments side by side.")
_later("verify", _VERIFY, "verify", "Run a sample of the committed records again and compare.")
_later("stale", _VERIFY, "stale", "List records that other code made, and what running costs.")
_later("reproduce", _VERIFY, "reproduce", "Run every run of the book again on this machine.")


@app.command(
    "gpu-check",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def gpu_check(context: typer.Context, folder: Folder = Path()) -> None:
    """Look a GPU over in six minutes: kernels, speed, memory, a training; `--help` says more."""
    command = [sys.executable, "-m", "benchmarks.gpu_check", *context.args]
    raise typer.Exit(subprocess.run(command, cwd=folder, check=False).returncode)


def _failure(reason: object) -> typer.Exit:
    typer.secho(str(reason), err=True, fg=typer.colors.RED)
    return typer.Exit(1)


if __name__ == "__main__":
    app()
