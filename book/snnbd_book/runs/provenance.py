"""Where a record comes from: code, data, versions, machine, time and memory."""

from __future__ import annotations

import ast
import datetime
import functools
import hashlib
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

import snnbd_core

BOOK = Path(__file__).resolve().parents[1]
CORE = Path(snnbd_core.__file__).resolve().parent

# The class below has a field named torch, which hides the module in its annotations.
Device = torch.device

# All that can change a number: the library, and these parts of the machinery. Figures, claims,
# sweeps and the builder only read numbers; a test follows the imports and says what is missing.
NUMERIC = (
    "runs/execution.py",
    "runs/neuron.py",
    "runs/parts.py",
    "runs/probing.py",
    "runs/resolving.py",
    "runs/settings.py",
    "runs/training.py",
    "runs/trigger_cache.py",
)


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A record that was not made again after its code moved, for the move changes no number.

    Attributes:
        code: fingerprint of the code under which the record holds too.
        commit: of that code.
        why: what was done to the code, and how it was checked.
    """

    code: str
    commit: str | None
    why: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What made a record.

    Attributes:
        package: version of snnbd_core.
        commit: of the git checkout that the package was run from; None outside of one.
        dirty: whether tracked files differed from that commit; None outside of a checkout.
        code: fingerprint of the sources that numbers depend on, see `code_fingerprint`.
        dataset: fingerprint of the data, training and test.
        python, torch, numpy, cuda: versions; cuda is None in a build without it.
        device: "cpu (x86_64)", or the name of the GPU.
        threads: of torch on the CPU.
        seed: as in the experiment.
        seconds: wall time of training and evaluation, also where the network was trained earlier.
        peak_memory: bytes; on CUDA those allocated on the device in this run, on a CPU the largest
            resident size of the process so far.
        date: when it was finished, UTC, ISO 8601.
        carried: the later code under which it holds too; None for the code that made it alone.
    """

    package: str
    commit: str | None
    dirty: bool | None
    code: str
    dataset: str
    python: str
    torch: str
    numpy: str
    cuda: str | None
    device: str
    threads: int
    seed: int
    seconds: float
    peak_memory: int
    date: str
    carried: Carried | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; "carried" only where the record was carried over."""
        values = asdict(self)
        return values if self.carried else {k: v for k, v in values.items() if k != "carried"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Provenance:
        """The inverse of `to_dict`.

        Raises:
            ValueError: missing or unknown fields.
        """
        names = {field.name for field in fields(cls)}
        given = {"carried": None, **values}
        if set(given) != names:
            raise ValueError(
                f"provenance has missing fields {sorted(names - set(given))} and unknown fields "
                f"{sorted(set(given) - names)}"
            )
        if given["carried"] is not None:
            given["carried"] = Carried(**given["carried"])
        return cls(**given)

    @classmethod
    def now(
        cls, *, dataset: str, device: Device, seed: int, seconds: float, peak_memory: int
    ) -> Provenance:
        """The provenance of a run that ends now in this process."""
        commit, dirty = git_state()
        return cls(
            package=snnbd_core.__version__,
            commit=commit,
            dirty=dirty,
            code=code_fingerprint(),
            dataset=dataset,
            python=platform.python_version(),
            torch=torch.__version__,
            numpy=np.__version__,
            cuda=torch.version.cuda,
            device=device_name(device),
            threads=torch.get_num_threads(),
            seed=int(seed),
            seconds=round(seconds, 3),
            peak_memory=peak_memory,
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    @property
    def holds_under(self) -> str:
        """Fingerprint of the latest code that the record is said to hold under."""
        return self.carried.code if self.carried else self.code

    def staleness(self, dataset: str) -> str | None:
        """Why a record with this provenance is not what a run would give now; None if it is.

        Compared are the code, the data set and torch's version (without its build's suffix).
        """
        if self.holds_under != code_fingerprint():
            return f"code {self.holds_under} is now {code_fingerprint()}"
        if self.dataset != dataset:
            return f"data set {self.dataset[:12]} is now {dataset[:12]}"
        if _release(self.torch) != _release(torch.__version__):
            return f"torch {self.torch} is now {torch.__version__}"
        return None


@functools.cache
def code_fingerprint() -> str:
    """16 hex digits over `numeric_files`, without comments, docstrings and layout."""
    digest = hashlib.sha256()
    for path in numeric_files():
        digest.update(f"{_name(path)}\n".encode())
        digest.update(meaning(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def numeric_files() -> list[Path]:
    """The files that `code_fingerprint` covers, sorted by name."""
    return sorted((*CORE.rglob("*.py"), *(BOOK / name for name in NUMERIC)), key=_name)


def meaning(source: str) -> str:
    """What a source says to Python: its syntax tree, docstrings left out."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)


def git_state() -> tuple[str | None, bool | None]:
    """(commit, dirty) of the checkout that tracks this package; (None, None) without one.

    An installed package may lie inside of somebody else's checkout (a virtual environment in a
    project's folder), so the package's own file must be tracked.
    """
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None, None
    return commit, bool(_git("status", "--porcelain", "--untracked-files=no"))


def device_name(device: torch.device) -> str:
    """The GPU's name, or the kind of device and machine."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()})"


def peak_memory(device: torch.device) -> int:
    """Bytes: the most allocated on a CUDA device, else the process's largest resident size."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def _name(path: Path) -> str:
    """The path of a source below the folder of its package."""
    root = CORE.parent if path.is_relative_to(CORE) else BOOK.parent
    return path.relative_to(root).as_posix()


def _git(*arguments: str) -> str | None:
    """What git prints, or None where there is no git, no checkout, or it fails."""
    try:
        result = subprocess.run(
            ["git", "-C", str(CORE), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _release(version: str) -> str:
    return version.split("+")[0]
