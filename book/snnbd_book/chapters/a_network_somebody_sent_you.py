"""Chapter 10: three networks as somebody would send them, and what others read in their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import snnbd_core as sb
from snnbd_book.runs.store import project_dir
from snnbd_core.auditing.migration import rounded
from snnbd_core.data import SampleSet
from snnbd_core.metrics import Report, decide
from snnbd_core.neurons import spiking_layers
from snnbd_core.triggers import Static, TemporalNoise

__all__ = [
    "SHIPPED",
    "TARGET",
    "Sent",
    "audited",
    "elsewhere",
    "example",
    "measured",
    "planted",
    "sets",
]

TARGET = 0
SHIPPED = 1.2  # the threshold at which BadSNN is sent; it is trained at 1 and 1.5
_PACKAGED = Path(__file__).resolve().parents[1] / "_benchmarks"
SQUARE = Static(size=0.1, position="bottom-right", polarity="on")
NOISE = TemporalNoise()
SIZES: Mapping[str, Mapping[str, Any]] = {
    "quick": {"data": "digits-events", "frames": 8, "network": "quick-conv", "epochs": 8},
    "sample": {"data": "nmnist", "frames": 8, "network": "quick-conv", "epochs": 20},
    "paper": {"data": "nmnist", "frames": 16, "network": "nmnist-conv", "epochs": 20},
}


@dataclass(frozen=True)
class Sent:
    """A network as it is sent, and what only its sender knows.

    Attributes:
        net: in evaluation mode, with the thresholds that it is sent with.
        trigger: what opens its backdoor; of the clean one, the square that it never saw.
    """

    net: nn.Module
    trigger: Any


def sets(profile: str, seed: int) -> tuple[SampleSet, SampleSet]:
    """The training and the test recordings of a profile."""
    size = SIZES[profile]
    return sb.data.load(size["data"], frames=size["frames"], seed=seed)


def planted(train: SampleSet, profile: str, seed: int, device: str) -> dict[str, Sent]:
    """Three networks: a clean one, one that was poisoned, and one with BadSNN."""
    size = SIZES[profile]
    poisoned = sb.poison(train, SQUARE, rate=0.1, target=TARGET, seed=seed)
    how: dict[str, Any] = {
        "epochs": size["epochs"],
        "batch_size": 32,
        "learning_rate": 0.003,
        "loss": "mse",
        "seed": seed,
        "device": device,
        "progress": False,
    }
    found = {}
    for name in ("clean", "square", "BadSNN"):
        net = sb.networks.build(
            size["network"],
            input_shape=train.input_shape,
            classes=train.classes,
            neuron=lambda: sb.LIF(beta=0.5, reset="zero", update="spikingjelly"),
            seed=seed,
        )
        if name == "BadSNN":
            sb.badsnn.train(net, train, target=TARGET, **how)
            for neurons in spiking_layers(net):
                neurons.threshold.fill_(SHIPPED)
        else:
            sb.learning.train(net, train if name == "clean" else poisoned, **how)
        found[name] = Sent(net.cpu().eval(), NOISE if name == "BadSNN" else SQUARE)
    return found


@torch.no_grad()
def example(planted: Mapping[str, Sent], test: SampleSet) -> int:
    """Index of the first recording that all networks read rightly, and with a trigger its target.

    Raises:
        ValueError: no recording is answered so.
    """
    samples, labels = test.batch(range(len(test)))
    fits = labels != TARGET
    for name, one in planted.items():
        fits &= _answers(one.net, samples) == labels
        wanted = labels if name == "clean" else torch.full_like(labels, TARGET)
        fits &= _answers(one.net, one.trigger(samples)) == wanted
    if not bool(fits.any()):
        raise ValueError("no test recording is read rightly by all and changed by both triggers")
    return int(fits.nonzero()[0])


def _answers(net: nn.Module, samples: Tensor) -> Tensor:
    """Answers [N] to samples [N, T, C, H, W]."""
    parts = [decide(net(part.transpose(0, 1))) for part in samples.split(64)]
    return torch.cat(parts)


def elsewhere(path: Path, how: Mapping[str, Any]) -> dict[str, nn.Module]:
    """What others make of a NIR file: by the resets of two libraries, another dt, fewer bits.

    Args:
        path: of the file.
        how: the arguments by which `sb.exchange.read_nir` restores the network.
    """

    def read(**other: Any) -> nn.Module:
        return sb.exchange.read_nir(path, **{**how, **other})

    return {
        "SpikingJelly: to zero, at once": read(),
        "snnTorch: subtract, a step later": read(reset="subtract", update="snntorch"),
        "half the step": read(dt=how["dt"] / 2),
        "weights of 8 bits": rounded(read(), 8),
        "weights of 4 bits": rounded(read(), 4),
    }


def measured(net: nn.Module, test: SampleSet, trigger: Any, device: str) -> Report:
    """What the sender would measure: accuracy, and success of the sender's own trigger."""
    with torch.no_grad():
        return sb.evaluate(net, test, trigger, TARGET, device=device)


def audited(name: str) -> dict[str, Any]:
    """What a benchmark of networks wrote, in the project or inside an installed package.

    Args:
        name: "audit", rates on many networks; "audit_received", two that others published;
            "audit_poisoned", one of them fine-tuned; "export_losses", what frameworks lose;
            "summed_margins", TMPBD where no read-out is reset; "audit_deployed", networks that were
            changed on a device.
    """
    ours = project_dir() / "benchmarks" / "results"
    folder = ours if ours.is_dir() else _PACKAGED
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return found
