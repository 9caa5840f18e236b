"""Named groups: a chapter's runs by name, from committed records or run when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from snnbd_book import sweeps
from snnbd_book.chapters import Runs
from snnbd_book.chapters.groups import every, filled, seeded
from snnbd_book.runs import Experiment, Record, all_recorded, commit, run

CHAPTERS = {
    "neuromorphic_triggers": 216,
    "stealthier_triggers": 245,
    "learning_rules": 254,
    "badsnn": 1244,
    "poison_in_the_data": 72,
    "a_backdoor_in_the_network": 596,
    "a_trigger_at_the_input": 127,
    "removing_backdoors": 700,
    "adversarial_robustness": 36,
    "triggers_in_time": 159,
    "low_bits": 988,
}


def grid(chapter: str) -> Mapping[str, Any]:
    """The groups of a chapter in the quick profile."""
    module: ModuleType = import_module(f"snnbd_book.chapters.{chapter}")
    groups: Mapping[str, Any] = module.grid("quick", 0)
    return groups


def settings(groups: Any) -> list[list[Experiment]]:
    """The lists at the ends of nested groups."""
    if isinstance(groups, Mapping):
        return [one for group in groups.values() for one in settings(group)]
    return [list(groups)]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapters_groups_hold_so_many_runs(chapter: str) -> None:
    groups = grid(chapter)
    assert len({one.hash for group in groups.values() for one in every(group)}) == CHAPTERS[chapter]
    assert all(name.isidentifier() for name in groups)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_runs_of_a_setting_differ_in_their_seed_alone(chapter: str) -> None:
    for one in settings(grid(chapter)):
        assert len({replace(each, seed=0).digest for each in one}) == 1
        assert [each.seed for each in one] in (
            [0],
            [1],
            [2],
            [0, 1],
            [0, 1, 2],
            list(range(6)),
            list(range(10)),
        )


def test_all_runs_of_the_chapters_have_committed_records(project: Path) -> None:
    groups = [group for chapter in CHAPTERS for group in grid(chapter).values()]
    wanted = {one.hash: one for group in groups for one in every(group)}
    kept = {one.experiment.hash for one in all_recorded(project / "results")}
    assert not [one.name for digest, one in wanted.items() if digest not in kept]


def test_a_group_is_run_where_it_has_no_record(
    results: Path, tiny: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Experiment] = []

    def records(missing: list[Experiment], device: str) -> dict[str, Record]:
        asked.extend(missing)
        return {one.hash: run(one, device=device, progress=False) for one in missing}

    monkeypatch.setattr(sweeps, "records", records)

    def small(profile: str, seed: int) -> Mapping[str, Any]:
        fields = {name: getattr(tiny(), name) for name in ("data", "frames", "epochs", "trigger")}
        return {
            "rates": {
                rate: seeded(profile, seed, 2, network="quick-conv", rate=rate, **fields)
                for rate in (0.25, 0.5)
            }
        }

    runs = Runs(small, "quick", 3, "cpu")
    commit([run(runs.planned["rates"][0.25][0], progress=False)], results)
    found = runs.group("rates")
    assert [one.experiment.seed for one in found[0.5]] == [3, 4]
    assert {one.experiment.rate for one in found[0.25]} == {0.25}
    assert len(asked) == 3  # one has a record


def test_a_group_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"group='x' is unknown; allowed: one"):
        Runs(lambda _profile, _seed: {"one": []}).group("x")


def test_a_missing_record_is_named(tiny: Callable[..., Experiment]) -> None:
    with pytest.raises(LookupError, match=rf"no record of nmnist-static-{tiny().hash} \(seed 0"):
        filled({"a": [tiny()]}, {})
