"""Bad input ends the command with status 3, one line that says what to do, and no folder."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch

from snnbd_core import auditing

from .conftest import Invoke
from .made import CLASSES, SIDE, graph
from .test_command import DATA, FACTORY, READ

Spoil = Callable[[], object]


def refused(told: tuple[int, str, str], *words: str, lines: int = 1) -> None:
    status, text, error = told
    assert (status, text) == (3, "")
    assert len(error.splitlines()) == lines
    for word in words:
        assert word in error
    assert not Path("report").exists()
    assert not [name for name in os.listdir() if name.endswith(".part")]


def stored(path: str, value: Any) -> Spoil:
    """Puts another value into net.nir; None leaves it out."""

    def spoil() -> None:
        with h5py.File("net.nir", "r+") as file:
            del file[path]
            if value is not None:
                file[path] = value

    return spoil


def a_billion_neurons() -> None:
    stored("node/nodes/neurons/tau", None)()
    with h5py.File("net.nir", "r+") as file:
        file.create_dataset(
            "node/nodes/neurons/tau", (10**9,), "f4", chunks=(2**20,), compression="gzip"
        )


def drawn(edges: list[tuple[str, str]]) -> Spoil:
    def spoil() -> None:
        made = graph()
        made.edges = edges
        nir.write("net.nir", made)

    return spoil


WAY = ["input", "flat", "dense", "neurons", "output"]
WEIGHTS = np.full((CLASSES, 2 * SIDE * SIDE), np.nan, np.float32)
NETWORKS: dict[str, tuple[Spoil, str]] = {
    "no HDF5": (lambda: Path("net.nir").write_bytes(b"PK\x03\x04" + bytes(999)), "cannot be read"),
    "truncated": (
        lambda: Path("net.nir").write_bytes(Path("net.nir").read_bytes()[:4000]),
        "cannot be read",
    ),
    "newer": (stored("version", "2.0"), "version '2.0' of NIR is unknown"),
    "NaN": (
        stored("node/nodes/dense/weight", WEIGHTS),
        "node dense (Linear): its weight holds NaN",
    ),
    "a billion neurons": (a_billion_neurons, "takes 4,000,000,000 bytes: allowed is limit="),
    "missing edge": (
        drawn(list(itertools.pairwise(WAY[:-1]))),
        "node output (Output): no edge from the input leads to it: needed is one",
    ),
    "cycle": (
        drawn([*itertools.pairwise(WAY), ("dense", "dense")]),
        "the cycle of dense (Linear) has no delay",
    ),
    "unknown node": (
        stored("node/nodes/neurons/type", "Izhikevich"),
        "node neurons (Izhikevich): its kind is unknown; allowed: ",
    ),
    "no output": (stored("node/nodes/output", None), "has 0 Output nodes: allowed is one"),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_damaged_network_is_refused_by_name(invoked: Invoke, kind: str) -> None:
    spoil, words = NETWORKS[kind]
    spoil()
    refused(invoked("net.nir", *READ, *DATA), "net.nir", words)


def emptied() -> None:
    shutil.rmtree("samples")
    Path("samples/0").mkdir(parents=True)


def one_class() -> None:
    for label in range(1, CLASSES):
        shutil.rmtree(f"samples/{label}")


def linked() -> None:
    Path("secret.bin").write_bytes(b"secret")
    Path("samples/0/0.bin").unlink()
    Path("samples/0/0.bin").symlink_to(Path("secret.bin").absolute())


def table(text: str) -> Spoil:
    return lambda: Path("samples/labels.csv").write_text(text)


def larger() -> None:
    """An event at (30, 30), outside the network's input."""
    Path("samples/0/0.bin").write_bytes(bytes((30, 30, 0, 0, 1)) * 20)


SAMPLES: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "none": (emptied, ("--data samples holds no clean sample: looked for .bin",)),
    "gone": (lambda: shutil.rmtree("samples"), ("there is no such folder, and no data set",)),
    "one class": (one_class, ("all 10 samples are of class '0'", "needs samples of every one")),
    "larger": (larger, ("0.bin: record 0", "has x=30; 0..7", "8 x 8 pixels, see --sensor")),
    "damaged": (lambda: Path("samples/0/0.bin").write_bytes(b"abc"), ("0.bin: 3 bytes",)),
    "short": (
        lambda: Path("samples/0/0.bin").write_bytes(bytes((1, 1, 0, 0, 1))),
        ("0.bin: frames=6 is more than the recording's 1 events",),
    ),
    "kinds": (
        lambda: Path("samples/0/a.png").write_bytes(b""),
        ("files of several kinds, .bin and .png/.jpg/.jpeg/.bmp",),
    ),
    "loose": (
        lambda: Path("samples/a.bin").write_bytes(b""),
        ("a.bin lies in no folder of a class: allowed are one folder for each class, or a file",),
    ),
    "link": (linked, ("0.bin is a link that leads out of the folder",)),
    "more classes": (
        lambda: Path("samples/2").rename("samples/7"),
        ("has the labels 0 to 7, the network 3 outputs and thus the labels 0 to 2",),
    ),
    "names": (
        lambda: Path("samples/2").rename("samples/two") and shutil.rmtree("samples/1"),
        ("has 2 classes by name, the network 3 outputs: call the folders by the numbers",),
    ),
    "climbing table": (
        table("file,label\n../net.nir,1\n"),
        ("labels.csv: line 2 names '../net.nir', which is no sample beside it",),
    ),
    "table without labels": (table("name\n0/0.bin\n"), ("line 2 has no file or no label",)),
    "empty table": (table("file,label\n"), ("holds no clean sample",)),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_samples_that_do_not_fit_are_refused_by_name(invoked: Invoke, kind: str) -> None:
    spoil, words = SAMPLES[kind]
    spoil()
    refused(invoked("net.nir", *READ, *DATA), *words)


