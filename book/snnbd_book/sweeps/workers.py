"""Who runs a sweep: processes of this machine, or the workers of a scheduler that is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dask
from dask.system import cpu_count
from distributed import Client, LocalCluster
from distributed.system import MEMORY_LIMIT

from snnbd_core.learning import choose_device

_CONNECT_SECONDS = 10
_OF_SCRIPT = ("__file__", "__spec__")  # what Python finds the main script by
# A run whose worker died so often is reported as failed: it may be what kills them.
_LIVES = 3
MEMORY_PER_WORKER = 2**30  # of a small network's run, with a margin


class SchedulerUnreachable(ConnectionError):  # noqa: N818 - named like CorruptData
    """Nothing answers at the scheduler's address."""


@contextmanager
def local_workers(workers: int | None = None, threads: int = 1) -> Iterator[str]:
    """Processes of this machine that run experiments, one each; yields their scheduler's address.

    Args:
        workers: how many; default as `fitting` says.
        threads: of torch in each.
    """
    count = workers or fitting()
    variables = {
        # Failures are told once, by this process, with their traceback.
        "DASK_LOGGING__DISTRIBUTED": "critical",
        # Runs are not in the main thread of a worker, see `snnbd_core.kernels.memory`.
        "MALLOC_ARENA_MAX": 1,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
    }
    settings = {
        "distributed.scheduler.allowed-failures": _LIVES,
        # A run waits at the scheduler until a worker is free, so that none waits behind another.
        "distributed.scheduler.worker-saturation": 1.0,
        # torch reads these when it is loaded; otherwise each process takes all cores.
        "distributed.nanny.pre-spawn-environ": variables,
        "distributed.admin.tick.limit": "1h",
        # What Dask's dashboard would show of the workers takes a tenth of their time.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
    }
    with (
        _environment(variables, "PYTHONHASHSEED", "__DASK_PARENT_PID"),
        _main_not_imported(),
        dask.config.set(settings),
        LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=True,
            memory_limit=MEMORY_LIMIT // count,
            dashboard_address="127.0.0.1:0",
            silence_logs="ERROR",
        ) as cluster,
    ):
        cluster.scale(count)  # they start while the caller goes on
        yield cluster.scheduler_address


def fitting(memory: float = MEMORY_PER_WORKER, device: str = "cpu") -> int:
    """Workers for which there are cores, and so many bytes of memory for each; at least one.

    One on a card, which all of them would share.
    """
    return 1 if card(device) else max(1, min(cpu_count(), int(MEMORY_LIMIT // memory)))


def card(device: str) -> str:
    """ "cuda" or "mps" where runs are on a card, else nothing."""
    kind = choose_device(device).type if device == "auto" else device.partition(":")[0]
    return "" if kind == "cpu" else kind


def memory_here() -> int:
    """Bytes of memory that the processes of this machine have together."""
    return int(MEMORY_LIMIT)


def answering(scheduler: str) -> str:
    """The address of a scheduler, once it has answered.

    Raises:
        SchedulerUnreachable: no scheduler there.
    """
    with _connected(scheduler):
        return scheduler


@contextmanager
def _environment(values: Mapping[str, object], *others: str) -> Iterator[None]:
    """Environment variables for processes that start here, given back as they were.

    Dask's own settings for its workers give way to what is set here already.

    Args:
        values: what to set.
        *others: what Dask sets in this process.
    """
    names = (*values, *others)
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(value) for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _main_not_imported() -> Iterator[None]:
    """Processes that start here do not import the main script again.

    Python's spawned processes do, to unpickle what is defined there, and a script without
    ``if __name__ == "__main__":`` would start its sweep in each of them. Experiments are sent to
    workers as text, so that nothing of the script is needed.
    """
    main = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: main.pop(name) for name in _OF_SCRIPT if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)


@contextmanager
def client_of(scheduler: str | None, workers: int, threads: int) -> Iterator[Client]:
    """A client of the scheduler at an address, or of local workers where there is none."""
    if scheduler is None:
        with local_workers(workers, threads) as address, _connected(address) as client:
            yield client
    else:
        with _connected(scheduler) as client:
            yield client


def _connected(scheduler: str) -> Client:
    try:
        return Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        named = os.environ.get("SNNBD_SCHEDULER") == scheduler
        remedy = "unset $SNNBD_SCHEDULER to run here, or start one" if named else "start one"
        raise SchedulerUnreachable(
            f"scheduler={scheduler!r} does not answer ({error}); {remedy} with 'dask scheduler "
            "--host 127.0.0.1' and give its address as tcp://host:8786"
        ) from error
