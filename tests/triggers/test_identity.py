"""A trigger is known by its contents: equal ones have one fingerprint, others another."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
import tonic
import torch
from torch import nn

from snnbd_core.triggers import Moving, Static
from snnbd_core.triggers.identity import fingerprint


@dataclass(frozen=True)
class Held:
    value: object
    space: str = "frames"

    def __call__(self, data):
        return data


class Bare:
    space = "frames"

    def __init__(self, value):
        self.value = value

    def __call__(self, data):
        return data


def large(at):
    out = np.zeros((60, 60), np.float32)
    out[30, at] = 1
    return out


def network(weight):
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    nn.init.constant_(net[0].weight, weight)
    nn.init.zeros_(net[0].bias)
    return net


@pytest.mark.parametrize("kind", [Held, Bare])
@pytest.mark.parametrize(
    "make",
    [
        large,
        lambda at: torch.from_numpy(large(at)),
        lambda at: torch.tensor([at]).to(torch.bfloat16),
        lambda at: {"a": [1, (large(at), None)], "b": {3, at}},
        lambda at: np.array([{"at": at}, None], dtype=object),
        network,
        lambda at: functools.partial(np.add, at),
        lambda at: lambda data: data + at,
        lambda at: np.random.default_rng(at),
        lambda at: tonic.transforms.Compose([tonic.transforms.Denoise(at)]),
        lambda at: Bare(Held(at)),
    ],
)
def test_contents_tell_triggers_apart(kind, make):
    assert fingerprint(kind(make(5))) == fingerprint(kind(make(5)))
    assert fingerprint(kind(make(5))) != fingerprint(kind(make(6)))


def test_settings_and_kinds_tell_apart():
    triggers = [
        Static(),
        Static(size=0.2),
        Static(position=(1, 2)),
        Moving(),
        Moving(speed=3, motion="wrap"),
    ]
    assert len({fingerprint(one) for one in triggers}) == 5
    assert fingerprint(Held(1)) != fingerprint(Held(1.0)) != fingerprint(Held("1.0"))
    assert fingerprint(Held(1)) != fingerprint(Bare(1))


def test_the_order_of_a_dict_or_set_does_not_matter():
    assert fingerprint(Held({"a": 1, "b": 2})) == fingerprint(Held({"b": 2, "a": 1}))
    assert fingerprint(Held({"a": 1, "b": 2})) != fingerprint(Held({"a": 2, "b": 1}))
    assert fingerprint(Held([1, 2])) != fingerprint(Held([2, 1]))


def enclosing(pattern, lift=0):
    class Enclosed:
        space = "frames"
        shown = lift

        def __call__(self, data):
            return np.maximum(data, pattern)

    return Enclosed()


def test_a_class_is_known_by_its_code_and_what_it_encloses():
    class Other:
        space = "frames"

        def __call__(self, data):
            return data + 1

    plus = Other
    Other.__qualname__ = Bare.__qualname__
    assert fingerprint(enclosing(large(1))) == fingerprint(enclosing(large(1)))
    assert fingerprint(enclosing(large(1))) != fingerprint(enclosing(large(2)))
    assert fingerprint(enclosing(large(1))) != fingerprint(enclosing(large(1), lift=1))
    assert fingerprint(plus()) != fingerprint(Bare(0))


def test_what_refers_to_itself_has_a_fingerprint():
    def circle(value):
        out = [value]
        out.append(out)
        return out

    assert fingerprint(Held(circle(1))) == fingerprint(Held(circle(1)))
    assert fingerprint(Held(circle(1))) != fingerprint(Held(circle(2)))


def test_fingerprints_are_the_same_in_every_process():
    code = (
        "from snnbd_core.triggers.identity import fingerprint as f; from snnbd_core.triggers import"
        " Static; import numpy as np; C = type('C', (), {'space': 'frames', 'v': np.ones(3), 's':"
        " {'a', 'b', 'c'}, '__call__': lambda self, x: x}); print(f(C()), f(Static()))"
    )
    run = [sys.executable, "-c", code]
    first, second = (subprocess.run(run, capture_output=True, check=True).stdout for _ in range(2))
    assert first == second and first.split()[1].decode() == fingerprint(Static())


def test_what_has_no_comparable_contents_is_refused():
    @dataclass
    class Locked:
        lock: object = field(default_factory=threading.Lock)
        space: str = "frames"

    with pytest.raises(ValueError, match=r"trigger=.*Locked.* holds what cannot be compared"):
        fingerprint(Locked())
