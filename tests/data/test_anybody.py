"""Anybody's data set is taken, gives the numbers it held, and tells what does not fit."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
import tonic
import torch
from PIL import Image
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)

from snnbd_core.data import EVENT_DTYPE, SampleSet, as_set, load
from snnbd_core.poisoning import Triggered, poison
from snnbd_core.triggers import Patch, Static

FRAMES = np.random.default_rng(0).poisson(0.3, (12, 3, 2, 6, 5)).astype(np.float32)
LABELS = np.arange(12) % 4
IMAGES = np.random.default_rng(1).integers(0, 256, (12, 3, 8, 7), dtype=np.uint8)


class Map(Dataset[Any]):
    """A torch set as people write them."""

    def __init__(self, samples: Any = FRAMES, labels: Any = LABELS) -> None:
        self.samples, self.labelled = samples, labels

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index], self.labelled[index]


class Protocol:
    """This library's protocol, written by hand: no more than it takes."""

    labels = LABELS
    dtype = torch.uint8

    def __len__(self) -> int:
        return 12

    def batch(self, indices: Any) -> Any:
        rows = np.asarray(indices)
        return torch.from_numpy(FRAMES[rows]).to(self.dtype), torch.from_numpy(LABELS[rows])


class Unlabelled:
    """No more than batches."""

    def __len__(self) -> int:
        return 12

    def batch(self, indices: Any) -> Any:
        return FRAMES[indices], LABELS[indices].astype(np.float32)


class Folder(Dataset[Any]):
    """As torchvision's ImageFolder: PIL images, targets, names of classes."""

    classes = ("ant", "bee", "cat", "dog", "eel")
    targets = LABELS.tolist()

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Any:
        return Image.fromarray(IMAGES[index].transpose(1, 2, 0)), self.targets[index]


def everything(data: SampleSet) -> np.ndarray[Any, Any]:
    samples, labels = data.batch(range(len(data)))
    assert samples.dtype == torch.float32 and labels.dtype == torch.int64
    np.testing.assert_array_equal(labels, data.labels)
    return samples.numpy()


TENSORS = TensorDataset(torch.from_numpy(FRAMES), torch.from_numpy(LABELS))


@pytest.mark.parametrize(
    "data",
    [
        Map(),
        Map(FRAMES.astype(np.uint8)),
        Map(FRAMES.astype(np.float64)),
        Map(FRAMES.astype(">f8")),
        Map(FRAMES.astype(np.uint16)),
        Map(torch.from_numpy(FRAMES).to(torch.bfloat16)),
        Map(FRAMES, [torch.tensor(label) for label in LABELS]),
        Map(FRAMES, LABELS.astype(np.uint8)),
        Map(FRAMES, LABELS.astype(float)),
        TENSORS,
        Protocol(),
        Unlabelled(),
        list(zip(FRAMES, LABELS.tolist(), strict=True)),
        tuple([frames, label] for frames, label in zip(FRAMES, LABELS, strict=True)),
        ConcatDataset([Subset(TENSORS, range(5)), Subset(Map(), range(5, 12))]),
        ConcatDataset([Subset(TENSORS, range(5)), Subset(TENSORS, range(5, 12))]),
        Subset(Subset(TENSORS, range(11, -1, -1)), range(11, -1, -1)),
    ],
)
def test_frames_of_any_set_are_its_counts(data: Any) -> None:
    taken = as_set(data)
    np.testing.assert_array_equal(everything(taken), FRAMES)
    np.testing.assert_array_equal(taken.labels, LABELS)
    assert taken.labels.dtype == np.int64 and len(taken) == 12 and taken.classes == 4
    assert (taken.kind, taken.spaces, taken.input_shape) == ("frames", ("frames",), (2, 6, 5))
    assert taken.fingerprint == as_set(TENSORS).fingerprint
    part = taken.subset([7, 2]).subset([1, 0])
    np.testing.assert_array_equal(everything(part), FRAMES[[2, 7]])
    assert taken[-1][1] == 3 and torch.equal(taken[-1][0], torch.from_numpy(FRAMES[-1]))
    assert taken.batch([])[0].shape == (0, 3, 2, 6, 5)
    assert as_set(taken) is taken
    copy = pickle.loads(pickle.dumps(taken)) if type(data) is not Protocol else taken
    frames, labels = next(iter(DataLoader(copy, batch_size=12)))
    np.testing.assert_array_equal(frames, FRAMES)
    np.testing.assert_array_equal(labels, LABELS)


