"""Which modules a run's numbers come from."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from snnbd_book.runs import Experiment, lineage, parts
from snnbd_core.attacks import Dynamic
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.defenses import AdversarialPruning, ChannelLipschitz
from snnbd_core.defenses.detectors import NeuralCleanse
from snnbd_core.deployment import BitFlips, NeuronTrojan, Shipped
from snnbd_core.triggers import Smart, Static, TemporalNoise

CLEAN = Experiment()
ATTACKED = Experiment(trigger=Static(), rate=0.1)
REPAIRED = Experiment(trigger=Static(), rate=0.1, held_out=10, defence=ChannelLipschitz())


def names(experiment: Experiment) -> set[str]:
    return set(lineage.modules(experiment))


def test_a_clean_run_comes_from_neurons_networks_training_and_evaluation() -> None:
    found = names(CLEAN)
    for name in (
        "neurons",
        "kernels",
        "kernels.cpu_loops",
        "kernels.reference",
        "networks.building",
        "learning.loop",
        "learning.surrogate_gradient",
        "metrics.evaluation",
        "poisoning",
        "data.samples",
    ):
        assert f"snnbd_core.{name}" in found
    assert "snnbd_book.runs.computing" in found


def test_a_defence_stands_behind_its_own_records_alone() -> None:
    own = {"snnbd_core.defenses.clp"}
    assert own <= names(REPAIRED)
    other = Experiment(trigger=Static(), rate=0.1, held_out=10, defence=AdversarialPruning())
    probed = Experiment(trigger=Static(), rate=0.1, held_out=10, probe=NeuralCleanse())
    for experiment in (CLEAN, ATTACKED, other, probed):
        assert not own & names(experiment)
    assert "snnbd_core.defenses.detectors.neural_cleanse" in names(probed)
    assert "snnbd_core.defenses.detectors.neural_cleanse" not in names(other)


def test_parts_of_a_part_are_followed_from_their_classes() -> None:
    flipped = Shipped(repair_by=ChannelLipschitz(), change=BitFlips())
    found = names(Experiment(held_out=10, defence=flipped))
    room = "snnbd_core.deployment"
    assert {"snnbd_core.defenses.clp", f"{room}.shipped", f"{room}.bit_flips"} <= found
    assert f"{room}.neuron_trojan" not in found
    twice = Shipped(repair_by=flipped, change=NeuronTrojan())
    inner = names(Experiment(held_out=10, defence=twice))
    assert inner == found | {f"{room}.neuron_trojan"}


def test_triggers_and_rules_are_followed_from_their_classes() -> None:
    assert "snnbd_core.triggers.static" in names(ATTACKED) - names(CLEAN)
    smart = Experiment(trigger=Smart(), rate=0.1)
    assert "snnbd_core.triggers.smart" in names(smart) - names(ATTACKED)
    spiking = Experiment(trigger=TemporalNoise(), rule=DualSpike())
    assert "snnbd_core.attacks.dual_spike" in names(spiking) - names(ATTACKED)
    learnt = Experiment(trigger=Dynamic(), rate=1.0)
    assert "snnbd_core.attacks.dynamic" in names(learnt) - names(ATTACKED)


def test_what_only_reads_describes_or_loads_is_not_among_them() -> None:
    for experiment in (CLEAN, ATTACKED, REPAIRED):
        for name in names(experiment):
            assert not name.startswith("snnbd_book.") or name.startswith("snnbd_book.runs.")
        for name in ("settings", "store", "record", "provenance", "schema", "parts", "codec"):
            assert f"snnbd_book.runs.{name}" not in names(experiment)
        assert "snnbd_core.data.image_sets" not in names(experiment)


def test_every_kind_of_part_has_its_own_module_in_it() -> None:
    for kinds in (parts.TRIGGERS, parts.RULES, parts.REPAIRS, parts.PROBES):
        for kind in kinds.values():
            assert kind.__module__ in lineage._closure(kind.__module__)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small package that stands for the library."""
    root = tmp_path / "snnbd_toy"
    (root / "room").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "start.py": """
            from typing import Any
            from snnbd_toy import room
            from snnbd_toy.room import Kind, TABLE, made
            from snnbd_toy.low import Low, low
            from snnbd_toy import told as words

            def run(what: Low, table: Any = TABLE) -> Kind:
                import importlib
                if isinstance(what, Kind):
                    return None
                importlib.import_module(f"snnbd_toy.chosen.{what}")
                return room.helper(made(low(what))), words.TEXT
        """,
        "low.py": "class Low: ...\ndef low(x): return x\n",
        "told.py": "CHANGES_NO_NUMBER = True\nfrom snnbd_toy.hidden import TEXT\n",
        "hidden.py": "TEXT = 1\n",
        "room/__init__.py": """
            from snnbd_toy.room.kind import Kind
            from snnbd_toy.room.helping import aid as helper
            from snnbd_toy.room.used import inner
            TABLE = {"Kind": Kind}
            def made(x): return inner(x)
        """,
        "room/kind.py": "class Kind: ...\n",
        "room/helping.py": "def aid(x): return x\n",
        "room/used.py": "def inner(x): return x\n",
        "chosen/__init__.py": "",
        "chosen/one.py": "",
        "chosen/two.py": "",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lineage, "_HOUSES", ("snnbd_toy",))
    caches = (lineage._read, lineage._spec, lineage._closure, lineage._meaning_hash)
    for cache in caches:
        cache.cache_clear()
    yield root
    for cache in caches:
        cache.cache_clear()
    for name in [name for name in sys.modules if name.startswith("snnbd_toy")]:
        del sys.modules[name]


def test_uses_are_followed_through_packages_and_what_is_only_named_is_not(house: Path) -> None:
    assert lineage._closure("snnbd_toy.start") == {
        "snnbd_toy.start",
        "snnbd_toy.low",
        "snnbd_toy.room",  # made is written there
        "snnbd_toy.room.used",
        "snnbd_toy.room.helping",  # by the name helper
        "snnbd_toy.chosen.one",
        "snnbd_toy.chosen.two",
    }  # neither kind, which stands in isinstance and in a table, nor told, which is marked


def test_comments_docstrings_and_layout_are_not_part_of_the_code() -> None:
    one = 'def f(x):\n    """Doc."""\n    return x + 1  # why\n'
    two = "def f( x ):\n\n    return (x\n            + 1)\n"
    assert lineage.meaning(one) == lineage.meaning(two)
    assert lineage.meaning(one) != lineage.meaning(two.replace("1", "2"))
    assert lineage.meaning('x = "text"') != lineage.meaning('x = "other"')


def test_an_edit_changes_the_fingerprint_of_those_that_use_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [lineage.fingerprint(experiment) for experiment in (ATTACKED, REPAIRED)]
    read = lineage._meaning_hash.__wrapped__
    lineage._digest.cache_clear()
    monkeypatch.setattr(
        lineage, "_meaning_hash", lambda name: "edited" if name.endswith("clp") else read(name)
    )
    after = [lineage.fingerprint(experiment) for experiment in (ATTACKED, REPAIRED)]
    lineage._digest.cache_clear()
    assert after[0] == before[0]
    assert after[1] != before[1]
