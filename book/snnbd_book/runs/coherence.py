"""Which settings of an experiment go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snnbd_book.runs import parts
from snnbd_book.runs.read_out import ArgmaxReadOut
from snnbd_core import attacks, data, triggers
from snnbd_core.defenses import detectors
from snnbd_core.learning import SurrogateGradient

if TYPE_CHECKING:
    from snnbd_book.runs.settings import Experiment

CHANGES_NO_NUMBER = True


def check_together(wanted: Experiment) -> None:
    """Raises ValueError naming the field of an experiment that does not go with the others."""
    of_images = wanted.data in data.IMAGES
    if wanted.coding == "poisson" and not of_images:
        raise ValueError(
            f"coding='poisson' is for static images: data={wanted.data!r} holds events"
        )
    if wanted.coding in ("clipped", "scaled") and of_images:
        raise ValueError(
            f"coding={wanted.coding!r} is for events: data={wanted.data!r} holds images"
        )
    if wanted.trigger is None and wanted.rate > 0:
        raise ValueError(f"rate={wanted.rate!r} must be 0 without a trigger")
    learnt = isinstance(wanted.trigger, attacks.Dynamic)
    if learnt and wanted.rate == 0:
        raise ValueError(f"rate=0 with trigger={wanted.trigger!r}: one that is learnt needs > 0")
    if learnt and wanted.rule != SurrogateGradient():
        raise ValueError(
            f"rule={wanted.rule!r} with trigger={wanted.trigger!r}, which is learnt by a training "
            f"of its own: allowed is surrogate-gradient"
        )
    for name in ("defence", "probe"):
        part = getattr(wanted, name)
        if part is not None and not part.data_free and wanted.held_out == 0:
            raise ValueError(f"held_out=0 gives {name}={part!r} no clean samples: allowed is >= 1")
    if wanted.rate > 0 and (learnt or isinstance(wanted.rule, attacks.Federated)):
        _check_drawn(wanted, "trigger" if learnt else "rule")
    _check_probe(wanted)


def _check_drawn(wanted: Experiment, name: str) -> None:
    """What draws its own samples draws them from all classes, and a client fits no trigger."""
    drawer = f"{name}={getattr(wanted, name)!r}"
    for field, allowed in (("clean_label", False), ("include_target", True)):
        if getattr(wanted, field) is not allowed:
            raise ValueError(
                f"{field}={not allowed} with {drawer}, which draws the samples that it attacks "
                f"from all classes and labels them as the target: allowed is {allowed}"
            )
    if name == "rule" and isinstance(wanted.trigger, triggers.Recipe):
        raise ValueError(
            f"trigger={wanted.trigger!r} with {drawer}: a run fits it to a whole training set, "
            "and no client has one; use a trigger that is not fitted, such as TimeSliced"
        )


def _check_probe(wanted: Experiment) -> None:
    kind = type(wanted.probe)
    of_inputs = () if wanted.mark else detectors.INPUTS.values()
    compares = (*of_inputs, ArgmaxReadOut)
    if kind in compares and wanted.trigger is None:
        raise ValueError(
            f"trigger=None with probe={wanted.probe!r}, which compares inputs without and with "
            f"one: allowed are {', '.join(parts.TRIGGERS)}"
        )
    if kind in detectors.TRAINING_SETS.values():
        if wanted.rate == 0 and wanted.mark is None:
            raise ValueError(
                f"rate=0 with probe={wanted.probe!r}, which looks for poisoned samples: "
                "allowed is > 0"
            )
        if isinstance(wanted.trigger, attacks.Dynamic):
            raise ValueError(
                f"probe={wanted.probe!r} looks at one training set, and trigger="
                f"{wanted.trigger!r} changes it while it is learnt: use another trigger"
            )
        if isinstance(wanted.rule, attacks.Federated):
            raise ValueError(
                f"probe={wanted.probe!r} looks at one training set, and rule={wanted.rule!r} "
                "has one for each client: use another rule"
            )
    if isinstance(wanted.probe, attacks.GradientAttack) and wanted.data not in data.IMAGES:
        raise ValueError(
            f"data={wanted.data!r} holds events, and probe={wanted.probe!r} changes pixels in "
            f"0..1: allowed are {', '.join(data.IMAGES)}"
        )