def test_frames_of_true_and_false_are_ones_and_zeros() -> None:
    protocol = Protocol()
    protocol.dtype = torch.bool
    for data in (Map(FRAMES > 0), protocol):
        np.testing.assert_array_equal(everything(as_set(data)), FRAMES > 0)


def test_random_splits_keep_samples_and_labels_together() -> None:
    for part in random_split(TENSORS, [7, 5], torch.Generator().manual_seed(0)):
        taken = as_set(part)
        np.testing.assert_array_equal(taken.labels, LABELS[part.indices])
        np.testing.assert_array_equal(everything(taken), FRAMES[part.indices])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (Map(IMAGES), IMAGES / 255),
        (Map(torch.from_numpy(IMAGES)), IMAGES / 255),
        (Map(IMAGES.astype(np.float64) / 255), IMAGES / 255),
        (Map(IMAGES > 99), IMAGES > 99),
        (Map(IMAGES[:, 0]), IMAGES[:, :1] / 255),
        (Map([Image.fromarray(one[0]) for one in IMAGES]), IMAGES[:, :1] / 255),
        (Map([Image.fromarray(one[0] > 99) for one in IMAGES]), IMAGES[:, :1] > 99),
        (Folder(), IMAGES / 255),
    ],
)
def test_images_of_any_set_lie_in_0_to_1(data: Any, expected: Any) -> None:
    taken = as_set(data)
    np.testing.assert_allclose(everything(taken), expected, rtol=1e-6)
    assert (taken.kind, taken.spaces) == ("image", ("image",))
    assert taken.input_shape == expected.shape[1:]


def test_a_normalised_set_is_taken_and_refused_by_triggers_on_0_to_1() -> None:
    normalised = Map((IMAGES / 255.0 - 0.5) / 0.25)
    np.testing.assert_allclose(everything(as_set(normalised)), normalised.samples, rtol=1e-6)
    with pytest.raises(ValueError, match=r"images lie in -2\.\.(1\.\d+|2): space='image' works on"):
        poison(normalised, Patch(), 0.5, 0)


def test_classes_are_found_or_given() -> None:
    assert as_set(Folder()).classes == 5
    assert as_set(Subset(Folder(), [0, 1])).classes == 5
    assert as_set(ConcatDataset([Folder(), Folder()])).classes == 5
    assert as_set(TENSORS).classes == 4 and as_set(TENSORS, classes=np.int64(7)).classes == 7
    named = as_set(TENSORS, classes=("a", "b", "c", "d"))
    assert named.classes == 4 and vars(named)["class_names"] == ("a", "b", "c", "d")
    with pytest.raises(ValueError, match=r"data: sample 3 has label 3; 0\.\.2 is allowed"):
        as_set(TENSORS, classes=3)
    with pytest.raises(ValueError, match="classes=3: the set has 7"):
        as_set(as_set(TENSORS, classes=7), classes=3)


def test_a_set_that_relabels_is_believed_and_not_its_targets() -> None:
    """Somebody's own poisoned set: its targets are the clean ones."""

    class Poisoned(Folder):
        def __getitem__(self, index: int) -> Any:
            image, label = super().__getitem__(index)
            return image, 4 if index == 2 else label

    assert as_set(Poisoned()).labels.tolist()[:4] == [0, 1, 4, 3]
    assert as_set(Subset(Poisoned(), [2, 3])).labels.tolist() == [4, 3]


def test_a_label_that_changes_is_named() -> None:
    data = Map(FRAMES, LABELS.copy())
    taken = as_set(data)
    data.labelled[5] = 3
    with pytest.raises(ValueError, match="sample 5 has label 3 now, and had 1 before"):
        taken.batch([4, 5])


