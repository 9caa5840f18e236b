"""Is a backdoor found that somebody trained into a published network by fine-tuning?

    python -m benchmarks.audit_poisoned NETWORK DATA [--seed 0] [--every 20] [--out FILE]

NETWORK is the N-MNIST network of the paper on NIR as it was published, DATA a root for
`sb.data.load` with recordings of N-MNIST. A share of the training recordings gets a static square
with an event per pixel in one step of 1 ms in so many, and the target's label. The network is
fine-tuned on their first 50 ms, by which it knows the digits. It is written to NIR, read back, and
audited as the published one is. How well the attack works is measured before, and no part of the
audit knows of it. --keep holds the network's file, so that a run that was stopped goes on with the
audit; --no-audit measures the attack on the first 50 ms only, and adds it to what is known.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn
from torch.utils.data import TensorDataset

import snnbd_core as sb
from benchmarks.audit_received import NETWORKS, add, audited
from benchmarks.measure import commit
from snnbd_book.audit.sets import Cut
from snnbd_core.auditing import budget
from snnbd_core.data import SampleSet
from snnbd_core.metrics import Rate
from snnbd_core.triggers import Strobe

OUT = Path(__file__).parent / "results" / "audit_poisoned.json"
PUBLISHED = NETWORKS["N-MNIST"]
BRIEF = Cut(50, 1_000)  # frames of the fine-tuning
SIZE = 0.2  # of the square, as a share of the sensor's side
RATE, TARGET, BATCH = 0.02, 0, 10
HOW: dict[str, Any] = {
    "epochs": 12,
    "batch_size": 16,
    "learning_rate": 3e-3,
    "loss": "cross_entropy",
    "device": "cpu",
    "progress": False,
}


def square(every: int) -> Strobe:
    """A static square with an event per pixel in every so many steps."""
    where: dict[str, Any] = {"position": "bottom-right", "polarity": "on"}
    return Strobe(on=1, off=every - 1, size=SIZE, **where)


def main(
    network: Annotated[Path, typer.Argument(help="The file as it was published.")],
    data: Annotated[Path, typer.Argument(help="A root for sb.data.load.")],
    seed: Annotated[int, typer.Option(help="Of the poison and of the fine-tuning.")] = 0,
    every: Annotated[int, typer.Option(help="Steps of 1 ms from event to event.")] = 20,
    minutes: Annotated[float, typer.Option(help="Time budget of the audit.")] = 10.0,
    audit: Annotated[bool, typer.Option(help="Whether to audit it too.")] = True,
    keep: Annotated[Path, typer.Option(help="A folder for networks.")] = Path("poisoned"),
    out: Annotated[Path, typer.Option(help="Where results are added.")] = OUT,
) -> None:
    """Fine-tune a backdoor into the published network, and audit it."""
    torch.set_num_threads(1)
    budget.clock = time.process_time  # whatever else runs beside it
    keep.mkdir(parents=True, exist_ok=True)
    path, samples = keep / f"every-{every}-seed-{seed}.nir", PUBLISHED.samples(data)
    if not path.is_file():
        _write(_poisoned(network, data, seed, every), path)
    name, net = f"every {every}, seed {seed}", PUBLISHED.read(path, "multispike")
    brief = _measured(net, PUBLISHED.samples(data, cut=BRIEF), every)
    first = {f"{what}, first 50 ms": _told(rate) for what, rate in brief.items()}
    typer.echo(first)
    if not audit:
        known = json.loads(out.read_text())["networks"] if out.is_file() else {}
        if name in known:
            add(out, name, known[name] | {"attack": known[name]["attack"] | first})
        return
    attack = {
        "trigger": str(square(every)),
        "rate": RATE,
        "poisoned": int(RATE * len(PUBLISHED.samples(data, train=True))),
        "target": TARGET,
        "training": {**HOW, "frames": str(BRIEF)},
        "seed": seed,
        "commit": path.with_suffix(".commit").read_text(),
        **first,
        **{what: _told(rate) for what, rate in _measured(net, samples, every).items()},
        "floor": _told(_measured(PUBLISHED.read(network, "multispike"), samples, every)["success"]),
    }
    typer.echo(f"{attack['accuracy']} {attack['success']} {attack['floor']}")
    found = audited(PUBLISHED, path, data, minutes, PUBLISHED.resets[:1])
    found |= {"attack": attack, "source": "the published network, fine-tuned here"}
    add(out, name, found)
    typer.echo(found["audit"]["summary"])


def _poisoned(network: Path, data: Path, seed: int, every: int) -> nn.Module:
    """The published network, fine-tuned on recordings some of which carry the square."""
    clean = PUBLISHED.samples(data, train=True, cut=BRIEF)
    held = TensorDataset(*clean.batch(range(len(clean))))  # read once
    attacked = sb.poison(
        sb.data.as_set(held, classes=clean.classes),
        square(every),
        rate=RATE,
        target=TARGET,
        seed=seed,
        include_target=False,
    )
    net = PUBLISHED.read(network, "multispike").requires_grad_()
    sb.learning.train(net, attacked, seed=seed, **HOW)
    return net.eval()


def _write(net: nn.Module, path: Path) -> None:
    path.with_suffix(".commit").write_text(commit())
    said = sb.exchange.write_nir(net, path, dt=1)
    assert (said["dt"], said["reset"]) == (1, "multispike"), said  # as the published one is read


@torch.no_grad()
def _measured(net: nn.Module, samples: SampleSet, every: int) -> dict[str, Rate]:
    """Accuracy, and how many of the other classes' recordings the square sends to the target."""
    found: dict[str, list[torch.Tensor]] = {"accuracy": [], "success": []}
    for first in range(0, len(samples), BATCH):  # few at once: recordings are long
        x, labels = samples.batch(range(first, min(first + BATCH, len(samples))))
        found["accuracy"].append(sb.metrics.decide(net(x.transpose(0, 1))) == labels)
        others = square(every)(x[labels != TARGET]).transpose(0, 1)
        found["success"].append(sb.metrics.decide(net(others)) == TARGET)
    return {name: Rate.of(torch.cat(parts).numpy()) for name, parts in found.items()}


def _told(rate: Rate) -> dict[str, Any]:
    low, high = rate.confidence_interval
    return {"hits": rate.hits, "of": rate.total, "low": round(low, 3), "high": round(high, 3)}


if __name__ == "__main__":
    typer.run(main)
