"""What a run is: every setting that its numbers depend on, and a hash of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from snnbd_book.runs import codec, parts, profiles, schema, twins
from snnbd_book.runs.coherence import check_together
from snnbd_book.runs.neuron import Neuron
from snnbd_core import data, networks
from snnbd_core.attacks import Federated, Watermark
from snnbd_core.checks import (
    Checked,
    Count,
    Flag,
    Natural,
    Part,
    Positive,
    Unit,
    choice,
    instance,
)
from snnbd_core.data.events import Binning
from snnbd_core.learning import SurrogateGradient
from snnbd_core.learning.surrogate_gradient import LOSSES

DEFAULT_RULE = "surrogate-gradient"
_QUICK = profiles.PROFILES["quick"]
CHANGES_NO_NUMBER = True  # what it says of trainings is in twins
_PARTS = {
    "trigger": parts.TRIGGERS,
    "rule": parts.RULES,
    "defence": parts.REPAIRS,
    "probe": parts.PROBES,
}


def _one_of(name: str, value: Any) -> Any:
    """A part of an experiment, or None; ValueError for one of another class."""
    kinds = _PARTS[name]
    if value is not None and type(value) not in kinds.values():
        allowed = " or one of ".join(filter(None, ["None", ", ".join(kinds)]))
        raise ValueError(f"{name}={value!r} must be {allowed}")
    return value


def _rule(name: str, value: Any) -> Any:
    """A learning rule; ValueError for what is none."""
    if value == DEFAULT_RULE:
        return SurrogateGradient()
    if value is None or type(value) not in parts.RULES.values():
        allowed = ", ".join((DEFAULT_RULE, *parts.RULES))
        raise ValueError(f"{name}={value!r} is unknown; allowed: {allowed}")
    return value


# By names of their own: in the class below, `data` and `network` are fields.
_Data = Annotated[str, partial(choice, allowed=data.NAMES)]
_Coding = Annotated[str, partial(choice, allowed=networks.CODINGS)]
_Network = Annotated[str, partial(choice, allowed=networks.NAMES)]
_Loss = Annotated[str, partial(choice, allowed=LOSSES)]
_Profile = Annotated[str, partial(choice, allowed=profiles.PROFILES)]
_Neuron = Annotated[Neuron, partial(instance, kind=Neuron, words="a Neuron")]
_Drawn = Annotated[str, partial(choice, allowed=("apart", "with-order"))]
_Rule = Annotated[Any, _rule]
_Part = Annotated[Any, _one_of]


@dataclass(frozen=True, kw_only=True)
class Experiment(Checked):
    """A run in full: data, network, learning rule, attack and seed.

    The seed is that of the initial weights, of the order of the samples and the dropout, and of
    which samples are poisoned. The data set and its split in training and test are the same for
    all seeds.

    Attributes:
        data: name of a data set, see `snnbd_core.data.load`.
        frames: T, the time steps; static images are repeated so many times.
        binning: how event recordings are cut in frames, "number" or "time"; not used for images.
        coding: "direct", for static images "poisson" too, for events "clipped" and "scaled";
            see `networks.build`.
        samples: None trains on the whole training set; a number on so many of its samples, drawn
            once (the same for all seeds).
        network: name of a network, see `snnbd_core.networks`.
        width: of its layers, as a share of the published one's; see `networks.build`.
        neuron: settings of its neurons.
        rule: the learning rule, one of `parts.RULES`; "surrogate-gradient" is the default's name.
        trigger: what is put into poisoned samples, and into test samples to measure the attack;
            None for a clean run.
        rate: share of the training samples that are poisoned, 0..1; above 0 needs a trigger.
        drawn: how the poisoned samples are drawn: "apart" from the order of training, as `poison`
            does by itself, or "with-order", by the numbers that order the first epoch too. The
            poisoned samples then come first in it; see the book's page on intervals. Where the
            rate is 0 nothing is drawn, and the federated rule always draws apart: both have "apart"
            here, whatever is given.
        clean_label: whether only samples of the target class are poisoned, so that no label is
            changed; `include_target` then has no meaning.
        target: the attacker's class.
        include_target: whether samples of the target class are among those drawn for poisoning.
        defence: what is done to the trained network, one of `parts.REPAIRS`; None for nothing.
        held_out: so many samples of each class go from the test set to the defender; the report is
            measured on the others.
        inference_threshold, inference_beta: threshold and decay that all neurons get after the
            training, in the network and in the one of the floor; None leaves them.
        probe: what is measured of the network as it is deployed, after its defence, besides the
            report: one of `parts.PROBES`, see `probing`; None for nothing.
        epochs, batch_size, learning_rate, loss: of the training.
        seed: see above.
        profile: whose sizes these are. A label: it does not change the numbers nor the hash.

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """

    data: _Data = _QUICK["data"]
    frames: Count = _QUICK["frames"]
    binning: Binning = "number"
    coding: _Coding = "direct"
    samples: Count | None = None
    network: _Network = _QUICK["network"]
    width: Positive = 1.0
    neuron: _Neuron = field(default_factory=Neuron)
    rule: _Rule = DEFAULT_RULE
    trigger: _Part = None
    rate: Unit = 0.0
    target: Natural = 0
    include_target: Flag = True
    drawn: _Drawn = "apart"
    clean_label: Flag = False
    defence: _Part = None
    held_out: Natural = 0
    inference_threshold: Positive | None = None
    inference_beta: Part | None = None
    probe: _Part = None
    epochs: Count = _QUICK["epochs"]
    batch_size: Count = _QUICK["batch_size"]
    learning_rate: Positive = _QUICK["learning_rate"]
    loss: _Loss = "mse"
    seed: Natural = 0
    profile: _Profile = "quick"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rate == 0 or isinstance(self.rule, Federated):
            object.__setattr__(self, "drawn", "apart")
        check_together(self)

    @classmethod
    def for_profile(cls, profile: str, **fields: Any) -> Experiment:
        """An experiment with a profile's sizes; `fields` are set on top of them."""
        return cls(**{**profiles.sizes(profile), "profile": profile, **fields})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Experiment:
        """The inverse of `to_dict`; fields left out take their defaults.

        Raises:
            ValueError: an unknown field, or as the constructor.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"experiment={values!r} must be a mapping of fields")
        codec.check_known("", values, cls)
        fields = dict(values)
        for name in _PARTS.keys() & fields.keys():
            if fields[name] != DEFAULT_RULE:
                fields[name] = codec.part_from_dict(name, fields[name], _PARTS[name])
        if "neuron" in fields:
            if not isinstance(fields["neuron"], Mapping):
                raise ValueError(f"neuron={fields['neuron']!r} must be a mapping of fields")
            codec.check_known("neuron", fields["neuron"], Neuron)
            fields["neuron"] = Neuron(**fields["neuron"])
        return cls(**fields)

    @classmethod
    def from_json(cls, text: str) -> Experiment:
        """The inverse of `to_json`.

        Raises:
            ValueError: text that is not JSON, or as `from_dict`.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"experiment is not JSON: {error}") from error
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """All fields in JSON's types, parts as {"kind": "Static", ...}."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        values["neuron"] = self.neuron.to_dict()
        for name in _PARTS:
            values[name] = codec.part_to_dict(values[name])
        if self.rule == SurrogateGradient():
            values["rule"] = DEFAULT_RULE
        return {name: codec.plain(value) for name, value in values.items()}

    def to_json(self) -> str:
        """Readable JSON of all fields."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @functools.cached_property
    def digest(self) -> str:
        """sha256 (hex) of the canonical JSON of all fields that the numbers depend on."""
        values = schema.first_form(self.to_dict())
        del values["profile"]
        if not self.rate:
            values.pop("drawn", None)  # nothing is drawn
        return hashlib.sha256(codec.canonical(values).encode()).hexdigest()

    @property
    def hash(self) -> str:
        """The first 12 digits of `digest`: what files are named by."""
        return self.digest[:12]

    @property
    def name(self) -> str:
        """Data set, trigger, and what else is not the default, for file names.

        "digits-events-static", "digits-events-power-dualspike-finetuning-strip".
        """
        trigger = "clean" if self.trigger is None else type(self.trigger).__name__.lower()
        words = [self.data, trigger]
        words += [] if self.rule == SurrogateGradient() else [type(self.rule).__name__.lower()]
        words += [
            type(part).__name__.lower() for part in (self.defence, self.probe) if part is not None
        ]
        return "-".join(words)

    @property
    def attacks(self) -> bool:
        """Whether an attacker trains: with poisoned samples, or by a rule of their own."""
        return self.rate > 0 or self.rule.attacks

    @property
    def mark(self) -> Watermark | None:
        """The rule that trains an owner's keys in, where there is no trigger beside them."""
        return self.rule if isinstance(self.rule, Watermark) and self.trigger is None else None

    @property
    def deployed_otherwise(self) -> bool:
        """Whether neurons get other settings at inference than in training."""
        return self.inference_threshold is not None or self.inference_beta is not None

    @property
    def clean_twin(self) -> Experiment:
        """See `twins.clean_twin`."""
        return twins.clean_twin(self)

    @property
    def training(self) -> Experiment:
        """See `twins.training`."""
        return twins.training(self)
