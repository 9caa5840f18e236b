"""`snnbd audit`: what it reads, what it writes, its exit statuses."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import snnbd_core as sb
from snnbd_core import auditing
from snnbd_core.auditing import Audit

from .conftest import Invoke
from .made import CLASSES, HOSTILE, SIDE, graph

READ = ("--dt", "1", "--reset", "zero")
DATA = ("--data", "samples", "--frames", "6")


def test_a_suspicious_network_ends_with_status_1_and_a_whole_folder(
    invoked: Invoke, asked: list[Any]
) -> None:
    status, text, _ = invoked("net.nir", *READ, *DATA)
    assert status == 1
    assert text.splitlines()[0].startswith("One detector of three")
    assert sorted(path.name for path in Path("report").iterdir()) == [
        "card.json",
        "report.html",
        "report.json",
    ]
    values = json.loads(Path("report/report.json").read_text())
    assert values.pop("about")["Network"] == "net.nir"
    assert Audit.from_json(values).target == 9
    assert json.loads(Path("report/card.json").read_text())["schema"] == 1
    assert "<!DOCTYPE html>" in Path("report/report.html").read_text()
    assert not [name for name in os.listdir() if name.startswith(".")]


def test_what_is_asked_for_reaches_the_audit(invoked: Invoke, asked: list[Any]) -> None:
    Path("card.json").write_text('{"schema": 1}')
    options = ("--clean-per-class", 4, "--minutes", 2, "--seed", 7, "--card", "card.json")
    status, _, _ = invoked(
        "net.nir", *READ, *DATA, *options, "--clean-network", "net.nir", "--out", "a/b"
    )
    assert status == 0 and Path("a/b/report.html").is_file()
    ((net, clean, settings),) = asked
    assert net.input_shape == (2, SIDE, SIDE)
    assert (len(clean), clean.classes, clean.frames) == (30, CLASSES, 6)
    assert clean.labels.tolist() == [label for label in range(CLASSES) for _ in range(10)]
    assert settings["card"] == {"schema": 1} and len(settings["clean_networks"]) == 1
    assert {name: settings[name] for name in ("per_class", "minutes", "seed")} == {
        "per_class": 4,
        "minutes": 2.0,
        "seed": 7,
    }


def test_the_page_names_what_was_read(invoked: Invoke, asked: list[Any]) -> None:
    invoked("net.nir", *READ, "--data", "samples", "--bin-ms", 10)
    about = json.loads(Path("report/report.json").read_text())["about"]
    assert about["Read as"] == "NIR, dt 1, reset zero, update nir"
    assert len(about["sha256"]) == 64
    assert about["Clean samples"] == "samples: 30 samples of 3 classes, 10 of each used"
    assert about["Recordings cut to"] == "6 frames of 10 ms"


def counted(frames: Any, events: Any, window: int) -> np.ndarray:
    wanted = np.zeros(frames.shape, np.float32)
    for x, y, t, p in events:
        if (t - events["t"][0]) // window < len(wanted):
            wanted[(t - events["t"][0]) // window, int(p), y, x] += 1
    return wanted


@pytest.mark.parametrize(("options", "steps"), [((), 6), (("--frames", 4), 4)])
def test_frames_of_a_fixed_length_hold_the_events_of_their_time(
    invoked: Invoke, asked: list[Any], options: tuple[object, ...], steps: int
) -> None:
    invoked("net.nir", *READ, "--data", "samples", "--bin-ms", 10, *options)
    ((_, clean, _),) = asked
    frames = clean[12][0].numpy()
    assert frames.shape == (steps, 2, SIDE, SIDE)
    assert np.array_equal(frames, counted(frames, clean.events(12), 10_000))


def test_a_set_by_name_is_cut_likewise(
    invoked: Invoke, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(Path("samples").rglob("*.bin"))
    recordings = [sb.data.read_bin(path, (SIDE, SIDE, 2)) for path in files]
    labels = [int(path.parent.name) for path in files]

    def load(name: str, frames: int) -> Any:
        made = sb.data.from_events(recordings, labels, (SIDE, SIDE, 2), frames)
        return made, made.subset([29, 0, 12])

    monkeypatch.setattr("snnbd_book.audit.samples.data.load", load)
    assert invoked("net.nir", *READ, "--data", "nmnist", "--frames", 6)[0] == 1
    assert invoked("net.nir", *READ, "--data", "nmnist", "--bin-ms", 15, "--out", "b")[0] == 1
    (_, plain, _), (_, cut, _) = asked
    assert plain.labels.tolist() == cut.labels.tolist() == [2, 0, 1]
    assert torch.equal(plain[2][0], plain.bin(recordings[12])) and plain.frames == 6
    frames = cut[2][0].numpy()
    assert frames.shape[0] == 4
    assert np.array_equal(frames, counted(frames, recordings[12], 15_000))


@pytest.mark.parametrize("layout", ["Train", "Test", "labels.csv", "zip"])
def test_samples_lie_in_folders_of_classes_or_beside_a_table(
    invoked: Invoke, asked: list[Any], layout: str
) -> None:
    files = sorted(Path("samples").rglob("*.bin"))
    where = Path("set")
    if layout in ("Train", "Test"):
        Path("samples").rename(where / layout) if where.mkdir() is None else None
        (where / "Train" / "0").mkdir(parents=True, exist_ok=True)
        if layout == "Test":  # the recordings of Train are left out
            (where / "Train" / "0" / "a.bin").write_bytes(b"no recording")
    elif layout == "labels.csv":
        where.mkdir()
        rows = ["file,label"]
        for path in files:
            name = f"{path.parent.name}_{path.name}"
            path.rename(where / name)
            rows.append(f"{name},{path.parent.name}")
        (where / "labels.csv").write_text("\n".join(rows))
    else:
        where = Path(shutil.make_archive("set", "zip", "samples"))
    status, _, error = invoked("net.nir", *READ, "--data", where, "--frames", 6)
    assert (status, error) == (1, "")
    ((_, clean, _),) = asked
    assert np.bincount(clean.labels).tolist() == [10, 10, 10]


def test_labels_from_1_on_need_a_word_where_they_could_be_either(
    invoked: Invoke, asked: list[Any]
) -> None:
    Path("samples/0").rename("samples/3")
    assert invoked("net.nir", *READ, *DATA)[0] == 1  # 1 to 3 of 3 outputs
    assert sorted(set(asked[-1][1].labels.tolist())) == [0, 1, 2]
    shutil.rmtree("samples/3")
    status, _, error = invoked("net.nir", *READ, *DATA, "--out", "second")
    assert status == 3 and "say by --first-label 0 or 1" in error
    assert invoked("net.nir", *READ, *DATA, "--out", "second", "--first-label", 1)[0] == 1
    assert sorted(set(asked[-1][1].labels.tolist())) == [0, 1]


def save_events(path: Path, kind: str, generator: np.random.Generator) -> None:
    columns = {name: generator.integers(0, SIDE, 40) for name in ("x", "y")}
    columns |= {"t": np.arange(40), "p": generator.integers(0, 2, 40)}
    if kind == "columns":
        np.savez(path.with_suffix(".npz"), **columns)
    elif kind == "structured":
        rows = np.rec.fromarrays([columns[name] for name in "xytp"], names="x,y,t,p")
        np.save(path.with_suffix(".npy"), np.array(rows.tolist(), rows.dtype.descr))
    elif kind == "table":
        np.save(path.with_suffix(".npy"), np.stack([columns[name] for name in "xypt"], 1))
    elif kind == "frames":
        np.savez(path.with_suffix(".npz"), frames=generator.integers(0, 3, (6, 2, SIDE, SIDE)))
    else:
        from PIL import Image

        pixels = generator.integers(0, 255, (SIDE, 2 * SIDE)).astype(np.uint8)
        Image.fromarray(pixels).save(path.with_suffix(".png"))


@pytest.mark.parametrize("kind", ["columns", "structured", "table", "frames", "image"])
def test_recordings_frames_and_images_are_read(
    invoked: Invoke, asked: list[Any], kind: str
) -> None:
    generator = np.random.default_rng(0)
    for label in range(CLASSES):
        Path(f"set/{label}").mkdir(parents=True)
        for number in range(3):
            save_events(Path(f"set/{label}/{number}"), kind, generator)
    if kind == "image":
        made = graph()
        made.nodes["input"] = nir.Input(np.array((1, SIDE, 2 * SIDE)))
        made.nodes["flat"] = nir.Flatten(np.array((1, SIDE, 2 * SIDE)), 0, -1)
        nir.write("net.nir", made)
    cut = () if kind in ("frames", "image") else ("--frames", 6)
    status, _, error = invoked("net.nir", *READ, "--data", "set", *cut)
    assert (status, error) == (1, "")
    ((_, clean, _),) = asked
    wanted = (1, SIDE, 2 * SIDE) if kind == "image" else (6, 2, SIDE, SIDE)
    assert clean[4][0].shape == wanted and clean[4][1] == 1
    if kind == "image":
        assert float(clean[4][0].min()) >= 0 and float(clean[4][0].max()) <= 1


FACTORY = """
import torch
import snnbd_core as sb

