"""The GitHub workflows are valid and run what a person runs."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

WORKFLOWS = ("book.yml", "coverage.yml", "links.yml", "newest.yml", "release.yml", "verify.yml")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The public schema of SchemaStore, as check-jsonschema carries it."""
    vendored = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    text = (vendored / "github-workflows.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def read(project: Path, name: str) -> dict[Any, Any]:
    text = (project / ".github" / "workflows" / name).read_text(encoding="utf-8")
    # YAML 1.1 reads the key `on` as true; GitHub, and the schema, read it as a word.
    content = yaml.safe_load(text)
    return {"on" if key is True else key: value for key, value in content.items()}


def test_every_workflow_is_looked_at(project: Path) -> None:
    found = {path.name for path in (project / ".github" / "workflows").iterdir()}
    assert found == set(WORKFLOWS)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_follows_the_public_schema(
    project: Path, schema: dict[str, Any], name: str
) -> None:
    checker = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in checker.iter_errors(read(project, name))] == []


def test_the_schema_would_notice_a_broken_workflow(project: Path, schema: dict[str, Any]) -> None:
    broken = read(project, "book.yml")
    del broken["jobs"]["build"]["runs-on"]
    checker = jsonschema.validators.validator_for(schema)(schema)
    assert list(checker.iter_errors(broken))


def test_the_workflow_runs_the_check_that_runs_both_commands_and_looks_at_the_book(
    project: Path,
) -> None:
    steps = read(project, "book.yml")["jobs"]["build"]["steps"]
    assert ".ci/run" in [step.get("run") for step in steps]
    script = project / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == [
        "rm -rf .venv _build",
        "make book",
        ".venv/bin/snnbd check",
        ".venv/bin/snnbd claims",
        ".venv/bin/snnbd verify --minutes 3",
        "make test",
        "make rounding",
    ]


def test_the_published_book_is_the_one_that_was_checked(project: Path) -> None:
    jobs = read(project, "book.yml")["jobs"]
    (upload,) = [
        step for step in jobs["build"]["steps"] if "pages-artifact" in step.get("uses", "")
    ]
    assert upload["with"]["path"] == "_build/html"
    assert jobs["publish"]["needs"] == ["build"]
