"""What the page of the library shows of signatures."""

from __future__ import annotations

import pytest

from snnbd_book.build.docstrings import plain

CHECK = "<function fitting.<locals>.<lambda> at 0x7f367cf1d940>"


@pytest.mark.parametrize(
    ("signature", "shown"),
    [
        (f"(*, size: ~typing.Annotated[float, {CHECK}] = 0.1)", "(*, size: float = 0.1)"),
        (
            f"(at: ~types.Annotated[str | tuple[int, int], {CHECK}] | None = 'last')",
            "(at: str | tuple[int, int] | None = 'last')",
        ),
        (
            f"(x: Annotated[tuple[Annotated[int, {CHECK}], ...], partial(f, least=2), {CHECK}])",
            "(x: tuple[int, ...])",
        ),
        ("(neuron: ~abc.Neuron = <class 'snnbd_core.neurons.LIF'>)", "(neuron: ~abc.Neuron = LIF)"),
        ("(figures: dict = <factory>)", "(figures: dict = ...)"),
        ("(by: ~repair.base.~repair.base.Repair)", "(by: ~repair.base.Repair)"),
        ("(net: Module) -> ~typing.Any", "(net: Module) -> ~typing.Any"),
    ],
)
def test_a_signature_is_shown_as_one_would_write_it(signature: str, shown: str) -> None:
    assert plain(signature) == shown
