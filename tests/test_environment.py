"""The files that describe the environment and the project agree with each other."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

# Names on conda-forge where they differ; matplotlib-base is matplotlib without Qt, dask-core is
# dask without its dashboard.
CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib", "dask-core": "dask"}
# What the readers' environment has beyond the library: opening .md chapters as notebooks.
READERS_ONLY = {"jupytext", "pip", "python"}


@pytest.fixture(scope="module")
def pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins(project: Path) -> dict[str, Version]:
    lines = (project / "constraints.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in rows}


@pytest.fixture(scope="module")
def conda(project: Path) -> dict[str, Requirement]:
    entries = yaml.safe_load((project / "environment.yml").read_text(encoding="utf-8"))
    plain = [entry for entry in entries["dependencies"] if isinstance(entry, str)]
    (nested,) = [entry["pip"] for entry in entries["dependencies"] if isinstance(entry, dict)]
    assert "-e ." in nested
    requirements = [Requirement(entry) for entry in [*plain, *nested] if entry != "-e ."]
    return {CONDA_NAMES.get(found.name, found.name): found for found in requirements}


def requirements(pyproject: dict[str, Any], extra: str | None = None) -> dict[str, Requirement]:
    table = pyproject["project"]
    lines = table["optional-dependencies"][extra] if extra else table["dependencies"]
    return {Requirement(line).name: Requirement(line) for line in lines}


def test_the_readers_environment_has_what_the_library_requires_in_the_same_ranges(
    pyproject: dict[str, Any], conda: dict[str, Requirement]
) -> None:
    needed = requirements(pyproject) | requirements(pyproject, "sweep")  # chapters run sweeps
    wanted = {name: str(found.specifier) for name, found in needed.items()}
    given = {
        name: str(found.specifier) for name, found in conda.items() if name not in READERS_ONLY
    }
    assert given == wanted


def test_the_readers_environment_has_the_builders_range_of_jupytext(
    pyproject: dict[str, Any], conda: dict[str, Requirement]
) -> None:
    assert conda["jupytext"].specifier == requirements(pyproject, "book")["jupytext"].specifier


def test_the_readers_environment_has_a_python_that_the_library_allows(
    pyproject: dict[str, Any], conda: dict[str, Requirement]
) -> None:
    lowest = pyproject["project"]["requires-python"]
    assert lowest in str(conda["python"].specifier).split(",")


@pytest.mark.parametrize("extra", [None, "book", "lab", "sweep", "test"])
def test_every_requirement_is_pinned_within_its_range(
    pyproject: dict[str, Any], pins: dict[str, Version], extra: str | None
) -> None:
    for name, requirement in requirements(pyproject, extra).items():
        assert canonicalize_name(name) in pins, f"{name} is not in constraints.txt"
        assert pins[canonicalize_name(name)] in requirement.specifier


def test_torch_is_pinned_without_a_build_so_that_any_of_its_builds_will_do(
    pins: dict[str, Version],
) -> None:
    assert str(pins["torch"]) == "2.13.0"


def test_the_pins_name_no_file_of_any_machine(project: Path) -> None:
    assert not re.search(r"@|file:|-e ", (project / "constraints.txt").read_text(encoding="utf-8"))


def test_the_citation_names_the_version_and_the_repository(
    project: Path, pyproject: dict[str, Any]
) -> None:
    citation = yaml.safe_load((project / "CITATION.cff").read_text(encoding="utf-8"))
    config = yaml.safe_load((project / "_config.yml").read_text(encoding="utf-8"))
    source = (project / "snnbd_core" / "__init__.py").read_text(encoding="utf-8")
    assert pyproject["tool"]["setuptools"]["dynamic"]["version"]["attr"] == "snnbd_core.__version__"
    assert f'__version__ = "{citation["version"]}"' in source
    assert citation["repository-code"] == config["repository"]["url"]
    assert citation["title"] == config["title"]


def test_the_repositorys_address_stands_only_where_it_must(project: Path) -> None:
    config = yaml.safe_load((project / "_config.yml").read_text(encoding="utf-8"))
    address = config["repository"]["url"].removeprefix("https://")
    files = [path for path in project.glob("*") if path.is_file()]
    for folder in ("book", "snnbd_core", "tests", ".github"):
        files += [path for path in (project / folder).rglob("*") if path.is_file()]
    sources = [path for path in files if path.suffix in {".md", ".py", ".toml", ".yml", ".cff"}]
    holders = {path.name for path in sources if address in path.read_text(encoding="utf-8")}
    # Each chapter's Colab cell holds it too, and `snnbd pair --check` compares it.
    assert holders == {"_config.yml", "CITATION.cff"}


def test_no_folder_of_tests_is_passed_over_by_its_name(
    project: Path, pytestconfig: pytest.Config
) -> None:
    passed_over = pytestconfig.getini("norecursedirs")
    folders = {
        folder
        for file in (project / "tests").rglob("test_*.py")
        for folder in file.relative_to(project).parts[:-1]
    }
    assert "build" in folders
    assert not [name for name in folders if any(fnmatch(name, each) for each in passed_over)]
