"""Where the samples of anybody's set come from, and how each becomes float32 numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from snnbd_core import checks
from snnbd_core.data.samples import Rows, SampleSet, named_classes, whole_label

__all__ = ["Batched", "Items", "Recorded", "all_labels", "as_float", "known_classes", "take"]

AT_ONCE = 256  # samples that are read together
_CHANNELS = 4  # at most, where they could be mistaken for a side
_MODES = {"1": "1", "L": "L", "P": "RGB", "RGB": "RGB"}


@runtime_checkable
class Items(Protocol):
    """A map-style set: (sample, label) by number. torch's, tonic's, and lists are such."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@runtime_checkable
class Batched(Protocol):
    """A set written by hand with this library's protocol: samples and labels in batches."""

    def __len__(self) -> int: ...

    def batch(self, indices: Any, /) -> Any: ...


@runtime_checkable
class Recorded(Protocol):
    """A set that has its raw recordings, so that a trigger can change events."""

    def events(self, index: int, /) -> Any: ...

    def bin(self, events: Any, /) -> Any: ...


Samples = npt.NDArray[np.float32]
Shape = tuple[int, ...] | None


def take(data: Items | Batched, rows: Rows, shape: Shape = None) -> tuple[Samples, list[int]]:
    """Samples, all of one shape (the first one's for None), and their labels."""
    if isinstance(data, Batched):
        given, labels = data.batch(rows)
        samples = as_float(given, f"the batch of sample {rows[0]}", batch=True)
        _check_shape(samples.shape[1:], shape or samples.shape[1:], rows[0])
        if len(samples) != len(rows) or len(labels) != len(rows):
            raise ValueError(
                f"data.batch gives {len(samples)} samples and {len(labels)} labels for "
                f"{len(rows)} indices"
            )
        pairs = zip(_as_row(labels).tolist(), rows, strict=True)
        return samples, [whole_label(label, f"sample {row}") for label, row in pairs]
    found, numbers = [], []
    for row in rows.tolist():
        sample, label = _pair(data[row], row)
        found.append(as_float(sample, f"sample {row}"))
        numbers.append(whole_label(label, f"sample {row}"))
        _check_shape(found[-1].shape, shape or found[0].shape, row)
    return np.stack(found), numbers


def all_labels(data: Items | Batched, shape: Shape) -> Any:
    """All labels, of samples of one shape; the samples are read where only they tell them."""
    known = _known_labels(data)
    if known is not None:
        return known
    at_once = AT_ONCE if isinstance(data, Batched) else 1
    rows = np.arange(len(data))
    chunks = np.split(rows, rows[at_once::at_once])
    return [label for chunk in chunks for label in take(data, chunk, shape)[1]]


def known_classes(data: Any) -> int | Sequence[str] | None:
    """What a set says of its classes: their number, or their names.

    A part has the classes of the whole, also those of which it has no sample.
    """
    if isinstance(data, Subset):
        said = known_classes(data.dataset)
        whole = _known_labels(data.dataset) if said is None else None
        return said if whole is None else len(named_classes(None, whole))
    if isinstance(data, ConcatDataset):
        found = [known_classes(part) for part in data.datasets]
        return found[0] if all(said == found[0] for said in found) else None
    said = getattr(data, "classes", None)
    if isinstance(said, Mapping | Sequence | np.ndarray) and not isinstance(said, str):
        return [str(name) for name in said] or None
    return None if said is None else checks.whole("data.classes", said, 1)


def _pair(item: Any, row: int) -> tuple[Any, Any]:
    """Sample and label."""
    if not isinstance(item, tuple | list) or len(item) != 2:
        many = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise ValueError(
            f"sample {row} is a {type(item).__name__}{many}: a pair (sample, label) is needed"
        )
    return item[0], item[1]


