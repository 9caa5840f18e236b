"""Experiments: the hash, JSON both ways, errors that name the field."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from snnbd_book.runs import Experiment, Neuron, schema
from snnbd_book.runs.codec import canonical
from snnbd_book.runs.parts import PROBES, TRIGGERS
from snnbd_book.runs.profiles import PROFILES
from snnbd_core.attacks import Federated
from snnbd_core.attacks.badsnn import DualSpike
from snnbd_core.defenses import REPAIRS, detectors
from snnbd_core.defenses.detectors import NoiseResponse, Strip
from snnbd_core.deployment import BitFlips, LowBits, Shipped
from snnbd_core.neurons import IF, LIF, ParametricLIF
from snnbd_core.triggers import Moving, Power, Static

# What the hash is made of, written out by hand: it must be the same on every machine.
PINNED = {
    "data": "nmnist",
    "frames": 16,
    "binning": "number",
    "samples": None,
    "network": "nmnist-conv",
    "neuron": {
        "kind": "IF",
        "threshold": 1,
        "reset": "zero",
        "surrogate": "atan",
        "slope": 2,
        "update": "spikingjelly",
        "decay_input": False,
        "detach_reset": True,
        "learn_threshold": False,
    },
    "rule": "surrogate-gradient",
    "trigger": {
        "kind": "Static",
        "size": 0.1,
        "position": [3, 4],
        "polarity": "both",
        "space": "frames",
        "sensor_size": None,
        "strength": 1,
        "rate": 100,
        "refractory": 500,
        "seed": 0,
    },
    "rate": 0.001,
    "target": 7,
    "include_target": True,
    "defence": None,
    "epochs": 20,
    "batch_size": 16,
    "learning_rate": 0.001,
    "loss": "mse",
    "seed": 5,
}


SHARED = {"rule": {"kind": "Federated"}, "trigger": {"kind": "TimeSliced"}, "rate": 0.2}


def pinned() -> Experiment:
    return Experiment(
        data="nmnist",
        frames=16,
        network="nmnist-conv",
        neuron=Neuron(kind="IF"),
        trigger=Static(size=0.1, position=(3, 4), polarity="both"),
        rate=0.001,
        target=7,
        drawn="with-order",
        epochs=20,
        batch_size=16,
        learning_rate=1e-3,
        seed=5,
        profile="paper",
    )


def test_the_hash_is_sha256_of_the_sorted_json_of_the_settings() -> None:
    text = json.dumps(PINNED, sort_keys=True, separators=(",", ":"))
    assert pinned().digest == hashlib.sha256(text.encode()).hexdigest()
    assert pinned().hash == "43789f9e8eb5"


def lines(project: Path) -> Iterator[dict[str, Any]]:
    """The committed records, as their files have them."""
    for path in sorted((project / "results" / "recorded").glob("*.jsonl")):
        yield from map(json.loads, path.read_bytes().splitlines())


def test_a_part_with_a_later_field_keeps_the_hash_that_its_record_was_filed_under(
    project: Path,
) -> None:
    (found,) = (one for one in lines(project) if one["record"] == "nmnist-moving-0d65d6a6d62e")
    values = schema.first_form(found["experiment"]) | {"drawn": "with-order"}
    assert "speed" not in values["trigger"]
    experiment = Experiment.from_dict(values)
    assert experiment.hash == "0d65d6a6d62e"
    assert experiment.to_dict()["trigger"]["speed"] == 2
    assert Experiment.from_json(experiment.to_json()).hash == experiment.hash
    values["trigger"] |= {"motion": "wrap", "speed": 3}
    slower = Experiment.from_dict({**values, "trigger": values["trigger"] | {"speed": 1}})
    default = Experiment.from_dict({**values, "trigger": values["trigger"] | {"speed": 2}})
    assert len({one.hash for one in (Experiment.from_dict(values), slower, default)}) == 3
    del values["trigger"]["speed"]
    assert Experiment.from_dict(values).hash == default.hash


def test_every_recorded_run_is_filed_under_the_hash_of_its_settings(project: Path) -> None:
    found = list(lines(project))
    assert len(found) > 1000
    for values in found:
        made = Experiment.from_dict(schema.migrated(values["experiment"], values.get("schema", 1)))
        assert values["record"] == f"{made.name}-{made.hash}"
        assert values["hash"] == made.digest


def test_a_later_field_is_left_out_of_the_hash_where_it_means_what_was_done_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Strip(detectors.Strip):
        speed: int = 4  # whatever a class makes its default later

    plain = Experiment(probe=detectors.Strip(), held_out=1, trigger=Static())
    monkeypatch.setitem(PROBES, "Strip", Strip)
    monkeypatch.setitem(schema.ADDED, 9, {"Strip": {"speed": 1}})
    monkeypatch.setattr(schema, "CURRENT", 9)
    assert dataclasses.replace(plain, probe=Strip(speed=1)).hash == plain.hash
    assert dataclasses.replace(plain, probe=Strip()).hash != plain.hash
    older = schema.migrated(plain.to_dict(), 8)
    assert Experiment.from_dict(older) == dataclasses.replace(plain, probe=Strip(speed=1))
    assert schema.migrated(plain.to_dict(), 9)["probe"] == plain.to_dict()["probe"]


@pytest.mark.parametrize(("name", "first"), [("FineTuning", True), ("FinePruning", False)])
def test_a_rounded_repair_of_a_record_is_a_repair_and_a_rounding_with_its_hash(
    name: str, first: bool
) -> None:
    before = {"kind": "RoundedRepair", "repair_by": name, "weights": 4, "rounded_first": first}
    attack = {"trigger": Static(), "rate": 0.1, "drawn": "with-order"}
    values = Experiment(held_out=10, **attack).to_dict() | {"defence": before}
    made = Experiment.from_dict(schema.migrated(values, 4))
    rounding = {"change": LowBits(weights=4), "changed_first": first}
    assert made.defence == Shipped(repair_by=REPAIRS[name](), **rounding)
    assert schema.first_form(made.to_dict())["defence"] == before
    hashed = {key: value for key, value in schema.first_form(values).items() if key != "profile"}
    assert made.digest == hashlib.sha256(canonical(hashed).encode()).hexdigest()
    others = (
        Shipped(repair_by=REPAIRS[name](epochs=1), **rounding),
        Shipped(repair_by=REPAIRS["ChannelLipschitz"](), **rounding),
        Shipped(repair_by=REPAIRS[name](), change=LowBits(weights=4, settings=None)),
        Shipped(repair_by=REPAIRS[name](), change=BitFlips()),
    )
    hashes = {dataclasses.replace(made, defence=one).hash for one in others}
    assert len(hashes) == 4 and made.hash not in hashes


def test_a_part_of_a_part_has_later_fields_left_out_and_filled_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = Experiment(
        held_out=1, defence=Shipped(repair_by=REPAIRS["OptimisedPruning"](), change=BitFlips())
    )
    assert plain.to_dict()["defence"]["repair_by"]["samples"] == 64
    older = schema.first_form(plain.to_dict())
    assert "samples" not in older["defence"]["repair_by"]
    assert schema.migrated(plain.to_dict() | older, 1) == plain.to_dict()


def test_dual_spikes_that_cut_no_gradients_are_those_of_earlier_records() -> None:
    plain = Experiment(rule=DualSpike())
    older = plain.to_dict()
    del older["rule"]["clip"]
    assert Experiment.from_dict(schema.migrated(older, 4)) == plain
    assert "clip" not in schema.first_form(plain.to_dict())["rule"]
    assert Experiment(rule=DualSpike(clip=1.0)).hash != plain.hash


def test_arrays_are_told_apart_by_every_value_however_large() -> None:
    one, two = np.zeros((200, 200), np.float32), np.zeros((200, 200), np.float32)
    two[100, 100] = 1
    assert repr(one) == repr(two)  # NumPy leaves out the middle
    assert canonical({"pattern": one}) != canonical({"pattern": two})
    assert canonical(torch.tensor([1.0, 0.5])) == canonical(np.array([1, 0.5])) == "[1,0.5]"


def test_settings_of_a_later_schema_are_refused() -> None:
    with pytest.raises(ValueError, match=rf"schema=9 is unknown; allowed: 1\.\.{schema.CURRENT}"):
        schema.migrated(Experiment().to_dict(), 9)


def test_the_hash_is_the_same_in_another_process_with_other_string_hashes() -> None:
    code = (
        "import sys; from snnbd_book.runs import Experiment; "
        "print(Experiment.from_json(sys.stdin.read()).hash)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        input=pinned().to_json(),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == pinned().hash


def test_the_order_of_the_fields_does_not_change_the_hash() -> None:
    items = list(pinned().to_dict().items())
    for seed in range(5):
        random.Random(seed).shuffle(items)
        assert Experiment.from_dict(dict(items)).hash == pinned().hash


def test_whole_numbers_hash_alike_however_they_are_written() -> None:
    with_float = Experiment(trigger=Static(size=1.0, strength=1.0), rate=1.0)
    with_int = Experiment(trigger=Static(size=1, strength=1), rate=1)
    assert with_float.hash == with_int.hash
    assert Experiment(seed=np.int64(3)).hash == Experiment(seed=3).hash


def test_the_profile_is_a_label_and_all_other_fields_change_the_hash() -> None:
    base = pinned()
    assert dataclasses.replace(base, profile="sample").hash == base.hash
    changes = {
        "data": "digits-events",
        "frames": 8,
        "binning": "time",
        "samples": 10,
        "network": "quick-conv",
        "width": 0.5,
        "neuron": Neuron(kind="IF", threshold=1.5),
        "trigger": Moving(),
        "rate": 0.002,
        "target": 6,
        "include_target": False,
        "drawn": "apart",
        "epochs": 21,
        "batch_size": 17,
        "learning_rate": 2e-3,
        "loss": "cross_entropy",
        "seed": 6,
        "clean_label": True,
        "held_out": 3,
        "inference_threshold": 1.2,
        "inference_beta": 0.6,
        "probe": NoiseResponse(),
    }
    hashes = {dataclasses.replace(base, **{k: v}).hash for k, v in changes.items()}
    assert len(hashes | {base.hash}) == len(changes) + 1
    image = Experiment(data="digits")
    assert dataclasses.replace(image, coding="poisson").hash != image.hash
    with pytest.raises(ValueError, match="coding='poisson' is for static images"):
        dataclasses.replace(base, data="digits-events", coding="poisson")
    with pytest.raises(ValueError, match="coding='clipped' is for events: data='digits' holds"):
        dataclasses.replace(image, coding="clipped")
    others = {field.name for field in dataclasses.fields(base)} - set(changes)
    assert others == {"rule", "defence", "profile", "coding"}  # one allowed value each, or a label


@settings(max_examples=50, deadline=None)
@given(
    kind=st.sampled_from(sorted(TRIGGERS)),
    size=st.floats(0.05, 0.3),
    rate=st.floats(0.01, 1),
    learning_rate=st.floats(1e-6, 1),
    beta=st.floats(0, 1),
    seed=st.integers(0, 2**40),
)
def test_json_brings_back_the_same_experiment(
    kind: str, size: float, rate: float, learning_rate: float, beta: float, seed: int
) -> None:
    has_size = "size" in {item.name for item in dataclasses.fields(TRIGGERS[kind])}
    given: dict[str, Any] = {"size": size} if has_size else {}
    if kind == "TimeTable":
        given = {"shifts": [[[[0.0, 2.5]]], [[[-1.0, 3.0]]]], "length": 300.0, "bound": 20.0}
    trigger = TRIGGERS[kind](**given)
    experiment = Experiment(
        trigger=trigger,
        rate=rate,
        learning_rate=learning_rate,
        seed=seed,
        neuron=Neuron(beta=beta),
    )
    again = Experiment.from_json(experiment.to_json())
    assert again == experiment
    assert again.hash == experiment.hash


def test_canonical_text_refuses_what_json_has_no_word_for() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"x": float("nan")})


def test_fields_left_out_take_their_defaults() -> None:
    assert Experiment.from_dict({"seed": 3}) == Experiment(seed=3)
    assert Experiment.from_dict({}) == Experiment.for_profile("quick")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_sets_the_sizes_and_nothing_else(profile: str) -> None:
    experiment = Experiment.for_profile(profile, seed=2, trigger=Moving(), rate=0.1)
    for name, value in PROFILES[profile].items():
        assert getattr(experiment, name) == value
    assert experiment.profile == profile
    sizes = {"data", "frames", "network", "epochs", "batch_size", "learning_rate", "samples"}
    assert set(PROFILES[profile]) <= sizes
    assert experiment.drawn == "apart"


def test_how_poison_is_drawn_is_in_the_hash_only_where_some_is_drawn() -> None:
    clean = Experiment.for_profile("quick")
    dual = dataclasses.replace(clean, rule=DualSpike(), trigger=Power())
    shared = dataclasses.replace(clean, rule=Federated(), trigger=Static(), rate=0.1)
    for nothing in (clean, dual, shared):  # the federated rule has a draw of its own
        assert dataclasses.replace(nothing, drawn="with-order").hash == nothing.hash
        assert dataclasses.replace(nothing, drawn="with-order") == nothing
    poisoned = dataclasses.replace(clean, trigger=Moving(), rate=0.1)
    assert dataclasses.replace(poisoned, drawn="with-order").hash != poisoned.hash


def test_the_clean_twin_differs_in_the_attack_alone() -> None:
    attacked = pinned()
    twin = attacked.clean_twin
    assert (twin.trigger, twin.rate, twin.seed) == (None, 0.0, attacked.seed)
    for other in (dataclasses.replace(attacked, target=3), dataclasses.replace(attacked, rate=0.1)):
        assert other.clean_twin.hash == twin.hash
    assert attacked.training == attacked
    measured_otherwise = {
        "held_out": 4,
        "inference_threshold": 1.2,
        "inference_beta": 0.7,
        "probe": Strip(),
    }
    assert dataclasses.replace(attacked, **measured_otherwise).training == attacked
    assert dataclasses.replace(attacked, rate=0).training.hash == twin.hash


@pytest.mark.parametrize(("kind", "layer"), [("LIF", LIF), ("IF", IF), ("ParametricLIF", None)])
def test_a_neuron_builds_the_layer_it_names(kind: str, layer: type | None) -> None:
    built = Neuron(kind=kind, threshold=1.5, slope=3.0, reset="subtract").build()
    assert type(built) is (layer or ParametricLIF)
    assert built.threshold.item() == 1.5
    assert (built.rule.slope, built.rule.reset) == (3.0, "subtract")
    assert Neuron(kind="LIF", beta=0.25).build().beta.item() == 0.25
    tau = Neuron(kind="ParametricLIF", init_tau=4.0).build()
    torch.testing.assert_close(tau.decay(), torch.tensor(0.75))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "epoch is not a field of Experiment; allowed: data, frames"),
        ({"data": "nmist"}, "data='nmist' is unknown; allowed: digits-events"),
        ({"data": ["nmnist"]}, r"data=\['nmnist'\] is unknown"),
        ({"network": "vgg"}, "network='vgg' is unknown; allowed: nmnist-conv"),
        ({"rule": "stdp"}, "rule='stdp' must be a mapping with a kind"),
        ({"rule": {"kind": "Stdp"}}, "rule.kind='Stdp' is unknown; allowed: SurrogateGradient"),
        ({"rule": None}, "rule=None is unknown; allowed: surrogate-gradient, SurrogateGradient"),
        ({"clean_label": 1}, "clean_label=1 must be true or false"),
        ({"held_out": -1}, "held_out=-1 must be a whole number >= 0"),
        ({"inference_threshold": 0}, "inference_threshold=0 must be a number > 0"),
        ({"inference_beta": 1.5}, r"inference_beta=1.5 must be a number in \(0, 1\]"),
        ({"loss": "hinge"}, "loss='hinge' is unknown; allowed: mse"),
        ({"binning": "size"}, "binning='size' is unknown; allowed: number, time"),
        ({"profile": "fast"}, "profile='fast' is unknown; allowed: quick, sample, paper"),
        ({"epochs": "8"}, "epochs='8' must be a whole number >= 1"),
        ({"epochs": 2.5}, "epochs=2.5 must be a whole number >= 1"),
        ({"epochs": True}, "epochs=True must be a whole number >= 1"),
        ({"frames": 0}, "frames=0 must be a whole number >= 1"),
        ({"samples": 0}, "samples=0 must be a whole number >= 1"),
        ({"seed": -1}, "seed=-1 must be a whole number >= 0"),
        ({"target": None}, "target=None must be a whole number >= 0"),
        ({"rate": 1.5, "trigger": {"kind": "Static"}}, "rate=1.5 must be a number in 0..1"),
        ({"rate": "0.1"}, "rate='0.1' must be a number in 0..1"),
        ({"rate": 0.1}, "rate=0.1 must be 0 without a trigger"),
        ({"learning_rate": 0}, "learning_rate=0 must be a number > 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be a number > 0"),
        ({"include_target": 1}, "include_target=1 must be true or false"),
        ({"probe": {"kind": "Oracle"}}, "probe.kind='Oracle' is unknown; allowed: NeuralCleanse"),
        ({"probe": {"kind": "Strip", "colour": 1}}, "probe.colour is not a field of Strip"),
        ({"probe": {"kind": "Strip", "overlays": 0}}, "probe: overlays=0 must be a whole number"),
        ({"probe": {"kind": "NoiseResponse", "levels": 1}}, "probe: levels=1 must be a list"),
        (
            {"probe": {"kind": "HyperParameters", "expected": [["layers.1", 1]]}},
            r"probe: expected=\[\['layers.1', 1\]\] must be rows of \(layer, threshold, decay\)",
        ),
        (
            {"trigger": {"kind": "Dynamic"}, "rate": 1.0, "rule": {"kind": "FrozenReadout"}},
            "rule=FrozenReadout.* with trigger=Dynamic.*: allowed is surrogate-gradient",
        ),
        (
            {**SHARED, "clean_label": True},
            "clean_label=True with rule=Federated.* from all classes .*: allowed is False",
        ),
        (
            {**SHARED, "include_target": False},
            "include_target=False with rule=Federated.* from all classes .*: allowed is True",
        ),
        (
            {"trigger": {"kind": "Dynamic"}, "rate": 1.0, "clean_label": True},
            "clean_label=True with trigger=Dynamic.* from all classes .*: allowed is False",
        ),
        (
            {**SHARED, "trigger": {"kind": "Smart"}},
            "trigger=Smart.* with rule=Federated.*; use a trigger that is not fitted, such as",
        ),
        ({"defence": "pruning"}, "defence='pruning' must be a mapping with a kind"),
        ({"trigger": "Static"}, "trigger='Static' must be a mapping with a kind"),
        (
            {"trigger": {"size": 0.1}},
            "trigger.kind=None is unknown; allowed: Blended, Dynamic, EventPattern",
        ),
        ({"trigger": {"kind": "Static", "colour": 1}}, "trigger.colour is not a field of Static"),
        ({"trigger": {"kind": "Static", "size": 2}}, "trigger: size=2"),
        ({"trigger": {"kind": "Static", "polarity": False}}, "trigger: polarity=False"),
        ({"neuron": "LIF"}, "neuron='LIF' must be a mapping of fields"),
        ({"neuron": {"kind": "Izhikevich"}}, "neuron.kind='Izhikevich' is unknown; allowed: LIF"),
        ({"neuron": {"tau": 2}}, "neuron.tau is not a field of Neuron"),
        ({"neuron": {"kind": "IF", "beta": 0.5}}, "neuron.beta=0.5 must be None: IF has none"),
        ({"neuron": {"beta": 1.5}}, "neuron: beta=1.5 must lie within 0..1"),
        ({"neuron": {"beta": "0.5"}}, "neuron.beta='0.5' must be a finite number"),
        ({"neuron": {"detach_reset": 1}}, "neuron.detach_reset=1 must be a true or false|true"),
        ({"neuron": {"reset": "hard"}}, "neuron: reset='hard'"),
    ],
)
def test_an_error_names_the_field(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Experiment.from_dict(values)


def test_an_error_names_what_is_no_experiment_at_all() -> None:
    with pytest.raises(ValueError, match="experiment is not JSON"):
        Experiment.from_json("{")
    with pytest.raises(ValueError, match="must be a mapping of fields"):
        Experiment.from_json("[1]")
    with pytest.raises(ValueError, match=r"trigger=<.*> must be None or one of"):
        Experiment(trigger=lambda frames: frames)
    with pytest.raises(ValueError, match=r"neuron=0\.5 must be a Neuron"):
        Experiment(neuron=0.5)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ValueError, match="profile='slow' is unknown"):
        Experiment.for_profile("slow")
