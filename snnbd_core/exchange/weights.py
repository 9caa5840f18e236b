"""Loads weights that somebody sent into a network that the user has built."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snnbd_core import checks
from snnbd_core.exchange.errors import CorruptNetwork, named

__all__ = ["load_weights"]

WEIGHTS, CARD = "model.safetensors", "checkpoint.json"


def load_weights(
    net: nn.Module, path: str | Path, *, key: str | None = None, limit: int = 2**32
) -> nn.Module:
    """Loads weights into a network of any library, and gives it back.

    Nothing in a file is executed: of pickles, only tensors are read.

    Args:
        net: built by the user; its states, as sinabs saves them, are not loaded.
        path: of safetensors, of a state dict by `torch.save`, or of a zoo's folder with
            model.safetensors and checkpoint.json, whose "sha256" is that of the former.
        key: name of the state dict in a file by `torch.save` that holds other things too.
        limit: bytes that a file's values may take.

    Raises:
        FileNotFoundError: no such file.
        CorruptNetwork: a damaged file, another hash than the card's, values that are not finite,
            or weights of another network.
    """
    checks.network(net)
    path, limit = Path(path), checks.whole("limit", limit, 1)
    if not path.exists():
        raise FileNotFoundError(f"path={str(path)!r} does not exist")
    with named(f"path={str(path)!r}"):
        if path.is_dir():
            state = _from_zoo(path, limit)
        elif path.suffix == ".safetensors":
            state = _tensors(_bytes(path, limit))
        else:
            state = _unpickled(path, key, limit)
        _check(state, limit)
    # sinabs keeps its states, and nothing else, in buffers of its neurons
    kept = {
        f"{name}.{buffer}".lstrip("."): values
        for name, module in net.named_modules()
        if hasattr(module, "reset_states")
        for buffer, values in module.named_buffers(recurse=False)
    }
    with named(f"path={str(path)!r} holds the weights of another network: it"):
        net.load_state_dict({**state, **kept})
    return net


def _from_zoo(folder: Path, limit: int) -> Any:
    """The weights in a folder, if they have the hash that the card beside them says."""
    card, weights = (_bytes(folder / name, limit, folder) for name in (CARD, WEIGHTS))
    said, found = json.loads(card)["sha256"], hashlib.sha256(weights).hexdigest()
    if said != found:
        raise CorruptNetwork(f"{WEIGHTS} has the sha256 {found}, but {CARD} says {said!r}")
    return _tensors(weights)


def _bytes(path: Path, limit: int, folder: Path | None = None) -> bytes:
    if folder is not None and not path.resolve().is_relative_to(folder.resolve()):
        raise CorruptNetwork(f"{path.name} is a link that leads out of the folder")
    if path.stat().st_size > limit:
        raise CorruptNetwork(f"{path.name} holds more than limit={limit:,} bytes")
    return path.read_bytes()


def _tensors(data: bytes) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(data)
    except SafetensorError as error:
        raise CorruptNetwork(f"it is no whole safetensors file: {error}") from error


def _unpickled(path: Path, key: str | None, limit: int) -> Any:
    if not zipfile.is_zipfile(path):
        raise CorruptNetwork("it is neither .safetensors nor whole and by torch.save")
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
        if size > limit:
            raise CorruptNetwork(f"it holds more than limit={limit:,} bytes")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except CorruptNetwork:
        raise
    except Exception as error:  # a hostile file fails in any way
        raise CorruptNetwork(f"it is damaged, or holds more than tensors: {error}") from error
    return state if key is None else state[key]


def _check(state: Any, limit: int) -> None:
    """Raises CorruptNetwork for what is no state dict of finite numbers that fit into memory."""
    if not _is_state(state):
        inside = state.items() if isinstance(state, Mapping) else ()
        allowed = [name for name, part in inside if _is_state(part)]
        raise CorruptNetwork(f"it is no state dict; allowed for key: {allowed or 'nothing in it'}")
    if sum(value.numel() * value.element_size() for value in state.values()) > limit:
        raise CorruptNetwork(f"its values take more than limit={limit:,} bytes")
    for name, value in state.items():
        if not bool(value.isfinite().all()):
            raise CorruptNetwork(f"its {name} holds NaN or infinite values")


def _is_state(state: Any) -> bool:
    if not isinstance(state, Mapping) or not state:
        return False
    values = state.values()
    return all(isinstance(v, Tensor) and v.layout == torch.strided for v in values)
