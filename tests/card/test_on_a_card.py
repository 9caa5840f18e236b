"""Nothing mixes devices: every part of an experiment runs on a card, here one made in Python.

Whoever has a real one runs `snnbd gpu-check`, which looks at kernels, speed and memory as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

from snnbd_book.runs import parts

LEARNT_THERE = {"Dynamic", "Generated"}
OF = {
    "triggers": LEARNT_THERE,
    "rules": set(parts.RULES),
    "repairs": set(parts.REPAIRS),
    "probes": set(parts.PROBES),
    "audit": {"audit"},
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
        reason="this torch has no devices written in Python",
    ),
]


def tried(what: str, project: Path) -> dict[str, str | None]:
    """Name -> error, None for none, in a process of its own."""
    paths = os.pathsep.join([str(project), str(project / "book")])
    done = subprocess.run(
        [sys.executable, "-m", "tests.card.runs", what],
        cwd=project,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["tried"]: line["wrong"] for line in lines}


@pytest.mark.parametrize("what", OF)
def test_no_part_mixes_devices(what: str, project: Path) -> None:
    found = tried(what, project)
    assert set(found) == OF[what]
    wrong = {name: error for name, error in found.items() if error is not None}
    assert not wrong, "\n".join(wrong.values())


def test_the_card_refuses_what_a_real_one_refuses(project: Path) -> None:
    found = tried("mistakes", project)
    assert found
    assert [name for name, error in found.items() if error is None] == []
