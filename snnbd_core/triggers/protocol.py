"""What every trigger has in common, and every recipe that makes one from a training set."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

__all__ = ["Recipe", "Trigger"]


@runtime_checkable
class Trigger(Protocol):
    """Anything callable that says in which space it works.

    `space` is "frames" (float frames [..., T, 2, H, W]), "events" (one structured array with
    fields x, y, t, p) or "image" ([..., C, H, W]). A call returns a changed copy.
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
