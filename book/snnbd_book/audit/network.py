"""Reads the network that somebody sent: a NIR file, or weights and the function that takes them."""

from __future__ import annotations

import hashlib
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from snnbd_core import exchange
from snnbd_core.view import Adapted

__all__ = ["Reading", "read_network", "sha256"]

WEIGHTS = (".safetensors", ".pt", ".pth", ".pkl", ".ckpt")
COMMON = "sinabs counts steps, --dt 1; snnTorch and SpikingJelly write for --dt 1e-4"


@dataclass(frozen=True)
class Reading:
    """What a received file leaves open, and its sender or the user must say.

    Attributes:
        factory: "module:function", which gives the network that weights are loaded into; trusted.
        key: name of the state dict in a file by `torch.save` that holds other things too.
        dt, reset, update: of a NIR file, see `sb.exchange.read_nir`.
    """

    factory: str | None = None
    key: str | None = None
    dt: float | None = None
    reset: str | None = None
    update: str | None = None


def read_network(path: Path, how: Reading) -> nn.Module:
    """The network in a NIR file, or weights in the network of a factory; in evaluation mode.

    Nothing in the file is executed; the factory is the user's own.

    Raises:
        FileNotFoundError: no such file.
        CorruptNetwork: a damaged file, or one with a network that cannot be run.
        ValueError: what the file leaves open and is not given, what does not go with its kind, or
            a factory that is not there, fails, or gives no network.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no network {path}")
    weights = path.is_dir() or path.suffix.lower() in WEIGHTS
    net = _weights(path, how) if weights or how.factory is not None else _nir(path, how)
    return net.eval()


def sha256(path: Path) -> str:
    """Of a network's file; of the weights in a folder of a zoo."""
    with (path / "model.safetensors" if path.is_dir() else path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nir(path: Path, how: Reading) -> nn.Module:
    missing = [name for name in ("dt", "reset") if getattr(how, name) is None]
    if missing:
        options = " and ".join(f"--{name}" for name in missing)
        raise ValueError(
            f"{path}: a NIR file says neither how long a step is nor how neurons reset: pass "
            f"{options} as its sender ran it ({COMMON}; --reset zero, subtract or multispike)"
        )
    if how.key is not None:
        raise ValueError(f"--key {how.key} is for files by torch.save; {path} is read as NIR")
    return exchange.read_nir(path, dt=how.dt, reset=how.reset, update=how.update or "nir")


def _weights(path: Path, how: Reading) -> nn.Module:
    if how.factory is None:
        raise ValueError(
            f"{path} holds weights, which are no network alone: pass --factory module:function, "
            "your own function without arguments that builds the network they belong to"
        )
    for name in ("dt", "reset", "update"):
        if getattr(how, name) is not None:
            raise ValueError(f"--{name} is for NIR files; the network of {path} has its own")
    net = _built(how.factory)
    if not isinstance(net, Adapted):
        return exchange.load_weights(net, path, key=how.key)
    try:
        exchange.load_weights(net.net, path, key=how.key)
    except exchange.CorruptNetwork as error:
        try:  # a state dict of the adapted network itself, as a repair leaves it
            exchange.load_weights(net, path, key=how.key)
        except exchange.CorruptNetwork:
            raise error from None
    return net


def _built(factory: str) -> nn.Module:
    """What the user's function gives; modules of the current folder come last."""
    module, colon, name = factory.partition(":")
    if not colon or not module or not name:
        raise ValueError(f"--factory {factory!r} must be module:function, as in nets:build")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        build = getattr(importlib.import_module(module), name)
        net = build()
    except Exception as error:  # it is the user's code, which may raise anything
        raise ValueError(f"--factory {factory}: {type(error).__name__}: {error}") from error
    if not isinstance(net, nn.Module):
        raise ValueError(
            f"--factory {factory} gives a {type(net).__name__}: needed is a torch.nn.Module that "
            "takes [T, B, C, H, W], or one that sb.adapt has wrapped"
        )
    return net
