"""Files that hold no sound network: each is refused by name, before memory is taken."""

from __future__ import annotations

import resource
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from snnbd_core.exchange import CorruptNetwork, read_nir

from .files import DT, chain, cuba, dense, full, grid, lif, written


def refused(path, words, **arguments):
    with pytest.raises(CorruptNetwork, match=words) as caught:
        read_nir(path, **{"dt": DT, "reset": "zero", **arguments})
    assert str(path) in str(caught.value)


@pytest.fixture
def path(tmp_path) -> Path:
    return written(tmp_path, dense(lif(5), cuba(3)))


def changed(path, name, value):
    """A file with another value in place of one; None leaves it out."""
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_nir(tmp_path / "nothing.nir", dt=1, reset="zero")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refused(path, "cannot be read")


def test_what_is_no_hdf5_is_refused(path):
    path.write_bytes(b"PK\x03\x04" + bytes(2000))
    refused(path, "cannot be read: .*")


def test_an_hdf5_file_of_something_else_is_refused(path):
    with h5py.File(path, "w") as file:
        file["events"] = np.zeros(3)
    refused(path, "it has no version")


@pytest.mark.parametrize("version", ["2.0.0", "next", "-1.0"])
def test_a_newer_version_is_refused(path, version):
    changed(path, "version", version)
    refused(path, f"version {version!r} of NIR is unknown")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("node", "kind", "field"), [(0, "Affine", "weight"), (1, "LIF", "tau")])
def test_values_that_are_not_finite_are_refused(path, node, kind, field, value):
    with h5py.File(path, "r+") as file:
        file[f"node/nodes/{node}/{field}"][..., 2] = value
    refused(path, rf"node {node} \({kind}\): its {field} holds NaN, infinite")


NODES = "node/nodes/"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (f"{NODES}1/type", "Izhikevich", r"node 1 \(Izhikevich\): its kind is unknown; .*LIF"),
        (f"{NODES}1/type", np.zeros((2, 2)), r"its kind is unknown"),
        (f"{NODES}1/tau", None, r"node 1 \(LIF\) has no 'tau'"),
        (f"{NODES}1/type", None, "it has no type"),
        (f"{NODES}1/tau", full(0, 5), r"node 1 \(LIF\): its tau must be above 0"),
        (f"{NODES}1/tau", full(1, 4), r"node 1 \(LIF\): its tau is for the shape \[4\], .*\[5\]"),
        (f"{NODES}1/tau", "fast", r"node 1 \(LIF\) cannot be read"),
        (f"{NODES}1/r", np.full(5, 1e300), r"node 1 \(LIF\): .* too large for float32"),
        (f"{NODES}1/v_threshold", full(0, 5), "its v_threshold must lie above"),
        (f"{NODES}1/v_reset", full(2, 5), "its v_threshold must lie above"),
        (f"{NODES}0/weight", grid(5), r"node 0 \(Affine\)"),
        (f"{NODES}0/weight", grid(5, 15), r"node 0 \(Affine\): its weight .*\[15\], .*\[16\]"),
        (f"{NODES}0/bias", grid(4), r"node 0 \(Affine\): its bias"),
        (f"{NODES}0/weight", np.zeros((5, 16), complex), "no numbers at all"),
        (f"{NODES}input/shape", None, "'shape'"),
        (f"{NODES}input/shape", np.array([4, 4]), r"node 0 \(Affine\): its weight"),
        (f"{NODES}input/shape", np.array([-16]), "empty shape"),
        (f"{NODES}input/shape", np.array([16.5]), "whole numbers"),
        (f"{NODES}output/shape", np.array([4]), r"node output \(Output\): its shape"),
        (f"{NODES}output", None, "has 0 Output nodes"),
        (f"{NODES}input", None, "has 0 Input nodes"),
        (f"{NODES}3", None, "'2' -> '3' names a node that is missing"),
        ("node/nodes", None, "it has no nodes"),
        (
            "node/edges",
            np.zeros((0, 2)),
            r"node 0 \(Affine\): no edge from the input leads to it",
        ),
        ("node/edges", [(b"input", b"0")] * 2, "is there twice"),
        ("node/edges", [b"input", b"0"], r"its edges \[2\] must be \[E, 2\]"),
        ("node/edges", np.zeros((20_000, 2)), "with E <= 10,000"),
        ("node/edges", np.zeros((3, 2)), "no strings in one piece"),
        ("node/edges", [(b"x" * 2000, b"0")], "no text of 1 to 1,000 letters"),
    ],
)
def test_what_is_wrong_is_named_with_its_node(path, name, value, words):
    changed(path, name, value)
    refused(path, words)


