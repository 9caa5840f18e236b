"""What a run is: every setting that its numbers depend on, and a hash of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from snnbd_book.runs import codec, parts, profiles, schema, twins
from snnbd_book.runs.coherence import check_together
from snnbd_book.runs.neuron import Neuron
from snnbd_core import checks, data, networks
from snnbd_core.learning import SurrogateGradient
from snnbd_core.learning.surrogate_gradient import LOSSES

BINNINGS = ("number", "time")
DEFAULT_RULE = "surrogate-gradient"
_QUICK = profiles.PROFILES["quick"]
_WHOLE = {
    "frames": 1,
    "epochs": 1,
    "batch_size": 1,
    "samples": 1,
    "target": 0,
    "seed": 0,
    "held_out": 0,
}
_NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "rate": (lambda x: 0 <= x <= 1, "within 0..1"),
    "learning_rate": (lambda x: x > 0, "> 0"),
    "width": (lambda x: x > 0, "> 0"),
    "inference_threshold": (lambda x: x > 0, "> 0"),
    "inference_beta": (lambda x: 0 < x <= 1, "in (0, 1]"),
}
CHANGES_NO_NUMBER = True  # what it says of trainings is in twins
_PARTS = {
    "trigger": parts.TRIGGERS,
    "rule": parts.RULES,
    "defence": parts.REPAIRS,
    "probe": parts.PROBES,
}


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A run in full: data, network, learning rule, attack and seed.

    The seed is that of the initial weights, of the order of the samples and the dropout, and of
    which samples are poisoned. The data set and its split in training and test are the same for
    all seeds.

    Attributes:
        data: name of a data set, see `snnbd_core.data.load`.
        frames: T, the time steps; static images are repeated so many times.
        binning: how event recordings are cut in frames, "number" or "time"; not used for images.
        coding: of static images, "direct" or "poisson" (see `networks.build`); not for events.
        samples: None trains on the whole training set; a number on so many of its samples, drawn
            once (the same for all seeds).
        network: name of a network, see `snnbd_core.networks`.
        width: of its layers, as a share of the published one's; see `networks.build`.
        neuron: settings of its neurons.
        rule: the learning rule, one of `parts.RULES`; "surrogate-gradient" is the default's name.
        trigger: what is put into poisoned samples, and into test samples to measure the attack;
            None for a clean run.
        rate: share of the training samples that are poisoned, 0..1; above 0 needs a trigger.
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

    data: str = _QUICK["data"]
    frames: int = _QUICK["frames"]
    binning: str = "number"
    coding: str = "direct"
    samples: int | None = None
    network: str = _QUICK["network"]
    width: float = 1.0
    neuron: Neuron = field(default_factory=Neuron)
    rule: Any = DEFAULT_RULE
    trigger: Any = None
    rate: float = 0.0
    target: int = 0
    include_target: bool = True
    clean_label: bool = False
    defence: Any = None
    held_out: int = 0
    inference_threshold: float | None = None
    inference_beta: float | None = None
    probe: Any = None
    epochs: int = _QUICK["epochs"]
    batch_size: int = _QUICK["batch_size"]
    learning_rate: float = _QUICK["learning_rate"]
    loss: str = "mse"
    seed: int = 0
    profile: str = "quick"

    def __post_init__(self) -> None:
        if self.rule == DEFAULT_RULE:
            object.__setattr__(self, "rule", SurrogateGradient())
        checks.choice("data", self.data, data.NAMES)
        checks.choice("binning", self.binning, BINNINGS)
        checks.choice("coding", self.coding, networks.CODINGS)
        checks.choice("network", self.network, networks.NAMES)
        checks.choice("loss", self.loss, LOSSES)
        checks.choice("profile", self.profile, profiles.PROFILES)
        for name, least in _WHOLE.items():
            if name != "samples" or self.samples is not None:
                checks.settings(self, **{name: checks.whole(name, getattr(self, name), least)})
        for name, (fits, words) in _NUMBERS.items():
            if not name.startswith("inference_") or getattr(self, name) is not None:
                value = checks.number(name, getattr(self, name), fits, words)
                checks.settings(self, **{name: value})
        for name in ("include_target", "clean_label"):
            checks.settings(self, **{name: checks.flag(name, getattr(self, name))})
        if not isinstance(self.neuron, Neuron):
            raise ValueError(f"neuron={self.neuron!r} must be a Neuron")
        if self.rule is None or type(self.rule) not in parts.RULES.values():
            allowed = ", ".join((DEFAULT_RULE, *parts.RULES))
            raise ValueError(f"rule={self.rule!r} is unknown; allowed: {allowed}")
        _check_part("trigger", self.trigger, parts.TRIGGERS)
        _check_part("defence", self.defence, parts.REPAIRS)
        _check_part("probe", self.probe, parts.PROBES)
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


def _check_part(name: str, value: Any, kinds: dict[str, type[Any]]) -> None:
    """Raises ValueError unless the value is None or of one of the classes."""
    if value is not None and type(value) not in kinds.values():
        allowed = " or one of ".join(filter(None, ["None", ", ".join(kinds)]))
        raise ValueError(f"{name}={value!r} must be {allowed}")
