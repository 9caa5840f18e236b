"""What an audit says of two networks that others trained and published, clean as far as is known.

    python -m benchmarks.audit_received N-MNIST NETWORK DATA [--minutes 20] [--out FILE]
    python -m benchmarks.audit_received "DVS Gesture" NETWORK DATA

NETWORK is the file as it was published, DATA a folder as `sb.data.load` takes it for its `root`.
Each network is audited as its authors ran it; its accuracy is measured under other resets too.
What is found is added to one file. Whatever accuses a network here is a false alarm.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer
from torch import Tensor, nn

import snnbd_core as sb
from benchmarks.measure import commit, machine
from snnbd_book.audit.network import sha256
from snnbd_book.audit.sets import Cut, Named, Recordings
from snnbd_book.runs.locking import locked
from snnbd_core.auditing import budget
from snnbd_core.data import FrameDataset, SampleSet
from snnbd_core.data.events import Events
from snnbd_core.files import write_atomically
from snnbd_core.metrics import Rate

OUT = Path(__file__).parent / "results" / "audit_received.json"


class Gestures(nn.Module):
    """NeuroBench's network for DVS128 Gesture at 32 x 32, called step by step.

    Decays and thresholds are in the file of its weights, and so is the reset, by subtraction.
    """

    def __init__(self, reset: str) -> None:
        super().__init__()
        import snntorch

        how = {"init_hidden": True, "learn_beta": True, "learn_threshold": True}

        def neuron() -> nn.Module:
            leaky: nn.Module = snntorch.Leaky(0.9, 1.0, reset_mechanism=reset, **how)
            return leaky

        self.conv1 = nn.Conv2d(2, 16, 5, padding="same")
        self.conv2 = nn.Conv2d(16, 32, 5, padding="same")
        self.conv3 = nn.Conv2d(32, 64, 5, padding="same")
        self.pool, self.linear1 = nn.MaxPool2d(2), nn.Linear(1024, 11)
        self.lif1, self.lif2, self.lif3, self.lif4 = (neuron() for _ in range(4))

    def forward(self, frame: Tensor) -> Tensor:
        """Spikes [B, 11] of one frame [B, 2, 32, 32]."""
        x = self.lif1(self.pool(self.conv1(frame)))
        x = self.lif2(self.pool(self.conv2(x)))
        x = self.lif3(self.pool(self.conv3(x)))
        spikes: Tensor = self.lif4(self.linear1(x.flatten(1)))
        return spikes


class Coarse(Named):
    """Recordings of a sensor of 128 x 128 pixels, four by four pixels in one."""

    def __init__(self, data: FrameDataset) -> None:
        super().__init__(data)
        self.sensor_size = (32, 32, 2)

    def read(self, index: int) -> Events:
        events = super().read(index).copy()
        for axis in ("x", "y"):
            events[axis] //= 4
        return events


@dataclass(frozen=True)
class Published:
    """A network that others published.

    Attributes:
        source, licence: of its file.
        data: name of its set, for `sb.data.load`.
        cut: its frames.
        view: what the network sees of a recording.
        read: (file, reset) -> the network.
        resets: that are tried; the first is its authors'.
    """

    source: str
    licence: str
    data: str
    cut: Cut
    view: type[Named]
    read: Callable[[Path, str], nn.Module]
    resets: tuple[str, ...]

    def samples(self, root: Path, train: bool = False, cut: Cut | None = None) -> SampleSet:
        """The test recordings in a folder, or those for training; cut otherwise if asked for."""
        part = cast(FrameDataset, sb.data.load(self.data, root=root, frames=1)[0 if train else 1])
        received = Recordings(self.view(part), cut or self.cut, self.data)
        received.label(part.labels, part.class_names)
        return sb.data.as_set(received)


def _digits(path: Path, reset: str) -> nn.Module:
    return sb.exchange.read_nir(path, dt=1, reset=reset).eval()


def _gestures(path: Path, reset: str) -> nn.Module:
    net = sb.exchange.load_weights(Gestures(reset), path).eval()
    for neuron in (net.lif1, net.lif2, net.lif3, net.lif4):
        cast(Any, neuron).reset_mechanism = reset  # which the file has overwritten
    return sb.adapt(net, layout="step", input_shape=(2, 32, 32), classes=11)


NETWORKS = {
    "N-MNIST": Published(
        "repository of the paper on NIR, converted by sinabs",
        "BSD 3-Clause",
        "nmnist",
        Cut(300, 1_000),
        Named,
        _digits,
        ("multispike", "zero", "subtract"),
    ),
    "DVS Gesture": Published(
        "NeuroBench, trained in snnTorch",
        "Apache 2.0",
        "dvs-gesture",
        Cut(145, 10_000),
        Coarse,
        _gestures,
        ("subtract", "zero"),
    ),
}


def main(
    name: Annotated[str, typer.Argument(help="N-MNIST or DVS Gesture.")],
    network: Annotated[Path, typer.Argument(help="The file as it was published.")],
    data: Annotated[Path, typer.Argument(help="A root for sb.data.load.")],
    minutes: Annotated[float, typer.Option(help="Time budget of the audit.")] = 20.0,
    out: Annotated[Path, typer.Option(help="Where results are added.")] = OUT,
) -> None:
    """Audit a network that others published."""
    torch.set_num_threads(1)
    budget.clock = time.process_time  # whatever else runs beside it
    one = NETWORKS[name]
    found = audited(one, network, data, minutes, one.resets)
    add(out, name, found)
    typer.echo(found["audit"]["summary"])


def audited(
    one: Published, network: Path, root: Path, minutes: float, resets: Sequence[str]
) -> dict[str, Any]:
    """What is found of a network, and where it is from; resets are those of the accuracies."""
    code, samples = commit(), one.samples(root)
    accuracy = {reset: _accuracy(one.read(network, reset), samples) for reset in resets}
    begun = time.process_time()
    net = one.read(network, one.resets[0])
    found = sb.audit(net, samples, minutes=minutes, device="cpu", progress=_tell)
    return {
        "source": one.source,
        "licence": one.licence,
        "sha256": sha256(network),
        "samples": f"{len(samples)} test recordings of {one.data}, {one.cut}",
        "accuracy": accuracy,
        "audit": found.to_json(),
        "audit_seconds": round(time.process_time() - begun, 1),
        "commit": code,
        "machine": machine(1),
    }


def _tell(what: str, share: float) -> None:
    typer.echo(f"{share:4.0%} {what}", err=True)


@torch.no_grad()
def _accuracy(net: nn.Module, samples: SampleSet) -> dict[str, Any]:
    right = []
    for first in range(0, len(samples), 20):
        x, labels = samples.batch(range(first, min(first + 20, len(samples))))
        right.append(sb.metrics.decide(net(x.transpose(0, 1))) == labels)
    rate = Rate.of(torch.cat(right).numpy())
    low, high = rate.confidence_interval
    return {"hits": rate.hits, "of": rate.total, "low": round(low, 3), "high": round(high, 3)}


def add(out: Path, name: str, found: Mapping[str, Any], **about: Any) -> None:
    """One network more in the file, and what is said of all; several processes may add to it."""
    with locked(out.with_suffix(".lock")):
        done = json.loads(out.read_text()) if out.is_file() else {"networks": {}}
        done["networks"][name] = dict(found)
        done |= about
        text = json.dumps(done, indent=1) + "\n"
        write_atomically(out, lambda file: file.write(text.encode()))


if __name__ == "__main__":
    typer.run(main)
