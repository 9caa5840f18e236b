"""``snnbd run``, ``snnbd evaluate`` and ``snnbd carry``."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
import yaml
from torch import nn

from snnbd_book.runs import execution, store, training, trigger_cache
from snnbd_book.runs.profiles import sizes
from snnbd_book.runs.record import intervals
from snnbd_book.runs.resolving import resolve
from snnbd_book.runs.settings import Experiment
from snnbd_book.runs.shelf import Shelf
from snnbd_core.learning import choose_device
from snnbd_core.metrics import Rate, Report, evaluate

_HEADLINE = {
    "clean_accuracy": "clean accuracy",
    "attack_success_rate": "attack success",
    "floor": "floor of a clean network",
    "untriggered_target_rate": "target without trigger",
    "robust_accuracy": "accuracy under the trigger",
}

Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A field of the experiment, as trigger.size=0.2; may be repeated."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


def run(
    file: Annotated[
        Path | None, typer.Argument(help="An experiment's fields, in JSON or YAML.")
    ] = None,
    changes: Settings = None,
    results: Annotated[Path | None, typer.Option(help="The folder for records.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what is done.")] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Run one experiment, unless its record is there; print its figures and the record's path.

    snnbd run --set 'trigger={kind: Static, size: 0.2}' --set rate=0.1
    """
    with told():
        experiment = _experiment(_read(file), changes or ())
        record = execution.run(
            experiment, fresh, results=results, device=device, progress=not as_json
        )
        path = Shelf.of(experiment, store.results_dir(results)).path
    if as_json:
        typer.echo(json.dumps(record.to_dict(), indent=1))
    else:
        typer.echo(f"{experiment.name}-{experiment.hash}\n{headline(record.report)}\n{path}")


def evaluate_saved(
    weights: Annotated[Path, typer.Argument(help="A network's state dict, by torch.save.")],
    *,
    trigger: Annotated[
        str | None, typer.Option(help="Static, or {kind: Static, size: 0.2}; default: none.")
    ] = None,
    target: Annotated[int, typer.Option(min=0, help="The attacker's class.")] = 0,
    data: Annotated[str | None, typer.Option(help="Name of the data set.")] = None,
    network: Annotated[str | None, typer.Option(help="Name of the network.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Time steps.")] = None,
    changes: Settings = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a saved network on a test set, without and with a trigger.

    snnbd evaluate net.pt --data nmnist --network nmnist-conv --frames 16 --trigger Static
    """
    named = {"data": data, "network": network, "frames": frames, "target": target}
    values = {name: value for name, value in named.items() if value is not None}
    with told():
        if trigger is not None:
            values["trigger"] = _yaml(trigger, "--trigger")
        given = resolve(_experiment(values, changes or ()))
        net = training.built(given)
        _load(net, weights)
        put = None if given.experiment.trigger is None else trigger_cache.fitted(given)
        report = evaluate(
            net,
            given.test,
            put,
            given.experiment.target,
            device=choose_device(device),
            steps=given.experiment.frames,
        )
    if as_json:
        typer.echo(json.dumps({**report.to_dict(), "intervals": intervals(report)}, indent=1))
    else:
        typer.echo(headline(report))


def carry(
    since: Annotated[str, typer.Option("--from", help="The commit that made the records.")],
    why: Annotated[str, typer.Option(help="What was done to the code, and how it was checked.")],
) -> None:
    """Say in committed records that they hold under today's code, which only moved."""
    with told():
        written = store.carry_over(since, why)
    typer.echo(f"{len(written)} records carried over")


def headline(report: Report) -> str:
    """The report's main rates, one a line, with their intervals and sample sizes."""
    lines = []
    for name, words in _HEADLINE.items():
        rate = getattr(report, name)
        if isinstance(rate, Rate):
            low, high = rate.confidence_interval
            interval = f"{100 * low:.1f} to {100 * high:.1f} %"
            lines.append(f"{words:27}{100 * rate.value:5.1f} %  ({interval}, n = {rate.total})")
    return "\n".join(lines)


@contextmanager
def told() -> Iterator[None]:
    """Errors in what a person wrote or has end the command with one line and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        typer.secho(" ".join(str(error).split()), err=True, fg=typer.colors.RED)
        raise typer.Exit(2) from error


def _experiment(values: dict[str, Any], changes: Sequence[str]) -> Experiment:
    """An experiment with a profile's sizes, the values, and changes such as "trigger.size=0.2"."""
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise ValueError(f"--set {change!r} must be FIELD=VALUE")
        inner = values
        *outer, last = name.split(".")
        for part in outer:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ValueError(f"--set {change!r}: {part}={inner!r} has no fields")
        inner[last] = _yaml(text, f"--set {name}")
    for name in ("trigger", "defence", "probe"):
        if isinstance(values.get(name), str):
            values[name] = {"kind": values[name]}
    return Experiment.from_dict({**sizes(values.get("profile", "quick")), **values})


def _read(file: Path | None) -> dict[str, Any]:
    """The fields in a file; none without one."""
    values = {} if file is None else _yaml(file.read_text(encoding="utf-8"), str(file))
    if not isinstance(values, dict):
        raise ValueError(f"{file} must be a mapping of an experiment's fields")
    return values


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: {text!r} is neither JSON nor YAML: {error}") from error


def _load(net: nn.Module, weights: Path) -> None:
    """Puts saved weights into a network.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that holds no state dict, or that of another network.
    """
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        net.load_state_dict(state)
    except (pickle.UnpicklingError, EOFError, TypeError, AttributeError) as error:
        raise ValueError(f"weights={str(weights)!r} is no state dict of torch.save") from error
    except RuntimeError as error:
        raise ValueError(f"weights={str(weights)!r} does not fit: {error}") from error