def test_tonic_sets_with_a_transform_are_taken(tmp_path: Any) -> None:
    events = np.zeros(40, EVENT_DTYPE)
    events["t"], events["x"] = np.arange(40), np.arange(40) % 6
    to_frames = tonic.transforms.ToFrame(sensor_size=(6, 6, 2), n_time_bins=4)

    class Recorded(tonic.Dataset):  # type: ignore[misc]  # untyped
        sensor_size, classes = (6, 6, 2), ["a", "b"]

        def __getitem__(self, index: int) -> Any:
            sample = events if self.transform is None else self.transform(events)
            return sample, self.targets[index]

        def __len__(self) -> int:
            return 3

    data = Recorded(str(tmp_path), transform=to_frames)
    data.targets = [1, 0, 1]
    for one in (data, tonic.MemoryCachedDataset(data)):
        taken = as_set(one)
        assert taken.labels.tolist() == [1, 0, 1] and taken[0][0].shape == (4, 2, 6, 6)
        np.testing.assert_array_equal(taken[0][0], to_frames(events))
    assert as_set(data).classes == 2
    raw = Recorded(str(tmp_path))
    raw.targets = [1, 0, 1]
    with pytest.raises(ValueError, match=r"sample 0 is a recording of events.*from_events"):
        as_set(raw)


