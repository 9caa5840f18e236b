"""Checkpoints of a training, written after each epoch; another run's is left alone."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from snnbd_core.files import write_atomically
from snnbd_core.learning.history import History
from snnbd_core.neurons import spiking_layers
from snnbd_core.view.libraries import adapter_of

__all__ = ["FORMAT", "Checkpoint", "Stateful", "loss_identity", "network_identity"]

FORMAT = 1


class Stateful(Protocol):
    """What a training changes besides weights, such as an optimiser; its state is plain."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: Any) -> Any: ...


@dataclass
class Checkpoint:
    """A file that holds all that a training has come to after its last full epoch.

    Attributes:
        path: the file; None saves nothing.
        run: what identifies the run (settings, data, network): name -> JSON-able value.
        seconds: least time between two saves.
        beside: what is saved besides that which `save` is given.
    """

    path: Path | None = None
    run: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    beside: Mapping[str, Stateful] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter, init=False)

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str] | None,
        net: nn.Module,
        dataset: Any,
        settings: Mapping[str, Any],
        seconds: float = 0.0,
        **beside: Stateful,
    ) -> Checkpoint:
        """The checkpoint of a training with these settings, which identify it beside net and data.

        Where another run's lies at the path, this run's is a file beside it, and a warning says so.

        Raises:
            ValueError: no such folder, a loss that cannot be told from others, a damaged file.
        """
        if path is None:
            return cls()
        if not Path(path).parent.is_dir():
            raise ValueError(f"checkpoint={str(path)!r}: its folder does not exist")
        loss = loss_identity(settings["loss"])
        if loss is None:
            raise ValueError(f"checkpoint={str(path)!r} needs a loss by name")
        run = {
            "network": network_identity(net),
            "data": getattr(dataset, "fingerprint", None),
            "samples": len(dataset),
            **settings,
            "loss": loss,
        }
        return cls(cls._own(Path(path), run), run, seconds, beside)

    def save(self, history: History, **parts: Stateful) -> None:
        """Replaces the file in one step, if it is time; a process that dies leaves a whole one."""
        if self.path is None or time.perf_counter() - self._last < self.seconds:
            return
        state: dict[str, Any] = {"format": FORMAT, "run": self.run, "history": history.to_dict()}
        state |= {name: part.state_dict() for name, part in {**parts, **self.beside}.items()}
        write_atomically(self.path, lambda file: torch.save(state, file))
        self._last = time.perf_counter()

    def restore(self, **parts: Stateful) -> History:
        """Loads what was saved into the parts; the history, empty if nothing was saved yet."""
        if self.path is None or not self.path.exists():
            return History()
        state = _read(self.path)
        for name, part in {**parts, **self.beside}.items():
            part.load_state_dict(state[name])
        return History.from_dict(state["history"])

    @staticmethod
    def _own(given: Path, run: dict[str, Any]) -> Path:
        """A path where no other run's checkpoint lies, of which a warning tells."""
        other = _read(given)["run"] if given.exists() else run
        differs = [name for name, value in run.items() if other.get(name) != value]
        if not differs:
            return given
        digest = hashlib.sha256(repr(sorted(run.items())).encode()).hexdigest()[:12]
        path = given.with_name(f"{given.stem}-{digest}{given.suffix}")
        name = differs[0]
        warnings.warn(
            f"checkpoint={str(given)!r} belongs to another run: its {name} is "
            f"{other.get(name)!r}, this run's is {run[name]!r}. It is left alone; this run's "
            f"checkpoint is {path.name}",
            stacklevel=4,
        )
        return path


def loss_identity(loss: Any) -> str | None:
    """What tells a loss from others in every process: its name, or a dataclass's settings."""
    if isinstance(loss, str):
        return loss
    return repr(loss) if is_dataclass(loss) else None


def _told(part: nn.Module) -> str:
    """What a module tells of its settings; nothing of neurons, who may tell what they learnt."""
    adapter = adapter_of(part)
    if adapter is not None and adapter.spikes:
        return ""
    return re.sub(r"0x[0-9a-f]+", "", part.extra_repr())  # an address is another in each process


def network_identity(net: nn.Module) -> str:
    """A hash of structure, weights' shapes and settings, and of what is frozen; not of weights."""
    parts = [(name, type(part).__name__, _told(part)) for name, part in net.named_modules()]
    digest = hashlib.sha256(repr(parts).encode())
    digest.update(repr([(name, p.requires_grad) for name, p in net.named_parameters()]).encode())
    digest.update(repr([(name, tuple(p.shape)) for name, p in net.state_dict().items()]).encode())
    for layer in spiking_layers(net):
        digest.update(repr(layer.rule).encode())
        for _, value in layer.named_buffers():
            digest.update(repr(tuple(value.shape)).encode())
            digest.update(value.detach().cpu().double().numpy().tobytes())
    return digest.hexdigest()[:16]


def _read(path: Path) -> dict[str, Any]:
    """What a file holds; ValueError unless it is a whole checkpoint."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.PickleError, EOFError, KeyError, ValueError) as error:
        raise ValueError(
            f"checkpoint={str(path)!r} cannot be read, the file is damaged or not a "
            f"checkpoint ({type(error).__name__}); remove it to start afresh"
        ) from error
    expected = {"format", "run", "net", "history"}
    if not isinstance(state, dict) or not expected <= set(state) or state["format"] != FORMAT:
        raise ValueError(
            f"checkpoint={str(path)!r} is not a checkpoint of format {FORMAT} of a "
            "training run; remove it to start afresh"
        )
    return state
