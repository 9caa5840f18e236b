"""``claims/<paper>.yaml``: what a paper says and how we test it.

    paper: abad2022                 # as the file is named
    cite: abad2022poster            # its key in book/references.bib
    title: ...
    chapter: notebooks/02_neuromorphic_triggers      # or null: not written yet
    seeds: [0, 1, 2]
    experiments:                    # named; fields of `Experiment`, on top of the profile's sizes
      corner: {rate: 0.1, trigger: {kind: Static, position: bottom-right, polarity: "on"}}
    profiles:                       # for one profile: what its experiments are made from, in place
      sample:                       # of its sizes; changes for all of them, or for one
        base: {data: nmnist, network: nmnist-conv, neuron: {kind: LIF}, epochs: 12, frames: 16}
        fields: {...}
        experiments: {corner: {rate: 0.002}}
    claims:
      - id: corner-works
        where: Table 1, row 4
        statement: ...
        figures:                    # label: [experiment.figure, the paper's figure or null]
          ASR: [corner.attack_success_rate_all, 1.0]
        reproduced: mean(corner.attack_success_rate_all) >= 0.9
        partly: mean(corner.attack_success_rate_all) >= 0.5       # may be left out
        under_trained: mean(longer.attack_success_rate_all) >= 0.9   # training was too short
        data: dvs-gesture           # what the statement is about, where other data tell less
        seeds: [0, 1, 2]            # in place of the paper's; {sample: [0, 1]} for one profile
        expected: {quick: reproduced, paper: open}   # the verdict on record per profile; "open":
                                                     # can be run there, no verdict on record yet
        why: ...                    # our reading, shown after the reason; may be left out

A claim without `expected` is run in no profile, and then needs `why` and no test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from snnbd_book.claims.expression import Expression
from snnbd_book.claims.fields import ClaimError, mapping, own_seeds, seeds_of, text
from snnbd_book.claims.grammar import FIGURES
from snnbd_book.runs import Experiment
from snnbd_book.runs.profiles import PROFILES
from snnbd_book.runs.store import project_dir

OPEN = "open"
EXPECTED = ("reproduced", "partly", "contradicted", "under-trained", "other data", OPEN)
_PACKAGED = Path(__file__).resolve().parents[1] / "_claims"
_PAPER = {"paper", "cite", "title", "chapter", "seeds", "experiments", "profiles", "claims"}
_TESTS = ("reproduced", "partly", "under_trained")
_SAID = {"id", "where", "statement", "chapter", "figures", "data", "seeds", "expected", "why"}
_CLAIM = {*_SAID, *_TESTS}


@dataclass(frozen=True)
class Quoted:
    """A figure of ours beside the paper's: a label, where ours is found, what the paper says."""

    label: str
    experiment: str
    figure: str
    paper: float | None


@dataclass(frozen=True)
class Claim:
    """One statement of a paper and its test.

    Attributes:
        id: unique in its paper.
        where: table, figure or section of the paper.
        statement: in our words.
        figures: ours to show beside the paper's.
        reproduced, partly, under_trained: tests; None where there is none.
        data: the data set that the statement is about; empty where any will do.
        expected: profile -> verdict on record, or "open".
        why: our reading.
        settings: experiment's name -> profile -> fields, of the experiments it needs.
        paper, title, cite, chapter: of its paper; chapter is empty where none is written.
        seeds, own_seeds: its paper's; profile -> its own, which no caller changes.
    """

    id: str
    where: str
    statement: str
    figures: tuple[Quoted, ...]
    reproduced: Expression | None
    partly: Expression | None
    under_trained: Expression | None
    data: str
    expected: Mapping[str, str]
    why: str
    settings: Mapping[str, Mapping[str, Experiment]] = field(repr=False)
    paper: str
    title: str
    cite: str
    chapter: str
    seeds: tuple[int, ...]
    own_seeds: Mapping[str, tuple[int, ...]]

    @property
    def optional(self) -> set[str]:
        """Experiments of longer trainings, which a profile may do without."""
        shown = {figure.experiment for figure in self.figures}
        tests = [test.figures for test in (self.reproduced, self.partly) if test]
        return self.settings.keys() - shown - {name for test in tests for name, _ in test}


@dataclass(frozen=True)
class Paper:
    """A claims file, read and checked."""

    id: str
    cite: str
    title: str
    chapter: str
    seeds: tuple[int, ...]
    claims: tuple[Claim, ...]

    def __getitem__(self, claim: str) -> Claim:
        """The claim with an id; LookupError naming those there are."""
        for candidate in self.claims:
            if candidate.id == claim:
                return candidate
        raise LookupError(
            f"claim={claim!r} is not in {self.id}; there are {', '.join(c.id for c in self.claims)}"
        )


def claims_dir(folder: Path | str | None = None) -> Path:
    """The argument, else ``claims`` in the project, else the copy inside an installed package."""
    if folder is not None:
        return Path(folder)
    ours = project_dir() / "claims"
    return ours if ours.is_dir() or not _PACKAGED.is_dir() else _PACKAGED


def load_all(folder: Path | str | None = None) -> tuple[Paper, ...]:
    """All papers of a folder, by name.

    Raises:
        FileNotFoundError: no claims there.
        ClaimError: as `load`.
    """
    place = claims_dir(folder)
    papers = tuple(load(path.stem, place) for path in sorted(place.glob("*.yaml")))
    if not papers:
        raise FileNotFoundError(f"no claims (*.yaml) in {place}")
    return papers


