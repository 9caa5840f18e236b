"""Where a record comes from: code, data, versions, machine, time and memory."""

from __future__ import annotations

import datetime
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import snnbd_core
from snnbd_book.runs import lineage, machine

if TYPE_CHECKING:
    from snnbd_book.runs.settings import Experiment

CHANGES_NO_NUMBER = True

CORE = Path(snnbd_core.__file__).resolve().parent

# The class below has a field named torch, which hides the module in its annotations.
Device = torch.device
# Fields that came later, and what they mean in a record without them.
_LATER: dict[str, Any] = {"carried": None, "processor": None, "precision": "float32"}


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
        code: fingerprint of the modules that its numbers come from, see `lineage`.
        dataset: fingerprint of the data, training and test.
        python, torch, numpy, cuda: versions; cuda is None in a build without it.
        device: "cpu (x86_64)", or the name of the GPU.
        processor: the kind of processor, see `machine.processor`; None where nobody wrote it down.
        precision: of the arithmetic of training, "float32" or "bf16".
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
    processor: str | None = None
    precision: str = "float32"
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
        given = {**_LATER, **values}
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
        cls,
        experiment: Experiment,
        *,
        dataset: str,
        device: Device,
        seconds: float,
        peak_memory: int,
        precision: str = "float32",
    ) -> Provenance:
        """The provenance of a run that ends now in this process."""
        commit, dirty = git_state()
        return cls(
            package=snnbd_core.__version__,
            commit=commit,
            dirty=dirty,
            code=lineage.fingerprint(experiment),
            dataset=dataset,
            python=platform.python_version(),
            torch=torch.__version__,
            numpy=np.__version__,
            cuda=torch.version.cuda,
            device=machine.device_name(device),
            processor=machine.processor(),
            precision=precision,
            threads=torch.get_num_threads(),
            seed=experiment.seed,
            seconds=round(seconds, 3),
            peak_memory=peak_memory,
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )

    @property
    def holds_under(self) -> str:
        """Fingerprint of the latest code that the record is said to hold under."""
        return self.carried.code if self.carried else self.code

    def staleness(self, experiment: Experiment, dataset: str | None) -> str | None:
        """Why a record with this provenance is not what a run would give now; None if it is.

        Compared are the code that the experiment's numbers come from, torch's version (without
        its build's suffix), and the data set unless it is None.
        """
        code = lineage.fingerprint(experiment)
        if self.holds_under != code:
            return f"code {self.holds_under} is now {code}"
        if dataset is not None and self.dataset != dataset:
            return f"data set {self.dataset[:12]} is now {dataset[:12]}"
        if _release(self.torch) != _release(torch.__version__):
            return f"torch {self.torch} is now {torch.__version__}"
        return None


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
