"""Settings of a network's neurons, as an experiment holds them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import nn

from snnbd_core.checks import is_number
from snnbd_core.neurons import IF, LIF, ParametricLIF

_NEURONS: dict[str, type[LIF]] = {"LIF": LIF, "IF": IF, "ParametricLIF": ParametricLIF}
# Of the fields below, those that a kind has of its own; None in the others.
_LEAK = {"LIF": ("beta", "learn_beta"), "IF": (), "ParametricLIF": ("init_tau",)}
_LEAK_DEFAULTS = {"beta": 0.5, "learn_beta": False, "init_tau": 2.0}


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """Settings of all spiking neurons of a network; see `snnbd_core.neurons`.

    The defaults are the papers' (Abad et al. 2022; Fang et al. 2021; Abad et al. 2024 but for
    N-MNIST, where theirs are IF) as far as a LIF has them: a decay of one half, threshold 1, hard
    reset in the step of the spike, the atan surrogate and a detached reset. The input is not
    decayed, and the papers' is: by SpikingJelly's default a LIF takes one half of it here. A batch
    norm before the neuron takes up that factor; the dense layers have none, and must learn weights
    twice as large. Claims of the event papers have `decay_input` in profile `paper`.

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
            raise ValueError(
                f"neuron.kind={self.kind!r} is unknown; allowed: {', '.join(_NEURONS)}"
            )
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
        if not (isinstance(value, bool) if kind == "bool" else is_number(value)):
            raise ValueError(f"neuron.{name}={value!r} must be a {_words(kind)}")


def _words(kind: str) -> str:
    return {"bool": "true or false", "float": "finite number"}[kind]