def test_another_field_or_metadata_do_not_matter(path):
    with h5py.File(path, "r+") as file:
        file["node/metadata/author"] = "somebody"
        file[f"{NODES}0/note"] = "by hand"
    read_nir(path, dt=DT, reset="zero")


def graph(nodes, edges):
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    return nir.NIRGraph({**ends, **nodes}, edges, type_check=False)


W = nir.Linear(grid(3, 3))


@pytest.mark.parametrize(
    ("nodes", "edges", "words"),
    [
        ({"w": W}, ["iw", "ww", "wo"], r"the cycle of w \(Linear\) has no delay: .*CubaLIF"),
        ({"v": W, "w": W}, ["iv", "vw", "wv", "wo"], r"v \(Linear\), w \(Linear\) has no delay"),
        ({"n": lif(3), "m": lif(3)}, ["in", "nm", "mn", "mo"], "has several delays"),
        ({"n": lif(3), "w": W}, ["in", "nw", "wn", "wo"], "beside its neurons"),
        ({"n": lif(3), "w": W}, ["in", "iw", "nw", "wn", "no"], "beside its neurons"),
        ({"n": lif(3), "v": W, "w": W}, ["in", "nv", "vw", "wv", "vn", "no"], "has no delay"),
        (
            {"n": lif(3), "w": W},
            ["nw", "wn", "no"],
            r"node n \(LIF\): no edge from the input leads",
        ),
        ({"n": lif(3), "w": nir.Linear(grid(1, 3))}, ["in", "nw", "wn", "no"], "recurrent edges"),
        ({"v": W, "w": nir.Linear(grid(1, 3))}, ["iv", "iw", "vo", "wo"], r"shapes \[\(3,\), \(1,"),
        ({"w": W}, ["iw", "wi", "wo"], "no delay"),
        ({"w": W, "v": W}, ["iw", "wo", "vw"], r"node v \(Linear\): no edge from the input leads"),
        ({"w": W}, ["iw"], r"node output \(Output\): no edge from the input leads"),
        ({"w": W}, ["iw", "wo", "wx"], "'w' -> 'x' names a node that is missing"),
        ({"s": graph({"w": W}, [("input", "w")])}, ["is", "so"], r"node s.output \(Output\)"),
        ({"s": nir.NIRGraph({"w": W}, [], type_check=False)}, ["is", "so"], "has 0 Input nodes"),
    ],
)
def test_structures_that_cannot_run_are_refused(tmp_path, nodes, edges, words):
    short = {"i": "input", "o": "output"}
    drawn = [tuple(short.get(end, end) for end in edge) for edge in edges]
    refused(written(tmp_path, graph(nodes, drawn)), words)


def test_names_that_meet_after_sub_graphs_are_laid_open_are_refused(tmp_path):
    nodes = {"a": graph({}, [("input", "output")]), "a.input": W}
    edges = [("input", "a"), ("a", "a.input"), ("a.input", "output")]
    refused(written(tmp_path, graph(nodes, edges)), "stands for two nodes")


# ---- files that ask for too much