def load(paper: str, folder: Path | str | None = None) -> Paper:
    """One paper's claims.

    Raises:
        FileNotFoundError: no such file; names those there are.
        ClaimError: a file that is not as the module's docstring says.
    """
    place = claims_dir(folder)
    path = place / f"{paper}.yaml"
    if path.parent != place or not path.is_file():
        names = ", ".join(sorted(p.stem for p in place.glob("*.yaml"))) or "none"
        raise FileNotFoundError(f"paper={paper!r} has no claims in {place}; there are: {names}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ClaimError(f"{path.name} is not YAML: {error}") from error
    return _paper(mapping(values, path.name, _PAPER), path)


def _paper(values: dict[str, Any], path: Path) -> Paper:
    where = path.name
    if values.get("paper") != path.stem:
        raise ClaimError(f"{where}: paper={values.get('paper')!r} must be {path.stem!r}")
    seeds = seeds_of(values, [0], where)
    settings = _settings(values, where)
    claims = [
        _claim(mapping(entry, f"{where}: claim {index}", _CLAIM), values, settings, where)
        for index, entry in enumerate(values.get("claims") or [], start=1)
    ]
    ids = [claim.id for claim in claims]
    doubled = sorted({name for name in ids if ids.count(name) > 1})
    if doubled:
        raise ClaimError(f"{where}: two claims have the id {doubled[0]!r}")
    if not claims:
        raise ClaimError(f"{where}: claims is empty")
    return Paper(
        id=path.stem,
        cite=text(values, "cite", where),
        title=text(values, "title", where),
        chapter=values.get("chapter") or "",
        seeds=seeds,
        claims=tuple(claims),
    )


def _settings(values: dict[str, Any], where: str) -> dict[str, dict[str, Experiment]]:
    """Experiment's name -> profile -> experiment with seed 0."""
    named = mapping(values.get("experiments") or {}, f"{where}: experiments", None)
    changes = mapping(values.get("profiles") or {}, f"{where}: profiles", set(PROFILES))
    for profile, change in changes.items():
        mapping(change, f"{where}: profiles.{profile}", {"base", "fields", "experiments"})
        place = f"{where}: profiles.{profile}.experiments"
        mapping(change.get("experiments") or {}, place, set(named))
    settings: dict[str, dict[str, Experiment]] = {}
    for name, fields in named.items():
        mapping(fields, f"{where}: experiments.{name}", None)
        if not name.isidentifier():
            raise ClaimError(f"{where}: experiments.{name} must be a name as in Python")
        settings[name] = {}
        for profile, sizes in PROFILES.items():
            change = changes.get(profile, {})
            merged = {
                **sizes,
                **(change.get("base") or {}),
                **fields,
                **(change.get("fields") or {}),
                **((change.get("experiments") or {}).get(name) or {}),
                "profile": profile,
            }
            try:
                settings[name][profile] = Experiment.from_dict(merged)
            except ValueError as error:
                raise ClaimError(f"{where}: experiments.{name} ({profile}): {error}") from error
    return settings


def _claim(
    entry: dict[str, Any],
    paper: dict[str, Any],
    settings: Mapping[str, Mapping[str, Experiment]],
    file: str,
) -> Claim:
    where = f"{file}: claim {entry.get('id')!r}"
    expected = mapping(entry.get("expected") or {}, f"{where}: expected", set(PROFILES))
    for profile, verdict in expected.items():
        if verdict not in EXPECTED:
            raise ClaimError(
                f"{where}: expected.{profile}={verdict!r} is unknown; "
                f"allowed: {', '.join(EXPECTED)}"
            )
    if bool(expected) != ("reproduced" in entry):
        raise ClaimError(f"{where}: expected and reproduced belong together")
    if not expected and not entry.get("why"):
        raise ClaimError(f"{where}: why is missing: the claim is run in no profile")
    figures = tuple(
        _quoted(label, value, where) for label, value in (entry.get("figures") or {}).items()
    )
    tests = {key: _test(entry[key], f"{where}: {key}") for key in _TESTS if key in entry}
    wanted = [figure.experiment for figure in figures if figure.experiment]
    wanted += [name for test in tests.values() for name, _ in test.figures]
    for name in wanted:
        if name not in settings:
            raise ClaimError(
                f"{where} names the experiment {name!r}, which is missing from experiments; "
                f"there are: {', '.join(settings) or 'none'}"
            )
    return Claim(
        id=text(entry, "id", where),
        where=text(entry, "where", where),
        statement=text(entry, "statement", where),
        figures=figures,
        reproduced=tests.get("reproduced"),
        partly=tests.get("partly"),
        under_trained=tests.get("under_trained"),
        data=str(entry.get("data", "")),
        expected=expected,
        why=str(entry.get("why", "")).strip(),
        settings={name: settings[name] for name in dict.fromkeys(wanted)},
        paper=paper["paper"],
        title=str(paper.get("title", "")),
        cite=str(paper.get("cite", "")),
        chapter=entry.get("chapter", paper.get("chapter")) or "",
        seeds=seeds_of(paper, [0], file),
        own_seeds=own_seeds(entry, where),
    )


def _quoted(label: str, value: Any, where: str) -> Quoted:
    """[experiment.figure, paper's figure]; or the paper's figure alone, where we have none."""
    ours, theirs = value if isinstance(value, list) and len(value) == 2 else (None, value)
    if theirs is not None and (isinstance(theirs, bool) or not isinstance(theirs, int | float)):
        raise ClaimError(f"{where}: figures.{label}={value!r} must be [experiment.figure, number]")
    experiment, _, figure = str(ours or "").partition(".")
    if ours is not None and figure not in FIGURES:
        raise ClaimError(
            f"{where}: figures.{label}={ours!r} is no figure; allowed after the experiment's "
            f"name: {', '.join(FIGURES)}"
        )
    return Quoted(str(label), experiment, figure, theirs)


def _test(text: Any, where: str) -> Expression:
    try:
        return Expression.parse(text)
    except ValueError as error:
        raise ClaimError(f"{where}: {error}") from error