def test_a_protocols_raw_recordings_can_be_triggered() -> None:
    class WithRecordings(Protocol):
        def events(self, index: int) -> Any:
            events = np.zeros(6, EVENT_DTYPE)
            events["t"], events["x"] = np.arange(6) * 50_000, index % 5
            return events

        def bin(self, events: Any) -> Any:
            out = np.zeros((3, 2, 6, 5), np.uint8)
            np.add.at(out, (np.arange(len(events)) * 3 // len(events), 0, 0, events["x"]), 1)
            return out

    light = Static(space="events", sensor_size=(5, 6, 2), position="top-left")
    taken = as_set(WithRecordings())
    assert taken.spaces == ("frames", "events")
    view = Triggered(WithRecordings(), light).subset([4, 3])
    recording = light(WithRecordings().events(3))
    np.testing.assert_array_equal(view.events(1), recording)
    np.testing.assert_array_equal(view[1][0], WithRecordings().bin(recording))
    with pytest.raises(ValueError, match="no raw recordings"):
        as_set(Protocol()).events(0)  # type: ignore[attr-defined]  # of sets of frames


def test_everything_is_poisoned_as_our_own_sets_are() -> None:
    expected = poison(TENSORS, Static(size=0.3), 0.5, 0)
    for data in (Map(), Protocol(), list(zip(FRAMES, LABELS, strict=True)), as_set(TENSORS)):
        poisoned = poison(data, Static(size=0.3), 0.5, 0)
        assert torch.equal(poisoned.batch(range(12))[0], expected.batch(range(12))[0])
        assert poisoned.fingerprint == expected.fingerprint
        assert as_set(poisoned) is poisoned
    white = poison(Folder(), Patch(size=0.3), 0.5, np.int64(4))
    assert all((white[i][0][:, -2:, -2:] == 1).all() for i in white.poisoned_indices)


def test_our_own_sets_are_given_back_as_they_are() -> None:
    train, test = load("digits")
    assert as_set(train) is train and train.kind == "image" and train.spaces == ("image",)
    part = as_set(Subset(Subset(train, [5, 3, 8]), np.array([2, 0])), classes=10)  # type: ignore[arg-type]  # the test
    assert type(part) is type(train)
    assert part.fingerprint == train.subset([5, 3, 8]).subset([2, 0]).fingerprint
    both = as_set(ConcatDataset([test, train]))
    np.testing.assert_array_equal(both.labels, np.concatenate([test.labels, train.labels]))
    assert both.classes == 10 and torch.equal(both[len(test) + 3][0], train[3][0])
    assert as_set(Subset(poison(train, Patch(), 1, 0), [4])).labels.tolist() == [0]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(())


def replaced(sample: Any, at: int = 3) -> list[Any]:
    items: list[Any] = list(zip(FRAMES, LABELS.tolist(), strict=True))
    items[at] = sample
    return items


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DataLoader(TENSORS), "data is a DataLoader, which hands out batches: pass its .dataset"),
        (Stream(), "data is a Stream: allowed are torch data sets with a length"),
        (iter(()), "data is a tuple_iterator: allowed are"),
        ({"x": FRAMES}, "data is a dict: allowed are"),
        (None, "data is a NoneType: allowed are"),
        ([], "data is empty: at least one sample is needed"),
        (FRAMES, "sample 0 is a ndarray: a pair (sample, label) is needed"),
        ((FRAMES, LABELS), "sample 0 is a ndarray: a pair (sample, label) is needed"),
        (TensorDataset(torch.from_numpy(FRAMES)), "sample 0 is a tuple of 1: a pair"),
        (replaced(FRAMES[3]), "sample 3 is a ndarray: a pair (sample, label) is needed"),
        (replaced((FRAMES[3], 1, 3)), "sample 3 is a tuple of 3: a pair"),
        (replaced((FRAMES[3, :2], 1)), "sample 3 has the shape (2, 2, 6, 5), the first one (3, 2"),
        (replaced((FRAMES[3], 1.5)), "sample 3 has label 1.5; a whole number from 0 on"),
        (replaced((FRAMES[3], None)), "sample 3 has label None; a whole number"),
        (replaced((FRAMES[3], "cat")), "sample 3 has label 'cat'; a whole number"),
        (replaced((FRAMES[3], np.eye(4)[0])), "sample 3 has label array("),
        (replaced((FRAMES[3], float("nan"))), "sample 3 has label nan"),
        (replaced((FRAMES[3], 10**9)), "sample 3 has label 1000000000: the largest label + 1 is"),
        (replaced((FRAMES[3], -1)), "sample 3 has label -1; 0..3 is allowed"),
        (replaced((FRAMES[3] + np.inf, 1)), "sample 3 has numbers that are not finite"),
        (replaced((FRAMES[3] * 1j, 1)), "sample 3 holds complex64: real numbers are allowed"),
        (replaced(([[1], [2, 3]], 1)), "sample 3 is a list: "),
        (Map(FRAMES[:, 0, 0, 0]), "sample 0 has the shape (5,): allowed are frames [T, C, H, W]"),
        (Map(IMAGES.transpose(0, 2, 3, 1)), "sample 0 has the shape (8, 7, 3): channels come"),
        (Map(IMAGES.astype(np.int64)), "sample 0 is an image of int64, whose white is unknown"),
        (Map(IMAGES * np.nan), "sample 0 has numbers that are not finite"),
        (Map([Image.new("CMYK", (8, 8))]), "sample 0 is a PIL image of mode 'CMYK': allowed are 1"),
    ],
)
def test_what_does_not_fit_is_named(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        as_set(data).batch(range(len(data)))


def test_a_batch_of_the_wrong_length_is_named() -> None:
    class Short(Protocol):
        def batch(self, indices: Any) -> Any:
            samples, labels = super().batch(indices)
            return samples[:1], labels

    with pytest.raises(ValueError, match="gives 1 samples and 2 labels for 2 indices"):
        as_set(Short()).batch([0, 1])


def test_a_part_has_the_classes_of_the_whole_also_those_that_it_lacks() -> None:
    whole = TensorDataset(torch.from_numpy(FRAMES), torch.from_numpy(LABELS))
    part = as_set(Subset(Subset(whole, range(8)), [0, 2, 4]))
    assert part.classes == 4 and part.labels.tolist() == [0, 2, 0]


def test_names_of_classes_are_taken_from_an_array_and_not_from_the_letters_of_a_word() -> None:
    assert as_set(Map(), classes=np.array(["a", "b", "c", "d"])).class_names == ("a", "b", "c", "d")
    with pytest.raises(ValueError, match="classes='abcd' must be a whole number"):
        as_set(Map(), classes="abcd")


def test_a_trigger_that_gives_no_numbers_is_named() -> None:
    class Broken:
        space = "frames"

        def __call__(self, samples: torch.Tensor) -> torch.Tensor:
            return samples * torch.nan

    with pytest.raises(ValueError, match="gives NaN or infinite values"):
        poison(Map(), Broken(), rate=0.5, target=0)