def _check_shape(found: tuple[int, ...], shape: tuple[int, ...], row: int) -> None:
    if found != shape:
        raise ValueError(
            f"sample {row} has the shape {found}, the first one {shape}: all must have one shape "
            "(crop or resize images; cut recordings to a fixed number of frames)"
        )


def _known_labels(data: Any) -> npt.NDArray[Any] | None:
    """The labels that a set gives without its samples; None where only the samples tell them."""
    if isinstance(data, SampleSet):
        return data.labels
    if type(data) is Subset:
        whole = _known_labels(data.dataset)
        return None if whole is None else whole[np.asarray(data.indices, dtype=np.int64)]
    if type(data) is ConcatDataset:
        parts = [_known_labels(part) for part in data.datasets]
        known = [part for part in parts if part is not None]
        return np.concatenate(known) if len(known) == len(parts) else None
    if type(data) is TensorDataset and len(data.tensors) == 2:
        return _as_row(data.tensors[1])
    if isinstance(data, Batched):
        told = getattr(data, "labels", None)
        return None if told is None else _as_row(told)
    # a subclass of somebody's may give other labels in __getitem__, as a poisoned set does
    library = type(data).__module__.partition(".")[0] in ("torchvision", "tonic")
    plain = library and getattr(data, "target_transform", None) is None
    return _as_row(data.targets) if plain and hasattr(data, "targets") else None


def _as_row(labels: Any) -> npt.NDArray[Any]:
    return np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)


def as_float(sample: Any, where: str, batch: bool = False) -> npt.NDArray[np.float32]:
    """A sample of anybody's as frames [T, C, H, W] or an image [C, H, W], float32, a copy.

    ``where`` names it in errors; with ``batch`` there is an axis of samples before the others.
    """
    values = _array(sample, where)
    if values.dtype.names is not None:
        raise ValueError(
            f"{where} is a recording of events, not frames: use sb.data.from_events, or give the "
            "set a transform to frames"
        )
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{where} holds {values.dtype}: real numbers are allowed")
    axes = values.ndim - batch
    if axes not in (2, 3, 4):
        raise ValueError(
            f"{where} has the shape {values.shape[batch:]}: allowed are frames [T, C, H, W] and "
            "images [C, H, W] or [H, W]"
        )
    values = values[..., None, :, :] if axes == 2 else values
    if values.shape[-1] <= _CHANNELS < values.shape[-3]:
        raise ValueError(
            f"{where} has the shape {values.shape[batch:]}: channels come before rows and columns, "
            "as in [C, H, W]"
        )
    if axes < 4 and values.dtype == np.uint8:
        return values.astype(np.float32) / np.float32(255)
    if axes < 4 and values.dtype.kind in "iu":
        raise ValueError(
            f"{where} is an image of {values.dtype}, whose white is unknown: allowed are uint8 "
            "(0..255), bool and floats"
        )
    out = values.astype(np.float32)
    if values.dtype.kind == "f" and not np.isfinite(out).all():
        raise ValueError(f"{where} has numbers that are not finite")
    return out


def _array(sample: Any, where: str) -> npt.NDArray[Any]:
    """The numbers as they are."""
    if isinstance(sample, Tensor):
        dense = sample.detach().to_dense() if sample.is_sparse else sample.detach()
        exact = dense.float() if dense.is_floating_point() and dense.itemsize < 4 else dense
        return exact.cpu().numpy()
    if isinstance(sample, np.ndarray):
        return sample
    from PIL import Image  # slow to import

    if isinstance(sample, Image.Image):
        if sample.mode not in _MODES:
            raise ValueError(
                f"{where} is a PIL image of mode {sample.mode!r}: allowed are {', '.join(_MODES)} "
                "(or give the set a transform to a tensor)"
            )
        pixels = np.asarray(sample.convert(_MODES[sample.mode]))
        return pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    try:
        return np.asarray(sample)
    except ValueError as error:
        raise ValueError(f"{where} is a {type(sample).__name__}: {error}") from error
