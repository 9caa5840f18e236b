"""Checkpoints of a training run, written after each epoch; another run's is left alone."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnbd_core.files import write_atomically
from snnbd_core.learning.history import History
from snnbd_core.neurons import spiking_layers

__all__ = ["FORMAT", "Checkpoint", "network_identity"]

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A file that holds a run's weights, optimiser state and history after its last full epoch.

    Attributes:
        path: the file; its folder must exist. Where another run's checkpoint lies there, this run's
            is the file `own` beside it.
        run: what identifies the run (settings, data, network): name -> JSON-able value.
    """

    path: Path
    run: dict[str, Any]

    def save(self, net: nn.Module, optimizer: torch.optim.Optimizer, history: History) -> None:
        """Replaces the file in one step: whenever the process dies, a whole checkpoint remains."""
        state = {
            "format": FORMAT,
            "run": self.run,
            "net": net.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history.to_dict(),
        }
        write_atomically(self.path, lambda file: torch.save(state, file))

    def restore(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> History:
        """Loads weights and optimiser state; the history so far, empty if there is no file yet."""
        if not self.path.exists():
            return History()
        state = self._read()
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        return History.from_dict(state["history"])

    def own(self) -> Checkpoint:
        """This checkpoint, at a path where no other run's lies, of which a warning tells."""
        other = self._read()["run"] if self.path.exists() else self.run
        differs = [name for name, value in self.run.items() if other.get(name) != value]
        if not differs:
            return self
        digest = hashlib.sha256(repr(sorted(self.run.items())).encode()).hexdigest()[:12]
        path = self.path.with_name(f"{self.path.stem}-{digest}{self.path.suffix}")
        name = differs[0]
        warnings.warn(
            f"checkpoint={str(self.path)!r} belongs to another run: its {name} is "
            f"{other.get(name)!r}, this run's is {self.run[name]!r}. It is left alone; this run's "
            f"checkpoint is {path.name}",
            stacklevel=4,
        )
        return Checkpoint(path, self.run)

    def _read(self) -> dict[str, Any]:
        """What the file holds; ValueError unless it is a whole checkpoint."""
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, pickle.PickleError, EOFError, KeyError, ValueError) as error:
            raise ValueError(
                f"checkpoint={str(self.path)!r} cannot be read, the file is damaged or not a "
                f"checkpoint ({type(error).__name__}); remove it to start afresh"
            ) from error
        expected = {"format", "run", "net", "optimizer", "history"}
        if not isinstance(state, dict) or set(state) != expected or state["format"] != FORMAT:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is not a checkpoint of format {FORMAT} of a "
                "training run; remove it to start afresh"
            )
        return state


def network_identity(net: nn.Module) -> str:
    """A hash of structure, weights' shapes and neuron settings, not of the weights themselves."""
    parts = [(name, type(part).__name__) for name, part in net.named_modules()]
    digest = hashlib.sha256(repr(parts).encode())
    digest.update(repr([(name, tuple(p.shape)) for name, p in net.state_dict().items()]).encode())
    for layer in spiking_layers(net):
        digest.update(repr(layer.rule).encode())
        for _, value in layer.named_buffers():
            digest.update(repr(tuple(value.shape)).encode())
            digest.update(value.detach().cpu().double().numpy().tobytes())
    return digest.hexdigest()[:16]
