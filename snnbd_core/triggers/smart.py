"""A square on the busiest ninth of the frame, in its rarest polarity (Sneaky Spikes, IV)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np

from snnbd_core.checks import Natural, Positive, whole_row
from snnbd_core.data.anybody import as_set
from snnbd_core.triggers.checks import Size
from snnbd_core.triggers.frames import Overwriting, Schedule
from snnbd_core.triggers.placement import Rectangle, side

__all__ = ["MASKS", "Smart"]

MASKS = 3  # the frame is cut in MASKS x MASKS masks
_STEP = 2  # pixels a frame and axis, see `Smart.walk`
_AT_ONCE = 64


def _mask(name: str, mask: Any) -> tuple[int, int]:
    pair = whole_row(mask) or ()
    if len(pair) != 2 or not all(0 <= part < MASKS for part in pair):
        raise ValueError(f"{name}={mask!r} is none of the masks: allowed is (0..2, 0..2)")
    return pair[0], pair[1]


@dataclass(frozen=True, kw_only=True)
class Smart(Overwriting):
    """A square on a random walk inside the mask of the frame that the training set chooses.

    The frame is cut in 3x3 masks. The most (or least) active mask, by events summed over the
    training set, and the least (or most) common polarity in it are measured once by `fit` and then
    fixed for test data too, and so is the walk, the same in all recordings. The authors' code
    measures again on the test set, which an attacker at inference cannot do; that is
    `fit(test_set, ...)`. It also draws another walk for the test set; on most of these the attack
    is at the floor (chapter 3). And it compares polarities by the pixels that hold exactly one
    event, where the events are counted here: on N-MNIST that is OFF there and ON here.

    Args:
        size, strength: as for `Static`.
        area: "most" or "least" active mask.
        common: "most" or "least" common polarity.
        walk: inside the mask, along each axis. "steps", the authors': from a random place by
            exactly 2 pixels a frame, the other way where the mask ends. "drift": from the middle
            by -2..2 pixels, staying where the mask ends.
        seed: of the walk; None takes the one that `fit` is told, so each run has its own walk.
        mask: (column, row) of the mask, 0..2 each; None until `fit` found it.
        polarity: "on" or "off"; None until `fit` found it.

    Raises:
        ValueError: also when called before `fit`, for frames smaller than the masks, or a square
            larger than its mask.
    """

    size: Size = 0.1
    area: Literal["most", "least"] = "most"
    common: Literal["most", "least"] = "least"
    strength: Positive = 1
    walk: Literal["steps", "drift"] = "steps"
    seed: Natural | None = None
    mask: Annotated[tuple[int, int], _mask] | None = None
    polarity: Literal["on", "off"] | None = None
    space: Literal["frames"] = "frames"

    def __post_init__(self) -> None:
        if (self.mask is None) != (self.polarity is None):
            raise ValueError(
                f"mask={self.mask!r} and polarity={self.polarity!r}: allowed are both or none"
            )
        super().__post_init__()

    def fit(self, train: Any, *, target: int = 0, seed: int = 0) -> Smart:
        """The same trigger with mask and polarity measured on a data set of frames.

        Args:
            train: the set to measure, all of it; anybody's (see `data.as_set`).
            target: not used; all recipes are told it.
            seed: of the walk, unless the trigger has its own.

        Raises:
            ValueError: a set of images, or one without two polarities.
        """
        train = as_set(train)
        if train.kind != "frames" or train.input_shape[0] != 2:
            raise ValueError(
                f"train={train!r}: allowed is a set of frames [T, 2, H, W], since the trigger "
                "chooses a polarity"
            )
        total = np.zeros(train.input_shape)
        for start in range(0, len(train), _AT_ONCE):
            frames, _ = train.batch(range(len(train))[start : start + _AT_ONCE])
            total += frames.sum(dim=(0, 1)).numpy()
        areas = _edges(total.shape[1]), _edges(total.shape[2])
        activity = np.array(
            [[total[:, rows, columns].sum() for columns in areas[1]] for rows in areas[0]]
        )
        chosen = int(activity.argmax() if self.area == "most" else activity.argmin())
        row, column = divmod(chosen, MASKS)
        off, on = total[:, areas[0][row], areas[1][column]].sum(axis=(1, 2))
        is_on = (on > off) == (self.common == "most")
        return replace(
            self,
            mask=(column, row),
            polarity="on" if is_on else "off",
            seed=seed if self.seed is None else self.seed,
        )

    def schedule(self, steps: int, width: int, height: int) -> Schedule:
        if self.mask is None:
            raise ValueError("mask=None: Smart must see training data first, by fit(train)")
        across, down = _edges(width)[self.mask[0]], _edges(height)[self.mask[1]]
        w, h = side(self.size, width), side(self.size, height)
        if w > across.stop - across.start or h > down.stop - down.start:
            raise ValueError(
                f"size={self.size!r} gives a square of {w}x{h} px, larger than its mask of "
                f"{across.stop - across.start}x{down.stop - down.start} px"
            )
        walked = {"steps": _stepped, "drift": _drifted}[self.walk]
        xs = walked(across, w, steps, [self.seed or 0, 0])
        ys = walked(down, h, steps, [self.seed or 0, 1])
        return [
            (Rectangle.at(x, y, w, h, width), slice(step, step + 1))
            for step, (x, y) in enumerate(zip(xs, ys, strict=True))
        ]


def _edges(pixels: int) -> list[slice]:
    """One axis cut in `MASKS` parts as equal as may be."""
    if pixels < MASKS:
        raise ValueError(
            f"frames of {pixels} pixels a side are smaller than the grid of {MASKS}x{MASKS} masks"
        )
    ends = [pixels * part // MASKS for part in range(MASKS + 1)]
    return [slice(low, high) for low, high in pairwise(ends)]


def _stepped(room: slice, extent: int, steps: int, seed: list[int]) -> list[int]:
    """First pixel of the square in each frame, along one axis: a step of 2 px in each."""
    low, high = room.start, room.stop - extent
    draw = np.random.default_rng(seed)
    places = [int(draw.integers(low, high + 1))]
    for move in draw.choice((-_STEP, _STEP), steps - 1).tolist():
        ahead = places[-1] + move
        ahead = ahead if low <= ahead <= high else places[-1] - move
        places.append(min(max(ahead, low), high))  # a room of less than 5 px
    return places


def _drifted(room: slice, extent: int, steps: int, seed: list[int]) -> list[int]:
    """First pixel of the square in each frame, along one axis, clipped to the room."""
    low, high = room.start, room.stop - extent
    draw = np.random.default_rng(seed)
    places = [(low + high) // 2]
    for move in draw.integers(-_STEP, _STEP + 1, steps - 1):
        places.append(int(np.clip(places[-1] + move, low, high)))
    return places