def test_samples_of_another_size_than_the_networks_input_are_refused(invoked: Invoke) -> None:
    words = "--data samples has frames of 2 x 34 x 34, the network takes 2 x 8 x 8"
    refused(invoked("net.nir", *READ, *DATA, "--sensor", "34x34"), words)
    words = "--data digits has images of 1 x "
    refused(invoked("net.nir", *READ, "--data", "digits"), words, "the network takes 2 x 8 x 8")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", b"\x93NUMPY\x01\x00" + bytes(40), "holds no numeric arrays of NumPy"),
        ("a.npy", b"\x80\x04N.", "holds no numeric arrays of NumPy"),
        ("a.npz", b"PK\x03\x04" + bytes(60), "holds no numeric arrays of NumPy"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(60), "is no image that can be read"),
    ],
)
def test_files_that_are_not_what_their_name_says_are_refused(
    invoked: Invoke, name: str, content: bytes, words: str
) -> None:
    for label in range(CLASSES):
        Path(f"set/{label}").mkdir(parents=True)
        Path(f"set/{label}/{name}").write_bytes(content)
    refused(invoked("net.nir", *READ, "--data", "set"), f"set/0/{name}", words)


def test_an_archive_of_arrays_that_unpacks_to_too_much_is_refused_unread(invoked: Invoke) -> None:
    Path("set/0").mkdir(parents=True)
    with (
        zipfile.ZipFile("set/0/a.npz", "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("frames.npy", "w") as file,
    ):
        for _ in range(300):
            file.write(bytes(2**20))
    assert Path("set/0/a.npz").stat().st_size < 2**20
    refused(invoked("net.nir", *READ, "--data", "set"), "a.npz: unpacks to 314,572,800 bytes")


OPTIONS: list[tuple[tuple[object, ...], str]] = [
    (("net.nir", *DATA), "neither how long a step is nor how neurons reset: pass --dt and --reset"),
    (("net.nir", "--dt", 1, *DATA), "pass --reset as its sender ran it"),
    (("net.nir", "--dt", 1, "--reset", "soft", *DATA), "reset='soft' is unknown; allowed: zero"),
    (("net.nir", "--dt", 5, "--reset", "zero", *DATA), "dt=5"),
    (("net.nir", *READ, "--key", "net", *DATA), "--key net is for files by torch.save"),
    (("none.nir", *READ, *DATA), "there is no network none.nir"),
    (("net.nir", *READ, "--data", "nowhere"), "--data nowhere: there is no such folder"),
    (("net.nir", *READ, *DATA, "--repair", "Magic"), "--repair='Magic' is unknown; allowed: Fine"),
    (("net.nir", *READ, *DATA, "--device", "tpu"), "device='tpu' is not here"),
    (("net.nir", *READ, *DATA, "--sensor", "34"), "--sensor '34' must be WIDTHxHEIGHT"),
    (("net.nir", *READ, *DATA, "--bin-ms", -1), "--bin-ms=-1.0 must be a number >= 0.001"),
    (("net.nir", *READ, "--data", "digits", "--frames", 3), "digits is a set of images"),
    (("net.nir", *READ, *DATA, "--card", "none.json"), "--card none.json: there is no such file"),
    (("net.nir", *READ, *DATA, "--clean-network", "none.nir"), "there is no network none.nir"),
    (("net.pt", *DATA), "net.pt holds weights, which are no network alone: pass --factory"),
    (("net.pt", *DATA, "--factory", "nets"), "--factory 'nets' must be module:function"),
    (("net.pt", *DATA, "--factory", "none_here:f"), "none_here:f: ModuleNotFoundError: No module"),
    (("net.pt", *DATA, "--factory", "bad_nets:no"), "AttributeError: module 'bad_nets' has no"),
    (("net.pt", *DATA, "--factory", "bad_nets:fails"), "RuntimeError: no such luck"),
    (("net.pt", *DATA, "--factory", "bad_nets:gives"), "gives a dict: needed is a torch.nn.Module"),
    (("net.pt", *DATA, "--factory", "bad_nets:build", "--dt", 1), "--dt is for NIR files"),
    (("net.pt", *DATA, "--factory", "bad_nets:build"), "holds the weights of another network"),
    (("code.pt", *DATA, "--factory", "bad_nets:build"), "is damaged, or holds more than tensors"),
]


class Harmful:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(("arguments", "words"), OPTIONS)
def test_wrong_options_are_named_in_a_line(
    invoked: Invoke, arguments: tuple[object, ...], words: str
) -> None:
    Path("bad_nets.py").write_text(FACTORY)
    torch.save({"weight": torch.zeros(3)}, "net.pt")
    torch.save({"weight": Harmful()}, "code.pt")
    refused(invoked(*arguments), words)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("net.nir", *READ, *DATA, "--clean-perclass", 3), "No such option: --clean-perclass"),
        (("net.nir", *READ), "Missing option '--data'"),
        (DATA, "Missing argument 'network'"),
        (("net.nir", *READ, *DATA, "--minutes", "ten"), "Invalid value for '--minutes'"),
        (
            ("net.nir", *READ, *DATA, "--clean-per-class", 0),
            "Invalid value for '--clean-per-class'",
        ),
    ],
)
def test_a_typo_ends_with_the_status_of_an_error_too(
    invoked: Invoke, arguments: tuple[object, ...], words: str
) -> None:
    status, text, error = invoked(*arguments)
    assert (status, text) == (3, "")
    assert words in error.splitlines()[-1]
    assert not Path("report").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ("[1]", "holds a list: needed is a card.json"),
        ('"card"', "holds a str"),
        ("[" * 10_000, "is no JSON"),
    ],
)
def test_a_card_that_is_none_is_refused(invoked: Invoke, content: str, words: str) -> None:
    Path("card.json").write_text(content)
    refused(invoked("net.nir", *READ, *DATA, "--card", "card.json"), "--card card.json", words)


