"""Which settings of an experiment go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnbd_book.runs import parts
from snnbd_core import attacks, data
from snnbd_core.defenses import detectors
from snnbd_core.learning import SurrogateGradient

if TYPE_CHECKING:
    from snnbd_book.runs.settings import Experiment


def check_together(one: Experiment) -> None:
    """Raises ValueError naming the field of an experiment that does not go with the others."""
    if one.coding != "direct" and one.data not in data.IMAGES:
        raise ValueError(
            f"coding={one.coding!r} is for static images: data={one.data!r} holds events"
        )
    if one.trigger is None and one.rate > 0:
        raise ValueError(f"rate={one.rate!r} must be 0 without a trigger")
    learnt = isinstance(one.trigger, attacks.Dynamic)
    if learnt and one.rate == 0:
        raise ValueError(f"rate=0 with trigger={one.trigger!r}: one that is learnt needs > 0")
    if learnt and one.rule != SurrogateGradient():
        raise ValueError(
            f"rule={one.rule!r} with trigger={one.trigger!r}, which is learnt by a training "
            f"of its own: allowed is surrogate-gradient"
        )
    for name in ("defence", "probe"):
        part = getattr(one, name)
        if part is not None and not part.data_free and one.held_out == 0:
            raise ValueError(f"held_out=0 gives {name}={part!r} no clean samples: allowed is >= 1")
    _check_probe(one)


def _check_probe(one: Experiment) -> None:
    kind = type(one.probe)
    if kind in detectors.INPUTS.values() and one.trigger is None:
        raise ValueError(
            f"trigger=None with probe={one.probe!r}, which compares inputs without and with "
            f"one: allowed are {', '.join(parts.TRIGGERS)}"
        )
    if kind in detectors.TRAINING_SETS.values():
        if one.rate == 0:
            raise ValueError(
                f"rate=0 with probe={one.probe!r}, which looks for poisoned samples: allowed is > 0"
            )
        if isinstance(one.trigger, attacks.Dynamic):
            raise ValueError(
                f"probe={one.probe!r} looks at one training set, and trigger="
                f"{one.trigger!r} changes it while it is learnt: use another trigger"
            )
        if isinstance(one.rule, attacks.Federated):
            raise ValueError(
                f"probe={one.probe!r} looks at one training set, and rule={one.rule!r} has "
                "one for each client: use another rule"
            )
    if isinstance(one.probe, attacks.GradientAttack) and one.data not in data.IMAGES:
        raise ValueError(
            f"data={one.data!r} holds events, and probe={one.probe!r} changes pixels in "
            f"0..1: allowed are {', '.join(data.IMAGES)}"
        )
