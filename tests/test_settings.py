"""Settings whose types say which values they take: what is written back, what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import torch

from snnbd_core.checks import Checked, Count, Flag, Levels, Natural, Positive, Share, fitting


@dataclass(frozen=True, kw_only=True)
class Own(Checked):
    """A field of each kind."""

    epochs: Count = 1
    removals: Natural = 0
    rate: Positive = 0.5
    share: Share = 0.0
    order: Literal["quiet", "loud"] = "quiet"
    whole: Flag = False
    levels: Levels = (1.0,)
    odd: Annotated[float, fitting(lambda x: x % 2 == 1, "that is odd")] = 1
    target: Natural | None = None
    free: Any = "whatever"


def test_numbers_of_any_library_become_pythons_own():
    found = Own(epochs=np.int64(3), rate=torch.tensor(0.25), levels=[1, 2], target=np.uint8(7))
    assert (found.epochs, found.rate, found.levels, found.target) == (3, 0.25, (1, 2), 7)
    assert (type(found.epochs), type(found.rate), type(found.target)) == (int, float, int)
    assert found == Own(epochs=3, rate=0.25, levels=(1, 2), target=7)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs=0 must be a whole number >= 1"),
        ({"epochs": None}, "epochs=None must be a whole number >= 1"),
        ({"removals": -1}, "removals=-1 must be a whole number >= 0"),
        ({"rate": 0}, "rate=0 must be a number > 0"),
        ({"share": 1}, r"share=1 must be a number in \[0, 1\)"),
        ({"order": "soft"}, "order='soft' is unknown; allowed: quiet, loud"),
        ({"whole": 1}, "whole=1 must be true or false"),
        ({"levels": [1, 0]}, "levels=0 must be a number > 0"),
        ({"odd": 2}, "odd=2 must be a number that is odd"),
        ({"target": -1}, "target=-1 must be a whole number >= 0"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_value_that_its_type_refuses_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        Own(**values)


def test_none_and_fields_without_a_check_stay_as_they_are():
    assert Own(target=None, free=None) == Own(free=None)
    assert Own().free == "whatever"
