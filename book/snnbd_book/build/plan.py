"""The generated page *Sweeps*: how a grid is run, and what a full one costs at measured times."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator

import yaml

from snnbd_book.claims import Claim, Judgement, experiments
from snnbd_book.runs import Experiment, Record
from snnbd_book.verify import costs

PAGE = "book/sweeps"

# The whole programme of the book: every axis that the papers vary, five seeds.
FULL = {
    "data sets": 5,
    "triggers": 6,
    "poisoning rates": 5,
    "sizes": 3,
    "positions": 3,
    "polarities": 4,
    "learning rules": 3,
    "seeds": 5,
}
_RUNS = math.prod(FULL.values())

GRID = """\
profile: quick
fixed:
  trigger: {kind: Static, polarity: "on"}
grid:
  rate: [0.001, 0.01, 0.1]
  trigger.position: [bottom-right, middle]
  seed: [0, 1, 2]
"""

_TEXT = """# Sweeps

A sweep runs a grid over any fields of an experiment, side by side, on one machine or on many. Each
run leaves a record; a run whose record exists is not repeated, so a sweep that was stopped goes on
where it was. A run that fails is reported with its traceback and does not stop the others.

## A grid

```yaml
{grid}```

These are {example} runs.

```bash
snnbd sweep grid.yaml              # side by side, as cores and memory allow
snnbd sweep grid.yaml --workers 1  # one after the other
snnbd sweep grid.yaml --out table.csv
```

The results come back as one tidy table, a row per run. Grids of more than 10,000 runs ask for
`--yes`.

## A graphics card each, and clusters

One worker per card, with a scheduler that runs already:

```bash
dask scheduler --host 127.0.0.1 &
for gpu in 0 1 2 3; do
    CUDA_VISIBLE_DEVICES=$gpu dask worker tcp://localhost:8786 --nthreads 1 &
done
snnbd sweep grid.yaml --scheduler tcp://localhost:8786
```

On Slurm, dask-jobqueue starts the workers; the docstring of `snnbd_book.sweeps.execution` holds a
recipe. Workers and the process that calls them must see one results folder (`SNNBD_RESULTS`), one
cache (`SNNBD_CACHE`) and the same data, and have one version of this package. `SNNBD_SCHEDULER`
names the scheduler for all sweeps, those of a whole book included. Dask asks nobody for a password:
without TLS a scheduler belongs on the machine itself or on a private network.
These recipes have not been tried on a cluster by this build.

## What a full grid costs

{axes} are **{runs:,} runs**. At the mean time of the runs behind this book:

| profile | device | runs measured | seconds per run | hours for the full grid, one worker |
|---|---|---:|---:|---:|
{rows}

The time of a run is that of its training and evaluation as its record has it. A device without
a row has no recorded run, and so no hours: a run recorded on a graphics card adds its row here.

## What the papers' own rows take

In profile `paper` a claim is run with its paper's data, network and epochs, the seeds that it
states, three in most, and the floors' clean networks. That takes, by counted multiplications (see
`snnbd_book.verify.costs`), on two cores that do {cores:.2f} x 10¹² of them a second, as measured,
and on a card that is assumed to do {card:.0f} x 10¹²:

| paper | data set | network, T, epochs | trainings | two cores | a card |
|---|---|---|---:|---:|---:|
{papers}

`snnbd reproduce --paper NAME --profile paper --dry-run` says it of one paper, and adds repairs,
detectors and learnt triggers, downloads, disk and memory; without `--dry-run` it runs them.
"""


def page(*groups: Iterable[Judgement], claims: Iterable[Claim] = ()) -> str:
    """MyST text, with the times of the records behind the judgements and those of the claims."""
    judgements = (one for group in groups for one in group)
    records = {one.experiment.hash: one for each in judgements for one in each.records}
    axes = ", ".join(f"{count} {name}" for name, count in FULL.items())
    kinds: dict[tuple[str, str], list[Record]] = {}
    for record in records.values():
        key = (record.experiment.profile, record.provenance.device)
        kinds.setdefault(key, []).append(record)
    rows = [_row(*kind, [one.provenance.seconds for one in kinds[kind]]) for kind in sorted(kinds)]
    example = math.prod(len(values) for values in yaml.safe_load(GRID)["grid"].values())
    return _TEXT.format(
        axes=axes,
        runs=_RUNS,
        rows="\n".join(rows),
        grid=GRID,
        example=example,
        card=costs.CARD / 1e12,
        cores=costs.CORES / 1e12,
        papers="\n".join(_papers(claims)),
    )


def _papers(claims: Iterable[Claim]) -> Iterator[str]:
    """A row for each network that a paper's claims train on a set in profile ``paper``."""
    by_paper: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_paper[claim.cite].append(claim)
    for cite, some in by_paper.items():
        kinds: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
        for run in costs.trainings(experiments(some, "paper")).values():
            network = f"{run.network}, {run.frames}, {run.epochs}"
            kinds[run.data, network].append(run)
        for (data, network), runs in kinds.items():
            work = sum(map(costs.operations, runs))
            times = [costs.lasting(work / rate) for rate in (costs.CORES, costs.CARD)]
            unbroken = " | ".join(one.replace(" ", "\N{NO-BREAK SPACE}") for one in times)
            yield f"| {{cite:t}}`{cite}` | {data} | {network} | {len(runs)} | {unbroken} |"


def _row(profile: str, device: str, seconds: list[float]) -> str:
    mean = sum(seconds) / len(seconds)
    hours = _RUNS * mean / 3600
    return f"| {profile} | {device} | {len(seconds)} | {mean:.1f} | {hours:,.0f} |"
