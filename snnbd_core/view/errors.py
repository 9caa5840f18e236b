"""What a view says of a network that does not show what was asked for."""

from __future__ import annotations

__all__ = ["NotVisible"]


class NotVisible(ValueError):  # noqa: N818 - the name is part of the public contract
    """Something was asked of a network that it does not show.

    Args:
        asked: what, such as "the membrane potential".
        layer: where, such as "net.3 (ReLU)".
        needed: what the network would have to have or be given.
    """

    def __init__(self, asked: str, layer: str, needed: str) -> None:
        super().__init__(f"{layer} does not show {asked}: {needed}")
        self.asked, self.layer, self.needed = asked, layer, needed

    def __reduce__(self) -> tuple[type[NotVisible], tuple[str, str, str]]:
        """Its three words: an exception is otherwise built again from its message."""
        return type(self), (self.asked, self.layer, self.needed)