def test_help_ends_with_status_0(invoked: Invoke) -> None:
    status, text, _ = invoked("--help")
    assert status == 0 and "--clean-per-class" in text


def test_the_page_shows_what_these_tests_ask_for(project: Path) -> None:
    page = (project / "book" / "how-to.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|`]+ \| `([^`]+)` \|$", page, re.MULTILINE)
    own = Path(__file__).read_text(encoding="utf-8")
    assert len(rows) == 15
    assert [words for words in rows if words not in own] == []


# ---- the folder of the report


def test_a_folder_that_is_there_is_left_as_it_is(invoked: Invoke, asked: list[Any]) -> None:
    Path("report").mkdir()
    Path("report/mine.txt").write_text("mine")
    status, _, error = invoked("net.nir", *READ, *DATA)
    assert status == 3 and "--out report is there already: name a new folder" in error
    assert [path.name for path in Path("report").iterdir()] == ["mine.txt"] and not asked
    shutil.rmtree("report")
    Path("report").mkdir()
    assert invoked("net.nir", *READ, *DATA)[0] == 1  # an empty one is filled


def test_a_place_where_nothing_can_be_written_is_named_before_the_audit(
    invoked: Invoke, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any, **__: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("snnbd_book.audit.writing.tempfile.mkdtemp", denied)
    refused(invoked("net.nir", *READ, *DATA), "nothing can be written in", "Permission denied")
    assert not asked
    monkeypatch.undo()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(invoked: Invoke, here: Path) -> None:
    (here / "locked").mkdir(mode=0o555)
    refused(invoked("net.nir", *READ, *DATA, "--out", "locked/report"), "nothing can be written")


@pytest.mark.parametrize("moment", ["audit", "writing", "replacing"])
def test_an_interrupted_audit_leaves_nothing_behind(
    invoked: Invoke, asked: list[Any], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    place: tuple[Any, str] = {
        "audit": (auditing, "audit"),
        "writing": (Path, "write_text"),
        "replacing": (os, "replace"),
    }[moment]
    before = sorted(os.listdir())
    with monkeypatch.context() as patch:
        patch.setattr(*place, interrupt)
        refused(invoked("net.nir", *READ, *DATA), "Interrupted: no report was written.")
    assert sorted(os.listdir()) == before


def test_a_full_disk_leaves_nothing_behind(
    invoked: Invoke, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        refused(invoked("net.nir", *READ, *DATA), "No space left on device")


def test_a_fault_of_the_program_is_no_verdict(
    invoked: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("in a part")

    monkeypatch.setattr(auditing, "audit", broken, raising=False)
    status, text, error = invoked("net.nir", *READ, *DATA)
    assert (status, text) == (3, "")
    assert "ZeroDivisionError: in a part" in error and "fault of the program" in error
    assert not Path("report").exists()


@pytest.mark.parametrize("kind", [ValueError, FloatingPointError])
def test_a_repair_that_fails_leaves_no_report(
    kind: type[Exception], invoked: Invoke, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise kind("nothing can be repaired")

    monkeypatch.setattr(auditing, "repaired", fails, raising=False)
    refused(invoked("net.nir", *READ, *DATA, "--repair", "FineTuning"), "nothing can be repaired")
