"""What a run is: every setting that its numbers depend on, and a hash of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from torch import nn

from snnbd_core import data, networks, profiles
from snnbd_core.experiment import codec
from snnbd_core.learning.surrogate_gradient import LOSSES
from snnbd_core.neurons import IF, LIF, ParametricLIF

RULES = ("surrogate-gradient",)
BINNINGS = ("number", "time")
_QUICK = profiles.PROFILES["quick"]
_NEURONS: dict[str, type[LIF]] = {"LIF": LIF, "IF": IF, "ParametricLIF": ParametricLIF}
# Of the fields below, those that a kind has of its own; None in the others.
_LEAK = {"LIF": ("beta", "learn_beta"), "IF": (), "ParametricLIF": ("init_tau",)}
_LEAK_DEFAULTS = {"beta": 0.5, "learn_beta": False, "init_tau": 2.0}


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """Settings of all spiking neurons of a network; see `snnbd_core.neurons`.

    The defaults are the papers' (Abad et al. 2022, 2024; Fang et al. 2021) as far as a LIF has
    them: a decay of one half, threshold 1, hard reset in the step of the spike, the atan surrogate
    and a detached reset. The input is not decayed (the papers' is; batch norm undoes the scale).

    Attributes:
        kind: "LIF", "IF" or "ParametricLIF".
        beta, learn_beta: of LIF only, None in the other kinds.
        init_tau: of ParametricLIF only, in steps.
        threshold, reset, surrogate, slope, update, decay_input, detach_reset, learn_threshold:
            as in `snnbd_core.neurons.LIF`.

    Raises:
        ValueError: an unknown kind, a field that the kind does not have, a value out of range.
    """

    kind: str = "LIF"
    beta: float | None = None
    learn_beta: bool | None = None
    init_tau: float | None = None
    threshold: float = 1.0
    reset: str = "zero"
    surrogate: str = "atan"
    slope: float = 2.0
    update: str = "spikingjelly"
    decay_input: bool = False
    detach_reset: bool = True
    learn_threshold: bool = False

    def __post_init__(self) -> None:
        if self.kind not in _NEURONS:
            raise ValueError(f"neuron.kind={self.kind!r} is unknown; allowed: {_join(_NEURONS)}")
        for name, default in _LEAK_DEFAULTS.items():
            value = getattr(self, name)
            if name in _LEAK[self.kind]:
                if value is None:
                    object.__setattr__(self, name, default)
            elif value is not None:
                raise ValueError(f"neuron.{name}={value!r} must be None: {self.kind} has none")
        for item in dataclasses.fields(self):
            self._check_type(item.name, item.type)
        try:
            self.build()
        except ValueError as error:
            raise ValueError(f"neuron: {error}") from error

    def build(self) -> nn.Module:
        """A new layer of such neurons."""
        settings = dataclasses.asdict(self)
        kind = _NEURONS[settings.pop("kind")]
        layer: nn.Module = kind(**{k: v for k, v in settings.items() if v is not None})
        return layer

    def to_dict(self) -> dict[str, Any]:
        """The fields that this kind of neuron has, with their values."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v is not None}

    def _check_type(self, name: str, annotation: Any) -> None:
        value = getattr(self, name)
        kind = str(annotation).split(" |")[0]
        if value is None or kind == "str":
            return  # values of strings are checked by the neuron itself
        if (kind == "bool") != isinstance(value, bool) or not _is_number(value):
            raise ValueError(f"neuron.{name}={value!r} must be a {_words(kind)}")


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
        samples: None trains on the whole training set; a number on so many of its samples, drawn
            once (the same for all seeds).
        network: name of a network, see `snnbd_core.networks`.
        neuron: settings of its neurons.
        rule: the learning rule, "surrogate-gradient".
        trigger: what is put into poisoned samples, and into test samples to measure the attack;
            None for a clean run.
        rate: share of the training samples that are poisoned, 0..1; above 0 needs a trigger.
        target: the attacker's class.
        include_target: whether samples of the target class are among those drawn for poisoning.
        defence: what is done to the trained network; None, as no defence is available yet.
        epochs, batch_size, learning_rate, loss: of the training.
        seed: see above.
        profile: whose sizes these are. A label: it does not change the numbers nor the hash.

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """

    data: str = _QUICK["data"]
    frames: int = _QUICK["frames"]
    binning: str = "number"
    samples: int | None = None
    network: str = _QUICK["network"]
    neuron: Neuron = field(default_factory=Neuron)
    rule: str = "surrogate-gradient"
    trigger: Any = None
    rate: float = 0.0
    target: int = 0
    include_target: bool = True
    defence: None = None
    epochs: int = _QUICK["epochs"]
    batch_size: int = _QUICK["batch_size"]
    learning_rate: float = _QUICK["learning_rate"]
    loss: str = "mse"
    seed: int = 0
    profile: str = "quick"

    def __post_init__(self) -> None:
        _choice("data", self.data, data.NAMES)
        _choice("binning", self.binning, BINNINGS)
        _choice("network", self.network, networks.NAMES)
        _choice("rule", self.rule, RULES)
        _choice("loss", self.loss, LOSSES)
        _choice("profile", self.profile, profiles.PROFILES)
        for name in ("frames", "epochs", "batch_size"):
            _whole(name, getattr(self, name), 1)
        for name in ("target", "seed"):
            _whole(name, getattr(self, name), 0)
        if self.samples is not None:
            _whole("samples", self.samples, 1)
        _number("rate", self.rate, lambda x: 0 <= x <= 1, "within 0..1")
        _number("learning_rate", self.learning_rate, lambda x: x > 0, "> 0")
        if not isinstance(self.include_target, bool):
            raise ValueError(f"include_target={self.include_target!r} must be true or false")
        if not isinstance(self.neuron, Neuron):
            raise ValueError(f"neuron={self.neuron!r} must be a Neuron")
        if self.defence is not None:
            raise ValueError(f"defence={self.defence!r} must be None: no defence is available yet")
        self._check_trigger()

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
        if "trigger" in fields:
            fields["trigger"] = codec.trigger_from_dict(fields["trigger"])
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
        """All fields in JSON's types, triggers as {"kind": "Static", ...}."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        values["neuron"] = self.neuron.to_dict()
        values["trigger"] = codec.trigger_to_dict(self.trigger)
        return {name: codec.plain(value) for name, value in values.items()}

    def to_json(self) -> str:
        """Readable JSON of all fields."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @property
    def digest(self) -> str:
        """sha256 (hex) of the canonical JSON of all fields that the numbers depend on."""
        values = self.to_dict()
        del values["profile"]
        return hashlib.sha256(codec.canonical(values).encode()).hexdigest()

    @property
    def hash(self) -> str:
        """The first 12 digits of `digest`: what files are named by."""
        return self.digest[:12]

    @property
    def name(self) -> str:
        """Data set and trigger in words, for file names: "digits-events-static"."""
        trigger = "clean" if self.trigger is None else type(self.trigger).__name__.lower()
        return f"{self.data}-{trigger}"

    @property
    def clean_twin(self) -> Experiment:
        """The same run without an attack: the network that the floor is measured on."""
        return dataclasses.replace(self, trigger=None, rate=0.0, target=0, include_target=True)

    @property
    def training(self) -> Experiment:
        """The experiment whose network this one's is: its clean twin where nothing is poisoned."""
        return self if self.rate > 0 else self.clean_twin

    def _check_trigger(self) -> None:
        if self.trigger is None:
            if self.rate > 0:
                raise ValueError(f"rate={self.rate!r} must be 0 without a trigger")
        elif type(self.trigger) not in codec.TRIGGERS.values():
            raise ValueError(
                f"trigger={self.trigger!r} must be None or one of {_join(codec.TRIGGERS)}"
            )


def _choice(name: str, value: Any, allowed: Any) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown; allowed: {_join(allowed)}")


def _whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r} must be a whole number >= {least}")


def _number(name: str, value: Any, fits: Callable[[float], bool], words: str) -> None:
    if isinstance(value, bool) or not _is_number(value) or not fits(value):
        raise ValueError(f"{name}={value!r} must be a number {words}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _join(names: Any) -> str:
    return ", ".join(names)


def _words(kind: str) -> str:
    return {"bool": "true or false", "float": "finite number"}[kind]
