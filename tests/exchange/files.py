"""NIR files for the tests: chains of nodes, and neurons whose sums are exact.

Weights are multiples of 1/64, frames are whole numbers and decays are powers of 1/2, so that all
sums are exact in float32 and no library rounds otherwise. No sum is the threshold 0.7.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch

STEPS, BATCH = 12, 3
DT = 2.0**-10  # a power of 2, so that dt / tau is exact


def grid(*shape: int, seed: int = 0) -> np.ndarray:
    """Weights that are multiples of 1/64."""
    drawn = np.random.default_rng(seed).standard_normal(shape)
    return (np.round(drawn * 32) / 64).astype(np.float32)


def frames(*shape: int) -> torch.Tensor:
    """Whole numbers [T, B, ...]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 3, (STEPS, BATCH, *shape), generator=generator).float()


def full(value: float, *shape: int) -> np.ndarray:
    return np.full(shape, value, np.float32)


def lif(size: int, tau: float = 2.0, r: float = 2.0, **other: float) -> Any:
    """Neurons with time constants in steps; their gain is r / tau."""
    given = {"v_leak": 0.0, "v_threshold": 0.7, "v_reset": 0.0, **other}
    fields = {name: full(value, size) for name, value in given.items()}
    return nir.LIF(tau=full(tau * DT, size), r=full(r, size), **fields)


def cuba(size: int, syn: float = 4.0, mem: float = 2.0, **other: float) -> Any:
    given = {"r": 2.0, "v_leak": 0.0, "v_threshold": 0.7, "v_reset": 0.0, "w_in": 4.0, **other}
    fields = {name: full(value, size) for name, value in given.items()}
    return nir.CubaLIF(tau_syn=full(syn * DT, size), tau_mem=full(mem * DT, size), **fields)


def chain(*nodes: Any, shape: tuple[int, ...], outputs: Any = 3) -> Any:
    """A graph of nodes "0", "1", ... one after the other."""
    names = ["input", *map(str, range(len(nodes))), "output"]
    ends = nir.Input(np.array(shape)), nir.Output(np.atleast_1d(outputs))
    every = dict(zip(names, [ends[0], *nodes, ends[1]], strict=True))
    return nir.NIRGraph(every, list(itertools.pairwise(names)), type_check=False)


def dense(*neurons: Any) -> Any:
    """16 inputs, 5 neurons, 3 neurons."""
    first, last = neurons
    weights = nir.Affine(grid(5, 16), grid(5, seed=1)), nir.Linear(grid(3, 5, seed=2) * 2)
    return chain(weights[0], first, weights[1], last, shape=(16,))


def written(folder: Path, graph: Any) -> Path:
    path = folder / "network.nir"
    nir.write(path, graph)
    return path
