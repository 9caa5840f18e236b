"""What a view has to be told of a library's neurons: the base of all adapters.

An adapter is for one library. It says which modules are neurons, how a call of one lies in time,
and how settings and state are read and set. It holds nothing of a network, and imports its library
only where that is imported already: who brings such a network has imported it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from snnbd_core.checks import settings
from snnbd_core.view.errors import NotVisible

__all__ = ["Adapter", "Settings", "Value", "emptied", "like", "named", "shadowed"]

Value = float | Tensor


@dataclass(frozen=True)
class Settings:
    """What the neurons of a layer are set to; None where a kind of neuron has no such setting.

    Attributes:
        threshold: potential at which they fire, a number or one value per neuron.
        decay: share of the potential that is left after a step without input.
        reset: "subtract", "zero" or "none".

    Of settings that are learned the values alone count.
    """

    threshold: Tensor | None = None
    decay: Tensor | None = None
    reset: str | None = None

    def __post_init__(self) -> None:
        held = {"threshold": self.threshold, "decay": self.decay}
        settings(
            self, **{name: value.detach() for name, value in held.items() if value is not None}
        )


class Adapter:
    """How a library's neurons are read, set and reset; the defaults are for neurons without any."""

    library: ClassVar[str]
    spikes: ClassVar[bool] = True  # ReLU does not
    packages: ClassVar[tuple[str, ...]] = ()  # how the modules with its neurons begin
    kinds: ClassVar[frozenset[str]] = frozenset()  # of neurons that the adapter knows
    silent: ClassVar[frozenset[str]] = frozenset()  # classes beside them that do not spike

    def claims(self, module: nn.Module) -> bool:
        """Whether the module is a layer of this library's neurons."""
        return self._kind(module) in self.kinds

    def unknown(self, module: nn.Module) -> bool:
        """Whether the module holds neurons of this library that the adapter cannot read."""
        return self._kind(module) not in (None, *self.kinds, *self.silent)

    def stateful(self, kind: type) -> bool:
        """Whether modules of this class, of neurons or not, have a state that `reset` forgets."""
        return False

    def axes(self, module: Any) -> str | None:
        """How current and output of one call lie, see `snnbd_core.guards.AXES`.

        None: either of "time", "folded" and "step", seen from the shapes of the first run.
        """
        return None

    def output(self, output: Any) -> Tensor:
        """The spikes (or activations) in what a call gave."""
        return output[0] if isinstance(output, tuple) else output

    @contextmanager
    def potentials(self, module: Any) -> Iterator[None]:
        """Makes the module record its potentials inside the block, where a library does not."""
        with shadowed(module, **self.recording(module)):
            yield

    def recording(self, module: Any) -> dict[str, Any]:
        """Attributes of the module with which it records its potentials."""
        return {}

    def potential(self, module: Any, output: Any) -> Tensor:
        """Membrane potentials right after a call, inside `potentials`, laid out as its spikes."""
        raise NotImplementedError  # each library's spiking neurons have their own

    def settings(self, module: Any) -> Settings:
        """What is in force now."""
        return Settings()

    def scales(self, module: Any) -> bool:
        """Whether neurons with a current divided by f spike as with a threshold times f.

        So it is where the potential starts from 0, is reset to 0 or by the threshold, and is
        driven by the current alone.
        """
        return True

    @contextmanager
    def overridden(
        self, module: nn.Module, threshold: Value | None, decay: Value | None
    ) -> Iterator[None]:
        """Other settings inside the block; None leaves one. What held before comes back.

        Raises:
            NotVisible: a setting that the neurons do not have.
        """
        with ExitStack() as stack:
            if threshold is not None:
                stack.enter_context(shadowed(module, **self.with_threshold(module, threshold)))
            if decay is not None:
                stack.enter_context(shadowed(module, **self.with_decay(module, decay)))
            yield

    def with_threshold(self, module: Any, threshold: Value) -> dict[str, Any]:
        """The module's attributes that hold its threshold, for another threshold."""
        return {}

    def with_decay(self, module: Any, decay: Value) -> dict[str, Any]:
        """Likewise for another decay."""
        return {}

    def decays(self, module: Any) -> tuple[str, ...]:
        """Names of the tensors that hold its decays, where it has them: first the potential's."""
        return ("beta",)

    def reset(self, module: Any) -> None:
        """Forgets the state that a run has left in the module."""

    def blind(self, module: nn.Module, asked: str, needed: str) -> NotVisible:
        """The error that says what the module does not show."""
        return NotVisible(asked, f"{type(module).__name__} of {self.library}", needed)

    def _kind(self, module: nn.Module) -> str | None:
        """Name of the library's class that the module is, or is made from; None for others.

        Nothing is imported for that: the library of a module that exists is imported already.
        """
        kind: Any = type(module)
        return named(kind, self.packages)


@functools.lru_cache(maxsize=4096)
def named(kind: type, packages: tuple[str, ...]) -> str | None:
    """Name of the first class, from `kind` upwards, that lies in one of the packages."""
    found = (base.__name__ for base in kind.__mro__ if base.__module__.startswith(packages))
    return next(found, None)


@contextmanager
def shadowed(module: nn.Module, **values: Any) -> Iterator[None]:
    """Attributes, buffers and parameters of a module with other values inside the block.

    What is registered stays so: parameters() and state_dict() give what they gave.
    """
    held = {name: module.__dict__[name] for name in values if name in module.__dict__}
    module.__dict__.update(values)
    try:
        yield
    finally:
        for name in values:
            module.__dict__.pop(name, None)
        module.__dict__.update(held)


def emptied(module: nn.Module, *names: str) -> None:
    """Sets states that are tensors to the shape [0], from which libraries start anew.

    They can be trained from, also where the last run was in inference mode.
    """
    with torch.inference_mode(False):
        for name in names:
            state = getattr(module, name, None)
            if isinstance(state, Tensor):
                setattr(module, name, torch.zeros(0, device=state.device))


def like(value: Value, held: Tensor) -> Tensor:
    """A value as a tensor with the device and dtype of the one that it replaces."""
    dtype = held.dtype if held.is_floating_point() else None
    return torch.as_tensor(value).to(device=held.device, dtype=dtype)
