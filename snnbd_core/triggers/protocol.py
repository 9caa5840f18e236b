"""What every trigger has in common: a space and a call."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Trigger(Protocol):
    """Anything callable that says in which space it works.

    `space` is "frames" (float frames [..., T, 2, H, W]), "events" (one structured array with
    fields x, y, t, p) or "image" ([..., C, H, W]). A call returns a changed copy.
    """

    @property
    def space(self) -> str: ...

    def __call__(self, data: Any, /) -> Any: ...