def memory():
    """Peak of this process in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


BOMBS = {
    "neurons": lambda file: file.create_dataset(
        "node/nodes/1/tau", (10**9,), "f4", chunks=(2**20,), compression="gzip"
    ),
    "weights": lambda file: file.create_dataset(
        "node/nodes/1/tau", (10**5, 10**5), "f8", chunks=(2**10, 2**10), compression="gzip"
    ),
    "one large chunk": lambda file: file.create_dataset(
        "node/nodes/1/tau", (5,), "f4", maxshape=(None,), chunks=(2**29,), compression="gzip"
    ),
    "a long text": lambda file: file.create_dataset("node/nodes/1/tau", (), "S2000000000"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_values_that_would_take_too_much_memory_are_refused_unread(path, bomb):
    changed(path, "node/nodes/1/tau", None)
    with h5py.File(path, "r+") as file:
        BOMBS[bomb](file)
    before = memory()
    refused(path, r"node 1 \(LIF\): its tau of shape .* bytes: allowed is limit=1,073,741,824")
    assert memory() - before < 2**26
    assert path.stat().st_size < 2**20


def test_a_smaller_limit_holds_for_all_values_together(path):
    refused(path, "allowed is limit=500", limit=500)
    read_nir(path, dt=DT, reset="zero", limit=2000)


NEURON = nir.IF(r=full(1, 1), v_threshold=full(1, 1))
WIDE = nir.Conv2d((1, 1), grid(1, 1, 1, 1), 1, 10**8, 1, 1, grid(1))


@pytest.mark.parametrize(
    ("node", "shape"),
    [(NEURON, (10**9,)), (NEURON, (10**12, 10**12)), (WIDE, (1, 1, 1))],
)
def test_a_billion_neurons_declared_by_a_shape_are_refused_unbuilt(tmp_path, node, shape):
    before = memory()
    refused(written(tmp_path, chain(node, shape=shape)), "bytes in a step|cannot be read")
    assert memory() - before < 2**26


# ---- files that reach outside themselves


def test_links_to_other_places_are_not_followed(path, tmp_path):
    written(tmp_path, dense(lif(5), cuba(3))).rename(tmp_path / "other.nir")
    for link in (
        h5py.SoftLink("/node/nodes/0"),
        h5py.ExternalLink(str(tmp_path / "other.nir"), "/node/nodes/1"),
        h5py.ExternalLink("../../etc/passwd", "/"),
    ):
        sound = written(tmp_path, dense(lif(5), cuba(3)))
        changed(sound, "node/nodes/1", link)
        refused(sound, "link to somewhere else")


def test_values_in_other_files_are_not_read(path, tmp_path):
    (tmp_path / "secret").write_bytes(full(1, 5).tobytes())
    changed(path, "node/nodes/1/tau", None)
    with h5py.File(path, "r+") as file:
        outside = [(str(tmp_path / "secret"), 0, 20)]
        file.create_dataset("node/nodes/1/tau", (5,), "f4", external=outside)
    refused(path, "its tau needs another file or a plug-in")
    layout = h5py.VirtualLayout((5,), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret"), "x", (5,))
    changed(path, "node/nodes/1/tau", None)
    with h5py.File(path, "r+") as file:
        file.create_virtual_dataset("node/nodes/1/tau", layout)
    refused(path, "its tau needs another file or a plug-in")


def test_groups_that_lie_in_themselves_are_refused(path):
    with h5py.File(path, "r+") as file:
        del file["node/nodes/1"]
        file["node/nodes/1"] = file["node"]
    refused(path, "lies in itself")


def test_graphs_in_graphs_without_end_are_refused(tmp_path):
    inner = W
    for _ in range(40):
        inner = graph({"g": inner}, [("input", "g"), ("g", "output")])
    refused(written(tmp_path, inner), "too deep")


def test_references_and_lists_of_texts_are_no_values(path):
    with h5py.File(path, "r+") as file:
        for value in (file.ref, np.array([b"a", b"b"], dtype=object)):
            del file["node/nodes/1/tau"]
            kind = h5py.ref_dtype if isinstance(value, h5py.Reference) else h5py.string_dtype()
            file.create_dataset("node/nodes/1/tau", data=value, dtype=kind)
            file.flush()
            refused(path, r"node 1 \(LIF\): ")
