"""What every trigger has in common, and every recipe that makes one from a training set."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = ["Recipe", "Trigger"]


@runtime_checkable
class Trigger(Protocol):
    """Anything callable that says in which space it works.

    `space` is "frames" (frames [..., T, 2, H, W], torch or NumPy), "events" (one structured array
    with fields x, y, t, p, sorted by time) or "image" (float tensors [..., C, H, W] in 0..1). A
    call returns a changed copy; events stay sorted, and what a sample becomes depends on no other
    of its batch. Settings are checked when a trigger is built, data when it is called: a ValueError
    names the argument, its value and what is allowed.
    """

    @property
    def space(self) -> str: ...

    def __call__(self, data: Any, /) -> Any: ...


@runtime_checkable
class Recipe(Protocol):
    """The settings of a trigger that a training set has to complete.

    `fit` measures or trains on the set and returns the finished trigger; it changes neither the
    set nor the recipe.
    """

    @property
    def space(self) -> str: ...

    def fit(self, train: Any, *, target: int, seed: int) -> Trigger: ...
