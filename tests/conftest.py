"""What all tests share: folders of their own, few threads, real data only where it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import pytest
import torch

# No test opens a window.
matplotlib.use("agg")

# Fixtures that train a network.
TRAIN = {"twin", "spiking", "innocent", "ann"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that take a trained network from a fixture train as well."""
    for item in items:
        if TRAIN & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.trains)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of the session share, for what takes long to make."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    (folder / "shared").mkdir(exist_ok=True)
    return folder / "shared"


@pytest.fixture(scope="session", autouse=True)
def own_folders(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Cache and results of the test session: nothing of the user's is read or written.

    Recordings are simulated and networks trained once for all its processes.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNNBD_CACHE", str(shared / "cache"))
        patch.setenv("SNNBD_RESULTS", str(tmp_path_factory.mktemp("results")))
        patch.delenv("SNNBD_SCHEDULER", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The suite runs one process per core; more threads would only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with real data sets; tests that need it are skipped where there is none."""
    folder = os.environ.get("SNNBD_DATA")
    if not folder:
        pytest.skip("SNNBD_DATA is not set: no real data at hand")
    return Path(folder)


@pytest.fixture(scope="session")
def project() -> Path:
    """The folder of the repository."""
    return Path(__file__).resolve().parent.parent
