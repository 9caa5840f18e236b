"""What all triggers share: protocols, the place where they are found, numbers of any library."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from snnbd_core import attacks, triggers
from snnbd_core.triggers import (
    Blended,
    EventPattern,
    EventRate,
    EventTrojan,
    Flash,
    Framed,
    Moving,
    Patch,
    Power,
    Recipe,
    Retimed,
    Sinusoidal,
    Smart,
    Static,
    Strobe,
    TemporalNoise,
    TimeWarp,
    Trigger,
    Warp,
)


def test_triggers_are_called_and_recipes_are_fitted() -> None:
    for trigger in (Static(), Moving(), Patch(), TimeWarp(), Flash()):
        assert isinstance(trigger, Trigger) and not isinstance(trigger, Recipe)
    for recipe in (Smart(), attacks.Optimised(), attacks.LearntTimes(), attacks.MutableTrojan()):
        assert isinstance(recipe, Recipe)
    assert not isinstance(lambda data: data, Trigger)
    assert not isinstance(attacks.Federated(), Recipe)  # a rule: it fits a task, in no space


def test_trained_triggers_are_found_beside_the_others() -> None:
    for name in triggers._TRAINED:
        assert getattr(triggers, name) is getattr(attacks, name)
    assert set(dir(triggers)) == set(triggers.__all__)
    assert all(hasattr(triggers, name) for name in triggers.__all__)
    with pytest.raises(AttributeError, match=r"'snnbd_core.triggers' has no attribute 'Nothing'"):
        triggers.Nothing  # noqa: B018 - the test


@pytest.mark.parametrize("number", [np.float32, np.float64, torch.tensor])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Static, {"size": 0.1, "strength": 0.3, "rate": 50.7}),
        (Moving, {"size": 0.1}),
        (Framed, {"size": 0.2, "strength": 0.7}),
        (Strobe, {"size": 0.2}),
        (Smart, {"size": 0.3}),
        (Patch, {"size": 0.1, "value": 0.9}),
        (Blended, {"alpha": 0.2}),
        (Sinusoidal, {"delta": 0.08, "frequency": 6.1}),
        (Warp, {"strength": 0.7}),
        (Power, {"exponent": 3.1}),
        (TemporalNoise, {"strength": 0.03, "limit": 1.1}),
        (TimeWarp, {"strength": 0.3}),
        (EventRate, {"frequency": 20.1, "depth": 0.3}),
        (Retimed, {"bound": 0.3, "size": 0.4}),
        (EventTrojan, {"bandwidth": 0.3}),
    ],
)
def test_a_float_of_any_library_is_the_decimal_number_meant(kind, settings, number) -> None:
    given = kind(**{name: number(value) for name, value in settings.items()})
    assert given == kind(**settings)
    assert json.dumps(asdict(given)) == json.dumps(asdict(kind(**settings)))


@pytest.mark.parametrize("number", [np.int64, np.uint8, torch.tensor])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Static, {"seed": 3, "refractory": 200}),
        (Moving, {"steps": 8, "seed": 1}),
        (Framed, {"length": 3, "start": 2}),
        (Strobe, {"on": 2, "off": 3}),
        (Flash, {"length": 2, "start": 1}),
        (Warp, {"grid": 3, "seed": 5}),
        (EventPattern, {"refractory": 100}),
        (TimeWarp, {"seed": 2}),
        (Retimed, {"refractory": 3}),
        (EventTrojan, {"side": 3, "refractory": 7}),
    ],
)
def test_an_integer_of_any_library_is_a_whole_number(kind, settings, number) -> None:
    given = kind(**{name: number(value) for name, value in settings.items()})
    assert given == kind(**settings) and hash(given) == hash(kind(**settings))
    assert json.dumps(asdict(given)) == json.dumps(asdict(kind(**settings)))


def test_places_and_sensors_of_numpy_are_pixels() -> None:
    given = Static(position=tuple(np.array([3, 4])), sensor_size=np.array([34, 34, 2]))
    assert given == Static(position=(3, 4), sensor_size=(34, 34, 2))
    pattern = EventPattern(added=[(*np.array([3, 4, 1]), np.float32(0.1))])
    assert pattern == EventPattern(added=((3, 4, 1, 0.1),))
    assert json.dumps(asdict(pattern)) == json.dumps(asdict(EventPattern(added=((3, 4, 1, 0.1),))))
