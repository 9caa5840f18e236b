"""How often an audit accuses clean networks, and how often it misses attacked ones.

    python -m benchmarks.audit_rates [--minutes 30] [--only GROUP] [--out FILE]
    python -m benchmarks.audit_rates --successes

Networks of the quick profile are trained and audited, as they are, exported through NIR and read
back, or as modules of snnTorch. What is found of each is added to the file at once, so that a run
that was stopped goes on where it was. "known" and "images" are clean networks for recordings (of
seeds from 100 on) and for images (of seeds below 20); their scores are the records in
`snnbd_core.auditing.judging`, which --records prints. "judged" and "judged images" are clean and
attacked networks of other seeds, whose false alarms and misses are counted; each attack is sent in
each form, in two networks or, of images, in one. "limits" are attacked networks for images of yet
other seeds, which limits are set on.
--successes adds how well the attack of each attacked network works, which no audit knows.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import nn

import snnbd_core as sb
from benchmarks.measure import commit, machine
from snnbd_book.runs import Experiment, fitted_trigger, network, resolve
from snnbd_book.runs.locking import locked
from snnbd_core import triggers
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.auditing import Audit, budget, judging
from snnbd_core.files import write_atomically
from snnbd_core.metrics import Rate
from snnbd_core.neurons import LIF

OUT = Path(__file__).parent / "results" / "audit.json"
ATTACKS: dict[str, dict[str, Any]] = {
    "static": {"trigger": triggers.Static(), "rate": 0.1},
    "moving": {"trigger": triggers.Moving(), "rate": 0.1},
    "smart": {"trigger": triggers.Smart(walk="drift", seed=0), "rate": 0.1},
    "BadSNN": {
        "trigger": triggers.TemporalNoise(),
        "rule": DualSpike(),
        "inference_threshold": 1.2,
    },
    "clean label": {"trigger": triggers.Static(), "rate": 0.05, "clean_label": True},
}
IMAGES = {"data": "digits", "frames": 4}
IMAGE_ATTACKS: dict[str, dict[str, Any]] = {
    "patch": {"trigger": triggers.Patch(size=0.25), "rate": 0.05},
    "blended": {"trigger": triggers.Blended(), "rate": 0.05},
    "wave": {
        "trigger": triggers.Sinusoidal(delta=0.3, frequency=2),
        "rate": 0.05,
        "clean_label": True,
    },
    "warp": {"trigger": triggers.Warp(strength=1.0), "rate": 0.1},
    "BadSNN": {
        "trigger": triggers.Power(),
        "rule": DualSpike(threshold=3.0, batch_norm="frozen"),
        "inference_threshold": 1.5,
        "target": 3,
    },
}
FORMS = ("ours", "NIR", "snnTorch")
JUDGED = {"judged": "frames", "judged images": "image"}  # group: kind of its samples
Case = tuple[str, str, Experiment, str]  # group, attack, run, form


def cases(only: str) -> Iterator[Case]:
    """All networks that are to be audited, those of each group in turn."""
    make = partial(Experiment.for_profile, "quick")
    for group, rows in _groups().items():
        for attack, seed, form, fields in rows if only in ("all", group) else ():
            yield group, attack, make(seed=seed, **fields), form


def _groups() -> dict[str, list[tuple[str, int, str, dict[str, Any]]]]:
    """Attack, seed, form and settings of the networks of each group."""
    attacked = [
        (name, seed, FORMS[(number + seed) % 3], fields)
        for seed in range(6)
        for number, (name, fields) in enumerate(ATTACKS.items(), 1)
    ]
    of_images = [(name, IMAGES | fields) for name, fields in IMAGE_ATTACKS.items()]
    return {
        "images": [("clean", seed, "ours", IMAGES) for seed in range(20)],
        "known": [("clean", seed, "ours", {}) for seed in range(100, 120)],
        "limits": [(name, seed, "ours", each) for seed in (100,) for name, each in of_images],
        "judged": [*(("clean", seed, FORMS[seed % 3], {}) for seed in range(20)), *attacked],
        "judged images": [
            *(("clean", 20 + k, FORMS[k % 3], IMAGES) for k in range(12)),
            *((name, 20 + k, FORMS[k], each) for k in range(3) for name, each in of_images),
        ],
    }


class InSnnTorch(nn.Module):
    """Our layers with neurons of snnTorch, called step by step."""

    def __init__(self, net: sb.networks.Network) -> None:
        super().__init__()
        import snntorch

        parts = [
            snntorch.Leaky(
                float(part.beta),
                float(part.threshold),
                init_hidden=True,
                reset_mechanism="zero",
                reset_delay=False,
            )
            if isinstance(part, LIF)
            else nn.Sequential(*part)
            for part in net.layers
        ]
        self.layers = nn.Sequential(*parts)

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        """Spikes [B, outputs] of one frame [B, C, H, W]."""
        spikes: torch.Tensor = self.layers(frame)
        return spikes


def shipped(run: Experiment, form: str) -> nn.Module:
    """The trained network as somebody would send it."""
    net: Any = network(run, device="cpu").eval()
    for part in net.modules():
        if isinstance(part, LIF) and run.inference_threshold is not None:
            part.threshold.fill_(run.inference_threshold)
    if form == "ours":
        return net
    if form == "snnTorch":
        shape, classes = net.input_shape, net.classes
        moved = InSnnTorch(net).eval()
        return sb.adapt(moved, layout="step", input_shape=shape, classes=classes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.nir"
        return sb.exchange.read_nir(path, **sb.exchange.write_nir(net, path))


def scores(found: Audit) -> dict[str, Any]:
    """The score and class of each part that judges, and of each detector."""
    parts = {part.name: part for part in found.parts}
    held: dict[str, Any] = {}
    for name in ("settings", "floors"):
        if parts[name].tables:
            score, _, _, target = parts[name].tables[0].rows[0]
            held[name] = {"score": score, "class": target}
    for row in parts["detectors"].tables[-1].rows if parts["detectors"].tables else ():
        held[str(row[0])] = {"score": row[3], "class": row[2]}
    return held


def accuses(held: dict[str, Any], kind: str = "frames") -> tuple[bool, int | None]:
    """What the combined rule says of scores by the records as they are now, and of which class."""
    known = judging.RECORDED[kind]
    least = dict.fromkeys(("settings", "floors"), judging.LEAST)
    ps = {
        name: judging.p_value(one["score"], known[name], least=least.get(name, 0.0)) or 1.0
        for name, one in held.items()
        if name in known
    }
    asked = {name: p for name, p in ps.items() if name not in ("settings", "floors")}
    best = min(asked, key=lambda name: asked[name]) if asked else None
    parts = {name: ps[name] for name in ("settings", "floors") if name in ps}
    if best is not None:
        parts[best] = min(judging.corrected(asked.values()))
    after = dict(zip(parts, judging.corrected(parts.values()), strict=True))
    worst = min(after, key=lambda name: after[name])
    return after[worst] <= judging.LEVEL, held[worst]["class"]


def main(
    minutes: Annotated[float, typer.Option(help="No network is begun after so many.")] = 30.0,
    only: Annotated[str, typer.Option(help="A group of networks, or all.")] = "all",
    records: Annotated[bool, typer.Option(help="Print the records, audit nothing.")] = False,
    successes: Annotated[bool, typer.Option(help="Measure attacks, audit nothing.")] = False,
    out: Annotated[Path, typer.Option(help="Where results are added.")] = OUT,
) -> None:
    """Train and audit networks, and count."""
    torch.set_num_threads(1)
    budget.clock = time.process_time  # whatever else runs beside it
    if records:
        typer.echo(json.dumps(_records(_read(out)["networks"]), indent=1))
        return
    ends = time.monotonic() + 60 * minutes
    for group, attack, run, form in cases(only):
        key, known = f"{group}, {attack}, seed {run.seed}, {form}", _read(out)["networks"]
        if successes:
            if attack != "clean" and "success" not in known.get(key, {"success": 0}):
                add(out, key, known[key] | {"success": success(run)})
            continue
        if key in known:
            continue
        if time.monotonic() > ends:
            break
        add(out, key, {"group": group, "attack": attack, "form": form, **audited(run, form)})
        typer.echo(key)
    typer.echo(json.dumps(add(out)["rates"], indent=1))


def audited(run: Experiment, form: str) -> dict[str, Any]:
    """What an audit finds of a network, and what it took."""
    begun, code = time.process_time(), commit()
    net = shipped(run, form)
    trained = time.process_time()
    test, once = resolve(run).test, "RandomThreshold"
    found = sb.audit(net, test, repair=once, device="cpu", steps=run.frames)
    right = found.parts[0].tables[1].rows[0][1]
    assert isinstance(right, Rate)
    return {
        "accuracy": right.value,
        "scores": scores(found),
        "training_seconds": round(trained - begun, 1),
        "audit_seconds": round(time.process_time() - trained, 1),
        "commit": code,
    }


def success(run: Experiment) -> float:
    """Share of the other classes' test samples that the attack's own trigger sends to its class."""
    net, trigger = shipped(run, "ours"), fitted_trigger(run, device="cpu", progress=False)
    report = sb.evaluate(net, resolve(run).test, trigger, run.target, device="cpu")
    assert report.attack_success_rate is not None  # there is a trigger
    return round(report.attack_success_rate.value, 4)


def add(out: Path, key: str = "", found: dict[str, Any] | None = None) -> dict[str, Any]:
    """All that is known, with a network more; several processes may add to one file."""
    with locked(out.with_suffix(".lock")):
        done = _read(out)
        if found is not None:
            done["networks"][key] = found
        for one in done["networks"].values() if judging.RECORDED["frames"] else ():
            if one["group"] in JUDGED:
                one["accused"] = accuses(one["scores"], JUDGED[one["group"]])[0]
        done |= {"machine": machine(1), "level": judging.LEVEL, "rates": rates(done["networks"])}
        text = json.dumps(done, indent=1) + "\n"
        write_atomically(out, lambda file: file.write(text.encode()))
    return done


def _read(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.read_text()) if out.is_file() else {"networks": {}}
    return found


def rates(networks: dict[str, Any]) -> dict[str, Any]:
    """Accused networks of each attack, and of clean ones, among the judged; with intervals.

    Names of rates of networks for images begin with "images, ".
    """
    found: dict[str, list[bool]] = {}
    for one in networks.values():
        if "accused" in one:
            kind = "clean" if one["attack"] == "clean" else "attacked"
            where = "images, " if one["group"] == "judged images" else ""
            for name in {kind, one["attack"], f"{kind}, {one['form']}"}:
                found.setdefault(where + name, []).append(one["accused"])
    return {name: _rate(Rate(sum(rows), len(rows))) for name, rows in sorted(found.items())}


def _rate(rate: Rate) -> dict[str, Any]:
    low, high = rate.confidence_interval
    return {"accused": rate.hits, "of": rate.total, "low": round(low, 3), "high": round(high, 3)}


def _records(networks: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {"frames": {}, "image": {}}
    for one in networks.values():
        kind = {"known": "frames", "images": "image"}.get(one["group"])
        for name, held in one["scores"].items() if kind else ():
            found[kind].setdefault(name, []).append(round(held["score"], 4))
    return {kind: {name: sorted(row) for name, row in one.items()} for kind, one in found.items()}


if __name__ == "__main__":
    typer.run(main)