def build():
    return sb.networks.build(
        "nmnist-conv", input_shape=(2, 8, 8), classes=3, neuron=lambda: sb.LIF(beta=0.5), seed=1
    )

def wrapped():
    return sb.adapt(build(), readout="logits", input_shape=(2, 8, 8))

def fails():
    raise RuntimeError("no such luck")

def gives():
    return {"weights": torch.zeros(3)}
"""


@pytest.mark.parametrize("build", ["build", "wrapped"])
@pytest.mark.parametrize("kind", ["safetensors", "pt", "zoo"])
def test_weights_go_into_the_network_of_a_factory(
    invoked: Invoke, asked: list[Any], kind: str, build: str
) -> None:
    Path(f"nets_{kind}.py").write_text(FACTORY)
    net = sb.networks.build(
        "nmnist-conv",
        input_shape=(2, SIDE, SIDE),
        classes=3,
        neuron=lambda: sb.LIF(beta=0.5),
        seed=2,
    )
    state = {name: values.contiguous() for name, values in net.state_dict().items()}
    if kind == "pt":
        torch.save(state, "net.pt")
    elif kind == "safetensors":
        save_file(state, "net.safetensors")
    else:
        Path("net.zoo").mkdir()
        save_file(state, "net.zoo/model.safetensors")
        digest = hashlib.sha256(Path("net.zoo/model.safetensors").read_bytes()).hexdigest()
        Path("net.zoo/checkpoint.json").write_text(json.dumps({"sha256": digest}))
    status, _, error = invoked(f"net.{kind}", "--factory", f"nets_{kind}:{build}", *DATA)
    assert (status, error) == (1, "")
    given = asked[0][0].state_dict()
    prefix = "net." if build == "wrapped" else ""
    assert all(torch.equal(given[prefix + name], values) for name, values in state.items())


def repaired(net: nn.Module, *_: Any, **__: Any) -> nn.Module:
    return net


def test_a_repaired_copy_is_written_as_nir_and_read_again(
    invoked: Invoke, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "repaired", repaired, raising=False)
    invoked("net.nir", *READ, *DATA, "--repair", "FineTuning")
    told = json.loads(Path("report/report.json").read_text())["about"]["Repaired network"]
    assert told.startswith("fixed.nir, to be read with --dt ")
    options = told.removeprefix("fixed.nir, to be read with ").split()
    assert invoked("report/fixed.nir", *options, *DATA, "--out", "second")[0] == 1
    before, after = asked[0][0], asked[1][0]
    sample = asked[0][1][0][0].unsqueeze(1)
    assert torch.equal(before(sample), after(sample))


def test_a_repair_that_nir_cannot_hold_is_written_as_safetensors(
    invoked: Invoke, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def guarded(net: nn.Module, *_: Any, **__: Any) -> nn.Module:
        net.register_buffer("guard_mask", torch.ones(3))
        return net

    monkeypatch.setattr(auditing, "repaired", guarded, raising=False)
    invoked("net.nir", *READ, *DATA, "--repair", "PotentialClamps")
    assert Path("report/fixed.safetensors").is_file() and not Path("report/fixed.nir").exists()
    told = json.loads(Path("report/report.json").read_text())["about"]["Repaired network"]
    assert told.startswith("fixed.safetensors, since as NIR it cannot be written (")


def test_control_characters_of_a_received_name_do_not_reach_the_terminal(
    invoked: Invoke, asked: list[Any]
) -> None:
    made = graph()
    name = HOSTILE.replace("/", "|")  # which HDF5 would take for a group
    made.nodes[name] = made.nodes.pop("neurons")
    made.edges = [tuple(name if end == "neurons" else end for end in e) for e in made.edges]
    made.nodes[name].v_threshold[0] = np.nan
    nir.write("net.nir", made)
    status, text, error = invoked("net.nir", *READ, *DATA)
    assert status == 3 and "holds NaN" in error
    assert "\x1b" not in text + error
