"""What a view has to be told of a library's neurons: the base of all adapters.

An adapter is for one library. It says which modules are neurons, how a call of one lies in time,
and how settings and state are read and set. It holds nothing of a network, and imports its library
only where that is imported already: who brings such a network has imported it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

Value = float | Tensor


@dataclass(frozen=True)
class Settings:
    """What the neurons of a layer are set to; None where a kind of neuron has no such setting.

    Attributes:
        threshold: potential at which they fire, a number or one value per neuron.
        decay: share of the potential that is left after a step without input.
        reset: "subtract", "zero" or "none".
    """

    threshold: Tensor | None = None
    decay: Tensor | None = None
    reset: str | None = None


class Adapter:
    """How a library's neurons are read, set and reset; the defaults are for neurons without any.

    Attributes:
        library: its name.
        spikes: whether the neurons spike (ReLU does not).
    """

    library: ClassVar[str]
    spikes: ClassVar[bool] = True

    def claims(self, module: nn.Module) -> bool:
        """Whether the module is a layer of this library's neurons."""
        raise NotImplementedError

    def axes(self, module: nn.Module) -> str | None:
        """How current and output of one call lie.

        - "time": [T, B, ...], all steps at once
        - "batch": [B, T, ...], all steps at once
        - "folded": [T * B, ...], and "folded-batch": [B * T, ...]
        - "step": [B, ...], one call a step
        - None: either of "time", "folded" and "step", seen from the shapes of the first run.
        """
        return None

    def output(self, output: Any) -> Tensor:
        """The spikes (or activations) in what a call gave."""
        result: Tensor = output[0] if isinstance(output, tuple) else output
        return result

    @contextmanager
    def potentials(self, module: nn.Module) -> Iterator[None]:
        """Makes the module keep its potentials inside the block, where a library asks for that."""
        yield

    def potential(self, module: nn.Module, current: Tensor, output: Any) -> Tensor | None:
        """Membrane potentials after a call, laid out as its spikes; None for neurons without.

        Called right after the call, inside `potentials`.
        """
        return None

    def settings(self, module: nn.Module) -> Settings:
        """What is in force now."""
        return Settings()

    @contextmanager
    def overridden(
        self, module: nn.Module, threshold: Value | None, decay: Value | None
    ) -> Iterator[None]:
        """Other settings inside the block; None leaves one. What held before comes back."""
        yield

    def reset(self, module: nn.Module) -> None:
        """Forgets the state that a run has left in the module."""
