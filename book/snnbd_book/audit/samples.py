"""Clean samples for an audit: a set by its name, or the files of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from snnbd_book.audit import decoding
from snnbd_book.audit.decoding import Numbers
from snnbd_book.audit.found import ARRAYS, RECORDINGS, Found, find, numbered
from snnbd_book.audit.sets import Cut, Named, Received, Recordings, Stored
from snnbd_core import data
from snnbd_core.data import FrameDataset, SampleSet
from snnbd_core.data.recordings import FileRecordings, five_bytes

__all__ = ["Labels", "read_samples"]

STEPS = 4  # as which a static image is repeated, where a network is tried on it


@dataclass(frozen=True)
class Labels:
    """What a folder does not say of itself.

    Attributes:
        sensor: (W, H) in pixels, of recordings; None is that of the network's input.
        first: see `numbered`.
    """

    sensor: tuple[int, int] | None = None
    first: int | None = None


def read_samples(where: str, net: nn.Module, cut: Cut, labels: Labels) -> SampleSet:
    """The clean samples for an audit of a network, which is run on the first of them.

    Args:
        where: a name that `sb.data.load` knows (its test part is taken, or the training part where
            that is empty), or else a folder or a .zip archive, see `find`.
        net: takes [T, B, C, H, W].
        cut: how recordings become frames.
        labels: of a folder.

    Raises:
        DataNotFound, CorruptData: as `sb.data.load` and `find`.
        ValueError: naming what does not fit: samples of one class, or of another size than the
            network's input, and all that `numbered` refuses.
    """
    if where in data.NAMES:
        return _named(where, net, cut)
    found = find(Path(where))
    received = _opened(found, cut, labels.sensor or _side(net))
    outputs = _outputs(net, received.sample(0), where)
    received.label(*numbered(found, outputs, labels.first))
    return data.as_set(received)


def _named(name: str, net: nn.Module, cut: Cut) -> SampleSet:
    """A part of a set that `sb.data.load` knows, cut as asked for."""
    if name in data.IMAGES and (cut.frames or cut.window):
        raise ValueError(f"--frames and --bin-ms cut recordings, and {name} is a set of images")
    train, test = data.load(name, frames=1 if cut.window else cut.frames or 16)
    chosen = test if len(test) else train
    given: SampleSet = chosen
    if cut.window is not None and isinstance(chosen, FrameDataset):
        received = Recordings(Named(chosen), cut, name)
        received.label(chosen.labels, chosen.class_names)
        given = data.as_set(received)
    outputs = _outputs(net, given[0][0].numpy(), name)
    if outputs != given.classes:
        raise ValueError(
            f"--data {name} has {given.classes} classes, the network {outputs} outputs"
        )
    return given


def _opened(found: Found, cut: Cut, sensor: tuple[int, int] | None) -> Received:
    """The files of a folder as samples; ValueError for recordings of an unknown sensor."""
    recorded = found.kind == RECORDINGS
    if found.kind == ARRAYS:
        file = found.files[0]
        recorded = decoding.holds_events(decoding.arrays(file.read(), str(file)))
    if not recorded:
        if cut.window is not None or cut.frames is not None:
            raise ValueError(f"--frames and --bin-ms cut recordings, and {found.where} holds none")
        return Stored(found)
    if sensor is None:
        raise ValueError(
            f"--data {found.where} holds recordings, and neither they nor the network say how "
            "large the sensor is: pass --sensor WIDTHxHEIGHT"
        )
    reader = five_bytes if found.kind == RECORDINGS else decoding.events
    return Recordings(FileRecordings(found.files, reader, (*sensor, 2)), cut, found.where)


def _side(net: nn.Module) -> tuple[int, int] | None:
    """Width and height of a network's input, where it says them."""
    shape = getattr(net, "input_shape", None)
    if shape is None or len(shape) != 3 or shape[0] != 2 or tuple(shape[1:]) == (1, 1):
        return None
    return int(shape[2]), int(shape[1])


def _outputs(net: nn.Module, sample: Numbers, where: str) -> int:
    """How many classes a network tells apart, found by running it on a sample.

    Raises:
        ValueError: a sample that it does not take, or answers that are no logits.
    """
    given = torch.from_numpy(np.array(sample, dtype=np.float32))
    images = given.dim() == 3
    sequence = given.expand(STEPS, *given.shape) if images else given
    try:
        with torch.no_grad():
            logits = net(sequence.unsqueeze(1).contiguous())
    except (ValueError, RuntimeError, IndexError) as error:
        own = getattr(net, "input_shape", None)
        takes = f"takes {_told(own)}" if own else "does not take them"
        kind = "images" if images else "frames"
        raise ValueError(
            f"--data {where} has {kind} of {_told(given.shape[-3:])}, the network {takes}: {error}"
        ) from error
    if logits.dim() != 2 or len(logits) != 1:
        raise ValueError(
            f"the network gives the shape {list(logits.shape)} for one sample: needed are logits "
            "[1, classes]; let the factory wrap it by sb.adapt"
        )
    return int(logits.shape[1])


def _told(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
